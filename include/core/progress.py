"""Progress of long work: counts, rate, time left.

A stage reports to a sink, any callable that takes a `Snapshot` as a plain dict: the DAGs hand in one
that writes to Airflow's `task_state_store`; without one, progress goes to the log alone.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

Snapshot = dict[str, Any]
Sink = Callable[[Snapshot], None]


def clock(seconds: float) -> str:
    """`seconds` as `h:mm:ss`, or `m:ss` under an hour."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def pace(rate: float) -> str:
    """A rate to read: whole numbers, with one decimal below ten."""
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


class Progress:
    """Counts towards a total and tells sinks about it, at most every `interval` seconds.

    Args:
        stage: What is being done, as shown to the user ("convert", "embed shard 2").
        total: How many units there are; None where it cannot be known.
        unit: The plural noun that is counted ("rows", "bytes", "steps").
        sink: Receives snapshots; the log always does.
        start: Units already done, when work is resumed. They do not count towards the rate.
        interval: Seconds between two snapshots to the sink; the log gets one in five of them.
    """

    def __init__(
        self,
        stage: str,
        total: int | None = None,
        *,
        unit: str = "rows",
        sink: Sink | None = None,
        start: int = 0,
        interval: float = 2.0,
    ) -> None:
        self.stage = stage
        self.total = total
        self.unit = unit
        self.done = start
        self.extra: dict[str, Any] = {}
        self._sink = sink
        self._start_count = start
        self._interval = interval
        self._began = time.monotonic()
        self._next_sink = self._began
        self._next_log = self._began + 5 * interval

    def advance(self, units: int = 1, **extra: Any) -> None:
        """Count `units` more; `extra` values (loss, step …) show beside the counts."""
        self.update(self.done + units, **extra)

    def update(self, done: int, total: int | None = None, **extra: Any) -> None:
        """Set the count, and the total where it has become known."""
        self.done = done
        if total is not None:
            self.total = total
        self.extra.update(extra)
        now = time.monotonic()
        if now >= self._next_sink:
            self._next_sink = now + self._interval
            self._tell()
        if now >= self._next_log:
            self._next_log = now + 5 * self._interval
            log.info("%s", self)

    def close(self) -> None:
        """Report the last count, whatever the interval says."""
        self._tell()
        log.info("%s", self)

    def __enter__(self) -> "Progress":
        self._tell()
        return self

    def __exit__(self, failure: object, *_: object) -> None:
        if failure is None:
            self.close()

    @property
    def rate(self) -> float:
        """Units per second since this object was made."""
        return (self.done - self._start_count) / max(time.monotonic() - self._began, 1e-9)

    def snapshot(self) -> Snapshot:
        """The present state, JSON-serialisable: stage, unit, done, total, rate, seconds_left."""
        rate = self.rate
        left = None
        if self.total is not None and rate > 0:
            left = round(max(self.total - self.done, 0) / rate, 1)
        return {
            "stage": self.stage,
            "unit": self.unit,
            "done": self.done,
            "total": self.total,
            "rate": round(rate, 2),
            "seconds_left": left,
            **self.extra,
        }

    def __str__(self) -> str:
        shot = self.snapshot()
        count = f"{self.done:,}" if self.total is None else f"{self.done:,}/{self.total:,}"
        text = f"{self.stage}: {count} {self.unit}, {pace(shot['rate'])} {self.unit}/s"
        if shot["seconds_left"] is not None:
            text += f", {clock(shot['seconds_left'])} left"
        for name, value in self.extra.items():
            text += f", {name} {value:.4g}" if isinstance(value, float) else f", {name} {value}"
        return text

    def _tell(self) -> None:
        if self._sink is not None:
            self._sink(self.snapshot())
