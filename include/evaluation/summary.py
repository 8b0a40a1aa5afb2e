"""What an evaluation leaves, in its `metrics.json` and as its statistics. Figures are 0-1, rounded to 4 digits.

`evaluate` writes by these types; the report, the request for approval and `publish` read by them, so none of them can
ask for what nobody measures.
"""

from collections.abc import Sequence
from typing import Literal, NotRequired

from pydantic import BaseModel
from typing_extensions import TypedDict

MetricName = Literal["p@1", "p@3", "p@5", "psp@1", "psp@3", "psp@5", "r@10", "r@100", "mrr@10", "ndcg@10"]


class Difference(TypedDict):
    """Of two systems by one metric: first minus second, its interval, and "same" where that holds 0."""

    difference: float
    low: float
    high: float
    verdict: Literal["better", "worse", "same"]


class Compared(Difference):
    """The tuned model beside one rival on one protocol, by the gate's metric."""

    protocol: str
    rival: str
    tuned: float
    theirs: float


class Gate(TypedDict):
    """Whether the model may go live, and why, in a sentence."""

    passed: bool
    reason: str
    tolerance: NotRequired[float]
    metric: NotRequired[MetricName]
    comparisons: NotRequired[list[Compared]]


class Fitted(TypedDict):
    """A protocol's weight of BM25, fitted on so many queries; None where there were too few.

    `fitted_on` says in words which; `reported_with` has the weights behind the row `hybrid`; the curve is the mean
    nDCG@10 by weight.
    """

    bm25_weight: float | None
    queries: int
    fitted_on: str
    reported_with: list[float]
    curve: dict[str, float]


class Fusion(TypedDict):
    """The weight of BM25 that goes with the index; None where none was fitted."""

    bm25_weight: float | None
    protocols: dict[str, Fitted]


Example = TypedDict(
    "Example",
    {"protocol": str, "query": str, "wanted": str, "base rank": int | None, "tuned rank": int | None},
)


class ProtocolFigures(BaseModel):
    """One protocol's figures.

    Attributes:
        queries: How many questions.
        corpus: Among how many products.
        whole_corpus: What the corpus would have without `eval_corpus`.
        unanswered: With a filter file: queries that it leaves nothing to find.
        systems: By system (bm25, base, tuned, hybrid, live), by metric, the figure.
        intervals: Likewise `[low, high]`, by bootstrap.
        differences: By `<first>-<second>`, by metric.
    """

    queries: int
    corpus: int
    whole_corpus: int | None = None
    unanswered: int | None = None
    systems: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, list[float]]] = {}
    differences: dict[str, dict[str, Difference]] = {}

    @property
    def metrics(self) -> list[str]:
        """The metrics' names, in order."""
        return list(dict.fromkeys(metric for values in self.systems.values() for metric in values))


class Measured(BaseModel):
    """The whole of `metrics.json`; what an older evaluation did not measure is empty.

    Attributes:
        protocols: `title_to_content` and, with tst and lbl, `query_to_label`; none where there is nothing to ask.
        confidence: Of the intervals, from so many `resamples`.
        gate: The decision.
        fusion: The weight of BM25.
        examples: Questions that fine-tuning `won` and `lost`.
        seconds: By system, and `all`.
    """

    protocols: dict[str, ProtocolFigures] = {}
    confidence: float | None = None
    resamples: int | None = None
    gate: Gate
    fusion: Fusion = {"bm25_weight": None, "protocols": {}}
    examples: dict[str, list[Example]] = {}
    seconds: dict[str, float] = {}


def label(metric: str) -> str:
    """A metric's usual spelling, such as nDCG@10 for `ndcg@10`."""
    name, at, k = metric.partition("@")
    return {"ndcg": "nDCG"}.get(name, name.upper() if len(name) <= 4 else name) + at + k


def interval(bounds: Sequence[float]) -> str:
    """An interval in words."""
    low, high = bounds
    return f"{low:.3f} to {high:.3f}"
