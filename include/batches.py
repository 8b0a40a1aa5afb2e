"""What the training loop eats: texts as word pieces, and an epoch's batches of pairs."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from include.pairs import Ints, Pairs, texts_of
from include.progress import Progress, Sink

if TYPE_CHECKING:
    from include.encoder import Encoder

MEGA_BATCHES = 8  # sorted by length together: nearly the padding of a full sort, and negatives still change by epoch


@dataclass(frozen=True)
class Tokens:
    """Word pieces of texts, by the texts' numbers, in one array: int32, CLS and SEP included."""

    start: Ints
    length: Ints
    values: np.ndarray

    def of(self, texts: Ints) -> list[np.ndarray]:
        """The word pieces of each of these texts."""
        return [self.values[self.start[text] : self.start[text] + self.length[text]] for text in texts]


def tokenise(catalogue: Path, pairs: Pairs, encoder: "Encoder", *, sink: Sink | None = None) -> tuple[Pairs, Tokens]:
    """Cut the pairs' texts into word pieces, once, and give texts of equal word pieces one number.

    Those are texts that differ in case only, or beyond `max_tokens`: the model cannot tell them apart, so
    the one's positive is no negative of the other.
    """
    texts = 1 + max(int(numbers.max(initial=0)) for numbers in pairs.columns.values())
    start, length, name = np.zeros(texts, np.int64), np.zeros(texts, np.int64), np.arange(texts)
    first_with: dict[bytes, int] = {}
    values: list[np.ndarray] = []
    filled = 0
    used = len(np.union1d(pairs.left, pairs.right))
    with Progress("tokenise", used, unit="texts", sink=sink) as progress:
        for numbers, chunk in texts_of(catalogue, pairs):
            for number, ids in zip(numbers.tolist(), encoder.tokenize(chunk), strict=True):
                key = hashlib.blake2b(ids.tobytes(), digest_size=12).digest()
                name[number] = first_with.setdefault(key, number)
                if name[number] == number:
                    values.append(ids)
                    start[number], length[number] = filled, len(ids)
                    filled += len(ids)
            progress.advance(len(chunk))
    return pairs.renamed(name), Tokens(start, length, np.concatenate(values))


def batches(lengths: Ints, batch_size: int, *, seed: int, epoch: int) -> list[Ints]:
    """An epoch's batches: a function of its arguments alone, so a resumed run sees the same ones.

    Pairs are shuffled, sorted by length within mega-batches, cut into batches, and the batches shuffled.
    A last batch of one pair would have no negative: it is left out.

    Args:
        lengths: (n,) of the pairs, in word pieces.
        batch_size: Pairs in a batch.
        seed: `TrainSettings.seed`.
        epoch: From 0.

    Returns:
        Numbers of pairs, `steps_in_epoch(n, batch_size)` arrays of them.
    """
    draw = np.random.default_rng([seed, 3, epoch])
    order = draw.permutation(len(lengths))
    made: list[Ints] = []
    for start in range(0, len(order), MEGA_BATCHES * batch_size):
        mega = order[start : start + MEGA_BATCHES * batch_size]
        mega = mega[np.argsort(lengths[mega], kind="stable")]
        made += [mega[at : at + batch_size] for at in range(0, len(mega), batch_size)]
    made = [batch for batch in made if len(batch) > 1]
    return [made[number] for number in draw.permutation(len(made))]


def steps_in_epoch(pairs: int, batch_size: int) -> int:
    """How many batches `batches` makes."""
    return pairs // batch_size + (pairs % batch_size > 1)
