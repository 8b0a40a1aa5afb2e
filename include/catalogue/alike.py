"""Whether the files of one catalogue have the same columns: a shop may export its customers, too."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

from include.core.display import printable
from include.core.errors import BadSource
from include.formats.archive import Part
from include.formats.line_parser import Refused, json_object

RECORDS = 100  # of a file that are looked at
FILES = 100  # likewise
ALIKE = 0.5  # more than this share of two files' columns has to be in both
_TOLD = 10  # files in a message, and columns of each


def require_alike(firsts: Iterable[Part], name: str) -> None:
    """See that the files have about the columns of the first one.

    Args:
        firsts: The first records of each file.
        name: What messages call all of them.

    Raises:
        BadSource: Some have others.
    """
    files = {part.file: found for part in islice(firsts, FILES) if (found := _columns(part.lines))}
    known = next(iter(files.values()), frozenset())
    if any(len(known & found) <= ALIKE * len(known | found) for found in files.values()):
        kinds = {found: file for file, found in reversed(files.items())}
        told = [f"{printable(file)} ({_named(found)})" for found, file in reversed(kinds.items())]
        raise BadSource(
            f"{printable(name)} holds files with different columns: {'; '.join(told[:_TOLD])}.",
            "Leave those with the products in it, or name the one that has them trn (trn.csv, trn.json …).",
        )


def _columns(lines: bytes) -> frozenset[str]:
    """Those that at least half of the first records have."""
    counts = Counter(name for names in _names(lines) for name in (*names, ""))
    records = counts.pop("", 0)
    return frozenset(name for name, count in counts.items() if count * 2 >= records)


def _names(lines: bytes) -> Iterator[Iterable[str]]:
    for line in lines.split(b"\n", RECORDS)[:RECORDS]:
        try:
            yield filter(None, json_object(line)[0])
        except Refused:
            continue


def _named(columns: frozenset[str]) -> str:
    names = [printable(name, 40) for name in sorted(columns)]
    return ", ".join(names[:_TOLD]) + (f" and {len(names) - _TOLD} more" if len(names) > _TOLD else "")
