"""Verdicts on answers, kept append-only: `DATA/feedback/<collection>/<version>.jsonl`, one JSON object a line.

A line is written under a lock and synced, so that processes lose nothing of each other's. What a killed one
leaves of a line stays there, and is told: the next line begins behind it. Pruning never touches these files.
"""

import fcntl
import json
import logging
import os
import re
import secrets
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, Field, ValidationError

from include.core.files import sync_directory
from include.core.space import no_space_explained

DIRECTORY = "feedback"
LONGEST = 2000  # characters of what a person writes, as of a question
LONGEST_ANSWER = 20_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_UNSEEN = ("Cc", "Cf", "Cs")  # controls, what turns the direction of text, halves of characters
_JOINERS = "\u200c\u200d"  # part of words in Persian and Hindi, and of emoji

log = logging.getLogger(__name__)


class Feedback(BaseModel):
    """One verdict, and what it is about.

    Attributes:
        id: Its name.
        at: When, ISO 8601, UTC.
        user: Who, as Airflow names them.
        run_id: The run of `answer_question`.
        position: Of the question in that run, from 0.
        version: That answered.
        question, answer, found: As in the run's result.
        lang: Of the question, ISO 639-1; empty where it was not told.
        sources: Uids of the products that the answer cites.
        quotes: What it quotes of them, where it does; empty for one in a model's or a translator's words.
        filtered: Whether it was asked with a filter.
        verdict: Whether the answer is right.
        right: The uid of the right product; None where none was named, or where it is not clear which is meant.
        right_given: What was named, as it was written.
        comment: Likewise.
    """

    id: str = Field(default_factory=lambda: secrets.token_hex(8))
    at: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="microseconds"))
    user: str
    run_id: str
    position: int
    version: str
    question: str
    answer: str
    found: bool
    lang: str = ""
    sources: list[str] = []
    quotes: list[str] = []
    filtered: bool = False
    verdict: Literal["up", "down"]
    right: str | None = None
    right_given: str | None = None
    comment: str | None = None

    @property
    def about(self) -> tuple[str, str, int]:
        """Whose verdict it is, and on which answer: of several, the last one counts."""
        return self.user, self.run_id, self.position


class Kept(NamedTuple):
    """What is kept of a collection.

    Attributes:
        rows: In the order of time, whichever version they are about.
        unreadable: Lines that are no verdict, as a killed process leaves them.
    """

    rows: list[Feedback]
    unreadable: int

    def latest(self) -> list[Feedback]:
        """The last verdict of each user on each answer."""
        return list({each.about: each for each in self.rows}.values())


def written(text: str | None) -> str | None:
    """What a person has written, without what cannot be seen; None for nothing."""
    kept = (each for each in text or "" if each in f"\n\t{_JOINERS}" or unicodedata.category(each) not in _UNSEEN)
    return "".join(kept).strip() or None


def file_of(root: Path, collection: str, version: str) -> Path:
    """Where the verdicts on a version's answers are.

    Raises:
        ValueError: One of the names is none.
    """
    for name in (collection, version):
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a collection or a version")
    return root / DIRECTORY / collection / f"{version}.jsonl"


def append(root: Path, collection: str, row: Feedback) -> None:
    """Keep a verdict: when this returns, it is on the disk.

    Raises:
        StorageFull: There is no room; nothing is left of it.
    """
    file = file_of(root, collection, row.version)
    line = (json.dumps(row.model_dump(), ensure_ascii=False) + "\n").encode()
    with no_space_explained(root):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            _write(handle, line, file)
        finally:
            os.close(handle)
        sync_directory(file.parent)


def _write(handle: int, line: bytes, file: Path) -> None:
    size = os.fstat(handle).st_size
    torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
    line = b"\n" + line if torn else line
    try:
        while line:  # a disk that fills up takes a part, and refuses the rest
            line = line[os.write(handle, line) :]
        os.fsync(handle)
    except BaseException:
        with suppress(OSError):
            os.ftruncate(handle, size)
        raise


def read(root: Path, collection: str) -> Kept:
    """All that is kept of a collection; unreadable lines are passed over, with a warning."""
    files = sorted((root / DIRECTORY / collection).glob("*.jsonl")) if _NAME.fullmatch(collection) else []
    return read_files(files)


def read_files(files: Iterable[Path]) -> Kept:
    """What is kept in some of the files; one that is not there is empty."""
    rows, unreadable = [], 0
    for file in files:
        try:
            lines = file.read_bytes().split(b"\n")
        except FileNotFoundError:
            continue
        except PermissionError:
            log.warning("%s is another user's: its verdicts are left out, until this one may read it", file)
            continue
        for number, line in enumerate(lines, 1):
            if line:
                try:
                    rows.append(Feedback.model_validate_json(line))
                except ValidationError:
                    unreadable += 1
                    log.warning("%s, line %d: no verdict, as a killed process leaves one", file, number)
    return Kept(sorted(rows, key=lambda row: row.at), unreadable)
