"""The reader: how likely a passage answers a question.

A DistilBERT whose first layers read question and passage apart, as the bi-encoder that it starts from learned to, and
whose last layers read them together (Q. Cao et al., DeFormer, 2020, arXiv:2005.00697). The first layers stay as they
are, so that training computes their states once for each text and not in every step.

The logit adds up three things: `scale` times the cosine of the two mean states, which is the bi-encoder's own opinion;
`late` times how well the question's word pieces are met by the passage's nearest ones, in the mean (O. Khattab and
M. Zaharia, ColBERT, 2020, arXiv:2004.12832), weighted by a softmax of what `pick` makes of each; and what a linear head
makes of the first state and of the product of the means. At the start head and `pick` are nought: an untrained reader
ranks about as the bi-encoder does, and training begins from there.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from include.model.directory import encodable
from include.model.distilbert import hidden_states, through
from include.model.passes import length_batches

if TYPE_CHECKING:
    from include.model.encoder import Encoder

BATCH_TOKENS = 4096
START_SCALE = 4.0  # of the cosine
START_LATE = 8.0  # of the word pieces' nearest
START_OFFSET = -6.0  # few passages answer
NEVER = -1e9  # before a softmax
PRODUCT_SCALE = 8.0  # the states' products are small numbers


class ReaderModel(nn.Module):
    """A reader in training.

    Args:
        encoder: The bi-encoder; its last layers are changed in place.
        joint: How many of the last layers read both texts together; the first one never does.
    """

    def __init__(self, encoder: "Encoder", joint: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.apart = max(1, encoder.model.config.n_layers - joint)
        dim = int(encoder.model.config.dim)
        self.transformer = encoder.model
        for number, layer in enumerate(self.transformer.transformer.layer):
            layer.requires_grad_(number >= self.apart)
        self.transformer.embeddings.requires_grad_(False)
        self.head = nn.Linear(dim, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.constant_(self.head.bias, START_OFFSET)
        self.scale = nn.Parameter(torch.tensor(START_SCALE))
        self.late = nn.Parameter(torch.tensor(START_LATE))
        self.pick = nn.Linear(dim, 1, bias=False)
        nn.init.zeros_(self.pick.weight)
        self.marks = nn.Parameter(torch.zeros(3, dim))  # added to a state: of padding, question, passage

    def states(self, texts: Sequence[str], limit: int) -> list[Tensor]:
        """What the first layers make of each text: (its word pieces, dim) each.

        Args:
            texts: Questions or passages.
            limit: Word pieces of a text, CLS and SEP included.
        """
        self.encoder.tokenizer.enable_truncation(limit)
        ids = [np.array(each.ids, np.int32) for each in self.encoder.tokenizer.encode_batch_fast(encodable(texts))]
        whole = self.encoder.weights()
        first = replace(whole, layers=whole.layers[: self.apart], dropout=0.0)
        found: list[Tensor] = [torch.empty(0)] * len(ids)
        with torch.no_grad():
            for batch in length_batches([len(row) for row in ids], BATCH_TOKENS):
                hidden = hidden_states(first, *self.encoder.pad([ids[row] for row in batch]))
                for place, row in enumerate(batch):
                    found[row] = hidden[place, : len(ids[row])].clone()
        return found

    def forward(self, questions: Sequence[Tensor], passages: Sequence[Tensor]) -> Tensor:
        """Logits of pairs.

        Args:
            questions: From `states`, one a pair.
            passages: Likewise.

        Returns:
            (pairs,) float32.
        """
        joined = nn.utils.rnn.pad_sequence(
            [torch.cat(pair) for pair in zip(questions, passages, strict=True)], batch_first=True
        )
        split = torch.tensor([len(each) for each in questions], device=joined.device)[:, None]
        ends = split + torch.tensor([len(each) for each in passages], device=joined.device)[:, None]
        place = torch.arange(joined.shape[1], device=joined.device)[None]
        segments = (place < ends).long() * (1 + (place >= split).long())
        whole = self.encoder.weights()
        last = replace(whole, layers=whole.layers[self.apart :])
        state = through(last, joined + self.marks[segments].to(joined.dtype), (segments > 0).long()).float()

        def mean(segment: int) -> Tensor:
            within = (segments == segment).unsqueeze(-1)
            return (state * within).sum(1) / within.sum(1)

        question, passage = mean(1), mean(2)
        cosine = functional.cosine_similarity(question, passage)
        read = self.head(state[:, 0] + PRODUCT_SCALE * question * passage).squeeze(-1)
        inner = (place > split) & (place < ends - 1), (place > 0) & (place < split - 1)  # without CLS and SEP
        logits: Tensor = self.scale * cosine + read + self.late * self._met(state, *inner)
        return logits

    def _met(self, state: Tensor, of_passage: Tensor, of_question: Tensor) -> Tensor:
        """How well the question's word pieces are met by the passage's nearest: (pairs,), cosines.

        Args:
            state: (pairs, length, dim).
            of_passage: (pairs, length), which are the passage's.
            of_question: Likewise.
        """
        unit = functional.normalize(state, dim=-1)
        asked = int(of_question.sum(1).max()) + 2
        alike = unit[:, :asked] @ unit.transpose(1, 2)
        of_question = of_question[:, :asked]
        nearest = alike.masked_fill(~of_passage[:, None], -1.0).amax(-1)
        weight = self.pick(state[:, :asked]).squeeze(-1).masked_fill(~of_question, NEVER).softmax(-1)
        found: Tensor = (weight * nearest * of_question).sum(-1)
        return found

    def predict(self, pairs: Sequence[tuple[Tensor, Tensor]]) -> np.ndarray:
        """Logits of any number of pairs, without gradients: (pairs,) float32."""
        training = self.transformer.training
        self.transformer.train(False)
        found = np.empty(len(pairs), np.float32)
        with torch.no_grad():
            for batch in length_batches([len(question) + len(passage) for question, passage in pairs], BATCH_TOKENS):
                questions, passages = zip(*(pairs[row] for row in batch), strict=True)
                found[batch] = self(questions, passages).cpu().numpy()
        self.transformer.train(training)
        return found

    def head_weights(self) -> dict[str, np.ndarray]:
        """What the reader has beside DistilBERT's weights, by name, float32."""
        named = {name: value for name, value in self.named_parameters() if not name.startswith("transformer.")}
        found = {f"reader.{name}": value.detach().float().cpu().numpy() for name, value in named.items()}
        return {**found, "reader.product": np.array(PRODUCT_SCALE, np.float32)}
