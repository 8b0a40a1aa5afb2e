"""A verdict on an answer of a run: checked against the run's own result, and kept."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from include.core.errors import DamagedArtifact
from include.feedback.right_product import right_product
from include.feedback.store import LONGEST, LONGEST_ANSWER, Feedback, append, file_of, read_files, written
from include.store.journal import JOURNAL_FILE, Journal
from include.store.version import IndexVersion

MOST_SOURCES = 50
_QUOTE = re.compile(r"“(.+?)” \[\d+\]", re.DOTALL)
_VERSION = re.compile("[0-9a-f]{16}")


class Verdict(BaseModel, extra="forbid"):
    """What a person sends.

    Attributes:
        run_id: The run of `answer_question`.
        position: Which of its questions, from 0.
        verdict: Whether the answer is right.
        right: The right product: its uid, or words of its title.
        comment: What the person has to say.
    """

    run_id: str = Field(max_length=250)
    position: int = Field(ge=0, le=100_000)
    verdict: Literal["up", "down"]
    right: str | None = Field(None, max_length=LONGEST)
    comment: str | None = Field(None, max_length=LONGEST)


def receive(result: Any, user: str, given: Verdict, *, root: Path) -> Feedback:
    """Keep a verdict.

    Args:
        result: What the run returned, see `include.answering.answer.answer`; None for none.
        user: Who judges.
        given: The verdict.
        root: The data directory.

    Returns:
        What is kept.

    Raises:
        LookupError: There is no such answer to judge; the message says why.
        StorageFull: There is no room.
    """
    version = _version(result, root)
    answer = _answer(result, given.position)
    said = written(given.right)
    products = [each for each in answer.get("products") or [] if isinstance(each, dict) and "uid" in each]
    row = Feedback(
        user=user,
        run_id=given.run_id,
        position=given.position,
        version=version.name,
        question=_text(answer["question"]),
        answer=_text(answer["answer"])[:LONGEST_ANSWER],
        found=bool(answer["found"]),
        lang=_text(answer.get("language") or ""),
        sources=[_text(each["uid"]) for each in answer["sources"]][:MOST_SOURCES],
        quotes=_quotes(answer),
        filtered=result.get("filter") is not None,
        verdict=given.verdict,
        right=None if said is None or given.verdict == "up" else right_product(said, products, version, root=root),
        right_given=said,
        comment=written(given.comment),
    )
    append(root, version.collection, row)
    return row


def kept_of_run(result: Any, user: str, run_id: str, *, root: Path) -> list[Feedback]:
    """A user's last verdicts on the answers of a run; none where it has no answers."""
    try:
        version = _version(result, root)
    except LookupError:
        return []
    kept = read_files([file_of(root, version.collection, version.name)])
    return [each for each in kept.latest() if (each.user, each.run_id) == (user, run_id)]


def _version(result: Any, root: Path) -> IndexVersion:
    """The version that answered; once it is pruned, under its name the one that its collection has published last."""
    name = result.get("version") if isinstance(result, dict) else None
    if not isinstance(name, str) or not _VERSION.fullmatch(name):
        raise LookupError("There is no run of this name that has ended with answers.")
    with suppress(DamagedArtifact):
        return IndexVersion.described(IndexVersion.path(root, name))
    for journal in sorted((root / "index").glob(f"*/{JOURNAL_FILE}")):
        with suppress(DamagedArtifact):
            published = Journal.load(root, journal.parent.name).by_publication()
            if name in published:
                last = IndexVersion.described(IndexVersion.path(root, published[0]))
                return last.model_copy(update={"name": name})
    raise LookupError(f"The version that answered, {name}, is no longer kept, and it was never published.")


def _answer(result: dict[str, Any], position: int) -> dict[str, Any]:
    """The answer of that number."""
    answers = result.get("answers")
    answer = answers[position] if isinstance(answers, list) and position < len(answers) else None
    if not isinstance(answer, dict) or not {"question", "answer", "found", "sources"} <= answer.keys():
        raise LookupError(f"The run has no answer {position}; they are counted from 0.")
    if answer.get("error"):
        raise LookupError(f"The question {position} could not be asked, so there is no answer to judge.")
    return answer


def _quotes(answer: dict[str, Any]) -> list[str]:
    """The quoted sentences; none of an answer in other words than the catalogue's."""
    generator = answer.get("generator") or {}
    if answer.get("translated") or (generator.get("name") != "extractive" and not generator.get("fallback")):
        return []
    return [text for each in _QUOTE.findall(_text(answer["answer"])) if (text := each.strip("…").strip())]


def _text(value: Any) -> str:
    return str(value).encode("utf-8", "replace").decode()
