"""Searches versions for its parent, one after another, see `apart.py`: `python -m … SOCKET`."""

import signal
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from include.core.child import error_report
from include.core.errors import StoreUnavailable, VitrineError
from include.store.edge import EdgeSearcher


class _Searching:
    """At most one version, open."""

    def __init__(self) -> None:
        self._searcher: EdgeSearcher | None = None

    def done(self, method: str, given: Sequence[Any], named: dict[str, Any]) -> Any:
        """What the method of the searcher gives; `open` makes one."""
        if method == "open":
            self._searcher = EdgeSearcher(*given)
            return None
        if self._searcher is not None:
            return getattr(self._searcher, method)(*given, **named)
        if method == "close":
            return None
        raise StoreUnavailable("The index could not be opened again.", "Ask again, or see the log.")


def main(handle: str) -> int:
    """Do what is asked for until the parent ends."""
    for each in (signal.SIGINT, signal.SIGTERM):  # of a terminal or a service: the parent ends this one, after its call
        signal.signal(each, signal.SIG_IGN)
    searching = _Searching()
    with Connection(int(handle)) as parent:
        try:
            while True:
                method, given, named = parent.recv()
                said: tuple[Any, dict[str, str] | None]
                try:
                    said = searching.done(method, given, named), None
                except VitrineError as error:
                    said = None, error_report(error)
                parent.send(said)
        except (EOFError, OSError):  # the parent has closed its end, or has ended
            searching.done("close", (), {})
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
