"""What a language model sent, made into a checked answer: text without reasoning, citations of what was retrieved.

Models write citations in many forms: `[1]`, `[1, 2 and 3]`, `[1-3]`, `[^1]`, `[product 1]`, `【1】`, `【1:0†source】`.
All become `[n]`, one bracket a product.

A number in brackets that was not given to the model is one of two things:

* A measure, which stays as a bare number: a unit (`_UNIT`) follows, as in "[10] inches"; or a word that numbers follow
  (`_MEASURED`: size, model, no., number, level, type, part, series, version, …) is before it, as in "Drawer size [10]";
  or it goes on from such a number, as in "sizes [10] and [12]" or "4 x [5]". No warning: nobody was meant as source.
* Else an invented source, which is removed with a warning. `[^10]`, `[product 10]` and `【10†source】` are always one.

A number that was given is a citation wherever it stands: "size [2]" cites the second of three products.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from include.answering.sentences import say
from include.answering.units import any_of
from include.store.words import words

NOTHING = say("nothing")
MOST_IN_RANGE = 50  # products that one `[a-b]` stands for

_TAG = re.compile(r"<(/?)(?:think|thinking|reasoning)>", re.IGNORECASE)
_HEADER = re.compile(r"(?:<\|start\|>([^<]*))?(?:<\|channel\|>([^<]*))?(?:<\|constrain\|>[^<]*)?<\|message\|>")
_MESSAGE_ENDS = re.compile(r"<\|(?:start|channel|end|call)\|>")
_HARMONY = re.compile(r"<\|start\|>(?:assistant\b)?|<\|(?:channel|constrain|message|end|call)\|>")
_BARE_HARMONY = re.compile(r"\s*analysis.*assistantfinal", re.DOTALL)  # its tokens left out by the endpoint
_RANGE = re.compile(r"(\d{1,4})(?:\s?[-–—]\s?(\d{1,4}))?")
_NAME = r"(?:(?:products?|sources?)(?:\s?[#:])?\s?|#\s?|\^)?"
_ITEM = rf"{_NAME}\d{{1,4}}(?:\s?[-–—]\s?\d{{1,4}})?"
_AND = r"(?:\s?[,;、，]\s?(?:(?:and|&)\s)?|\s(?:and|&)\s)"
_CITATION = re.compile(  # `*+` takes no item back: the time stays in proportion to the text
    rf"( ?)[\[【［]\s?({_ITEM}(?:{_AND}{_ITEM})*+)\s?((?::\d{{1,4}})?†[^\]】［\[【］]{{0,80}})?[\]】］]", re.IGNORECASE
)
_UNIT = re.compile(
    rf"[\s-]?(?:(?!in\b)(?:{any_of(shortest=2)})|cups?|wh|pieces?|pcs|pages?|stars?|people|persons?)\b"
    r"|[\s-]?in(?=\s*(?:[.,;)]|$))|\s?[%°″\"×]|\s?x\s?[\[\d]",
    re.IGNORECASE,
)
_MEASURED = re.compile(  # what is before a measure; it ends where the bracket, or the space before it, begins
    r"(?:\b(?:sizes?|models?|numbers?|levels?|types?|parts?|series|versions?|gauges?|generations?|no\.|nr\.?)|№|"
    r"[\d\]]\s?[x×])\s?[:#=]?\Z",
    re.IGNORECASE,
)
_LONGEST_MEASURED = 16  # characters that _MEASURED can take
_CONTINUED = re.compile(r"\s?(?:,|,?\s?(?:and|or)|to|[-–—/x×])\s?", re.IGNORECASE)  # between two measures
_JOINING = frozenset("[]【】［］0123456789")
_NOTHING = re.compile(
    r"nothing in (?:(?:the|this|our) )?catalog(?:ue)? answers? (?:this|that|it|(?:the|your) question)(?: question)?"
)


@dataclass(frozen=True)
class Generation:
    """How an answer came about.

    Attributes:
        name: The generator that was asked for: `extractive` or `llm`.
        model: The language model's name; None without one.
        prompt_tokens, completion_tokens: As its endpoint counted them; None where it does not say.
        seconds: That writing took.
        sentences: That the model wrote.
        unsupported: Of these, how many were removed because what they cite does not say so.
        fallback: Whether the extractive answer stands in for the model's.
    """

    name: str = "extractive"
    model: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float = 0.0
    sentences: int = 0
    unsupported: int = 0
    fallback: bool = False


@dataclass(frozen=True)
class Reply:
    """A checked answer.

    Attributes:
        text: The model's, unknown citations removed, the others renumbered from 1 in order of appearance.
        cited: Positions among the products given, in the order of the new numbers.
        warnings: What was wrong with the reply, each a sentence for the reader.
        generation: How it came about.
    """

    text: str
    cited: list[int]
    warnings: list[str]
    generation: Generation = Generation()


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
    """The reply without blocks such as <think>…</think>, and of channels the final one alone.

    An opening tag that is never closed begins reasoning that was cut off: nothing after it is the answer. A closing tag
    alone ends reasoning whose opening tag was part of the prompt: nothing before it is the answer.
    """
    text = _final(text)
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


def _final(text: str) -> str:
    """What a reply in OpenAI's harmony format says to the user; any other reply as it is.

    `<|start|>assistant<|channel|>analysis<|message|>…<|end|>` is a message. To the user go those of the channel
    `final`, and those without one. Where a channel is named, text before the first message ends one whose beginning was
    part of the prompt: no answer.
    """
    if bare := _BARE_HARMONY.match(text):
        return text[bare.end() :]
    text = text.partition("<|return|>")[0]
    headers = list(_HEADER.finditer(text))
    kept = []
    if "<|channel|>" not in text:
        kept.append(text[: headers[0].start()] if headers else text)
    for header in headers:
        role, channel = (header[1] or "assistant").strip(), (header[2] or "final").strip()
        if role == "assistant" and channel.startswith("final"):
            ends = _MESSAGE_ENDS.search(text, header.end())
            kept.append(text[header.end() : ends.start() if ends else None])
    return _HARMONY.sub("", "\n".join(kept))


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
    measured = len(answer)  # where the latest measure ends

    def renumber(match: re.Match[str]) -> str:
        nonlocal measured
        numbers = _numbers(match[2])
        given = [number - 1 for number in numbers if 1 <= number <= products]
        if not given and _is_measure(match, measured):
            measured = match.end()
            return f"{match[1]}{match[2]}"
        unknown.extend(number for number in numbers if not 1 <= number <= products)
        cited.extend(product for product in dict.fromkeys(given) if product not in cited)
        if given:
            return match[1] + "".join(f"[{cited.index(product) + 1}]" for product in given)
        around = answer[max(match.start() - 1, 0) : match.start()], answer[match.end() : match.end() + 1]
        return " " if _JOINING.issuperset(around) else ""  # of "[1[9]]" nothing must be left that looks like a citation

    checked = _CITATION.sub(renumber, answer).strip()
    warnings = []
    if unknown:
        listed = ", ".join(f"[{number}]" for number in dict.fromkeys(unknown))
        warnings.append(f"The model cited {listed}, which it was not given: removed.")
    if not cited:
        warnings.append("The model cited no retrieved product: nothing shows that its answer is from the catalogue.")
    return Reply(checked, cited, warnings)


def _is_measure(citation: re.Match[str], measured: int) -> bool:
    """Whether a number that was not given is a measure; the latest one before it ends at `measured`."""
    if citation[3] or not citation[2][0].isdigit():
        return False
    text, begin, end = citation.string, citation.start(), citation.end()
    return bool(
        _UNIT.match(text, end)
        or _MEASURED.search(text, max(begin - _LONGEST_MEASURED, 0), begin)
        or _CONTINUED.fullmatch(text, measured, max(begin, measured))
    )


def _numbers(inside: str) -> list[int]:
    """The numbers of a citation, its ranges spelt out."""
    found: list[int] = []
    for first, last in _RANGE.findall(inside):
        ends = [int(first), int(last or first)]
        whole = 0 <= ends[1] - ends[0] <= MOST_IN_RANGE
        found.extend(range(ends[0], ends[1] + 1) if whole else ends)
    return found
