"""A question on its way to an answer."""

from dataclasses import dataclass, field
from typing import Any, Final

SCHEMA: Final = "vitrine.answers/1"  # of the result, see `schema.py`; another number where a field goes or changes


@dataclass(frozen=True)
class Asked:
    """What a person wrote, and what is searched for and compared with evidence.

    Attributes:
        question: As it was written.
        text: What every step searches for and compares: mended and translated, or the question itself.
        language: The question's, ISO 639-1, or the catalogue's where it is not sure; empty where neither is known.
        mended: Words that were spelt wrong, with what is searched for in their place.
        translated: `{"from": "pt", "to": "en", "by": "…"}`; None for a text in the question's own words.
        unserved: Where nothing reads the question's language: the sentence that says so, which is the answer.
        warnings: What there is to tell of how it was read.
    """

    question: str
    text: str
    language: str = ""
    mended: dict[str, str] = field(default_factory=dict)
    translated: dict[str, str] | None = None
    unserved: str = ""
    warnings: tuple[str, ...] = ()

    @classmethod
    def as_written(cls, question: str) -> "Asked":
        """A question that is searched for as it is."""
        return cls(question, question)

    def entry(self, **given: Any) -> dict[str, Any]:
        """The question's entry in the result: `given`, and of what is not given that nothing was found."""
        return {
            "question": self.question,
            "answer": "",
            "found": False,
            "sources": [],
            "products": [],
            "confidence": {"retrieval": 0.0, "answer": 0.0},
            "searched": self.text,
            "mended": self.mended,
            "language": self.language,
            "translated": self.translated,
            "generator": None,
            "seconds": 0.0,
            "error": None,
            **given,
            "warnings": [*self.warnings, *given.get("warnings", ())],
        }
