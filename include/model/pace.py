"""How many texts a model is given at once, in what precision and in how many threads: measured, then remembered.

Neither the fastest size of a batch nor what threads gain can be told from a processor's name. So before the first work
that is worth it, real texts are encoded in a few ways for about `SECONDS`. The fastest is remembered for this machine
and models of this shape, in `ROOT/speed/`. Vectors differ between the ways by rounding alone.
"""

import hashlib
import json
import logging
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from include.core.files import write_json

log = logging.getLogger(__name__)

DIRECTORY = "speed"
SECONDS = 1.5  # of trying; each way is tried once in any case, the slow ones with few texts
WORTH_MEASURING = 200_000  # tokens: 10 to 20 s of two cores; for less, the usual way will do
TOKENS = (512, 1024, 2048, 4096)  # that are tried in a batch, the least first
APART = (1024, 2048)  # of these, in batches at once, which stay in each processor's own cache
GPU_TOKENS = (8192, 32_768, 131_072)
GPU_STREAMS = 2  # one batch is made ready while the other is computed


@dataclass(frozen=True)
class Pace:
    """A way to encode many texts.

    Attributes:
        precision: What matrix products are computed in.
        streams: Batches that are encoded at once, each by its share of the threads.
        batch_tokens: Word pieces in a batch, padding included.
    """

    precision: str
    streams: int
    batch_tokens: int

    def __str__(self) -> str:
        return f"{self.precision}, {self.streams} x {self.batch_tokens} tokens at once"


def ways(precisions: Sequence[str], device: str) -> list[Pace]:
    """What is tried on a device ("cpu", "cuda"), the precisions first, with the fewest texts."""
    if device == "cuda":
        return [Pace(precisions[0], GPU_STREAMS, size) for size in GPU_TOKENS]
    threads = torch.get_num_threads()
    least, *sizes = TOKENS
    tried = [Pace(precision, threads, least) for precision in precisions]
    if threads > 1:
        tried += [Pace(precisions[0], threads, size) for size in APART]
        sizes = [size for size in sizes if size >= max(APART)]
    return tried + [Pace(precisions[0], 1, size) for size in sizes]


def usual(precision: str, device: str) -> Pace:
    """Where nothing was measured."""
    return Pace(precision, GPU_STREAMS, 32_768) if device == "cuda" else Pace(precision, 1, 4096)


def fastest(tried: Sequence[Pace], rate: Callable[[Pace], float]) -> tuple[Pace, dict[str, float]]:
    """The fastest, and tokens a second of each, by its best try.

    Args:
        tried: From `ways`; after a first round, those in another precision than the fastest are not tried again.
        rate: Encodes once in a way, and gives tokens a second.
    """
    seen: dict[Pace, float] = {}
    began = time.monotonic()
    for precision in {way.precision: way for way in tried}.values():
        rate(precision)  # the first pass of all is slow
    while not seen or time.monotonic() < began + SECONDS:
        for way in tried:
            seen[way] = max(seen.get(way, 0.0), rate(way))
            if time.monotonic() > began + 2 * SECONDS:  # a machine so slow has no second round
                break
        chosen = max(seen, key=lambda way: seen[way]).precision
        tried = [way for way in tried if way.precision == chosen]
    return max(seen, key=lambda way: seen[way]), {str(way): round(found) for way, found in seen.items()}


def remembered(root: Path, identity: Mapping[str, Any]) -> Pace | None:
    """What was measured for this machine and model; None where nothing is known, or the file is damaged or foreign."""
    try:
        known = json.loads(_file(root, identity).read_bytes())
        if known["of"] != identity:
            return None
        return Pace(str(known["precision"]), int(known["streams"]), int(known["batch_tokens"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as damage:
        log.warning("%s cannot be read and is measured anew: %r", _file(root, identity), damage)
        return None


def remember(root: Path, identity: Mapping[str, Any], pace: Pace, rates: Mapping[str, float]) -> None:
    """Keep a pace for the next time; where that cannot be written, it is measured again then."""
    file = _file(root, identity)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {"of": identity, **asdict(pace), "tokens_per_second": rates})
    except OSError as error:
        log.warning("%s cannot be written: %s", file, error)


def this_machine() -> dict[str, Any]:
    """What a pace depends on beside the model."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    return {"processor": processor, "gpu": gpu, "threads": torch.get_num_threads(), "torch": torch.__version__}


@contextmanager
def in_streams(count: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """A `map` that works on `count` items at once, each in its share of torch's threads; results come in order."""
    if count == 1:
        yield map
        return
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(max(1, threads // count),))
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


def _file(root: Path, identity: Mapping[str, Any]) -> Path:
    mark = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    return root / DIRECTORY / f"{mark}.json"
