"""How long each step of an answer takes."""

import time


class Laps:
    """Seconds of each step since the one before it."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.seconds: dict[str, float] = {}

    def end(self, step: str) -> None:
        """A step ends, and the next one begins."""
        self.seconds[step] = self.total() - sum(self.seconds.values())

    def total(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def milliseconds(self) -> dict[str, float]:
        """Of each step, for the result."""
        return {step: round(1000 * seconds, 1) for step, seconds in self.seconds.items()}
