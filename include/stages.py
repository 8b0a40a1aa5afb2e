"""The stages as tasks call them: what one needs from the run and from the stages before, in JSON.

Each function takes a `Run` and the summaries of earlier stages (paths and counts, never data), does one
stage, and returns its own summary. Nothing here knows Airflow; `dags/stage_task.py` makes the `Run`.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate

from include.core.answer_settings import AnswerSettings
from include.core.forms import parse
from include.core.index_settings import IndexSettings
from include.core.settings import SourceSettings
from include.run import P, Run, T
from include.run import recorded as recorded_with

if TYPE_CHECKING:
    from include.answering.llm_connection import LlmConnection
    from include.core.progress import Sink
    from include.store.connection import ServerConnection

log = logging.getLogger(__name__)

Summary = dict[str, Any]
AFTER_ALL = ("prune", "report", "outcome")  # the tasks whose failure leaves the run's decision as it is


def recorded(stage: Callable[Concatenate[Run, P], T]) -> Callable[Concatenate[Run, P], T]:
    """A stage that is noted in the ledger; where the disk is too full for that, old outputs go first."""

    def make_room(run: Run) -> None:
        from include.publishing.prune import prune

        prune(run.root, server=run.server, own=run.run_id)

    return recorded_with(stage, make_room)


@recorded
def download(run: Run) -> Summary:
    """Say whether the run can be published; fetch the catalogue file: from Google Drive, http(s), a store, or disk."""
    from include.preflight import preflight
    from include.publishing.room import require_room
    from include.source import download

    notes = preflight(run)
    source = parse(SourceSettings, run.settings.source.model_dump() | {"source": run.dated(run.settings.source.source)})
    fetched = download.download(source, root=run.root, sink=run.sink)
    return {**fetched.summary(), "notes": [*notes, *require_room(run, fetched)]}


@recorded
def convert(run: Run, source: Summary) -> Summary:
    """Clean the lines into Parquet; set unusable ones aside with their reasons; say if too many products are gone."""
    from include.catalogue import convert
    from include.preflight import catalogue_notes, script_notes

    made = convert.convert(Path(source["path"]), run.settings.convert, root=run.root, sink=run.sink)
    return {**made.summary(), "notes": [*script_notes(run, made), *catalogue_notes(run, made)]}


@recorded
def read_questions(run: Run, catalogue: Summary) -> Summary | None:
    """Check the questions file and what people said of answers against the catalogue; without both do nothing."""
    from include.feedback.verdicts import taken

    place = run.settings.questions.questions
    said = taken(run.root, run.settings.index.collection) if run.settings.questions.feedback else None
    if place is None and said is None:
        log.info("no questions file: the setting `questions` is empty, so answers are neither trained for nor measured")
        return None
    from include.catalogue.schema import PRODUCTS_FILE
    from include.questions.accept import accept
    from include.source import download

    file = None
    if place is not None:
        asked = parse(SourceSettings, {"source": run.dated(place)})
        file = download.download(asked, root=run.root, sink=run.sink).path
    products, mark = Path(catalogue["path"]) / PRODUCTS_FILE, catalogue["fingerprint"]
    return accept(file, products, mark, said, root=run.root, sink=run.sink).summary()


@recorded
def fine_tune(run: Run, catalogue: Summary, questions: Summary | None = None) -> Summary:
    """Train the bi-encoder, contrastively, in a process of its own; a retry goes on at its checkpoint.

    With `retrain = never` this is the live index's model; with `always` a model of this run's own.

    Raises:
        NoLiveIndex: `retrain = never`, and nothing is live.
    """
    settings = run.settings.train
    if settings.retrain == "never":
        from include.store.live import the_live_model

        return the_live_model(run.open_store(), run.settings.index, root=run.root).summary()
    from include.training.negatives import mine_live
    from include.training.question_pairs import Beside
    from include.training.train import train_in_subprocess, trained_before

    path = Path(catalogue["path"])
    nonce = run.run_id if settings.retrain == "always" else ""
    beside = Beside(questions=None if questions is None else Path(questions["path"]))
    found = None if nonce else trained_before(path, settings, root=run.root, beside=beside)
    if found is not None:  # without a process that loads torch
        log.info("reused model %s: neither the catalogue nor a setting of training has changed", found.fingerprint)
        return found.summary()
    if settings.hard_negatives:
        mined = mine_live(path, settings.hard_negatives, run.open_store(), root=run.root, sink=run.sink)
        beside = beside._replace(negatives=mined)
    made = train_in_subprocess(path, settings, root=run.root, beside=beside, nonce=nonce, sink=run.sink)
    return made.summary()


@recorded
def train_reader(run: Run, catalogue: Summary, model: Summary, questions: Summary | None) -> Summary | None:
    """Train the reader on the questions that come with evidence; nothing where there are none, or `reader = never`."""
    from include.reading import train

    asked = None if questions is None else Path(questions["path"])
    made = train(asked, Path(catalogue["path"]), Path(model["path"]), run.settings.reader, root=run.root, sink=run.sink)
    return None if made is None else made.summary()


@recorded
def evaluate(run: Run, catalogue: Summary, model: Summary) -> Summary:
    """Measure retrieval on products held out from training: BM25, base, tuned, live; decide on promotion."""
    from include.evaluation import evaluate
    from include.store.live import live_model

    live = live_model(run.open_store(), root=run.root)
    made = Path(catalogue["path"]), Path(model["path"])
    return evaluate.evaluate(*made, run.settings, root=run.root, live=live, sink=run.sink).summary()


@recorded
def plan_shards(run: Run, catalogue: Summary, model: Summary) -> list[Summary]:
    """Split the catalogue into shards, each a pair of tasks: embed, upsert."""
    from include.index import plan

    settings = run.settings
    made = plan.plan_shards(Path(catalogue["path"]), Path(model["path"]), settings.embed, settings.index, root=run.root)
    return plan.shard_of(made)


@recorded
def embed(run: Run, shard: Summary) -> Summary:
    """Turn a shard's products into vectors; texts that this model has seen before are copied."""
    from include.index import embed

    place, tokens = Path(shard["plan"]), run.settings.embed.embed_batch_tokens
    made = embed.embed(place, shard["shard"], root=run.root, batch_tokens=tokens, sink=run.sink)
    return {**shard, "embedding": made.summary()}


