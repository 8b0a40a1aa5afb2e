"""The array types that modules hand each other, so that a shape's element type has one name everywhere."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]  # (n, dim) or (dim,), L2-normalised unless said otherwise
Scores = NDArray[np.float32]  # of search: (n,) or (queries, n)
Floats = NDArray[np.float64]
AnyFloats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]  # row numbers, counts, 64-bit hashes of uids
Bools = NDArray[np.bool_]
Hashes = NDArray[np.bytes_]  # (n,) of 16 bytes each: text hashes
Keys = NDArray[np.uint64]  # halves of hashes
Ids = NDArray[np.integer[Any]]  # word-piece ids, as wide as the vocabulary needs
