"""What a process that we start and its parent say to each other.

The child writes one JSON object a line on standard output: `progress`, `log`, then one of `result`, `error` (one of
`include.core.errors`), `crash` (anything else).
"""

import ctypes
import json
import logging
import os
import signal
import threading
import traceback
from collections.abc import Callable
from typing import Any

from include.core import errors
from include.core.environment import REPOSITORY
from include.core.errors import VitrineError
from include.core.progress import Sink

log = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def environment() -> dict[str, str]:
    """Ours, in which a child also finds `include`, wherever it is started."""
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


def report(work: Callable[[Sink], dict[str, Any]]) -> int:
    """Do `work`, reporting to standard output; returns the exit status.

    Only these lines go to standard output: whatever a library prints there goes to standard error.

    Args:
        work: Gets the sink that progress goes to; what it returns, JSON-able, is the content of the result.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1) as out:
        os.dup2(2, 1)
        guard = threading.Lock()

        def say(kind: str, **content: Any) -> None:
            with guard:
                out.write(json.dumps({"type": kind, **content}) + "\n")
                out.flush()

        handler = _ToParent(say)
        logging.getLogger().addHandler(handler)
        logging.getLogger("include").setLevel(logging.INFO)
        try:
            made = work(lambda snapshot: say("progress", snapshot=snapshot))
        except VitrineError as error:
            say("error", **error_report(error))
            return 1
        except Exception as error:  # the parent raises it again, with the traceback
            say("crash", error=repr(error), traceback=traceback.format_exc())
            return 1
        finally:
            logging.getLogger().removeHandler(handler)
        say("result", **made)
    return 0


def read_report(line: str | bytes, sink: Sink | None) -> dict[str, Any] | None:
    """Act on a line of the child's standard output; returns it where it says how the work ended.

    Args:
        line: As it was read.
        sink: Receives progress.
    """
    try:
        said: dict[str, Any] = json.loads(line)
    except ValueError:  # cut off by the child's death
        log.warning("the process left an unfinished line: %r", line[:200])
        return None
    if said["type"] == "progress":
        if sink is not None:
            sink(said["snapshot"])
        return None
    if said["type"] == "log":
        log.log(said["level"], "%s", said["message"])
        return None
    return said


def error_report(error: VitrineError) -> dict[str, str]:
    """An error as `reported_error` takes it."""
    return {"error": type(error).__name__, "what": error.what, "next_step": error.next_step}


def reported_error(said: dict[str, Any]) -> VitrineError | None:
    """The error that a line of type `error` stands for; None where it is none of ours."""
    kind = getattr(errors, said["error"], None)
    if isinstance(kind, type) and issubclass(kind, VitrineError):
        return kind(said["what"], said["next_step"])
    return None


def signal_name(status: int) -> str:
    """The signal that ended a process, by the status that `subprocess` gives, such as -9."""
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def end_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies: no orphan works on beside the retry."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it died before the call
        raise SystemExit(f"parent process {parent} is gone")


class _ToParent(logging.Handler):
    """Log records as lines to the parent."""

    def __init__(self, say: Callable[..., None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say("log", level=record.levelno, name=record.name, message=self.format(record))
