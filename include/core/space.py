"""Room on the disk: asked for before the work, and explained where it runs out all the same.

Each stage estimates from its input what it will write and calls `require`. What still fills up (another process
wrote meanwhile, a quota) ends in the same class, `StorageFull`, through `no_space_explained`.

The vector engine writes through memory maps, where a full disk is no error but the signal SIGBUS: it builds in a
process of its own (`include/store/edge_process.py`). It reads through them too, and on a file system in memory
even a page that is only read takes room, where the file has a hole: see `fill_holes`.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from include.core.errors import StorageFull, VitrineError

SPARE = 16 * 2**20  # bytes that must stay free beside what a stage is known to need
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
ATTEMPT, SCRATCH = ".tmp-", ".scratch-"  # how the names of an attempt's directories begin, see artifacts.py
DAMAGED, DISCARDED = ".damaged-", ".discarded-"  # likewise, of what was set aside, and of what is being removed
IN_MEMORY = ("tmpfs", "ramfs")
NEXT_STEP = (
    "Free some space there (`make prune`; fewer old versions of the index: lower keep_versions), or set VITRINE_DATA "
    "to a larger disk, then retry the task: what is published stays as it was."
)


def require(place: Path, need: float, what: str, *, spare: int = SPARE) -> None:
    """Ask for room before the work.

    Args:
        place: Where the work writes; it, or one of its parents, exists.
        need: Bytes, estimated from the input.
        what: Says who needs it, such as "Converting catalogue.zip".
        spare: Bytes that must be free beside them.

    Raises:
        StorageFull: Fewer bytes are free than `need` and `spare`.
    """
    free = free_bytes(place)
    if free < need + spare:
        wanted = f"{mebibytes(need)}, and {mebibytes(spare)} to spare" if need else f"{mebibytes(spare)} to spare"
        raise StorageFull(
            f"{what} needs {wanted}, but the disk that holds {_lasting(place)} has {mebibytes(free)} free.", NEXT_STEP
        )


@contextmanager
def no_space_explained(place: Path) -> Iterator[None]:
    """Turn "no space left on device" into an error that says how much there is and what to do.

    Also where a library has wrapped it in an exception of its own.

    Raises:
        StorageFull: That is what failed.
    """
    try:
        yield
    except VitrineError:
        raise
    except Exception as error:
        cause = _out_of_space(error)
        if cause is None:
            raise
        raise StorageFull(full(place, cause.filename, cause.strerror or ""), NEXT_STEP) from error


def full(place: Path, file: object = None, reason: str = "") -> str:
    """What to say of a disk that is full."""
    told = f" ({reason})" if reason else ""
    where = f"The disk that holds {_lasting(place)} is full{told}"
    return f"{where}: {mebibytes(free_bytes(place))} free while writing {file or place}."


def free_bytes(place: Path) -> int:
    """Free on the disk that holds `place`, or will hold it."""
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def allocated(directory: Path) -> int:
    """Bytes that a directory takes on the disk, holes left out; what vanishes meanwhile counts as nothing."""
    total = 0
    for parent, _, files in os.walk(directory):  # which passes over a directory that vanishes
        for file in (Path(parent), *(Path(parent, name) for name in files)):
            with suppress(FileNotFoundError):
                total += file.lstat().st_blocks * 512
    return total


def mebibytes(size: float) -> str:
    """Rounded up: what is needed must not read as nothing."""
    return f"{-(-int(size) // 2**20):,} MiB"


def fill_holes(directory: Path) -> None:
    """Give every file below `directory` all its blocks, where a mapped hole takes room when it is read.

    Elsewhere nothing happens: there a hole that is only read stays one. Contents do not change.

    Raises:
        OSError: There is no room.
    """
    if not in_memory(directory):
        return
    for file in directory.rglob("*"):
        found = file.stat()
        if file.is_file() and found.st_blocks * 512 < found.st_size:
            with file.open("rb+") as stream:
                os.posix_fallocate(stream.fileno(), 0, found.st_size)


def in_memory(place: Path) -> bool:
    """Whether `place` lies on a file system that is kept in memory."""
    device = place.stat().st_dev
    name = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return False
    return any(
        line.split()[2] == name and line.partition(" - ")[2].split(" ", 1)[0] in IN_MEMORY  # proc(5)
        for line in mounts
    )


def _lasting(place: Path) -> Path:
    """The directory around those of one try."""
    tries = [each for each in (place, *place.parents) if each.name.startswith(".")]
    return tries[-1].parent if tries and tries[-1].name.startswith((ATTEMPT, SCRATCH)) else place


def _out_of_space(error: BaseException | None) -> OSError | None:
    """The error that says so, among this one and those that led to it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None
