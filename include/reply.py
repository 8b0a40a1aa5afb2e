"""What a language model sent, made into a checked answer: text without reasoning, citations of what was retrieved.

Models write citations in many forms: `[1]`, `[1, 2]`, `[1-3]`, `[^1]`, `[product 1]`, `【1】`, `【1†source】`. All
become `[n]`, one bracket a product. A number that was not given to the model is no citation and is removed with a
warning; but where a unit follows, as in "size [10] inches", it is a measure and stays, bare: "size 10 inches".
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from include.words import words

NOTHING = "Nothing in the catalogue answers this."
MOST_IN_RANGE = 50  # products that one `[a-b]` stands for

_TAG = re.compile(r"<(/?)(?:think|thinking|reasoning)>", re.IGNORECASE)
_NUMBERS = r"\^?\d{1,4}(?:\s?[-–—]\s?\d{1,4})?"
_LIST = rf"{_NUMBERS}(?:\s?[,;、，]\s?{_NUMBERS})*"
_NAME = r"(?:products?|sources?)?\s?[#:]?\s?"
_CITATION = re.compile(rf"( ?)[\[【［]{_NAME}({_LIST})(?:†[^\]】［\[【］]{{0,80}})?[\]】］]", re.IGNORECASE)
_UNIT = re.compile(
    r"[\s-]?(?:inch(?:es)?|foot|feet|ft|yards?|mm|cm|met(?:re|er)s?|kg|grams?|mg|lbs?|pounds?|oz|ounces?|ml|lit(?:re|er)s?|"
    r"gallons?|quarts?|cups?|watts?|kw|volts?|amps?|mah|wh|hz|khz|mhz|ghz|gb|tb|mb|degrees?|percent|years?|months?|weeks?|"
    r"days?|hours?|hrs?|minutes?|mins?|seconds?|secs?|pieces?|pcs|pages?|stars?|people|persons?)\b"
    r"|[\s-]?in(?=\s*(?:[.,;)]|$))|\s?[%°″\"×]|\s?x\s?[\[\d]",
    re.IGNORECASE,
)
_NOTHING = re.compile(
    r"nothing in (?:(?:the|this|our) )?catalog(?:ue)? answers? (?:this|that|it|(?:the|your) question)(?: question)?"
)


@dataclass(frozen=True)
class Reply:
    """A checked answer.

    Attributes:
        text: The model's, unknown citations removed, the others renumbered from 1 in order of appearance.
        cited: Positions among the products given, in the order of the new numbers.
        warnings: What was wrong with the reply, each a sentence for the reader.
    """

    text: str
    cited: list[int]
    warnings: list[str]


def reply_text(body: bytes) -> str:
    """The message in an OpenAI-compatible reply; empty where it has none.

    Args:
        body: JSON. The message's content is a text, or a list of parts, of which those with text are joined.

    Raises:
        ValueError, KeyError, IndexError, TypeError: It is not such a reply.
    """
    try:
        content = json.loads(body)["choices"][0]["message"]["content"]
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if isinstance(content, list):
        content = "".join(map(_part, content))
    if content is None:
        return ""
    if not isinstance(content, str):
        raise TypeError(f"content is {type(content).__name__}")
    return content.encode("utf-8", "replace").decode()  # lone surrogates have no UTF-8, which the result needs


def _part(part: Any) -> str:
    """A part's text; empty for images, refusals, reasoning and what else there may be."""
    if isinstance(part, str):
        return part
    shown = isinstance(part, dict) and part.get("type", "text") in ("text", "output_text")
    text = part.get("text") if shown else None
    return text if isinstance(text, str) else ""


def without_reasoning(text: str) -> str:
    """The reply without blocks such as <think>…</think>.

    An opening tag that is never closed begins reasoning that was cut off: nothing after it is the answer. A closing tag
    alone ends reasoning whose opening tag was part of the prompt: nothing before it is the answer.
    """
    kept: list[str] = []
    begin, thinking = 0, False
    for tag in _TAG.finditer(text):
        if tag[1]:
            if not thinking:
                kept.clear()
            begin, thinking = tag.end(), False
        elif not thinking:
            kept.append(text[begin : tag.start()])
            thinking = True
    if not thinking:
        kept.append(text[begin:])
    return "".join(kept).strip()


def check_citations(text: str, products: int) -> Reply:
    """Remove reasoning and citations of products that were not retrieved, renumber the others.

    Args:
        text: The model's reply.
        products: How many products it was given.
    """
    answer = without_reasoning(text)
    if _NOTHING.fullmatch(" ".join(words(_CITATION.sub("", answer)))):
        return Reply(NOTHING, [], [])
    cited: list[int] = []
    unknown: list[int] = []

    def renumber(match: re.Match[str]) -> str:
        numbers = _numbers(match[2])
        given = [number - 1 for number in numbers if 1 <= number <= products]
        if not given and _UNIT.match(answer, match.end()):
            return f"{match[1]}{match[2]}"
        unknown.extend(number for number in numbers if not 1 <= number <= products)
        cited.extend(product for product in dict.fromkeys(given) if product not in cited)
        return match[1] + "".join(f"[{cited.index(product) + 1}]" for product in given) if given else ""

    checked = _CITATION.sub(renumber, answer).strip()
    warnings = []
    if unknown:
        listed = ", ".join(f"[{number}]" for number in dict.fromkeys(unknown))
        warnings.append(f"The model cited {listed}, which it was not given: removed.")
    if not cited:
        warnings.append("The model cited no retrieved product: nothing shows that its answer is from the catalogue.")
    return Reply(checked, cited, warnings)


def _numbers(inside: str) -> list[int]:
    """The numbers of a citation, its ranges spelt out."""
    found: list[int] = []
    for item in re.split(r"[,;、，]", inside):
        ends = [int(number) for number in re.findall(r"\d+", item)]
        whole = len(ends) == 2 and 0 <= ends[1] - ends[0] <= MOST_IN_RANGE
        found.extend(range(ends[0], ends[1] + 1) if whole else ends)
    return found
