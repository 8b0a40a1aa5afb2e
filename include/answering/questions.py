"""Questions as people write them, and answers as a log shows them: plain text in, plain text out."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from include.answering.asked import Asked
from include.answering.sentences import say
from include.catalogue.attributes import shown
from include.core.display import wrapped
from include.core.errors import BadQuestion
from include.questions.questions import LONGEST_QUESTION

LONGEST_TEXT = 20_000  # characters of all questions that one run takes
SHOWN = 200  # characters of a refused question that its entry repeats


def split_lines(text: str) -> list[str]:
    """The questions of a text that has one a line; a text without any is one empty question."""
    return [line.strip() for line in text.split("\n") if line.strip()] or [""]


def one_of(question: str, file: str | None, *, untouched: str) -> str | None:
    """The file of questions, if one is to be answered; None for the question.

    Args:
        question: As the form has it.
        file: Likewise.
        untouched: The question that the form begins with: beside a file it counts as none.

    Raises:
        BadQuestion: Both are given, or neither.
    """
    asked, place = question.strip(), (file or "").strip()
    if not asked and not place:
        raise BadQuestion(
            "There is neither a question nor a file of questions.", "Give `question` or `questions_file`."
        )
    if place and asked not in ("", untouched):
        raise BadQuestion(
            f"There are both a question, {asked[:SHOWN]!r}, and a file of questions.",
            "Leave one out: add the question to the file, or empty `questions_file`.",
        )
    return place or None


def checked(questions: Sequence[str]) -> list[str | BadQuestion]:
    """Each question as it is asked, or the reason why it cannot be.

    Raises:
        BadQuestion: There is no list of questions, or none of them can be asked.
    """
    if not isinstance(questions, str) and not questions:
        raise BadQuestion("There is no question.", "Ask at least one.")
    if isinstance(questions, str):
        raise BadQuestion(
            f"Expected a list of questions, got {type(questions).__name__} {questions!r:.50}.", "Ask at least one."
        )
    read = [
        _checked(question, f"Question {number} of {len(questions)}") for number, question in enumerate(questions, 1)
    ]
    faults = [each for each in read if isinstance(each, BadQuestion)]
    if len(faults) == len(read):
        raise faults[0]
    return read


def _checked(question: str, name: str) -> str | BadQuestion:
    # Lone surrogates have no UTF-8, which the engine and JSON need.
    text = question.encode("utf-8", "replace").decode().strip()
    if not text:
        return BadQuestion(f"{name} is empty.", "Write it, or leave it out.")
    if len(text) > LONGEST_QUESTION:
        return BadQuestion(
            f"{name} has {len(text):,} characters; at most {LONGEST_QUESTION:,} are read.",
            "Shorten it, and ask it again.",
        )
    return unicodedata.normalize("NFC", text)  # as the catalogue is: some systems type "é" as "e" and an accent


def refused(question: str, fault: BadQuestion) -> dict[str, Any]:
    """The entry of a question that could not be asked; its `error` says why and what next."""
    text = question.encode("utf-8", "replace").decode().strip()
    repeated = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    return Asked.as_written(repeated).entry(error={"what": fault.what, "next_step": fault.next_step})


def as_text(entry: Mapping[str, Any]) -> str:
    """A question with what came of it, for a log: answer, sources (or the nearest products), warnings, one a line."""
    lines = [*_labelled("Question: ", entry["question"])]
    if error := entry["error"]:
        return "\n".join([*lines, *_labelled("Not asked: ", error["what"]), *_labelled("Next: ", error["next_step"])])
    if entry["mended"]:
        lines += wrapped(say("showing_results_for", entry["language"], searched=entry["searched"]), indent="      ")
    lines += _labelled("Answer: ", entry["answer"])
    products = entry["sources"] or entry["products"]
    if products and not entry["found"]:
        lines.append("The nearest products:")
    for number, each in enumerate(products, 1):
        lines += _labelled(f"[{number}] ", f"{each['title'] or '(no title)'} · uid {each['uid']} · {each['score']:.3f}")
        if each["snippet"] != each["title"]:
            lines += _labelled("      ", each["snippet"])
        if attributes := each.get("attributes"):
            lines += _labelled("      ", shown(attributes))
    lines += [line for warning in entry["warnings"] for line in _labelled("Warning: ", warning)]
    return "\n".join(lines)


def _labelled(label: str, text: str) -> list[str]:
    return wrapped(label + " ".join(text.split()), indent="      ")
