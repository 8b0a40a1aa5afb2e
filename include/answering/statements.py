"""A checked reply, sentence by sentence: which of them the products that they cite support.

Sentences are cut as product texts are; a citation behind a full stop belongs to the sentence before it. A lone "Yes."
or "No." says what the question asked, and is compared as that.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from include.answering.passages import pieces
from include.answering.reply import Reply
from include.answering.support import Supports, product_passages, unsupported
from include.store.protocol import Hit
from include.store.words import words

_MARKER = re.compile(r"\s?\[(\d+)\]")
_LEADING = re.compile(r"(?:\[\d+\]\s*)+")
_GLUED = re.compile(r"(?<=[.!?…])\[(?=\d+\])")
_ITEM = re.compile(r"^\s*(?:\d{1,2}[.)]|[-*•–])\s+")
_WHOLE = re.compile(r"[.!?…][\"”’)]*(?:\s?\[\d+\])*|\[\d+\](?=\s|$)")


@dataclass(frozen=True)
class Statement:
    """A sentence of a reply.

    Attributes:
        text: As the model wrote it, markers included.
        line: Of the reply, from 0.
        cited: Positions among the products.
    """

    text: str
    line: int
    cited: tuple[int, ...]

    def claim(self, question: str) -> str:
        """What it says, without markers; of a lone yes or no what the question asks."""
        said = _MARKER.sub("", _ITEM.sub("", self.text)).strip()
        alone = words(said)
        if alone in (["yes"], ["no"]):
            return f"{'not ' if alone == ['no'] else ''}{question.rstrip(' ?')}"
        return said


def statements(reply: Reply) -> list[Statement]:
    """The reply's sentences in order; lines that only lead to a list, and cite nothing, are left out."""
    found = []
    for line, text in enumerate(reply.text.split("\n")):
        cut: list[str] = []
        for piece in pieces(_GLUED.sub(" [", text.strip())):
            leading = _LEADING.match(piece)
            behind = leading.end() if leading and cut and not _MARKER.search(cut[-1]) else 0
            if behind:
                cut[-1] = f"{cut[-1]} {piece[:behind].strip()}"
            if piece[behind:].strip():
                cut.append(piece[behind:].strip())
        for piece in cut:
            cited = tuple(dict.fromkeys(reply.cited[int(number) - 1] for number in _MARKER.findall(piece)))
            if words(piece) and (cited or not piece.endswith(":")):
                found.append(Statement(piece, line, cited))
    return found


def supported(
    question: str, said: Sequence[Statement], hits: Sequence[Hit], supports: Supports
) -> tuple[list[Statement], list[str]]:
    """The statements that what they cite supports; and of each other one why not."""
    kept, reasons = [], []
    for statement in said:
        products = [product_passages(hits[product]) for product in statement.cited]
        reason = unsupported(statement.claim(question), products, supports)
        if reason is None:
            kept.append(statement)
        else:
            reasons.append(reason)
    return kept, reasons


def joined(kept: Sequence[Statement], reply: Reply) -> Reply:
    """The reply of these statements alone, its citations numbered from 1 again."""
    cited = list(dict.fromkeys(product for statement in kept for product in statement.cited))
    lines: dict[int, list[str]] = {}
    for statement in kept:
        text = _MARKER.sub(
            lambda marker: marker[0].replace(marker[1], str(cited.index(reply.cited[int(marker[1]) - 1]) + 1)),
            statement.text,
        )
        lines.setdefault(statement.line, []).append(text)
    return Reply("\n".join(map(" ".join, lines.values())), cited, reply.warnings)


def whole_sentences(text: str) -> str:
    """A text that was cut off, without its last, unfinished sentence."""
    ends = [found.end() for found in _WHOLE.finditer(text)]
    return text[: ends[-1]] if ends else text
