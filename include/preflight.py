"""What is looked at before a run does anything, and again once its catalogue is known.

Whether what its settings name is there, and whether its version could be published at all. Nothing is fetched, and no
check takes longer than reading a small file.

Each check takes the run and says in a sentence what whoever started it should know now rather than hours later, or
nothing; or it raises, where the run would be in vain.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from include.core.artifacts import Artifact
from include.core.errors import DamagedArtifact, OlderDate, VitrineError
from include.core.pipeline_settings import with_titles
from include.publishing.catalogue_change import compare, is_sample, objection
from include.publishing.verdict import older
from include.run import Run
from include.store.journal import Entry, Journal
from include.store.version import IndexVersion

log = logging.getLogger(__name__)

ENGLISH_MODELS = ("distilbert-base-uncased", "distilbert-base-cased", "minilm-l6", "minilm-l12")
Check = Callable[[Run], str | None]


def preflight(run: Run) -> list[str]:
    """Run every check; returns what they say, which is also logged as warnings.

    Raises:
        BadSettings: `filter_file` cannot be read.
        BadSource: There is no questions file, where it is a path.
        BadModel: There is no such base model.
        OlderDate: The live version is of a newer date, and `older_dates` is `refuse`.
        StoreUnavailable: The store did not answer.
    """
    notes = [note for check in CHECKS if (note := check(run)) is not None]
    for note in notes:
        log.warning("%s", note)
    return notes


def script_notes(run: Run, catalogue: Artifact) -> list[str]:
    """What to say where most titles are in a script that the base model does not know; logged as a warning too."""
    model, counts = run.settings.train.base_model, catalogue.stats["trn"]
    scripts = {script: count for script, count in counts["title_scripts"].items() if script not in ("Latin", "none")}
    name = model.casefold()
    english = "multilingual" not in name and any(each in name for each in ENGLISH_MODELS)
    if run.settings.train.retrain == "never" or not english or 2 * sum(scripts.values()) <= counts["accepted"]:
        return []
    note = (
        f"{sum(scripts.values()):,} of {counts['accepted']:,} titles are not in Latin script ({', '.join(scripts)}), "
        f"and the base model {model} knows English alone: search by meaning will be poor. Set base_model to a "
        "multilingual DistilBERT: distilbert-base-multilingual-cased@<commit>, or a directory with one."
    )
    log.warning("%s", note)
    return [note]


def catalogue_notes(run: Run, catalogue: Artifact) -> list[str]:
    """Compare a run's catalogue with the live one, which `publish` will do again, hours of training later.

    Returns:
        Why its version would not go live by itself, if it would not; it is logged as a warning too.
    """
    evaluate = run.settings.evaluate
    if evaluate.promote == "never" or run.settings.source.source.strip() == "sample":  # which the first notes are about
        return []
    try:
        live, entry = _live(run)
        sample, products = None if entry is None else entry.sample, catalogue.stats["trn"]["accepted"]
        change = compare(catalogue.path, products, live, root=run.root, live_is_sample=sample)
    except VitrineError as error:  # nothing depends on it yet
        log.warning("the catalogue could not be compared with the live one: %s", error)
        return []
    if change is not None:
        log.info("the catalogue against the live one: %s", change)
    against = objection(change, evaluate, run.settings.index.collection)
    if against is None:
        return []
    asked = evaluate.promote == "approval"
    end = "A person will be asked" if asked else "This run can only build, its version would be kept and not published"
    note = f"{end}: {against.words}. {'' if asked else against.way_out}".rstrip()
    log.warning("%s", note)
    return [note]


def filter_file(run: Run) -> None:
    """Whether the reciprocal pairs can be read; whether they fit the archive, evaluation sees."""
    from include.evaluation.filter_pairs import read_filter_pairs

    if run.settings.evaluate.filter_file:
        read_filter_pairs(Path(run.settings.evaluate.filter_file), {})


def questions(run: Run) -> None:
    """Whether a questions file on this machine is there; another is reached when it is fetched."""
    from include.source.download import is_path, reach

    place = run.settings.questions.questions
    if place is not None and is_path(dated := run.dated(place)):
        reach(dated)


def base_model(run: Run) -> None:
    """Whether there is such a base model, as far as that can be told without fetching it."""
    from include.model.base import check_base

    check_base(run.settings.train.base_model)  # also where nothing is trained: evaluation compares with it


def promotion(run: Run) -> str | None:
    """Whether the run is to publish at all."""
    if run.settings.evaluate.promote != "never":
        return None
    return "This run can only build: promote is never, so its version is built and verified, but not published."


def date(run: Run) -> str | None:
    """Whether the live version is of a newer date than the run."""
    evaluate = run.settings.evaluate
    if evaluate.promote == "never":
        return None
    live, entry = _live(run)
    live_date = None if entry is None else datetime.fromisoformat(entry.logical_date)
    reason = older(live, live_date, run.logical_date)
    if reason is None:
        return None
    if evaluate.older_dates == "refuse":
        raise OlderDate(
            f"This run's version could not be published: {reason}.",
            "Trigger it for a date that is not older. To build its version all the same, and keep it unpublished, set "
            "older_dates = build.",
        )
    return f"This run can only build: {reason}, so its version is kept and not published (older_dates = build)."


def sample(run: Run) -> str | None:
    """Whether the run is on the synthetic sample while a real catalogue is live."""
    evaluate, collection = run.settings.evaluate, run.settings.index.collection
    by_itself = evaluate.promote == "auto" and evaluate.replace_with_sample != collection
    if run.settings.source.source.strip() != "sample" or not by_itself:
        return None
    live, entry = _live(run)
    if live is None or _live_is_sample(run, live, entry) is True:
        return None
    return (
        f"This run can only build: it is on the synthetic sample, and in collection {collection} a real catalogue is "
        f"live. For a trial take another collection; if {collection} is meant to be replaced, write this name into "
        + with_titles("replace_with_sample.")
    )


CHECKS: list[Check] = [filter_file, questions, base_model, promotion, date, sample]


def _live(run: Run) -> tuple[str | None, Entry | None]:
    """The live version, and what the journal says of it."""
    live = run.open_store().live()
    return live, Journal.load(run.root, run.settings.index.collection).newest(live)


def _live_is_sample(run: Run, live: str, entry: Entry | None) -> bool | None:
    if entry is not None and entry.sample is not None:
        return entry.sample
    try:
        made = IndexVersion.read(IndexVersion.path(run.root, live))
    except DamagedArtifact:
        return None
    return is_sample(run.root / made.catalogue, run.root)
