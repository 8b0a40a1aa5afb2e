"""Which hashes have come by, in 16 bytes each: how duplicates are found among millions of rows in little memory."""

import numpy as np
import numpy.typing as npt

from include.core.arrays import Keys


class SeenHashes:
    """Sorted runs of hashes, merged as they grow, looked up in batches.

    64-bit hashes of 2.25 million distinct keys hold an accidental match with a chance of 1 in 7 million.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[Keys, Keys]] = []

    def add(self, keys: Keys, values: Keys) -> tuple[npt.NDArray[np.bool_], Keys]:
        """Remember `keys`, each with the value that it first came with.

        Returns:
            For each key whether it is new (the first of equal ones in `keys` is), and its first value.
        """
        unique, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        held = values[first]
        known = np.zeros(len(unique), np.bool_)
        for run_keys, run_values in self._runs:
            at = np.minimum(np.searchsorted(run_keys, unique), len(run_keys) - 1)
            hit = run_keys[at] == unique
            held[hit] = run_values[at[hit]]
            known |= hit
        fresh = np.zeros(len(keys), np.bool_)
        fresh[first[~known]] = True
        if not known.all():
            self._runs.append((unique[~known], held[~known]))
            while len(self._runs) > 1 and len(self._runs[-2][0]) < 4 * len(self._runs[-1][0]):
                self._merge_last()
        return fresh, held[inverse]

    def _merge_last(self) -> None:
        (left, left_values), (right, right_values) = self._runs[-2:]
        at = np.searchsorted(left, right)
        self._runs[-2:] = [(np.insert(left, at, right), np.insert(left_values, at, right_values))]
