"""From a question to an answer with its sources, over the live index: see `asker.py`.

Imports only what that needs: ONNX Runtime, tokenizers, the embedded engine.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from include.answering.asker import Asker, require_generator
from include.answering.laps import Laps
from include.answering.llm_connection import LlmConnection
from include.answering.questions import checked
from include.core.answer_settings import AnswerSettings
from include.core.index_settings import IndexSettings
from include.store.connection import ServerConnection


def answer(
    questions: Sequence[str],
    settings: AnswerSettings,
    index: IndexSettings,
    *,
    root: Path,
    server: ServerConnection | None = None,
    llm: LlmConnection | None = None,
) -> dict[str, Any]:
    """Answer questions from the index.

    Args:
        questions: Each 1 to 2,000 characters. One that is not does not fail the others.
        settings: How many products, search mode, generator, threshold, version.
        index: Where the index is: its store and collection.
        root: The data directory.
        server: Needed for `store="server"`.
        llm: Needed for `generator="llm"`.

    Returns:
        JSON-able, by docs/answer.schema.json: `schema`, `version`, `bm25_weight` (None but in hybrid mode), `threshold`
        of answers, 0-1, and `threshold_from`: "the form", "calibration" by questions, or "default" where there were
        none; `seconds`, `milliseconds` by step, `filter` (as it was read; None without),
        `facets` (by attribute, `{"value", "count", "filter"}` over all that match), and
        `answers`, for each question `question`, `answer`, `found`, `sources` (marker [n] is the n-th of them),
        `products` (all that were retrieved, by rank), `confidence` (`retrieval`: cosine of the nearest product,
        `answer`: how surely it is answered, both 0-1), `searched` (the text searched for), `mended` (its
        words that were spelt wrong), `language` (ISO 639-1 or empty), `translated` (None, or from, to, by),
        `generator` (of `reply.Generation`; None where nothing was written), `warnings`, `seconds`, `error` (None;
        of a question that could not be asked, `what` came and the `next_step`). A product has `uid`, `title`,
        `score` (cosine with the question), `rank` (in the search, from 1), `snippet` (its best sentence), and
        `attributes` if it has any; sources are products.

    Raises:
        BadQuestion: Every question is empty or too long.
        BadFilter: The filter cannot be read, or names what the index does not have.
        BadSettings: `generator="llm"` or `store="server"` without a connection.
        NoLiveIndex: Nothing has been published.
        UnknownVersion: The version does not exist, or no longer.
        GeneratorUnavailable: The language model did not answer, and `llm_fallback` is off.
    """
    laps = Laps()
    checked(questions)
    require_generator(settings, llm)  # before anything is opened
    with Asker.open(settings.version, index, root=root, server=server, once=True) as asker:
        laps.end("open")
        return asker.answer(questions, settings, llm=llm, laps=laps)