@recorded
def upsert(run: Run, embedded: Summary) -> Summary:
    """Load a shard's vectors and payloads into the vector store, under ids that a retry repeats."""
    from include.index import upsert

    plan, vectors = Path(embedded["plan"]), Path(embedded["embedding"]["path"])
    index, store = run.settings.index, run.open_store()
    loaded = upsert.upsert(plan, embedded["shard"], vectors, index, store, root=run.root, sink=run.sink)
    return {**embedded, "upsert": loaded}


@recorded
def verify(run: Run, shards: Iterable[Summary] | Summary) -> Summary:
    """Check the built version: counts, sampled payloads and vectors, recall@10 against exact search."""
    from include.index import verify
    from include.results import as_list

    loaded = as_list(shards)
    made = verify.verify(
        Path(loaded[0]["plan"]),
        [shard["upsert"] for shard in loaded],
        run.settings.index,
        run.open_store(),
        root=run.root,
        sink=run.sink,
    )
    return made.summary()


@recorded
def examine(
    run: Run, version: Summary, evaluation: Summary, questions: Summary | None, reader: Summary | None = None
) -> Summary | None:
    """Where there are questions, ask the exam of the verified version and of the live one; else do nothing."""
    if questions is None:
        log.info("no exam: there is no questions file, so whether the version answers worse is not measured")
        return None
    from include.exam import examine
    from include.questions.questions import read

    made = Path(version["path"]), Path(evaluation["path"])
    return examine.examine(
        examine.Tested(*made, _used(reader)),
        read(Path(questions["path"])),
        run.settings,
        root=run.root,
        server=run.server,
        sink=run.sink,
    ).summary()


@recorded
def request_approval(run: Run, results: Mapping[str, Any], link: str) -> Summary:
    """Ask a person whether the version may go live, where `promote = approval`; else pass at once."""
    from include.publishing import approval

    def show(waiting: Mapping[str, Any]) -> None:
        date = run.logical_date.isoformat()
        report({**results, "approve": waiting}, root=run.root, run_id=run.run_id, logical_date=date)

    return approval.request_approval(run, results, link, show)


