"""What is looked at before a run's first work: a mistake in its settings is told in seconds, not after hours.

Each check is a function of the run that raises one of ours; `CHECKS` is called in order. Nothing is fetched, and
no check takes longer than reading a small file.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.stages import Run


def preflight(run: "Run") -> None:
    """Check a run's settings against what is there.

    Raises:
        Terminal: Some stage would refuse a setting; the first such one is told.
    """
    for check in CHECKS:
        check(run)


def filter_file(run: "Run") -> None:
    """The reciprocal pairs can be read; whether they fit the archive, evaluation sees.

    Raises:
        BadSettings: They cannot.
    """
    from include.filter_pairs import read_filter_pairs

    if run.settings.evaluate.filter_file:
        read_filter_pairs(Path(run.settings.evaluate.filter_file), {})


def base_model(run: "Run") -> None:
    """There is such a base model, as far as that can be told without fetching it.

    Raises:
        BadModel: There is not.
    """
    from include.base_model import check_base

    if run.settings.train.retrain != "never":
        check_base(run.settings.train.base_model)


CHECKS = (filter_file, base_model)
