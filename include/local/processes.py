"""Processes of this machine, as Linux's /proc tells of them."""

from pathlib import Path


def start_time(pid: int) -> int:
    """When a process began, in clock ticks since boot; -1 where there is none."""
    found = _stat(pid)
    return -1 if found is None else int(found[19])


def session(leader: int, began: int) -> list[int]:
    """The living processes of a leader's session: tasks have process groups of their own, but not sessions.

    The kernel does not give the leader's pid away while its session has members. So if another process has it, then
    there are no members left, and a session of that number is somebody else's.

    Args:
        leader: Its pid.
        began: Its start time, see `start_time`.
    """
    if start_time(leader) not in (began, -1):
        return []
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(entry.name))
        if fields is not None and int(fields[3]) == leader:
            found.append(int(entry.name))
    return found


def parent(pid: int) -> int:
    """The pid of a process's parent; -1 where there is no such process."""
    found = _stat(pid)
    return -1 if found is None else int(found[1])


def group(pid: int) -> int:
    """The process group of a process; -1 where there is no such process."""
    found = _stat(pid)
    return -1 if found is None else int(found[2])


def words(pid: int) -> list[str]:
    """The command line of a process; empty where there is none."""
    try:
        text = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [word.decode("utf-8", "replace") for word in text.split(b"\0")]


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on; None where no such process lives."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields
