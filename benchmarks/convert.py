"""Conversion: Vitrine (cleaning, rejects, duplicates, checksums, statistics) against readers that do none of these.

The peers read the same gzipped JSON lines, without those that they cannot parse, and write Parquet: pandas, and the raw
readers Polars (whole and streaming), DuckDB and pyarrow.json. Rows are as long as the real file's
(`include.sample.size`), `trn` alone. Each measurement is a process of its own: seconds of work (imports apart), and the
highest memory of it and its children together (proportional set size, sampled).

`--full` measures Vitrine alone at 200,000, 1,000,000 and 2,248,619 rows. `--against` compares the processor time, its
processes' included, with that of another checkout, on these rows, and on the same with other fields, ignored or kept.
`--pool` compares one process that parses and cleans with one a processor. `--csv` compares with pandas.read_csv on the
readable lines' uid, title and content as a CSV table. `--folder` keeps the sources.
"""

import argparse
import csv
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import nullcontext
from functools import partial
from itertools import islice
from pathlib import Path

import orjson
from isal import igzip

from benchmarks._compare import alternate, figure, machine, table
from include.core.environment import REPOSITORY
from include.sample.write import FOLDER, write_sample

FULL = (200_000, 1_000_000, 2_248_619)  # the last one: as many as the real file has
SEED = 1

FRAME = """
import json, os, sys, time
source, out = sys.argv[1:]
{setup}
began, before = time.perf_counter(), sum(os.times()[:4])
{work}
print(json.dumps([time.perf_counter() - began, sum(os.times()[:4]) - before]))
"""
VITRINE = (
    "from pathlib import Path\n"
    "from include.catalogue.convert import convert\nfrom include.source.download import download\n"
    "from include.core.settings import ConvertSettings, SourceSettings\n"
    "made = download(SourceSettings(source=source), root=Path(out)).path\nsettings = ConvertSettings()",
    "convert(made, settings, root=Path(out))",
)
IGNORING = (  # a checkout that knows no attributes ignores other fields anyway
    VITRINE[0] + "\nif 'attributes' in ConvertSettings.model_fields: settings = ConvertSettings(attributes='none')",
    VITRINE[1],
)
PEERS = {
    "pandas": (
        "import pandas, pyarrow.parquet",
        "pandas.read_json(source, lines=True, dtype={'uid': str}).to_parquet(out + '.parquet')",
    ),
    "Polars": ("import polars", "polars.read_ndjson(source).write_parquet(out + '.parquet')"),
    "Polars, streaming": ("import polars", "polars.scan_ndjson(source).sink_parquet(out + '.parquet')"),
    "DuckDB": (
        "import duckdb",
        "duckdb.sql(f\"copy (select * from read_json('{source}', format='newline_delimited')) \"\n"
        "    f\"to '{out}.parquet' (format parquet, compression zstd)\")",
    ),
    "pyarrow.json": (
        "import pyarrow.json, pyarrow.parquet",
        "options = pyarrow.json.ReadOptions(block_size=2**22)\n"
        "rows = pyarrow.json.read_json(source, read_options=options)\n"
        "pyarrow.parquet.write_table(rows, out + '.parquet', compression='zstd')",
    ),
}


def measure(code: tuple[str, str], source: Path, out: Path, tree: Path = REPOSITORY) -> dict[str, float]:
    """Run `code` on the modules of `tree` in a process of its own, with nothing left of an earlier run."""
    shutil.rmtree(out, ignore_errors=True)
    script = FRAME.format(setup=code[0], work=code[1])
    peak = 0.0
    with subprocess.Popen(
        [sys.executable, "-c", script, str(source.resolve()), str(out.resolve())],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
    ) as child:
        while child.poll() is None:
            peak = max(peak, tree_memory(child.pid))
            time.sleep(0.25)  # reading a large process's page counts is work too, on the cores that are measured
        if child.returncode or child.stdout is None:
            raise SystemExit(f"{code[1]} failed with status {child.returncode}.")
        seconds, processor = json.loads(child.stdout.read().splitlines()[-1])
    return {"seconds": seconds, "processor s": processor, "peak MiB": peak / 2**20}