@recorded
def publish(
    run: Run,
    version: Summary,
    evaluation: Summary,
    approval: Summary,
    exam: Summary | None = None,
    reader: Summary | None = None,
) -> Summary:
    """Move the alias to the new version, in one step, unless the gate, a person or a newer date says no."""
    from include.publishing import publish

    asked = None if exam is None or not exam["stats"].get("decides", True) else Path(exam["path"])
    made = Path(version["path"]), Path(evaluation["path"])
    release = publish.Release(*made, run.logical_date, run.run_id, asked, _used(reader))
    index, evaluate, store = run.settings.index, run.settings.evaluate, run.open_store()
    return publish.publish(release, index, evaluate, store, root=run.root, approval=approval)


def report(results: Mapping[str, Any], *, root: Path, run_id: str, logical_date: str) -> Summary:
    """Write the run's report: one HTML page, shown as a tab of the run."""
    from include.core import ledger
    from include.report import report

    made = report.report(results, root=root, run_id=run_id, logical_date=logical_date).summary()
    ledger.end(root, run_id, "report", ledger.named_in(made))
    return made


def prune(run: Run) -> Summary:
    """Remove what neither a published version nor one of the last runs needs, and note that the run has ended."""
    from include.publishing.room import prune_after

    return prune_after(run).model_dump()


def outcome(states: Mapping[str, str]) -> None:
    """Fail unless publish has succeeded: the run's state is this task's.

    Args:
        states: Of the run's tasks, by name.

    Raises:
        NotPublished: Naming the tasks that failed.
    """
    from include.core.errors import NotPublished

    if states.get("publish") == "success":
        return
    failed = [name for name, state in states.items() if state == "failed" and name not in AFTER_ALL]
    why = f"{', '.join(failed)} failed" if failed else "the run was ended from outside, or a task of it skipped"
    raise NotPublished(f"The run has not come to its decision: {why}.", "The run's Report tab says what to do.")


def answer_question(
    question: str,
    settings: AnswerSettings,
    index: IndexSettings,
    *,
    root: Path,
    server: "ServerConnection | None" = None,
    llm: "LlmConnection | None" = None,
) -> Summary:
    """Answer one question, or several, one a line, from the products that the index finds."""
    from include.answering.answer import answer
    from include.answering.questions import as_text, split_lines

    found = answer(split_lines(question), settings, index, root=root, server=server, llm=llm)
    for each in found["answers"]:
        log.log(logging.WARNING if each["error"] else logging.INFO, "%s", as_text(each))
    return found


def answer_file(place: str, settings: AnswerSettings, index: IndexSettings, **given: Any) -> Summary:
    """Answer a file of questions by one version of the index; in the summary, `file` is the path of the answers.

    Args:
        place: Where the questions are.
        settings, index: As of one question.
        given: Data directory, run, connections, sink: see `include.batch.answer_file`.
    """
    from include.batch import answer_file

    made = answer_file.answer_file(place, settings, index, **given).summary()
    return {**made, "file": str(Path(made["path"]) / made["stats"]["file"])}


def check_answers(
    index: IndexSettings, *, root: Path, server: "ServerConnection | None" = None, sink: "Sink | None" = None
) -> Summary:
    """Ask the live index the exam that it was published with; fail where it answers worse, or is damaged."""
    from include.exam.check import check_live

    return check_live(index, root=root, server=server, sink=sink)


def roll_back(
    to: str, index: IndexSettings, *, root: Path, run_id: str, server: "ServerConnection | None" = None
) -> Summary:
    """Move the alias back to an earlier version that is still kept: `previous`, or a fingerprint."""
    from include.publishing import publish
    from include.store.stores import open_store

    return publish.roll_back(to, index, open_store(index, root=root, server=server), root=root, run_id=run_id)


def _used(reader: Summary | None) -> str | None:
    """Fingerprint of a reader that has passed its gate."""
    return reader["fingerprint"] if reader and reader["stats"]["used"] else None
