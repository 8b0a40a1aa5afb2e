"""Arrow arrays over bytes that are there already: nothing is copied.

`pyarrow.array` would do as well, but its first call imports pandas, which takes a second.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from include.catalogue.rows import Texts


def fixed(data: bytes | npt.NDArray[np.generic], dtype: pa.DataType) -> pa.Array:
    """A column of numbers, or of bytes of one length."""
    buffer = pa.py_buffer(data)
    return pa.Array.from_buffers(dtype, buffer.size * 8 // dtype.bit_width, [None, buffer])


def mask(keep: npt.NDArray[np.bool_]) -> pa.BooleanArray:
    """A column of truths."""
    bits = np.packbits(keep, bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(keep), [None, pa.py_buffer(bits)])


def strings(texts: Texts) -> pa.StringArray:
    """A column of strings."""
    return pa.StringArray.from_buffers(
        len(texts.lengths) // 4, offsets(texts.lengths).buffers()[1], pa.py_buffer(texts.joined)
    )


def strings_of(texts: Sequence[str]) -> pa.StringArray:
    """A column of these."""
    return strings(Texts.of([text.encode() for text in texts]))


def lists(lengths: bytes, items: bytes, dtype: pa.DataType) -> pa.ListArray:
    """A column of lists; `lengths` as int32."""
    return pa.ListArray.from_arrays(offsets(lengths), fixed(items, dtype))


def offsets(lengths: bytes) -> pa.Int32Array:
    """Where each of the texts or lists begins, and where the last one ends."""
    counts = np.frombuffer(lengths, np.int32)
    ends = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, out=ends[1:])
    return fixed(ends, pa.int32())


def numbers(column: pa.Array) -> npt.NDArray[Any]:
    """A column of numbers, none of them null, as numpy has them."""
    return np.from_dlpack(column)
