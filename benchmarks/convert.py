"""Conversion: Vitrine (cleaning, rejects, duplicates, checksums, statistics) against pandas (none of these).

Each measurement is a process of its own, on the same gzipped JSON lines. Seconds of work (imports apart), and the peak
memory of the whole process.
"""

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from benchmarks._compare import alternate, arguments, figure, table
from include.sample import write_sample

FRAME = """
import json, resource, sys, time
{setup}
began = time.perf_counter()
{work}
seconds = time.perf_counter() - began
print(json.dumps({{"seconds": seconds, "peak MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}}))
"""
VITRINE = (
    "from pathlib import Path; import shutil, pyarrow\n"
    "from include.convert import convert\nfrom include.download import download\n"
    "from include.settings import ConvertSettings, SourceSettings\n"
    "root = Path(sys.argv[2]); shutil.rmtree(root, ignore_errors=True)\n"
    "source = download(SourceSettings(source=sys.argv[1]), root=root).path",
    "convert(source, ConvertSettings(), root=root)",
)
PANDAS = (
    "import pandas, pyarrow.parquet",
    "pandas.read_json(sys.argv[1], lines=True, dtype={'uid': str}).to_parquet(sys.argv[2] + '.parquet')",
)


def measure(code: tuple[str, str], source: Path, out: Path) -> dict[str, float]:
    script = FRAME.format(setup=code[0], work=code[1])
    done = subprocess.run(
        [sys.executable, "-c", script, str(source), str(out)], capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    options = arguments(__doc__ or "", rows=200_000)
    with tempfile.TemporaryDirectory() as folder:
        archive, lines = Path(folder) / "sample.zip", Path(folder) / "trn.json.gz"
        write_sample(archive, options.rows, seed=1)
        with zipfile.ZipFile(archive) as file:
            lines.write_bytes(file.read("LF-Amazon-1.3M/trn.json.gz"))
        clean = keep_readable(lines, Path(folder) / "readable.json.gz")
        medians = alternate(
            {
                "Vitrine convert": lambda: measure(VITRINE, lines, Path(folder) / "data"),
                "pandas read_json + to_parquet": lambda: measure(PANDAS, clean, Path(folder) / "pandas"),
            },
            options.rounds,
        )
    ours, peer = medians["Vitrine convert"], medians["pandas read_json + to_parquet"]
    if not options.json:
        table(medians, f"{options.rows:,} rows, median of {options.rounds}")
    ratio = peer["seconds"] / ours["seconds"]
    figure("convert speed against pandas", ratio, "times", 3.0, least=True, as_json=options.json)
    figure("convert rows per second", options.rows / ours["seconds"], "rows/s", None, least=True, as_json=options.json)
    figure("convert peak memory", ours["peak MiB"], "MiB", 1024.0, least=False, as_json=options.json)


def keep_readable(source: Path, target: Path) -> Path:
    """The same lines without those that pandas cannot parse; it has no way to set them aside."""
    import gzip

    import orjson

    with gzip.open(source, "rb") as lines, gzip.open(target, "wb", compresslevel=1) as out:
        for line in lines:
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if isinstance(row, dict) and isinstance(row.get("uid"), str) and isinstance(row.get("title"), str):
                out.write(line)
    return target


if __name__ == "__main__":
    main()
