"""What `make clean` is about to delete, and whether it may: it asks wherever there is anything but caches.

Needs nothing but Python, since it also has to work where the virtual environment is gone.
"""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

KEPT = (".airflow", "data")  # of the checkout, in the order in which they are told


def main() -> int:
    """0 if `make clean` may go on: there is nothing to lose, a person said yes, or `YES=1` was given."""
    found = contents(Path.cwd())
    if not found:
        return 0
    print("This deletes:\n" + "\n".join(f"  {line}" for line in found))
    if os.environ.get("GIVEN_YES", "") == "1":
        return 0
    if not sys.stdin.isatty():
        print("Nothing was deleted: there is no terminal to ask on. `make clean YES=1` deletes it.", file=sys.stderr)
        return 1
    try:
        answer = input("It cannot be brought back. Delete it? [y/N] ")
    except (EOFError, KeyboardInterrupt):
        answer = ""
    if answer.strip().lower() in ("y", "yes"):
        return 0
    print("Nothing was deleted.", file=sys.stderr)
    return 1


def contents(checkout: Path) -> list[str]:
    """A line for each thing that would be lost, with its size; live indexes first."""
    lines = [_live(journal) for journal in sorted(checkout.glob("data/index/*/journal.json"))]
    for name in KEPT:
        if size := _size(checkout / name):
            what = "Airflow's runs, logs and users" if name == ".airflow" else "models, indexes, journal, catalogues"
            lines.append(f"{name}/: {what}, {shown(size)}")
    return [line for line in lines if line]


def shown(size: int) -> str:
    """A number of bytes for people."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size:,} bytes"


def _live(journal: Path) -> str:
    """Which version a collection's journal says is live; also where it is not readable, it stands for an index."""
    name = journal.parent.name
    try:
        last = json.loads(journal.read_text(encoding="utf-8"))["history"][-1]
        return f"the live index {name!r}: version {last['version']}, live since {last['published_at']}"
    except IndexError:
        return ""
    except (ValueError, KeyError, TypeError, OSError):
        return f"the index {name!r}, whose journal cannot be read"


def _size(folder: Path) -> int:
    """Bytes of all files; a link counts as itself, and what vanishes meanwhile (Airflow may be running) as nothing."""
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 - much quicker for many files
    return total


if __name__ == "__main__":
    sys.exit(main())
