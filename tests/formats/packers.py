"""Every way to pack one file."""

import bz2
import lzma
from collections.abc import Callable

from backports import zstd

from tests.formats.random_archives import gzipped

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzipped,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    # As the program zstd does: without a checksum, damage may go unseen.
    "zst": lambda data: zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}),
}
