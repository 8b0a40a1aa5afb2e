"""A catalogue of which 1 % has changed, against all of it: the stages of a run, one after another, without Airflow.

The synthetic catalogue, an encoder of a few kilobytes, the embedded store. The first run makes everything, with 50
steps of training. Then every hundredth product gets another content, and a second run with `retrain = never`, as a
schedule has it, makes a version with them. Both download, convert, evaluate, embed, load, verify and publish.
"""

import gzip
import json
import tempfile
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks._compare import arguments, figure, machine
from include import stages
from include.core.forms import pipeline_settings
from include.run import Run
from include.sample.write import FOLDER, write_sample
from tests.small import write_tiny_base

EVERY = 100  # of the products one is changed
TARGET = 0.25


def main() -> None:
    options = arguments(__doc__ or "", products=300_000, shards=4)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        source, changed = place / "first.zip", place / "second.zip"
        write_sample(source, options.products, 7)
        change(source, changed)
        base = write_tiny_base(place / "tiny")
        conf = {"base_model": str(base), "shards": options.shards, "max_steps": 50, "tolerance": 1.0, "min_recall": 0.5}
        first, _ = run(place / "data", 1, {**conf, "source": str(source)})
        second, embedded = run(place / "data", 2, {**conf, "source": str(changed), "retrain": "never"})
    if not options.json:
        print(f"{options.products:,} products, {options.shards} shards; {machine()}")
        for name, seconds in first.items():
            print(f"{name:<12}{seconds:>9.1f} s{second[name]:>9.1f} s")
    share = sum(second.values()) / sum(first.values())
    figure("texts embedded by the changed run", embedded / options.products, "of all", None, least=False,
           as_json=options.json)  # fmt: skip
    figure("full run", sum(first.values()), "s", None, least=False, as_json=options.json)
    figure("changed run", sum(second.values()), "s", None, least=False, as_json=options.json)
    figure("changed against full", share, "times", TARGET, least=False, as_json=options.json)


def change(source: Path, target: Path) -> None:
    """Copy a sample's archive; every hundredth product that can be read gets another content."""
    trn = f"{FOLDER}/trn.json.gz"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            if name != trn:
                new.writestr(name, old.read(name))
        with gzip.open(old.open(trn)) as lines:
            rows = [revised(line) if number % EVERY == 0 else line for number, line in enumerate(lines)]
        new.writestr(trn, gzip.compress(b"".join(rows), compresslevel=1))


def revised(line: bytes) -> bytes:
    """A row with another content; a line that is none stays."""
    try:
        row = json.loads(line)
    except ValueError:
        return line
    if not isinstance(row, dict) or "content" not in row:
        return line
    return json.dumps({**row, "content": f"{row['content']} Revised edition."}).encode() + b"\n"


def run(root: Path, day: int, conf: dict[str, Any]) -> tuple[dict[str, float], int]:
    """Seconds of each stage, and how many texts were embedded."""
    of = Run(pipeline_settings(conf), root, f"run {day}", datetime(2026, 1, day, tzinfo=UTC))
    seconds: dict[str, float] = {}

    def timed(stage: Callable[..., Any], *given: Any) -> Any:
        began = time.perf_counter()
        made = stage(of, *given)
        seconds[stage.__name__] = seconds.get(stage.__name__, 0.0) + time.perf_counter() - began
        return made

    source = timed(stages.download)
    catalogue = timed(stages.convert, source)
    model = timed(stages.fine_tune, catalogue)
    evaluation = timed(stages.evaluate, catalogue, model)
    parts = timed(stages.plan_shards, catalogue, model)
    embedded = [timed(stages.embed, part) for part in parts]
    loaded = [timed(stages.upsert, part) for part in embedded]
    version = timed(stages.verify, loaded)
    decision = timed(stages.publish, version, evaluation, {"asked": False, "reason": "promote is auto"})
    timed(stages.prune)
    if not decision["published"]:
        raise SystemExit(f"run {day} was not published: {decision['reason']}")
    return seconds, sum(part["embedding"]["stats"]["embedded"] for part in embedded)


if __name__ == "__main__":
    main()
