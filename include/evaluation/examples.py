"""Queries that fine-tuning won and lost, for a person to judge by."""

from collections.abc import Sequence

import numpy as np

from include.evaluation.metrics import Ranking
from include.evaluation.protocols import Protocol
from include.evaluation.summary import Example

SHOWN = 8  # of each kind and protocol


def won_and_lost(measured: Sequence[tuple[Protocol, Ranking, Ranking]]) -> dict[str, list[Example]]:
    """Queries whose first relevant item rose most (`won`) or fell most (`lost`) from base to tuned.

    Args:
        measured: Each protocol with the base's and the tuned model's ranking.

    Returns:
        Those that moved most first. Ranks count from 1; None where the item was not found among the ranks kept.
    """
    won: list[tuple[float, Example]] = []
    lost: list[tuple[float, Example]] = []
    for protocol, base, tuned in measured:
        missing = base.shape[1] + 1
        before, after = (_first_ranks(protocol, ranking, missing) for ranking in (base, tuned))
        gains = np.log(before) - np.log(after)  # from 10 to 1 matters more than from 100 to 91
        order = np.argsort(-gains, kind="stable")
        for chosen, kind in ((order[:SHOWN], won), (order[::-1][:SHOWN], lost)):
            for row in chosen.tolist():
                if gains[row] > 0 if kind is won else gains[row] < 0:
                    shown: Example = {
                        "protocol": protocol.name,
                        "query": protocol.queries[row],
                        "wanted": protocol.corpus[min(protocol.relevant[row])][:200],
                        "base rank": before[row] if before[row] < missing else None,
                        "tuned rank": after[row] if after[row] < missing else None,
                    }
                    kind.append((abs(float(gains[row])), shown))
    return {
        name: [shown for _, shown in sorted(kind, key=lambda each: -each[0])]
        for name, kind in (("won", won), ("lost", lost))
    }


def _first_ranks(protocol: Protocol, ranking: Ranking, missing: int) -> list[int]:
    """The rank of each query's first relevant item, from 1; `missing` where there is none."""
    return [
        next((rank for rank, item in enumerate(ranked, 1) if item in relevant), missing)
        for relevant, ranked in zip(protocol.relevant, ranking.tolist(), strict=True)
    ]
