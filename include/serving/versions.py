"""The versions that are open for requests: the live one, which is followed, and at most one other.

A request has its version from beginning to end. Where the alias moves, the new version is opened beside the old one,
answers a question of its own, and only then takes the requests that come; the old one is closed when the last request
that has it ends. A new version that cannot be opened is told in the log, and the old one goes on.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

from include.answering.asker import Asker
from include.core.answer_settings import AnswerSettings
from include.core.errors import DamagedArtifact, NoLiveIndex, StoreUnavailable, UnknownVersion, VitrineError
from include.core.index_settings import IndexSettings
from include.store.apart import Processes
from include.store.connection import ServerConnection
from include.store.journal import Entry, published
from include.store.stores import open_store

log = logging.getLogger(__name__)

EVERY = 0.25  # seconds between two looks at the alias
LONGEST_WAIT = 30.0  # seconds until a version that could not be opened is tried again, at most
FIRST = ("Which product is it?",)  # what a version is asked before it takes requests: all is open then

T = TypeVar("T")
Seen: TypeAlias = tuple[str | None, Entry | None]  # the live version, and what was published with it


@dataclass(eq=False)
class _Open:
    asker: Asker
    users: int = 0
    kept: bool = True


class OpenVersions:
    """The versions of one collection that requests are answered from. Safe to use from several threads.

    Args:
        index: The store and collection.
        settings: How questions are answered where a request says nothing else.
        root: The data directory.
        server: Needed for `store="server"`.
        at_once: Requests that are worked on; beyond one, as many processes search the embedded store.

    Attributes:
        failure: Why what is live now is not open; None where it is.

    Raises:
        BadSettings: `store="server"` without a connection.
    """

    def __init__(
        self,
        index: IndexSettings,
        settings: AnswerSettings,
        *,
        root: Path,
        server: ServerConnection | None = None,
        at_once: int = 1,
    ) -> None:
        self.failure: VitrineError | None = None
        self._index, self._settings, self._root, self._server = index, settings, root, server
        self._at_once = at_once
        self._processes: Processes | None = None
        self._store = open_store(index, root=root, server=server)
        self._lock = threading.Lock()  # of the three below; held for no longer than they are looked at
        self._live: _Open | None = None
        self._other: _Open | None = None
        self._seen: Seen | None = None
        self._opening = threading.Lock()  # one version is opened at a time
        self._failed: tuple[Seen, float, float] | None = None  # what, until when it is left alone, the wait before
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._follow_always, name="alias", daemon=True)

    def start(self) -> None:
        """Open what is live, and follow it."""
        if self._at_once > 1 and self._index.store == "embedded":
            self._processes = Processes(self._at_once)
        self._follow_once()
        self._watch.start()

    def close(self) -> None:
        """Follow no longer, and close what no request has; what one has is closed at its end."""
        self._stop.set()
        if self._watch.is_alive():
            self._watch.join()
        with self._lock:
            held, self._live, self._other = (self._live, self._other), None, None
        self._retire(*held)
        if self._processes is not None:
            self._processes.close()

    @contextmanager
    def asker(self, wanted: str = "live") -> Iterator[Asker]:
        """An open version, for the length of a `with`.

        Args:
            wanted: "live", or a version's fingerprint.

        Raises:
            NoLiveIndex: Nothing has been published.
            UnknownVersion: The version does not exist, or no longer.
            VitrineError: What is live cannot be opened.
        """
        held = self._take(wanted) or self._take_other(wanted)
        try:
            yield held.asker
        finally:
            with self._lock:
                held.users -= 1
                last = not held.kept and held.users == 0
            if last:
                held.asker.close()

    def serve(self, wanted: str, work: Callable[[Asker], T]) -> T:
        """What `work` makes of an open version; done again where the live one was deleted meanwhile.

        Raises:
            VitrineError: Of `asker`, or of the work.
        """
        try:
            with self.asker(wanted) as asker:
                return work(asker)
        except UnknownVersion:
            if wanted != "live":
                raise
            self.follow()
        try:
            with self.asker(wanted) as asker:
                return work(asker)
        except UnknownVersion as gone:  # nobody asked for it by name
            raise StoreUnavailable(
                gone.what, "What is live now cannot be opened yet: try again in some seconds."
            ) from gone

    def follow(self) -> None:
        """Open what is live now, unless it is open already.

        Raises:
            NoLiveIndex: Nothing has been published.
            VitrineError: It cannot be opened; it is left alone for a while then.
        """
        with self._opening:
            seen = self._look()
            if seen == self._seen:
                self._failed, self.failure = None, None
                return
            if self._left_alone(seen):
                return
            try:
                opened = self._opened("live")
            except Exception:
                wait = 2 * EVERY if self._failed is None else min(2 * self._failed[2], LONGEST_WAIT)
                self._failed = (seen, time.monotonic() + wait, wait)
                raise
            self._failed, self.failure = None, None
            with self._lock:
                before, self._live = self._live, opened
                self._seen = (opened.asker.version.name, opened.asker.published)
            log.info("version %s is open for requests", opened.asker.version.name)
            self._retire(before)

    def _look(self) -> Seen:
        live = self._store.live()
        entry = None
        if live is not None:
            with suppress(DamagedArtifact):  # told when the version is opened
                entry = published(self._root, self._index.collection, live)
        return live, entry

    def _left_alone(self, seen: Seen) -> bool:
        return self._failed is not None and self._failed[0] == seen and time.monotonic() < self._failed[1]

    def _opened(self, wanted: str) -> _Open:
        asker = Asker.open(wanted, self._index, root=self._root, server=self._server, processes=self._processes)
        try:
            if (live := self._live) is not None:
                asker.take_over(live.asker)
            asker.answer(FIRST, self._settings)
        except BaseException:
            asker.close()
            raise
        return _Open(asker)

    def _take(self, wanted: str) -> _Open | None:
        with self._lock:
            for held in (self._live, self._other):
                if held is not None and (
                    held.asker.version.name == wanted or (wanted == "live" and held is self._live)
                ):
                    held.users += 1
                    return held
        return None

    def _take_other(self, wanted: str) -> _Open:
        """Open a version that is asked for by name, in the place of the one that was before."""
        if wanted == "live":
            fault = self.failure or NoLiveIndex("Nothing is open yet.", "Try again in some seconds.")
            raise type(fault)(fault.what, fault.next_step)
        with self._opening:
            if (held := self._take(wanted)) is not None:  # another request has opened it meanwhile
                return held
            opened = self._opened(wanted)
            opened.users = 1
            with self._lock:
                before, self._other = self._other, opened
            self._retire(before)
            return opened

    def _retire(self, *versions: _Open | None) -> None:
        for held in versions:
            if held is not None:
                with self._lock:
                    held.kept = False
                    idle = held.users == 0
                if idle:
                    held.asker.close()

    def _follow_always(self) -> None:
        while not self._stop.wait(EVERY):
            self._follow_once()

    def _follow_once(self) -> None:
        try:
            self.follow()
        except VitrineError as failure:
            if str(failure) != str(self.failure):
                log.warning("no newer version was opened: %s", failure)
            self.failure = failure
        except Exception:
            log.exception("what is live now cannot be opened")
            self.failure = VitrineError("What is live now cannot be opened.", "The server's log says why.")
