"""What one answer is worth: its figures, each 0-1."""

from collections.abc import Iterator, Mapping
from typing import Any

from include.exam.summary import FigureName
from include.questions.questions import Question

# What a source has beside the texts that it shows.
_NOT_SHOWN = {"uid", "id", "url", "link", "title", "name", "image", "number", "rank", "score"}


def score(question: Question, answer: Mapping[str, Any]) -> dict[FigureName, float]:
    """The figures that apply to a question.

    `hit@1` and `hit@5`: a right product is first, or among five. `recall@10`: the share of the right products among
    ten, of min(10, n). Of an answerable question: `refused_wrongly`, and where evidence is given whether any of it
    stands in the answer or in a source's text (`evidence`; case and white space do not matter, titles do not
    count), and whether it does so with a right product (`evidence_right`). Of another: `answered_wrongly`.

    Args:
        question: With what is right.
        answer: Its entry in the result of `include.answering.answer.answer`.
    """
    right, found, sources = set(question.uids), bool(answer["found"]), answer["sources"]
    ranked = list(dict.fromkeys(str(each["uid"]) for each in answer["products"]))
    made: dict[FigureName, float] = {}
    if right:
        made["hit@1"] = float(bool(right.intersection(ranked[:1])))
        made["hit@5"] = float(bool(right.intersection(ranked[:5])))
        made["recall@10"] = len(right.intersection(ranked[:10])) / min(10, len(right))
    if not question.answerable:
        return {**made, "answered_wrongly": float(found)}
    made["refused_wrongly"] = float(not found)
    if wanted := [_squeezed(each) for each in question.evidence]:
        said = _squeezed(answer["answer"])
        shown = [(each["uid"], _squeezed(" \n ".join(_texts(each)))) for each in sources]
        in_answer = any(each in said for each in wanted)
        with_right = any(each in text for each in wanted for uid, text in shown if uid in right)
        made["evidence"] = float(in_answer or any(each in text for each in wanted for _, text in shown))
        made["evidence_right"] = float(with_right or (in_answer and any(uid in right for uid, _ in shown)))
    return made


def _squeezed(text: str) -> str:
    return " ".join(text.casefold().split())


def _texts(value: Any) -> Iterator[str]:
    """Every text inside a source, but for its names."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key not in _NOT_SHOWN:
                yield from _texts(each)
