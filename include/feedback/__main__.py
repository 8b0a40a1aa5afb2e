"""`python -m include.feedback`: what people said, in the questions file's form, one JSON object a line."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from include.core.environment import data_directory
from include.core.settings import IndexSettings
from include.feedback.verdicts import taken
from include.questions.rows import FIELDS


def exported(root: Path, collection: str) -> Iterator[str]:
    """The lines of a questions file; none where nobody has said anything that makes a question."""
    found = taken(root, collection)
    for each in found.questions if found else ():
        row = {name: value for name, value in asdict(each).items() if name in FIELDS}
        yield json.dumps(row, ensure_ascii=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a collection's feedback to standard output."""
    parser = ArgumentParser(prog="python -m include.feedback", description="What people said, as a questions file.")
    parser.add_argument("--collection", default=IndexSettings().collection, help="default: %(default)s")
    parser.add_argument("--data", type=Path, default=data_directory(), help="the data directory")
    given = parser.parse_args(arguments)
    for line in exported(given.data, given.collection):
        sys.stdout.write(line + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
