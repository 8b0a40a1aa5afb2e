"""`make prune`: what is kept, what goes, and how much that frees; `ARGS=--dry-run` touches nothing."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence

from include.core import forms
from include.core.environment import data_directory
from include.core.errors import VitrineError
from include.core.settings import RetentionSettings
from include.core.space import mebibytes
from include.publishing.prune import prune
from include.results import Pruned


def main(arguments: Sequence[str]) -> int:
    """Prune the data directory; the exit status is 0 if that was done."""
    parser = argparse.ArgumentParser(prog="make prune", description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="only show what would go")
    for name, field in RetentionSettings.model_fields.items():
        parser.add_argument(f"--{name.replace('_', '-')}", help=str(field.description))
    options = vars(parser.parse_args(arguments))
    chosen = {name: options[name] for name in RetentionSettings.model_fields if options[name] is not None}
    try:
        settings = forms.parse(RetentionSettings, chosen)  # the rest is as each collection's newest run says
        print(table(prune(data_directory(), settings, dry_run=options["dry_run"]), dry_run=options["dry_run"]))
    except VitrineError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def table(done: Pruned, *, dry_run: bool) -> str:
    """What stays and what goes by kind, as aligned lines of text."""
    goes = "would go" if dry_run else "went"
    lines = [f"{'kind':<12}{'stay':>8}{'MiB':>10}{goes:>10}{'MiB freed':>12}"]
    for row in done.kinds:
        stay, gone = mebibytes(row.stay_bytes).split()[0], mebibytes(row.gone_bytes).split()[0]
        lines.append(f"{row.kind:<12}{row.stay:>8,}{stay:>10}{row.gone:>10,}{gone:>12}")
    freed = "would be freed" if dry_run else "were freed"
    lines.append(f"{mebibytes(done.freed)} {freed}; {mebibytes(done.free)} of {mebibytes(done.size)} are free.")
    lines.append(f"Kept is what {done.runs} runs, and the published versions, have used.")
    return "\n".join([*lines, *(f"Note: {note}" for note in done.notes)])


if __name__ == "__main__":
    # What a person gives to `make` comes by environment, as it was typed.
    sys.exit(main([*shlex.split(os.environ.get("GIVEN_ARGS", "")), *sys.argv[1:]]))
