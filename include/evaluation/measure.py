"""Every system is asked every question: what is kept of it in `metrics.json`, see `include.evaluation.summary`."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from include.catalogue.schema import PRODUCTS_FILE, held_out_rows
from include.core.arrays import Vectors
from include.core.pipeline_settings import PipelineSettings
from include.core.progress import Sink
from include.evaluation.bm25 import Bm25
from include.evaluation.bootstrap import CONFIDENCE, RESAMPLES, Bootstrap
from include.evaluation.exact_search import dense_search
from include.evaluation.examples import won_and_lost
from include.evaluation.fusion_weight import LEAST_OF_QUESTIONS, Candidates, candidates, cross_fit, fit
from include.evaluation.gate import decide
from include.evaluation.metrics import Ranking, figures, judge, per_query
from include.evaluation.protocols import Protocol, query_to_label, title_to_content
from include.evaluation.summary import Fitted, Measured, ProtocolFigures
from include.model.vector_cache import VectorCache
from include.store.fusion import depth
from include.store.language import language_of
from include.store.protocol import BM25_WEIGHT

if TYPE_CHECKING:
    from include.model.encoder import Encoder

log = logging.getLogger(__name__)

DEPTH = 100  # ranks kept of each search: the largest k of the metrics
WIDE = depth(DEPTH)  # found by each side of a hybrid search, and of those DEPTH by that side alone
COMPARED = (("tuned", "base"), ("tuned", "live"), ("tuned", "bm25"), ("hybrid", "tuned"))


def measure(
    catalogue: Path,
    models: Mapping[str, "CachedEncoder"],
    settings: PipelineSettings,
    standing: Mapping[str, Any],
    *,
    sink: Sink | None = None,
) -> Measured:
    """Ask BM25, the models, and the hybrid of the tuned one, and decide.

    Args:
        catalogue: Artifact of kind `catalogue`.
        models: By system, base and tuned among them.
        settings: See `include.evaluation.evaluate.evaluate`.
        standing: What the gate must know of the tuned model beside its figures, see `include.evaluation.gate.decide`.
        sink: Receives progress, in tokens of each embedding.

    Returns:
        The content of `metrics.json`.
    """
    began, train = time.monotonic(), settings.train
    protocols = _protocols(catalogue, settings)
    seconds: dict[str, float] = {}
    with _timed(seconds, "bm25"):
        language = language_of(catalogue, settings.index.language)
        asked = [_Asked(protocol, language) for protocol in protocols]
    for system, encoder in models.items() if asked else ():
        with _timed(seconds, system):
            for each in asked:
                each.ask(system, encoder, train.seed, sink)
    scored = {each.protocol.name: each.scored() for each in asked}
    # A model that was not trained on related titles is not held to them, unless there is nothing else.
    judged = [name for name in scored if name != "query_to_label" or train.related_share > 0] or list(scored)
    weights = [each.fusion["bm25_weight"] for each in asked]  # contents first: they are what the index holds
    seconds["all"] = round(time.monotonic() - began, 2)
    return Measured(
        protocols=scored,
        confidence=CONFIDENCE,
        resamples=RESAMPLES,
        gate=decide(scored, settings.evaluate.tolerance, judged, **standing),
        fusion={
            "bm25_weight": max(next((weight for weight in weights if weight is not None), 0.0), LEAST_OF_QUESTIONS),
            "protocols": {each.protocol.name: each.fusion for each in asked},
        },
        examples=won_and_lost([(each.protocol, each.rankings["base"], each.rankings["tuned"]) for each in asked]),
        seconds=seconds,
    )


def _protocols(catalogue: Path, settings: PipelineSettings) -> list[Protocol]:
    """What this catalogue has to ask; titles among contents first."""
    train = settings.train
    held = held_out_rows(catalogue / PRODUCTS_FILE, train.holdout, train.seed)
    offered = [make(catalogue, held, train, settings.evaluate) for make in (title_to_content, query_to_label)]
    protocols = [protocol for protocol in offered if protocol is not None]
    if not protocols:
        log.warning(
            "%s has nothing to measure models by: fewer than 5 products with both a title and a content, and no test "
            "product (tst) with a link into the labels (lbl)",
            catalogue,
        )
    return protocols


class CachedEncoder:
    """A model that is loaded for the texts that it has not encoded before.

    Args:
        cache: Of the model, at its length.
        kept: What `Encoder.load` takes.
    """

    def __init__(self, cache: VectorCache, **kept: Any) -> None:
        self._cache, self._kept = cache, kept
        self._encoder: Encoder | None = None

    def encode(self, texts: Sequence[str], *, sink: Sink | None, stage: str) -> Vectors:
        """The vectors of `texts`, (n, dim) float32."""

        def anew(others: list[str]) -> Vectors:
            from include.model.encoder import Encoder

            self._encoder = self._encoder or Encoder.load(**self._kept)
            return self._encoder.encode(others, sink=sink, stage=stage)

        return self._cache.vectors(texts, anew)


class _Asked:
    """A protocol, asked of one system after another.

    Attributes:
        protocol: The queries come before `fit_queries` wherever both are.
        rankings: By system, (queries, DEPTH) positions.
        fusion: The protocol's part of `fusion`, once the tuned model has been asked.
    """

    def __init__(self, protocol: Protocol, language: str) -> None:
        self.protocol = protocol
        free: list[frozenset[int]] = [frozenset()] * len(protocol.fit_queries)
        self._texts = [*protocol.queries, *protocol.fit_queries]
        self._excluded = None if protocol.excluded is None else [*protocol.excluded, *free]
        self._words = Bm25(protocol.corpus, language).search(self._texts, WIDE, excluded=self._excluded)
        self.rankings: dict[str, Ranking] = {"bm25": self._words[0][: len(protocol.queries), :DEPTH]}
        self.fusion: Fitted

    def ask(self, system: str, encoder: "CachedEncoder", seed: int, sink: Sink | None) -> None:
        """Search with a model; with the tuned one also hybrid."""
        protocol = self.protocol
        texts = self._texts if system == "tuned" else protocol.queries
        # Together: queries and corpus are batched by length, and progress has one total.
        vectors = encoder.encode([*texts, *protocol.corpus], sink=sink, stage=f"evaluate {system}, {protocol.name}")
        queries, corpus = np.split(vectors, [len(texts)])
        wide = WIDE if system == "tuned" else DEPTH
        found = dense_search(queries, corpus, wide, excluded=self._excluded and self._excluded[: len(texts)])
        self.rankings[system] = found[: len(protocol.queries), :DEPTH]
        if system == "tuned":
            both = candidates(queries, corpus, found, *self._words)
            self.rankings["hybrid"], self.fusion = self._hybrid(both, seed)

    def scored(self) -> ProtocolFigures:
        """The protocol's part of `protocols`."""
        protocol = self.protocol
        systems = {
            system: per_query(judge(ranking, protocol.relevant, protocol.inverse_propensities), protocol.metrics)
            for system, ranking in self.rankings.items()
        }
        drawn = Bootstrap(systems)
        return ProtocolFigures(
            queries=len(protocol.queries),
            corpus=len(protocol.corpus),
            whole_corpus=protocol.whole,
            **({} if protocol.excluded is None else {"unanswered": protocol.unanswered}),
            systems={system: figures(metrics) for system, metrics in systems.items()},
            intervals=drawn.intervals(),
            differences=drawn.differences(COMPARED),
        )

    def _hybrid(self, both: Candidates, seed: int) -> tuple[Ranking, Fitted]:
        """Both sides fused with a weight that was fitted on other queries than those it is measured on.

        Args:
            both: Of the queries, then of `fit_queries`.
            seed: Draws the parts of a crosswise fit.

        Returns:
            (queries, DEPTH) positions, and the protocol's part of `fusion`.
        """
        protocol, count = self.protocol, len(self.protocol.queries)
        own, others = both[:count], both[count:]
        fitted = fit(others, protocol.fit_relevant)
        if fitted is not None:
            weights = np.full(count, fitted.weight)
            how = "held-out products"
        else:
            fitted = fit(own, protocol.relevant)
            weights = cross_fit(own, protocol.relevant, seed)
            how = "the queries, crosswise: each fifth is reported with the weight of the other four"
        return own.ranked(weights, DEPTH), {
            "bm25_weight": None if fitted is None else fitted.weight,
            "queries": 0 if fitted is None else fitted.queries,
            "fitted_on": how if fitted is not None else f"nothing: too few queries, so the default of {BM25_WEIGHT}",
            "reported_with": sorted(set(np.round(weights, 2).tolist())),
            "curve": {} if fitted is None else fitted.as_text(),
        }


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - began, 2)
