"""Answers written by a language model behind any OpenAI-compatible endpoint, held to the retrieved products.

What comes back is made plain text (`plain.py`); its citations are checked against what was retrieved (`reply.py`), and
each sentence against the text of what it cites (`statements.py`, `support.py`): what is not supported goes. Where
nothing is left, or the endpoint fails for good, the extractive answer stands in its place. The warnings tell both.
"""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from include.answering.chat import Chat, Completion
from include.answering.llm_connection import LlmConnection
from include.answering.passages import Retrieved
from include.answering.plain import REMOVED, plain
from include.answering.prompt import messages
from include.answering.reply import NOTHING, Generation, Reply, check_citations, without_reasoning
from include.answering.statements import joined, statements, supported, whole_sentences
from include.answering.support import Supports
from include.core.errors import GeneratorUnavailable, VitrineError
from include.core.redaction import public

log = logging.getLogger(__name__)

SECONDS = 720.0  # for all questions of a run: the task answer_question ends after 900
MOST_FAILURES = 2  # in a row: the model is not asked for the run's other questions
LONGEST_REPLY = 20_000  # characters that are read
IN_PLACE = "The answer quotes the products' sentences instead."


class Writer:
    """The language model during one run: its time, and whether it still answers.

    Args:
        connection: Where the model is.
        supports: Compares a sentence with passages.
        fallback: Whether the extractive answer stands in where the model fails; else its error is raised.
    """

    def __init__(self, connection: LlmConnection, supports: Supports, *, fallback: bool) -> None:
        self._connection = connection
        self._chat = Chat(connection)
        self._supports = supports
        self._fallback = fallback
        self._ends = time.monotonic() + SECONDS
        self._failures: list[VitrineError] = []  # in a row

    def write(self, question: str, retrieved: Retrieved, extracted: Reply) -> Reply:
        """The model's answer, or `extracted` in its place.

        Raises:
            GeneratorUnavailable, BadSettings: Without fallback, as `write_answer`.
        """
        began = time.monotonic()
        try:
            if len(self._failures) == MOST_FAILURES:
                raise self._failures[-1]
            reply = write_answer(question, retrieved, self._chat, self._supports, self._left())
        except VitrineError as error:
            if not self._fallback:
                raise
            self._failures = [*self._failures, error][-MOST_FAILURES:]
            log.warning("The extractive answer stands in for the language model's: %s", error)
            reply = replace(extracted, warnings=[f"The language model failed: {error} {IN_PLACE}"])
            generation = Generation("llm", self._connection.model, fallback=True)
        else:
            self._failures = []
            generation = replace(reply.generation, model=self._connection.model)
            if not reply.text:
                reply = replace(extracted, warnings=[*reply.warnings, IN_PLACE])
                generation = replace(generation, fallback=True)
        return replace(reply, generation=replace(generation, seconds=round(time.monotonic() - began, 4)))

    def _left(self) -> float:
        """Seconds for the next answer."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise GeneratorUnavailable(
                f"The run's {SECONDS:.0f} seconds for the language model are used up.", "Ask fewer questions at once."
            )
        return min(left, self._connection.patience)


def write_answer(question: str, retrieved: Retrieved, chat: Chat, supports: Supports, seconds: float) -> Reply:
    """Ask the language model, and keep what the products support.

    Args:
        question: The user's.
        retrieved: Product i is cited as [i + 1].
        chat: The endpoint.
        supports: Compares a sentence with passages.
        seconds: That the endpoint has, all attempts together.

    Returns:
        The reply; its text is empty where no sentence is supported.

    Raises:
        GeneratorUnavailable: The endpoint did not answer, is overloaded, or failed; or there was reasoning alone.
        BadSettings: It refused the key, the model or the request; retrying cannot help.
    """
    connection = chat.connection
    completion = chat.complete(messages(question, retrieved, connection.prompt_tokens), seconds)
    reply = read(completion, connection.model, len(retrieved.hits))
    generation = Generation(
        "llm", prompt_tokens=completion.prompt_tokens, completion_tokens=completion.completion_tokens
    )
    if reply.text == NOTHING:
        return replace(reply, generation=generation)
    said = statements(reply)
    kept, reasons = supported(question, said, retrieved.hits, supports)
    warnings = [*reply.warnings, *_removed(reasons, len(said))]
    generation = replace(generation, sentences=len(said), unsupported=len(reasons))
    return replace(joined(kept, reply), warnings=warnings, generation=generation)


def read(completion: Completion, model: str, products: int) -> Reply:
    """What the model sent as plain text with checked citations, before its sentences are compared.

    Raises:
        GeneratorUnavailable: There was reasoning alone.
    """
    text = without_reasoning(completion.text[:LONGEST_REPLY])
    if not text:
        raise GeneratorUnavailable(
            f"The model {model!r} sent its reasoning, and no answer after it.",
            "Raise `max_tokens` in the extra of the connection `llm_default`, or turn the reasoning off; or set "
            "generator = extractive.",
        )
    text, harmful = plain(text)
    cut = completion.cut or len(completion.text) > LONGEST_REPLY
    reply = check_citations(whole_sentences(text) if cut else text, products)
    warnings = [REMOVED] * harmful + ["The answer was cut off at `max_tokens`."] * cut
    return replace(reply, warnings=[*warnings, *reply.warnings])


def check_connection(connection: LlmConnection) -> str:
    """Ask the model for one word; a sentence that says that it answered.

    Raises:
        GeneratorUnavailable, BadSettings: As `write_answer`.
    """
    Chat(connection, attempts=1).complete(
        [{"role": "user", "content": "Reply with the one word: yes"}], connection.patience
    )
    return f"{public(connection.base_url)} answers as model {connection.model}."


def _removed(reasons: Sequence[str], sentences: int) -> list[str]:
    """The warning about unsupported sentences."""
    if not reasons:
        return []
    told = "; ".join(f"{count} × {reason}" if count > 1 else reason for reason, count in Counter(reasons).items())
    were = "was" if len(reasons) == 1 else "were"
    which = "The model's only sentence" if sentences == 1 else f"{len(reasons)} of the model's {sentences} sentences"
    return [f"{which} {were} removed as unsupported: {told}."]