def tree_memory(pid: int) -> float:
    """Bytes that a process and its descendants hold; what they share counts once (proportional set size)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):  # ended meanwhile
        return 0.0
    own = next((float(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0.0)
    return own + sum(tree_memory(int(child)) for child in children)


def source_of(rows: int, folder: Path) -> Path:
    """`trn.json.gz` of so many rows; made where the folder lacks it."""
    lines = folder / f"trn-{rows}-{SEED}.json.gz"
    if not lines.exists():
        archive = folder / f"sample-{rows}-{SEED}.zip"
        if not archive.exists():
            partial = archive.with_suffix(".part")
            write_sample(partial, rows, SEED, full_size=True)
            partial.replace(archive)
        with zipfile.ZipFile(archive) as file, file.open(f"{FOLDER}/trn.json.gz") as member:
            partial = lines.with_suffix(".part")
            with partial.open("wb") as out:
                shutil.copyfileobj(member, out, 2**20)
            partial.replace(lines)
        archive.unlink()
    return lines


def beginning_of(source: Path, rows: int) -> Path:
    """The first so many lines of `source`."""
    target = source.with_name(f"first-{rows}-of-{source.name}")
    if not target.exists():
        partial = target.with_suffix(".part")
        with igzip.open(source, "rb") as lines, igzip.open(partial, "wb") as out:
            out.writelines(islice(lines, rows))
        partial.replace(target)
    return target


def readable(source: Path) -> Path:
    """The same lines without those that the peers cannot parse; they have no way to set them aside."""
    target = source.with_name(f"readable-{source.name}")
    if target.exists():
        return target
    partial = target.with_suffix(".part")
    with gzip.open(source, "rb") as lines, gzip.open(partial, "wb", compresslevel=4) as out:
        for line in lines:
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if isinstance(row, dict) and isinstance(row.get("uid"), str) and isinstance(row.get("title"), str):
                out.write(line)
    partial.replace(target)
    return target


def compare(options: argparse.Namespace, folder: Path) -> None:
    source = source_of(options.rows, folder)
    clean = readable(source)
    systems = {"Vitrine convert": lambda: measure(VITRINE, source, folder / "vitrine")}
    for name, code in PEERS.items():
        systems[name] = partial(measure, code, clean, folder / "peer")
    medians = alternate(systems, options.rounds)
    if not options.json:
        table(medians, f"{options.rows:,} rows, median of {options.rounds}")
    ours = medians.pop("Vitrine convert")
    pandas = medians.pop("pandas")
    best = min(medians, key=lambda name: medians[name]["seconds"])
    speed = pandas["seconds"] / ours["seconds"]
    figure("convert speed against pandas", speed, "times", 3.0, least=True, as_json=options.json)
    slower = ours["seconds"] / medians[best]["seconds"]
    figure(
        f"convert time against the best raw reader ({best})", slower, "times", 2.5, least=False, as_json=options.json
    )
    figure("convert rows per second", options.rows / ours["seconds"], "rows/s", None, least=True, as_json=options.json)
    figure("convert peak memory", ours["peak MiB"], "MiB", 1024.0, least=False, as_json=options.json)


def full(options: argparse.Namespace, folder: Path) -> None:
    if not options.json:
        print(machine())
    largest = source_of(max(FULL), folder)
    for rows in FULL:
        source = largest if rows == max(FULL) else beginning_of(largest, rows)
        found = measure(VITRINE, source, folder / "vitrine")
        name, speed, peak = f"convert {rows:,} rows", rows / found["seconds"], found["peak MiB"]
        figure(f"{name}, seconds", found["seconds"], "s", None, least=True, as_json=options.json)
        figure(f"{name}, speed", speed, "rows/s", None, least=True, as_json=options.json)
        figure(f"{name}, peak memory", peak, "MiB", 1024.0, least=False, as_json=options.json)


def against(options: argparse.Namespace, folder: Path) -> None:
    source = source_of(options.rows, folder)
    other = with_other_fields(source)
    for name, lines, code in (
        ("the five fields", source, VITRINE),
        ("fields that are ignored", other, IGNORING),
        ("attributes", other, VITRINE),
    ):
        trees = {"before": options.against.resolve(), "now": REPOSITORY}
        systems = {which: partial(measure, code, lines, folder / "vitrine", tree) for which, tree in trees.items()}
        medians = alternate(systems, options.rounds)
        if not options.json:
            table(medians, f"{options.rows:,} rows with {name}, median of {options.rounds}")
        ratio = medians["before"]["processor s"] / medians["now"]["processor s"]
        figure(f"convert processor time before / now, {name}", ratio, "times", 1.0, least=True, as_json=options.json)


def pool(options: argparse.Namespace, folder: Path) -> None:
    source, (setup, work) = source_of(options.rows, folder), VITRINE
    systems = {}
    for name, count in (("one process", 1), ("one a processor", len(os.sched_getaffinity(0)))):
        code = setup, work.removesuffix(")") + f", processes={count})"
        systems[name] = partial(measure, code, source, folder / "vitrine")
    medians = alternate(systems, options.rounds)
    if not options.json:
        table(medians, f"{options.rows:,} rows, median of {options.rounds}")
    alone, together = medians.values()
    for measured in ("seconds", "processor s"):
        ratio = alone[measured] / together[measured]
        figure(f"convert {measured}, one process / all", ratio, "times", None, least=True, as_json=options.json)


FROM_CSV = (
    "import pandas, pyarrow.parquet",
    "pandas.read_csv(source, dtype=str, keep_default_na=False).to_parquet(out + '.parquet')",
)


def table_of(source: Path) -> Path:
    """The readable lines' uid, title and content as a CSV table, quoted where needed."""
    target = source.with_name(f"{source.name}.csv")
    if not target.exists():
        partial = target.with_suffix(".part")
        with igzip.open(readable(source), "rb") as lines, partial.open("w", encoding="utf-8", newline="") as out:
            rows = csv.DictWriter(out, ["uid", "title", "content"], extrasaction="ignore")
            rows.writeheader()
            rows.writerows(map(orjson.loads, lines))
        partial.replace(target)
    return target


