"""Pairs that evaluation leaves out: the Extreme Classification Repository's `filter_labels_test.txt`.

Each line is `test_row label_row`, rows counted from 0 in `tst.json` and `lbl.json`. A product that is in
both files, or two that name each other, would be found by their own text; published figures of the LF
data sets are without these pairs.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from include.core.arrays import Ints
from include.core.errors import BadSettings
from include.core.redaction import escaped

NEXT_STEP = (
    "Set filter_file to the filter_labels_test.txt that belongs to the archive, a path that every worker sees, or "
    "leave it empty."
)
LINE = re.compile(rb"\s*(\d{1,18})\s+(\d{1,18})\s*")


def read_filter_pairs(path: Path, stats: Mapping[str, Any]) -> Ints:
    """The pairs of a filter file, (pairs, 2) int64: rows of tst and of lbl.

    Args:
        path: The file.
        stats: Of the catalogue: how many lines of `tst` and `lbl` were `read` bounds the rows.

    Raises:
        BadSettings: There is no such file, a line is not two numbers, or a row is beyond the archive's.
    """
    pairs: list[tuple[int, int]] = []
    named = escaped(str(path))
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                matched = LINE.fullmatch(line)
                if matched is None:
                    raise BadSettings(
                        f"Line {number} of filter_file {named} is {line[:60].decode('utf-8', 'replace')!r}; "
                        "expected are two row numbers, `test_row label_row`.",
                        NEXT_STEP,
                    )
                pairs.append((int(matched[1]), int(matched[2])))
    except (OSError, ValueError) as error:  # the latter where no file can have that name
        raise unreadable(path, error) from error
    if not pairs:
        raise BadSettings(f"filter_file {named} has no pairs.", NEXT_STEP)
    rows = np.array(pairs, np.int64)
    for column, role in enumerate(("tst", "lbl")):
        read = stats.get(role, {}).get("read")
        if read is not None and rows[:, column].max() >= read:
            raise BadSettings(
                f"filter_file {named} names row {rows[:, column].max():,} of {role}, which has {read:,} rows: it "
                "belongs to another archive.",
                NEXT_STEP,
            )
    return rows


def unreadable(path: Path, error: OSError | ValueError) -> BadSettings:
    """The error of a filter file that cannot be opened."""
    why = getattr(error, "strerror", None) or error
    return BadSettings(f"filter_file {escaped(str(path))} cannot be read: {why}.", NEXT_STEP)
