"""`from include import Vitrine`: a version of a data directory's index, open for questions.

It is opened once, so that a question takes what answering takes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from include.answering import products
from include.answering.asker import Asker
from include.answering.live_index import described
from include.answering.llm_connection import LlmConnection
from include.answering.questions import split_lines
from include.core.answer_settings import AnswerSettings
from include.core.environment import data_directory
from include.core.errors import BadSettings
from include.core.forms import environment, parse, refuse_unknown
from include.core.index_settings import IndexSettings
from include.notebook.results import Answers, Facets, Found, Versions
from include.publishing.kept_versions import kept_versions
from include.store.connection import ServerConnection

PLACE = ("store", "collection")


def index_settings(**given: str | None) -> IndexSettings:
    """Where the index is: what is given, else what the environment says, else the default.

    Raises:
        BadSettings: A name or a value is refused.
    """
    refuse_unknown(given, (), PLACE)
    preset = environment(IndexSettings)
    chosen = {name: preset[name] for name in PLACE if name in preset}
    return parse(IndexSettings, {**chosen, **{name: value for name, value in given.items() if value is not None}})


class Vitrine:
    """One version of an index, opened once; closed by `close`, or at the end of a `with`.

    Args:
        data: The data directory; None for that of `VITRINE_DATA`.
        version: `live`, or the fingerprint of a version that is still kept.
        server: Needed for `store="server"`.
        llm: Needed for `generator="llm"`.
        place: `store` and `collection`, as of `IndexSettings`.

    Raises:
        NoLiveIndex: Nothing has been published there.
        UnknownVersion: The version does not exist, or no longer.
        BadSettings: A setting is unknown or out of range, or a connection is needed.
    """

    def __init__(
        self,
        data: str | Path | None = None,
        *,
        version: str = "live",
        server: ServerConnection | None = None,
        llm: LlmConnection | None = None,
        **place: str,
    ) -> None:
        self.data = data_directory() if data is None else Path(data).expanduser().resolve()
        self._index = index_settings(**place)
        self._wanted = parse(AnswerSettings, {"version": version}).version
        self._server, self._llm = server, llm
        self._asker = self._opened()

    def ask(self, question: str | Sequence[str], **settings: Any) -> Answers:
        """Answer a question, several (one a line), or a list of them.

        Args:
            question: Each 1 to 2,000 characters.
            settings: Of answering: `top_k`, `filter`, `threshold` …, see `AnswerSettings`.

        Returns:
            The JSON of `include.answering.answer.answer`, as everywhere; `to_frame` has its products.

        Raises:
            VitrineError: As `include.answering.answer.answer`.
        """
        asked = split_lines(question) if isinstance(question, str) else question
        return Answers(self._asker.answer(asked, _settings(settings), llm=self._llm))

    def search(self, question: str, **settings: Any) -> Found:
        """The products for a question by rank, without an answer; see `include.answering.products.search`."""
        return Found(products.search(self._asker, question, _settings(settings)))

    def facets(self, names: str | None = None, *, filter: str | None = None) -> Facets:
        """How many products a filter leaves, and how many of them have each value; see `products.count`.

        Args:
            names: Attributes, separated by commas; None for all that can be counted.
            filter: None for all products.
        """
        return Facets(products.count(self._asker, _settings({"facets": names, "filter": filter})))

    def versions(self) -> Versions:
        """The versions that are kept, the live one first; see `kept_versions`."""
        return Versions(kept_versions(self.data, self._index))

    def live(self) -> dict[str, Any]:
        """What is open: version, products, model, attributes, when and by whom it was published."""
        return described(self._asker.version, self._asker.published)

    def reopen(self) -> Self:
        """Open what is live now; an opened version stays the same until then."""
        before, self._asker = self._asker, self._opened()
        before.close()
        return self

    def close(self) -> None:
        """Give back what the version holds open."""
        self._asker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        made, entry = self._asker.version, self._asker.published
        since = "never published" if entry is None else f"published {entry.published_at}"
        return f"<Vitrine {made.collection} in {self.data}: version {made.name}, {made.points:,} products, {since}>"

    def _opened(self) -> Asker:
        return Asker.open(self._wanted, self._index, root=self.data, server=self._server)


def _settings(given: dict[str, Any]) -> AnswerSettings:
    if "version" in given:
        raise BadSettings(
            f"A version was asked for, {given['version']!r}, where one is open.",
            "Open it: Vitrine(data, version=…).",
        )
    refuse_unknown(given, (AnswerSettings,))
    return parse(AnswerSettings, {**environment(AnswerSettings), **given})
