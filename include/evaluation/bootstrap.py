"""How sure a figure is: intervals by the paired bootstrap over queries.

As many queries as there are, drawn with replacement, 2,000 times: the middle 95 % of the figures are the
interval (B. Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979; for retrieval: T. Sakai,
"Evaluating Evaluation Metrics based on the Bootstrap", SIGIR 2006). All systems share the draws, so that a
difference between two of them is not blurred by hard queries being hard for both. "Better" means that the
interval of the difference excludes 0.

Fewer than `FEWEST` queries tell nothing: their intervals span all that is possible.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from include.core.arrays import Floats
from include.evaluation.metrics import Metric
from include.evaluation.summary import Difference

RESAMPLES = 2000
CONFIDENCE = 0.95
SEED = 19  # of the draws: the same queries and answers give the same intervals
FEWEST = 10  # queries; by the sign test 6 of 6 would do, but their bootstrap is too sure of itself
DRAWN_AT_ONCE = 4_000_000  # queries, 32 MiB

Systems = Mapping[str, Mapping[str, Metric]]


class Bootstrap:
    """Systems over the same queries, and their figures on each draw of them.

    Args:
        systems: For each system its metrics, all over the same queries in the same order.
        resamples: How many draws.
        seed: Of the draws.
    """

    def __init__(self, systems: Systems, *, resamples: int = RESAMPLES, seed: int = SEED) -> None:
        self.systems = systems
        names = [(system, name) for system, metrics in systems.items() for name in metrics]
        drawn = resampled([systems[system][name] for system, name in names], resamples=resamples, seed=seed)
        self._drawn = {name: drawn[:, column] for column, name in enumerate(names)}

    def intervals(self) -> dict[str, dict[str, list[float]]]:
        """For each system and metric `[low, high]`, rounded to 4 digits."""
        made: dict[str, dict[str, list[float]]] = {}
        for (system, name), drawn in self._drawn.items():
            known = len(self.systems[system][name].values) >= FEWEST
            low, high = _middle(drawn) if known else (0.0, 1.0)
            made.setdefault(system, {})[name] = [low, high]
        return made

    def differences(self, compared: Sequence[tuple[str, str]]) -> dict[str, dict[str, Difference]]:
        """How much one system differs from another, by metric.

        Args:
            compared: Pairs of systems; those that are not there are passed over.

        Returns:
            Under `<first>-<second>`, for each metric; rounded to 4 digits.
        """
        made: dict[str, dict[str, Difference]] = {}
        for first, second in compared:
            if first not in self.systems or second not in self.systems:
                continue
            found: dict[str, Difference] = {}
            for name, metric in self.systems[first].items():
                known = len(metric.values) >= FEWEST
                drawn = self._drawn[first, name] - self._drawn[second, name]
                low, high = _middle(drawn) if known else (-1.0, 1.0)
                found[name] = {
                    "difference": round(metric.figure - self.systems[second][name].figure, 4),
                    "low": low,
                    "high": high,
                    "verdict": "better" if low > 0 else "worse" if high < 0 else "same",
                }
            made[f"{first}-{second}"] = found
        return made


def resampled(metrics: Sequence[Metric], *, resamples: int = RESAMPLES, seed: int = SEED) -> Floats:
    """The figure of each metric on each draw of the queries, (resamples, metrics)."""
    values = np.stack([metric.values for metric in metrics], axis=1)
    weighted = [column for column, metric in enumerate(metrics) if (metric.weights != 1).any()]
    weights = np.stack([metrics[column].weights for column in weighted], axis=1) if weighted else None
    blocks = []
    for counts in _draws(len(values), resamples, seed):
        sums = np.full((len(counts), len(metrics)), float(len(values)))
        if weights is not None:
            sums[:, weighted] = counts @ weights
        blocks.append(counts @ values / sums)
    return np.concatenate(blocks)


def _middle(drawn: Floats) -> tuple[float, float]:
    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [outside, 1 - outside])
    return round(float(low), 4) + 0.0, round(float(high), 4) + 0.0  # no -0.0


def _draws(queries: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each query is drawn, (draws, queries), a block of draws at a time."""
    random = np.random.default_rng(seed)
    rows = max(DRAWN_AT_ONCE // queries, 1)
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        drawn = random.integers(queries, size=(count, queries)) + np.arange(count)[:, None] * queries
        yield np.bincount(drawn.ravel(), minlength=count * queries).reshape(count, queries).astype(np.float64)
