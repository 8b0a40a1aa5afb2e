"""What training is fed with, step by step: pairs of texts as word pieces, in batches."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from include.core.arrays import Ids, Ints
from include.core.train_settings import TrainSettings
from include.model.tokens import CatalogueTokens
from include.training.negatives import HardNegatives
from include.training.pairs import NONE, Pairs

MEGA_BATCHES = 8  # sorted by length together: nearly the padding of a full sort, and negatives still change by epoch


@dataclass(frozen=True)
class TextTokens:
    """Word pieces by the texts' numbers: where each text stands in the catalogue.

    Attributes:
        tokens: Of the whole catalogue.
        column: For each text the column of `Pairs.columns` that holds it, by position.
        row: And the row there.
        length: Word pieces, CLS and SEP included; 0 for a text that no pair uses.
    """

    tokens: CatalogueTokens
    column: Ints
    row: Ints
    length: Ints

    def of(self, texts: Ints) -> list[Ids]:
        """The word pieces of each of these texts, int32, with CLS and SEP."""
        columns = list(self.tokens.columns.values())
        places = zip(self.column[texts].tolist(), self.row[texts].tolist(), strict=True)
        return [self.tokens.whole(columns[column][row]) for column, row in places]


@dataclass(frozen=True)
class TrainingData:
    """What training is fed with.

    Attributes:
        pairs: The pairs of texts.
        texts: Their word pieces.
        negatives: Further negatives of each pair's product; None for those of the batch alone.
    """

    pairs: Pairs
    texts: TextTokens
    negatives: HardNegatives | None = None

    def lengths(self) -> Ints:
        """Word pieces of each pair."""
        return self.texts.length[self.pairs.left] + self.texts.length[self.pairs.right]


def locate_texts(pairs: Pairs, tokens: CatalogueTokens, also: Sequence[Ints] = ()) -> tuple[Pairs, TextTokens]:
    """Find the texts that pairs use among the catalogue's tokens; texts of equal word pieces get one number.

    Those are texts that differ in case only, or beyond `max_tokens`: the model cannot tell them apart, so
    the one's positive is no negative of the other.

    Args:
        pairs: From `find_pairs`.
        tokens: Of the same catalogue.
        also: Numbers of further texts that training uses.
    """
    count = 1 + max(int(numbers.max(initial=0)) for numbers in pairs.columns.values())
    wanted = np.zeros(count, np.bool_)
    for numbers in (pairs.left, pairs.right, *also):
        wanted[numbers] = True
    column, row, length = (np.zeros(count, np.int64) for _ in range(3))
    name = np.arange(count)
    first_with: dict[bytes, int] = {}
    for place, (where, held) in enumerate(tokens.columns.items()):
        numbers = pairs.columns[where]
        rows = np.flatnonzero((numbers != NONE) & wanted[numbers])
        _, once = np.unique(numbers[rows], return_index=True)
        rows = rows[np.sort(once)]
        wanted[numbers[rows]] = False
        column[numbers[rows]], row[numbers[rows]] = place, rows
        length[numbers[rows]] = held.offsets[rows + 1] - held.offsets[rows] + 2
        for number, at in zip(numbers[rows].tolist(), rows.tolist(), strict=True):
            key = hashlib.blake2b(held[at].tobytes(), digest_size=12).digest()
            name[number] = first_with.setdefault(key, number)
    return pairs.renamed(name), TextTokens(tokens, column, row, length)


def batches(lengths: Ints, batch_size: int, *, seed: int, epoch: int) -> list[Ints]:
    """An epoch's batches: a function of its arguments alone.

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
    cut: list[Ints] = []
    for start in range(0, len(order), MEGA_BATCHES * batch_size):
        mega = order[start : start + MEGA_BATCHES * batch_size]
        mega = mega[np.argsort(lengths[mega], kind="stable")]
        cut += [mega[at : at + batch_size] for at in range(0, len(mega), batch_size)]
    cut = [batch for batch in cut if len(batch) > 1]
    return [cut[number] for number in draw.permutation(len(cut))]


def steps_in_epoch(pairs: int, batch_size: int) -> int:
    """How many batches `batches` makes."""
    return pairs // batch_size + (pairs % batch_size > 1)


@dataclass(frozen=True)
class Step:
    """One step: a function of the settings and its number alone, so a resumed run takes the same ones.

    Attributes:
        number: From 1, over all epochs.
        batch: (b,) numbers of pairs.
        rate: The learning rate.
        seed: Of dropout.
    """

    number: int
    batch: Ints
    rate: float
    seed: int


def steps_in_all(pairs: int, settings: TrainSettings) -> int:
    """How many steps a training of so many pairs has."""
    steps = settings.epochs * steps_in_epoch(pairs, settings.batch_size)
    return min(steps, settings.max_steps) if settings.max_steps else steps


def schedule(lengths: Ints, settings: TrainSettings, *, done: int = 0) -> Iterator[Step]:
    """The steps that are left after the first `done`.

    Args:
        lengths: (n,) of the pairs, in word pieces.
        settings: See `TrainSettings`.
        done: Steps that a checkpoint holds already.
    """
    per_epoch, total = steps_in_epoch(len(lengths), settings.batch_size), steps_in_all(len(lengths), settings)
    order: list[Ints] = []
    for number in range(done, total):
        epoch, within = divmod(number, per_epoch)
        if within == 0 or not order:
            order = batches(lengths, settings.batch_size, seed=settings.seed, epoch=epoch)
        rate = learning_rate(number, total, settings)
        yield Step(number + 1, order[within], rate, _dropout_seed(settings.seed, epoch, within))


def learning_rate(step: int, total: int, settings: TrainSettings) -> float:
    """Of a step, counted from 0: rises over the warm-up, then falls linearly; never 0, which would be a lost step."""
    warmup = math.ceil(total * settings.warmup_share)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    return settings.learning_rate * (total - step) / (total - warmup)


def _dropout_seed(seed: int, epoch: int, step: int) -> int:
    """Depends on the step, not on how many steps this process has done."""
    digest = hashlib.blake2b(f"{seed} {epoch} {step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1  # torch takes 63 bits
