"""The gradient of a contrastive batch that is larger than memory: gradient caching.

L. Gao, Y. Zhang, J. Han, J. Callan: "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup"
(2021, arXiv:2101.06983). The loss needs the vectors of all texts at once, but not their graphs: all chunks are
encoded without one, the loss gives each vector's gradient, then each chunk is encoded again, with its graph, and
its vectors' gradient is taken back through it. Dropout is a function of (seed, chunk), so both passes agree,
and so do runs with and without caching and on any number of processes, up to the order of floating-point sums.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from include.core.arrays import Ids
from include.model.encoder import Encoder
from include.model.passes import length_batches
from include.training.distributed import ALONE, Processes

if TYPE_CHECKING:
    import torch

    from include.model.distilbert import Weights

# Word pieces encoded at once, padding included. On a CPU, small enough that activations stay in the cache;
# chunks are of like length, so small ones also waste less on padding. A GPU needs more to be busy.
CHUNK_TOKENS = {"cpu": 4096, "cuda": 65_536}


def backward(
    encoder: Encoder,
    texts: Sequence[Ids],
    loss_of: "Callable[[torch.Tensor], torch.Tensor]",
    *,
    seed: int,
    memory_tokens: int,
    chunk_tokens: int = 0,
    processes: Processes = ALONE,
) -> float:
    """Add the gradient of a loss over the vectors of `texts` to the gradients of the encoder's weights.

    Args:
        encoder: In training mode or not.
        texts: Word pieces of each text.
        loss_of: Takes the vectors, (n, dim) float32, to a scalar.
        seed: Of dropout.
        memory_tokens: Graphs of at most so many word pieces are kept at once; more go through the cache.
        chunk_tokens: Encoded at once; 0 for what suits the device.
        processes: Each encodes its share of the chunks; the gradients are those of all.

    Returns:
        The loss. Where it is not finite, the gradients are left as they were.
    """
    import torch

    size = min(chunk_tokens or CHUNK_TOKENS[encoder.device.type], memory_tokens)
    chunks = list(length_batches([len(ids) for ids in texts], size))
    mine = list(range(processes.rank, len(chunks), processes.count))
    cached = sum(len(chunks[number]) * len(texts[chunks[number][0]]) for number in mine) > memory_tokens
    words, pieces = _embedded_words(encoder, texts)
    leaf = words.detach().requires_grad_()

    def forward(number: int, weights: "Weights") -> "torch.Tensor":
        torch.manual_seed(seed + number)
        return encoder.forward(*encoder.pad([pieces[text] for text in chunks[number]]), replace(weights, words=leaf))

    vectors = torch.zeros(len(texts), encoder.dim, device=encoder.device)
    graphs: dict[int, torch.Tensor] = {}
    with torch.set_grad_enabled(not cached):
        weights = encoder.weights()
        for number in mine:
            encoded = forward(number, weights)
            vectors[chunks[number]] = encoded.detach()
            if not cached:
                graphs[number] = encoded
    loss = loss_of(processes.sum(vectors).requires_grad_())
    value = loss.item()
    if math.isfinite(value):
        (gradient,) = torch.autograd.grad(loss, vectors)
        if cached:
            weights = encoder.weights()  # anew: the first ones have no graph
        for number in mine:
            torch.autograd.backward(forward(number, weights) if cached else graphs[number], gradient[chunks[number]])
        if leaf.grad is not None:  # a process may have had no chunk
            torch.autograd.backward(words, leaf.grad)
        _sum_gradients(encoder, processes)
    return value


def _embedded_words(encoder: Encoder, texts: Sequence[Ids]) -> tuple["torch.Tensor", list[Ids]]:
    """The embeddings of the word pieces that occur, (v, dim), and each text as numbers of those.

    As a small leaf of their own: else each chunk's gradient has the size of the whole vocabulary. They take their
    gradient to the weights together, at the end.
    """
    import torch

    vocabulary, place = np.unique(np.concatenate(texts), return_inverse=True)
    table = encoder.model.embeddings.word_embeddings.weight
    words = torch.nn.functional.embedding(torch.from_numpy(vocabulary).to(encoder.device), table)
    return words, np.split(place, np.cumsum([len(ids) for ids in texts])[:-1])


def _sum_gradients(encoder: Encoder, processes: Processes) -> None:
    """One exchange for all weights; a process that had no chunk takes part with nothing."""
    if processes.count == 1:
        return
    import torch

    weights = [weight for weight in encoder.model.parameters() if weight.requires_grad]
    flat = torch.cat([torch.zeros_like(w).flatten() if w.grad is None else w.grad.flatten() for w in weights])
    processes.sum(flat)
    for weight, part in zip(weights, torch.split(flat, [weight.numel() for weight in weights]), strict=True):
        weight.grad = part.view_as(weight)
