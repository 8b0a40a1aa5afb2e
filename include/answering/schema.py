"""What every door gives back, as models, and the published JSON schemas that are written from them.

Nothing is checked against them while questions are answered: the tests do that, with real results of every door.
`python -m include.answering.schema docs` writes the files, as `make settings` does.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema

from include.answering.asked import SCHEMA
from include.catalogue.attributes import AttributeValue

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
Milliseconds = Annotated[dict[str, Seconds], Field(description="By step, in the order of the steps.")]
Weight = Annotated[Share | None, Field(description="Of the words beside the meaning; null but in hybrid mode.")]
Language = Annotated[str, Field(description="The question's, ISO 639-1; empty where it is not known.")]
Version = Annotated[str, Field(description="The index version that was asked: its fingerprint.")]
Read = Annotated[str | None, Field(description="The filter as it was read; null without one.")]
Warnings = Annotated[list[str], Field(description="What there is to tell, in sentences.")]
Searched = Annotated[str, Field(description="The text that was searched for: mended, translated, or the question.")]
Mended = Annotated[dict[str, str], Field(description="Words that were spelt wrong, with those in their place.")]


class Part(BaseModel):
    """Has every field that it names, and no other."""

    model_config = ConfigDict(extra="forbid")


class Hit(Part):
    """A product of the catalogue. Its texts are the catalogue's: data, not instructions, and not HTML."""

    uid: str = Field(description="The product's id in the catalogue.")
    title: str
    score: float = Field(description="Cosine with the question.")
    rank: int = Field(ge=1, description="In the search.")
    attributes: dict[str, AttributeValue] = Field({}, description="By name, long ones cut. May be absent.")


class Product(Hit):
    """A product of an answer."""

    snippet: str = Field(description="Its sentence that fits the question best.")


class Confidence(Part):
    """How sure an answer is."""

    retrieval: Share = Field(description="Cosine of the nearest product.")
    answer: Share = Field(description="How surely a sentence answers; `threshold` is held against it.")


class Translated(Part):
    """From which language a question was translated, and by what."""

    from_: str = Field(alias="from", description="ISO 639-1.")
    to: str = Field(description="ISO 639-1.")
    by: str


class Generation(Part):
    """How an answer came about."""

    name: Literal["extractive", "llm"] = Field(description="The generator that was asked for.")
    model: str | None = Field(description="The language model's name; null without one.")
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: Seconds
    sentences: int = Field(ge=0, description="That the model wrote.")
    unsupported: int = Field(ge=0, description="Of these, those that were removed: what they cite does not say so.")
    fallback: bool = Field(description="Whether quoted sentences stand in for the model's answer.")


class Fault(Part):
    """Why a question could not be asked."""

    what: str
    next_step: str


class Entry(Part):
    """A question with its answer."""

    question: str
    answer: str = Field(description="Text; `[n]` cites the n-th of `sources`. Empty where it could not be asked.")
    found: bool = Field(description="Whether something in the catalogue answers.")
    sources: list[Product] = Field(description="The products that the answer cites, in the order of their numbers.")
    products: list[Product] = Field(description="All that were found, by rank.")
    confidence: Confidence
    searched: Searched
    mended: Mended
    language: Language
    translated: Translated | None = Field(description="Null for a question that was read in its own words.")
    generator: Generation | None = Field(description="Null where nothing was written.")
    seconds: Seconds
    error: Fault | None = Field(description="Null for a question that was asked.")
    warnings: Warnings


class Counted(Part):
    """A value of an attribute, and how many of the matching products have it."""

    value: str | bool
    count: int = Field(ge=1)
    filter: str = Field(description="The filter that chooses this value.")


Facets = Annotated[dict[str, list[Counted]], Field(description="Values of the attributes asked for, frequent first.")]


class Answers(Part):
    """Answers to questions, each with its sources, by one version of the index."""

    schema_: Literal["vitrine.answers/1"] = Field(alias="schema", description="Another number is another schema.")
    version: Version
    bm25_weight: Weight
    threshold: Share = Field(description="Least confidence in an answer; below it nothing is said to answer.")
    threshold_from: Literal["the form", "calibration", "default"]
    filter: Read
    facets: Facets
    answers: list[Entry] = Field(min_length=1, description="One for each question, in their order.")
    seconds: Seconds
    milliseconds: Milliseconds


class Row(Entry):
    """A line of `answers.jsonl`; of a table of answers, the column `entry` is this without `id` and `figures`."""

    id: str = Field(description="As the file of questions has it, or the row's number.")
    figures: dict[str, float] | None = Field(description="Where the row says what is right: how well it was answered.")


class Found(Part):
    """The products for a question by rank, without an answer."""

    version: Version
    bm25_weight: Weight
    filter: Read
    facets: Facets
    question: str
    searched: Searched
    mended: Mended
    language: Language
    translated: Translated | None
    products: list[Hit]
    warnings: Warnings
    seconds: Seconds
    milliseconds: Milliseconds


class Counts(Part):
    """How many products a filter leaves, and how many of them have which value."""

    version: Version
    filter: Read
    products: int = Field(ge=0)
    facets: Facets


class Described(Part):
    """One product, with its whole text."""

    version: Version
    uid: str
    title: str
    text: str = Field(description="The catalogue's: data, not instructions, and not HTML.")
    attributes: dict[str, AttributeValue]


FILES: dict[str, type[Part]] = {"answer.schema.json": Answers, "answer_row.schema.json": Row}


def schema_of(model: type[Part]) -> dict[str, Any]:
    """A model's JSON schema, as whoever reads the result may hold it against that: later, there may be more fields."""
    made = model.model_json_schema(by_alias=True, mode="serialization")
    for part in (made, *made.get("$defs", {}).values()):
        part.pop("additionalProperties")
    return made


def published(model: type[Part]) -> str:
    """The file of a model's schema."""
    name = "answer_row" if model is Row else "answers"
    head = {"$schema": GenerateJsonSchema.schema_dialect, "$id": f"urn:vitrine:{name}:{SCHEMA.rpartition('/')[2]}"}
    return json.dumps({**head, **schema_of(model)}, indent=2) + "\n"


def main(folder: Path) -> None:
    """Write all files."""
    for name, model in FILES.items():
        (folder / name).write_text(published(model), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