def of_csv(options: argparse.Namespace, folder: Path) -> None:
    source = table_of(source_of(options.rows, folder))
    systems = {
        "Vitrine convert": lambda: measure(VITRINE, source, folder / "vitrine"),
        "pandas": lambda: measure(FROM_CSV, source, folder / "peer"),
    }
    medians = alternate(systems, options.rounds)
    if not options.json:
        table(
            medians,
            f"{options.rows:,} rows of CSV, {source.stat().st_size / 2**20:,.0f} MiB, median of {options.rounds}",
        )
    ours, pandas = medians["Vitrine convert"], medians["pandas"]
    speed = pandas["seconds"] / ours["seconds"]
    figure("convert speed on CSV against pandas.read_csv", speed, "times", 2.0, least=True, as_json=options.json)
    figure("convert peak memory on CSV", ours["peak MiB"], "MiB", 1024.0, least=False, as_json=options.json)


def with_other_fields(source: Path) -> Path:
    """The same lines, each with a price, a brand and categories."""
    target = source.with_name(f"other-fields-{source.name}")
    if not target.exists():
        partial = target.with_suffix(".part")
        more = b', "price": 9.99, "brand": "Acme", "categories": [["Home", "Kitchen"]]}\n'
        with igzip.open(source, "rb") as lines, igzip.open(partial, "wb") as out:
            out.writelines(line[:-2] + more if line.endswith(b"}\n") else line for line in lines)
        partial.replace(target)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON line a figure")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each system, taken in turn")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--full", action="store_true", help="Vitrine alone, up to the size of the real file")
    parser.add_argument("--against", type=Path, help="another checkout: its processor time beside this one's")
    parser.add_argument("--pool", action="store_true", help="one process that parses and cleans beside one a processor")
    parser.add_argument("--csv", action="store_true", help="a CSV table beside pandas.read_csv")
    parser.add_argument("--folder", type=Path, help="where the sources are kept (default: nowhere)")
    options = parser.parse_args()
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() if options.folder is None else nullcontext(options.folder) as folder:
        modes = {"full": full, "against": against, "pool": pool, "csv": of_csv}
        chosen = next((work for name, work in modes.items() if getattr(options, name)), compare)
        chosen(options, Path(folder))


if __name__ == "__main__":
    main()
