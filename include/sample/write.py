"""A synthetic catalogue of any size, in the exact form of the AmazonTitles-1.3MM archive.

A ZIP with `LF-Amazon-1.3M/{trn,tst,lbl}.json.gz`, JSON lines with `uid`, `title`, `content` and (not in
`lbl`) `target_ind`, `target_rel`; what a row says is in `include.sample.products`.

The dirt is the real file's, at exact places: row i's fate follows from (seed, i) alone, in each thousand
rows the same shares (`include.sample.dirt`). Only an empty content is rarer, 18 % instead of 33 %, so that
a small sample has enough pairs to train on.

Every row is a function of (seed, its number), so writing needs no memory for rows, and the file is the same
byte for byte each time.

    python -m include.sample.write --products 3000 --seed 7 OUT.zip
"""

import argparse
import gzip
import io
import json
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from include.core.progress import Progress
from include.sample.dirt import FATES, MALFORMED, Row, break_line, fates, repeat, soil
from include.sample.products import FLAGSHIPS, LABELS, VARIANTS, dice_for, row_of
from include.sample.size import lengthen

FOLDER = "LF-Amazon-1.3M"


def write_sample(
    path: Path, products: int, seed: int, *, full_size: bool = False, progress: Progress | None = None
) -> dict[str, Any]:
    """Write the archive and return what is truly in it.

    Args:
        path: The ZIP to write; an existing file is replaced.
        products: Rows of `trn`; `lbl` gets 3 for each 5 of them, `tst` 1 for each 10.
        seed: Another seed, another catalogue.
        full_size: Make rows as long as the real file's (`include.sample.size`), to measure with.
        progress: Counts the rows of `trn`.

    Returns:
        For each of trn, tst, lbl: `lines`, `bytes` (uncompressed), and of each kind of dirt how many lines have it.
        The keys are those of `FATES`, then `malformed` (their sum, see `MALFORMED`), `entities`,
        `edition_note` and `crlf`. A line may count under several keys; a malformed one counts under its own and `crlf`.

    Raises:
        ValueError: There are fewer products than flagships.
    """
    if products < len(FLAGSHIPS):
        raise ValueError(f"A sample needs at least {len(FLAGSHIPS)} products, not {products}.")
    families = -(-products // VARIANTS)
    sizes = {"trn": products, "tst": -(-families // 2), "lbl": families * LABELS}
    counts: dict[str, Any] = {}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for file, rows in sizes.items():
            count: Counter[str] = Counter()
            member = zipfile.ZipInfo(f"{FOLDER}/{file}.json.gz", (2020, 1, 1, 0, 0, 0))
            with (
                archive.open(member, "w", force_zip64=True) as raw,
                gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=4, mtime=0) as packed,
                io.BufferedWriter(packed, 1 << 18) as out,
            ):
                for line in _lines(file, rows, families, seed, count, full_size):
                    out.write(line)
                    count["lines"] += 1
                    count["bytes"] += len(line)
                    if progress is not None and file == "trn":
                        progress.advance()
            count["malformed"] = sum(count[kind] for kind in MALFORMED)
            keys = ["lines", "bytes", *FATES["trn"], "malformed", "entities", "edition_note", "crlf"]
            counts[file] = {key: count[key] for key in keys}
    return counts


def _lines(file: str, rows: int, families: int, seed: int, count: Counter[str], full_size: bool) -> Iterator[bytes]:
    """The file's lines with their line ends; `count` learns what was done to them."""
    thousand = fates(file)

    def row_at(number: int) -> Row:
        row = row_of(file, number, families, seed)
        if full_size and file != "lbl" and (file == "tst" or number >= len(FLAGSHIPS)):
            return lengthen(row, dice_for(seed, f"size-{file}", number), families * LABELS)
        return row

    for number in range(rows):
        # 389 and 1000 have no common divisor: each thousand rows meet each fate equally often, and the row
        # before one that repeats it is an ordinary one.
        fate = thousand[(number * 389 + seed * 7 + 11) % 1000]
        if file == "trn" and number <= len(FLAGSHIPS):  # flagships stay clean, and nothing repeats them
            fate = ""
        row = row_at(number)
        if fate.startswith(("duplicate", "conflicting")):
            row = repeat(row, row_at(number - 1), fate)
        elif fate:
            row = soil(row, fate, dice_for(seed, f"soil-{file}", number))
        line = break_line(orjson.dumps(row), fate)
        if fate:
            count[fate] += 1
        if fate not in MALFORMED:
            count["entities"] += b"&#" in line or b"&amp;" in line
            count["edition_note"] += b"This text refers to the" in line
        if number % 197 == 96:
            line += b"\r"
            count["crlf"] += 1
        yield line + b"\n"


def main(arguments: list[str] | None = None) -> None:
    """Write a sample from the command line and print its counts as JSON."""
    parser = argparse.ArgumentParser(prog="python -m include.sample.write", description="Write a synthetic catalogue.")
    parser.add_argument("--products", type=int, default=3000, help="rows of trn (default: 3000)")
    parser.add_argument("--seed", type=int, default=7, help="another seed, another catalogue (default: 7)")
    parser.add_argument("path", type=Path, metavar="OUT.zip")
    parser.add_argument("--full-size", action="store_true", help="rows as long as the real file's, to measure with")
    options = parser.parse_args(arguments)
    counts = write_sample(options.path, options.products, options.seed, full_size=options.full_size)
    json.dump(counts, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
