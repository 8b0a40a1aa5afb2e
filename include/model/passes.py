"""Passes of a bi-encoder over many texts, without gradients: batch by batch, in the fastest way that is known."""

import logging
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from include.core.arrays import Ids, Vectors
from include.model import pace
from include.model.distilbert import Weights, can_pack, cast, packed, unpadded_states
from include.model.pace import Pace

if TYPE_CHECKING:
    from include.model.encoder import Encoder

log = logging.getLogger(__name__)


def length_batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Group texts of like length: positions in `lengths`, longest first, so that want of memory shows at once.

    Args:
        lengths: Word pieces of each text.
        batch_tokens: Most word pieces in a batch, padding included; a longer text is a batch of its own.
    """
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    start = 0
    while start < len(order):
        size = max(1, batch_tokens // max(1, lengths[order[start]]))
        yield order[start : start + size]
        start += size


def fast_weights(encoder: "Encoder", precision: str) -> Weights:
    """An encoder's weights as passes take them, without dropout."""
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    training = encoder.model.training
    encoder.model.train(False)
    try:
        with torch.no_grad():
            weights = cast(encoder.model, dtype)
            return packed(weights) if encoder.device.type == "cpu" and can_pack(dtype) else weights
    finally:
        encoder.model.train(training)


def encoded(
    encoder: "Encoder", ids: Sequence[Ids], batches: Sequence[Sequence[int]], streams: int, weights: Weights
) -> Iterator[Vectors]:
    """The vectors of each batch of rows of `ids`, (rows, dim) float32, in the batches' order.

    Args:
        encoder: Pads, pools and normalises.
        ids: Word pieces, with CLS and SEP.
        batches: From `length_batches`.
        streams: Batches at once, see `Pace`.
        weights: From `fast_weights`.
    """

    def one(batch: Sequence[int]) -> Vectors:
        texts = [ids[row] for row in batch]
        with torch.no_grad():  # of this thread alone
            if encoder.device.type == "cuda":
                return _array(without_padding(encoder, texts, weights))
            return _array(encoder.forward(*encoder.pad(texts), weights))

    with pace.in_streams(streams) as each:
        yield from each(one, batches)


def without_padding(encoder: "Encoder", ids: Sequence[Ids], weights: Weights) -> torch.Tensor:
    """`Encoder.forward` for texts one after another, as GPUs attend to them; no gradients."""
    lengths = np.array([len(each) for each in ids], np.int64)
    flat, ends = np.concatenate(ids).astype(np.int64), np.concatenate([[0], np.cumsum(lengths)])
    pinned = encoder.device.type == "cuda"
    input_ids, offsets = (
        (tensor.pin_memory() if pinned else tensor).to(encoder.device, non_blocking=True)
        for tensor in (torch.from_numpy(flat), torch.from_numpy(ends))
    )
    hidden = unpadded_states(weights, input_ids, offsets, int(lengths.max()))
    pooled = torch.segment_reduce(hidden.float(), "mean", offsets=offsets)
    return torch.nn.functional.normalize(pooled[:, : encoder.dim], dim=-1)


def pace_for(encoder: "Encoder", ids: Sequence[Ids]) -> Pace:
    """How to encode these texts: as remembered; else measured with them, where they are worth it; else the usual way.

    Args:
        encoder: Its `measured` says where that is remembered, if at all.
        ids: Word pieces of the texts.
    """
    root, device = encoder.measured, encoder.device.type
    usual = pace.usual(encoder.precision, device)
    if root is None:
        return usual
    identity = {**pace.this_machine(), "device": device, "precisions": encoder.precisions, **encoder.shape}
    known = pace.remembered(root, identity)
    if known is not None or sum(map(len, ids)) < pace.WORTH_MEASURING:
        return known or usual
    began = time.monotonic()
    best, rates = _measured(encoder, ids)
    log.info("measured in %.1f s how %s encodes fastest: %s; %s", time.monotonic() - began, device, best, rates)
    pace.remember(root, identity, best, rates)
    return best


def _measured(encoder: "Encoder", ids: Sequence[Ids]) -> tuple[Pace, dict[str, float]]:
    drawn = np.random.default_rng(0).permutation(len(ids))[:20_000]  # of all lengths, as they come
    sizes = np.array([len(ids[row]) for row in drawn])
    weights: dict[str, Weights] = {}

    def rate(way: Pace) -> float:
        if way.precision not in weights:
            weights[way.precision] = fast_weights(encoder, way.precision)
        lengths = sizes[: int(np.searchsorted(sizes.cumsum(), way.streams * way.batch_tokens)) + 1].tolist()
        batches = list(length_batches(lengths, way.batch_tokens))[: way.streams]
        rows = [[int(drawn[place]) for place in batch] for batch in batches]
        began = time.perf_counter()
        for _ in encoded(encoder, ids, rows, way.streams, weights[way.precision]):
            pass
        seconds = time.perf_counter() - began
        return float(sum(lengths[place] for batch in batches for place in batch) / seconds)

    return pace.fastest(pace.ways(encoder.precisions, encoder.device.type), rate)


def _array(vectors: torch.Tensor) -> Vectors:
    made: Vectors = vectors.cpu().numpy()
    return made
