"""What requests take: settings of answering, in their own ranges."""

from copy import copy
from typing import Any, Literal

from pydantic import Field

from include.answering.questions import LONGEST_TEXT
from include.core.answer_settings import AnswerSettings
from include.core.settings import Group

MOST_QUESTIONS = 50  # of one request; a file of questions is another matter
MOST_WRITTEN = 5  # of one request that a language model answers: it takes seconds for each
PER_REQUEST = ("top_k", "mode", "bm25_weight", "threshold", "filter", "facets", "version")


def _as_set(name: str) -> Any:
    """The setting's own field: default, range, description."""
    return copy(AnswerSettings.model_fields[name])


class Narrowed(Group):
    """What every request may say."""

    filter: str | None = _as_set("filter")
    version: str = _as_set("version")


class Searched(Narrowed):
    """What a search may say, too."""

    top_k: int = _as_set("top_k")
    mode: Literal["hybrid", "dense", "bm25"] = _as_set("mode")
    bm25_weight: float | None = _as_set("bm25_weight")
    facets: str | None = _as_set("facets")

    def sent(self) -> dict[str, Any]:
        """The settings that the request names."""
        given = self.model_dump(exclude_unset=True)
        return {name: value for name, value in given.items() if name in AnswerSettings.model_fields}


class SearchQuery(Searched):
    """Of `GET /search`."""

    q: str = Field(description="The question, or words of it: 1 to 2,000 characters.", max_length=LONGEST_TEXT)


class AskBody(Searched):
    """Of `POST /ask`."""

    question: str | list[str] = Field(
        description=f"One question, or several, one a line; or a list of questions. At most {MOST_QUESTIONS}."
    )
    threshold: float | None = _as_set("threshold")
    generator: Literal["extractive", "llm"] = Field(
        "extractive",
        description="`extractive` quotes the sentences that answer. `llm` writes, which takes seconds, and cites its "
        f"sources: where the server has a language model, for at most {MOST_WRITTEN} questions.",
    )


class ProductQuery(Group):
    """Of one product."""

    uid: str = Field(
        description="The product's id in the catalogue, as results have it.", min_length=1, max_length=2000
    )
    version: str = _as_set("version")


class FacetsQuery(Narrowed):
    """Of `GET /facets`."""

    names: str | None = Field(
        None, description="Attributes, separated by commas. Empty: all whose values can be counted.", max_length=2000
    )
