"""64-bit hashes of texts: how millions of uids and titles are compared, as arrays."""

import hashlib
from collections.abc import Sequence

import numpy as np

from include.core.arrays import Ints


def short_hashes(texts: Sequence[str]) -> Ints:
    """64 bits of each text, 0 for an empty one."""
    digests = (hashlib.blake2b(text.encode(), digest_size=8).digest() if text else bytes(8) for text in texts)
    return np.frombuffer(b"".join(digests), np.int64)
