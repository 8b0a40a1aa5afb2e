"""The systems that an evaluation compared, as its `metrics.json` has them; what is not there is left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard


@dataclass(frozen=True)
class Comparison:
    """One protocol's figures.

    Attributes:
        name: Of the protocol.
        queries: How many questions.
        corpus: Among how many products.
        systems: By system, by metric, the figure.
        intervals: By system, by metric, `[low, high]`; may lack any.
        differences: By `<first>-<second>`, by metric, `difference`, `low`, `high`, `verdict` (better, worse, same).
        metrics: Their names, in order.
    """

    name: str
    queries: int
    corpus: int
    systems: Mapping[str, Mapping[str, float]]
    intervals: Mapping[str, Mapping[str, Sequence[float]]]
    differences: Mapping[str, Mapping[str, Mapping[str, Any]]]
    metrics: Sequence[str]


def comparisons(metrics: Mapping[str, Any] | None) -> list[Comparison]:
    """Every protocol of an evaluation's metrics."""
    found = (metrics or {}).get("protocols")
    made = []
    for name, protocol in found.items() if isinstance(found, Mapping) else ():
        systems = protocol.get("systems") or {}
        made.append(
            Comparison(
                name=str(name),
                queries=int(protocol.get("queries") or 0),
                corpus=int(protocol.get("corpus") or 0),
                systems=systems,
                intervals=protocol.get("intervals") or {},
                differences=protocol.get("differences") or {},
                metrics=list(dict.fromkeys(metric for values in systems.values() for metric in values)),
            )
        )
    return made


def label(metric: str) -> str:
    """A metric's usual spelling, such as nDCG@10 for `ndcg@10`."""
    name, at, k = metric.partition("@")
    return {"ndcg": "nDCG"}.get(name, name.upper() if len(name) <= 4 else name) + at + k


def interval(bounds: Sequence[float]) -> str:
    """An interval in words."""
    low, high = bounds
    return f"{low:.3f} to {high:.3f}"


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a figure was measured."""
    return isinstance(value, int | float) and not isinstance(value, bool)
