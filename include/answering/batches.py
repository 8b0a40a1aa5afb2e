"""Many questions, asked in batches: a killed process goes on at its batch."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from include.core.files import write_json
from include.questions.questions import Question

Result = dict[str, Any]  # see `include.answering.answer.answer`


def in_batches(
    questions: Iterable[Question], size: int, ask: Callable[[Sequence[str]], Result], kept: Path | None
) -> Iterator[tuple[list[Question], Result]]:
    """Each batch of the questions, in their order, with what was answered.

    Args:
        questions: To ask; the same in each try.
        size: Of a batch.
        ask: Gives the result for the texts of a batch.
        kept: Directory in which the results are kept for a retry; None keeps none.
    """
    rest, start = iter(questions), 0
    while part := list(islice(rest, size)):
        file = None if kept is None else kept / f"{start:06d}.json"
        result = None if file is None else _read(file, len(part))
        if result is None:
            result = ask([each.question for each in part])
            if file is not None:
                write_json(file, result)
        yield part, result
        start += len(part)


def _read(file: Path, questions: int) -> Result | None:
    """What an earlier try was told; None where it did not come that far, or had batches of another size."""
    with suppress(FileNotFoundError, ValueError):
        result: Result = json.loads(file.read_bytes())
        if len(result["answers"]) == questions:
            return result
    return None
