"""Run Python in a process of its own, up to a marked point, and end it there with SIGKILL."""

import os
import select
import signal
import subprocess
import sys

from include.core.environment import REPOSITORY

PRELUDE = """
import sys

def reach(point):
    # Tell the parent, then wait for its SIGKILL.
    print("reached", point, flush=True)
    sys.stdin.read()

"""


def kill_at_point(script: str, *arguments: object, timeout: float = 120.0) -> str:
    """Run `script`, which calls `reach(point)` somewhere, and kill the process there.

    Args:
        script: Python source; `reach` is defined, `sys.argv[1:]` are the arguments.
        arguments: For the script.
        timeout: Seconds until the point must be reached.

    Returns:
        The point that was reached.

    Raises:
        AssertionError: The script ended, or time ran out, before that.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], timeout)[0], f"no point was reached in {timeout} s"
        line = process.stdout.readline()
    finally:
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
    assert line.startswith("reached "), f"the script ended before its point: {line!r}\n{errors}"
    assert process.returncode == -signal.SIGKILL
    return line.removeprefix("reached ").strip()
