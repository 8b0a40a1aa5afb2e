"""include/feedback/store.py: what a person has said is kept, whatever happens beside it."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from include.core.errors import StorageFull
from include.feedback.store import append, file_of, read, written
from tests.feedback.judged import VERSION, row

WRITERS, EACH = 4, 50
KILLED = """
import os, sys
from pathlib import Path
from tests.feedback.judged import row
from include.feedback import store
write, os.write = os.write, lambda handle, line: (write(handle, line[:20]), os.kill(os.getpid(), 9))
store.append(Path(sys.argv[1]), "products", row(1))
"""


def write_some(root: Path, writer: int) -> None:
    for number in range(EACH):
        append(root, "products", row(number, user=f"user {writer}", comment="x" * 1000))


def test_several_processes_lose_nothing_of_each_other(root: Path) -> None:
    """Two people press a thumb at once: neither's verdict may end in the middle of the other's."""
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_some, args=(root, number)) for number in range(WRITERS)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    kept = read(root, "products")
    assert (len(kept.rows), kept.unreadable) == (WRITERS * EACH, 0)
    for number in range(WRITERS):
        assert [each.position for each in kept.rows if each.user == f"user {number}"] == list(range(EACH))
    assert file_of(root, "products", VERSION).stat().st_mode & 0o077 == 0, "others may not read who said what"


def test_a_killed_writer_costs_its_own_line_alone(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A line without an end would swallow the next person's verdict."""
    append(root, "products", row(0))
    killed = subprocess.run([sys.executable, "-c", KILLED, str(root)], check=False, env={**os.environ})
    assert killed.returncode == -signal.SIGKILL
    append(root, "products", row(2))
    kept = read(root, "products")
    assert ([each.position for each in kept.rows], kept.unreadable) == ([0, 2], 1)
    assert "line 2: no verdict" in caplog.text


def test_a_full_disk_says_so_and_leaves_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a line would be told as a killed process's for ever."""
    append(root, "products", row(0))
    before = file_of(root, "products", VERSION).read_bytes()
    write, calls = os.write, iter([True, False])

    def full(handle: int, line: bytes) -> int:
        if next(calls):
            return write(handle, line[:20])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(StorageFull, match="is full"):
        patched.setattr(os, "write", full)
        append(root, "products", row(1))
    assert file_of(root, "products", VERSION).read_bytes() == before


def test_the_last_verdict_of_a_user_on_an_answer_counts(root: Path) -> None:
    for number, verdict, user in [(0, "up", "ana"), (0, "down", "ana"), (0, "up", "bo"), (1, "up", "ana")]:
        append(root, "products", row(number, verdict=verdict, user=user))
    latest = [(each.position, each.user, each.verdict) for each in read(root, "products").latest()]
    assert latest == [(0, "ana", "down"), (0, "bo", "up"), (1, "ana", "up")]


def test_the_last_verdict_is_the_latest_whichever_version_it_is_about(root: Path) -> None:
    """A cleared run may be answered by another version, whose name comes before the first one's."""
    append(root, "products", row(0, version="f" * 16))
    append(root, "products", row(0, version="0" * 16, verdict="down"))
    append(root, "products", row(1, version="f" * 16))
    kept = read(root, "products")
    assert [(each.position, each.verdict) for each in kept.rows] == [(0, "up"), (0, "down"), (1, "up")]
    assert [each.verdict for each in kept.latest()] == ["down", "up"]


def test_a_file_of_another_user_is_told_and_fails_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the web server is another user than the tasks, one thumb would fail every run from then on."""
    append(root, "products", row(0, version="f" * 16))
    append(root, "products", row(1))

    read_bytes = Path.read_bytes

    def refused(path: Path) -> bytes:  # root may read everything
        if path.stem == VERSION:
            raise PermissionError(13, "Permission denied")
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    assert [each.position for each in read(root, "products").rows] == [0]
    assert "is another user's" in caplog.text


@pytest.mark.parametrize("name", ["..", "a/b", "", "x" * 65, ".hidden"])
def test_no_name_leads_out_of_the_directory(root: Path, name: str) -> None:
    """The collection comes from an address."""
    for names in ((name, VERSION), ("products", name)):
        with pytest.raises(ValueError, match="is no name"):
            file_of(root, *names)
    assert read(root, name).rows == []


def test_what_cannot_be_seen_is_not_kept() -> None:
    """Colours of a terminal, and marks that turn what stands beside them, come back in a log or a page."""
    assert written(" \x1b[31mred\u202e\u2066 & <b>\x00\ud800\n") == "[31mred & <b>"
    assert written("a\u061cb\u200bc\ufeff") == "abc"
    assert written("می\u200cخواهم") == "می\u200cخواهم", "a joiner is part of a word"
    assert written(" \n") is written(None) is None
    json.dumps(written("é\ud800")).encode()
