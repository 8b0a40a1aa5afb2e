"""The embedded store beside qdrant-client's local mode, FAISS, hnswlib and exact NumPy, over the same vectors.

The vectors resemble a sentence encoder's: each is a centre (one for 200 products), a step in a shared space of 48
dimensions, and a little noise in all of them, made to length 1, seeded. Of 20,000, a question's nearest is at a cosine
of 0.76, its tenth at 0.70, its hundredth at 0.60, and the median at 0, much as with MiniLM over products' titles.
Questions are drawn alike and are no product. A product has a title of eight words and one of twenty brands; the filter
leaves one brand.

Each system is loaded in a process of its own and asked in a fresh one. Memory is what the asking process grew by, all
files that it has mapped included. Ours is loaded with its text index, which the others lack. Local mode takes hours for
all: it is loaded with `--local` products, and its rate and times are those. Peers: `pip install faiss-cpu hnswlib`.

Also printed: how a shard of which 1 % changed is made of the one before, against a new one.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks._compare import figure, machine
from benchmarks._synthetic import BATCH
from include.catalogue.attributes import Attribute
from include.core import artifacts, kinds
from include.core.arrays import Vectors
from include.core.index_settings import IndexSettings
from include.core.space import allocated
from include.store.edge import EdgeSearcher, EdgeStore
from include.store.filters import OneOf
from include.store.protocol import Change, PointBatch, point_id

TOP, BRANDS, WARM = 10, 20, 20
CHANGED = 0.01
M, EF = 16, 128  # of every graph, in building and in searching
BRAND = Attribute(name="brand", type="keyword", field="brand")
Ask = Callable[[Vectors, int | None], Sequence[int]]  # a question's vector, a brand; numbers of products, with payload
WORDS = ["red", "steel", "kettle", "cotton", "lamp", "garden", "cable", "mini", "pro", "set", "black", "case"]


def vectors(count: int, dim: int, seed: int, among: int) -> Vectors:
    """(count, dim) float32 of length 1, around the centres of `among` products."""
    shared, own = np.random.default_rng(1), np.random.default_rng([2, seed])
    centres = shared.normal(size=(max(among // 200, 10), dim)).astype(np.float32)
    steps = (0.8 * shared.normal(size=(48, dim)) / np.sqrt(48)).astype(np.float32)
    made = np.empty((count, dim), np.float32)
    for start in range(0, count, 10_000):
        part = made[start : start + 10_000]
        part[:] = centres[own.integers(0, len(centres), len(part))]
        part += own.normal(size=(len(part), 48)).astype(np.float32) @ steps
        part += 0.15 * own.normal(size=part.shape).astype(np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return made


def payload(number: int) -> dict[str, Any]:
    """A product's, by its number."""
    title = " ".join(WORDS[(number // 7**place) % len(WORDS)] for place in range(8))
    uid, brand = f"P{number:08d}", f"brand {number % BRANDS}"
    return {"uid": uid, "title": title, "content": "", "text": title, "attributes": {"brand": brand}}


def points(made: Vectors, numbers: Sequence[int]) -> Iterator[PointBatch]:
    for start in range(0, len(numbers), BATCH):
        some = numbers[start : start + BATCH]
        payloads = [payload(number) for number in some]
        uids = [each["uid"] for each in payloads]
        yield PointBatch(uids, [point_id(uid) for uid in uids], made[some], payloads)


class Vitrine:
    """The embedded store; `change` makes its shards of those that `load` has made."""

    def __init__(self, place: Path, shards: int = 1, kept: str = "float32") -> None:
        self.place, self.shards = place, shards
        self.store = EdgeStore(IndexSettings.model_validate({"vector_format": kept}), root=place)

    def load(self, made: Vectors) -> dict[str, float]:
        laps = {"load": 0.0, "optimise": 0.0}
        for shard, part in enumerate(np.array_split(np.arange(len(made)), self.shards)):
            began: dict[str, float] = {}

            def lap(shot: dict[str, Any], began: dict[str, float] = began) -> None:
                began.setdefault(shot["stage"].split()[0], time.monotonic())

            inputs = {"part": f"{shard} of {self.shards}"}
            self.store.upsert("any", shard, points(made, part.tolist()), inputs=inputs, attributes=[BRAND], sink=lap)
            laps["load"] += began["optimise"] - began["load"]
            laps["optimise"] += time.monotonic() - began["optimise"]
        return laps

    def change(self, made: Vectors, changed: Sequence[int]) -> dict[str, float]:
        [earlier] = artifacts.published(self.place, kinds.EDGE)
        gone = [point_id(payload(number)["uid"]) for number in changed]
        path = {"path": earlier.relative_to(self.place)}
        change = Change(path, gone, points(made, changed), len(changed), len(made))
        began = time.monotonic()
        if self.store.revise("any", 0, change, inputs={"part": "changed"}, attributes=[BRAND]) is None:
            raise RuntimeError("the shard was not revised")
        return {"load": 0.0, "optimise": time.monotonic() - began}

    def open(self) -> Ask:
        paths = artifacts.published(self.place, kinds.EDGE)
        searcher = EdgeSearcher(paths[:1] if self.shards == 1 else paths)

        def ask(vector: Vectors, brand: int | None) -> list[int]:
            where = None if brand is None else OneOf("brand", (f"brand {brand}",))
            return [int(hit.uid[1:]) for hit in searcher.dense(vector, TOP, where=where)]

        return ask


class LocalMode:
    """qdrant-client's own store."""

    def __init__(self, place: Path) -> None:
        from qdrant_client import QdrantClient

        warnings.simplefilter("ignore")  # that so many are slow, that payload indexes do nothing
        self.client = QdrantClient(path=str(place))

    def load(self, made: Vectors) -> dict[str, float]:
        from qdrant_client import models

        began = time.monotonic()
        params = models.VectorParams(size=made.shape[1], distance=models.Distance.COSINE)
        self.client.create_collection("products", params)
        for batch in points(made, range(len(made))):
            sent = models.Batch(ids=batch.ids, vectors=batch.vectors.tolist(), payloads=batch.payloads)
            self.client.upsert("products", sent)
        self.client.close()
        return {"load": time.monotonic() - began, "optimise": 0.0}

    def open(self) -> Ask:
        from qdrant_client import models

        def ask(vector: Vectors, brand: int | None) -> list[int]:
            match = models.MatchValue(value=f"brand {brand}")
            where = models.Filter(must=[models.FieldCondition(key="attributes.brand", match=match)])
            wanted = None if brand is None else where
            found = self.client.query_points("products", query=vector.tolist(), limit=TOP, query_filter=wanted)
            return [int((point.payload or {})["uid"][1:]) for point in found.points]

        return ask


class Kept:
    """A peer that keeps vectors alone: payloads stand in a list, brands in an array."""

    def __init__(self, place: Path) -> None:
        self.file = place / "index"

    def load(self, made: Vectors) -> dict[str, float]:
        began = time.monotonic()
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.build(made)
        return {"load": time.monotonic() - began, "optimise": 0.0}

    def build(self, made: Vectors) -> None:
        np.save(self.file.with_suffix(".npy"), made)

    def open(self) -> Ask:
        made = np.load(self.file.with_suffix(".npy"))
        payloads, rows = with_payloads(len(made))
        parts = [made[each] for each in rows]

        def ask(vector: Vectors, brand: int | None) -> list[int]:
            scores = (made if brand is None else parts[brand]) @ vector
            best = np.argpartition(-scores, TOP)[:TOP]
            found = best[np.argsort(-scores[best])]
            return [payloads[number] for number in (found if brand is None else rows[brand][found])]

        return ask


class Faiss(Kept):
    def build(self, made: Vectors) -> None:
        import faiss

        index = faiss.IndexHNSWFlat(made.shape[1], M, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = EF
        index.add(made)
        faiss.write_index(index, str(self.file))

    def open(self) -> Ask:
        import faiss

        index = faiss.read_index(str(self.file))
        payloads, rows = with_payloads(index.ntotal)
        selectors = [faiss.IDSelectorBatch(each) for each in rows]

        def ask(vector: Vectors, brand: int | None) -> list[int]:
            chosen = None if brand is None else selectors[brand]
            params = faiss.SearchParametersHNSW(efSearch=EF, sel=chosen)
            return [payloads[number] for number in index.search(vector[None], TOP, params=params)[1][0] if number >= 0]

        return ask


class Hnswlib(Kept):
    def build(self, made: Vectors) -> None:
        import hnswlib

        index = hnswlib.Index("ip", made.shape[1])
        index.init_index(len(made), M=M, ef_construction=EF)
        index.add_items(made)
        index.save_index(str(self.file))
        np.save(self.file.with_suffix(".npy"), np.array(made.shape))

    def open(self) -> Ask:
        import hnswlib

        count, dim = np.load(self.file.with_suffix(".npy")).tolist()
        index = hnswlib.Index("ip", dim)
        index.load_index(str(self.file))
        index.set_ef(EF)
        payloads, _ = with_payloads(count)

        def ask(vector: Vectors, brand: int | None) -> list[int]:
            of_brand = None if brand is None else (lambda number: number % BRANDS == brand)
            return [payloads[number] for number in index.knn_query(vector, TOP, 1, of_brand)[0][0]]

        return ask


def with_payloads(count: int) -> tuple[list[int], list[npt.NDArray[np.int64]]]:
    """Every product's payload (here its number, as the others' uids are read), and each brand's rows."""
    return list(range(count)), [np.arange(brand, count, BRANDS) for brand in range(BRANDS)]


SYSTEMS: dict[str, tuple[Callable[[Path], Any], str | None]] = {
    "Vitrine, one shard": (Vitrine, None),
    "Vitrine, 1 % changed": (Vitrine, None),
    "Vitrine, four shards": (lambda place: Vitrine(place, 4), None),
    "Vitrine, float16": (lambda place: Vitrine(place, kept="float16"), None),
    "Vitrine, turbo8": (lambda place: Vitrine(place, kept="turbo8"), None),
    "Vitrine, int8": (lambda place: Vitrine(place, kept="int8"), None),
    "qdrant-client, local mode": (LocalMode, None),
    "FAISS, HNSW": (Faiss, "faiss"),
    "hnswlib": (Hnswlib, "hnswlib"),
    "NumPy, exact": (Kept, None),
}


def child(name: str, action: str, folder: Path) -> dict[str, float]:
    """Load a system, or ask it, in this process."""
    told = json.loads((folder / "told.json").read_text())
    revised, local = name == "Vitrine, 1 % changed", name == "qdrant-client, local mode"
    made = np.load(folder / ("changed.npy" if revised else "vectors.npy"), mmap_mode="r")
    made = made[: told["local"]] if local else made
    before = resident()
    system = SYSTEMS[name][0](folder / ("Vitrine, one shard" if revised else name))
    if action == "load":
        laps: dict[str, float] = system.change(made, told["changed"]) if revised else system.load(made)
        # Not `ru_maxrss` of its own, which has the parent's in it.
        status = Path("/proc/self/status").read_text()
        own = int(status.split("VmHWM:")[1].split()[0])
        peak = max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
        return {**laps, "peak": peak / 1024, "points": len(made)}
    questions, ask = np.load(folder / "questions.npy"), system.open()
    figures: dict[str, float] = {}
    for kind in ("plain", "filtered"):
        exact = json.loads((folder / f"{kind}{len(made)}{revised}.json").read_text())
        taken, hits = [], 0
        for number, vector in enumerate(questions):
            began = time.perf_counter()
            found = ask(vector, number % BRANDS if kind == "filtered" else None)
            taken.append(1000 * (time.perf_counter() - began))
            hits += len(set(found) & set(exact[number]))
        figures |= {f"{kind} recall": hits / (TOP * len(questions))}
        figures |= {
            f"{kind} {name}": float(np.quantile(taken[WARM:], at)) for name, at in (("p50", 0.5), ("p95", 0.95))
        }
    return {**figures, "memory": resident() - before}


def resident() -> float:
    """Of this process, MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON line a figure")
    parser.add_argument("--products", type=int, default=200_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--local", type=int, default=5000, help="products that local mode is loaded with")
    parser.add_argument("--only", action="append", choices=SYSTEMS, help="may be repeated; all without")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, action, folder = options.child
        print(json.dumps(child(name, action, Path(folder))))
        return
    print(f"{machine()}\n{options.products:,} x {options.dim}, {options.questions} questions")
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), options)
        measured = {name: measure(name, Path(folder)) for name in options.only or SYSTEMS if present(name)}
    shown = {
        **{"load a second": "points/s", "load and optimise a second": "points/s", "peak": "MiB", "disk": "MiB"},
        **{"memory": "MiB", "plain recall": "", "plain p50": "ms", "plain p95": "ms"},
        **{"filtered recall": "", "filtered p50": "ms", "filtered p95": "ms"},
    }
    for name, found in measured.items():
        ours = name.startswith("Vitrine")
        for what, unit in shown.items():
            recall = 0.99 if name != "Vitrine, int8" and name != "Vitrine, turbo8" else 0.98
            goal = {"plain recall": recall, "plain p95": 10.0, "filtered p95": 10.0}.get(what) if ours else None
            figure(f"{name}: {what}", found[what], unit, goal, least="recall" in what, as_json=options.json)
    compare(measured, options.json)


def compare(measured: dict[str, dict[str, float]], as_json: bool) -> None:
    """The ratios that have a target."""
    ours, local = measured.get("Vitrine, one shard"), measured.get("qdrant-client, local mode")
    if ours and local:
        ratio = ours["load a second"] / local["load a second"]
        figure("load, against local mode", ratio, "times", 10.0, least=True, as_json=as_json)
    for kept in ("float16", "turbo8", "int8"):
        if ours and (other := measured.get(f"Vitrine, {kept}")):
            for what in ("disk", "memory"):
                goal = None if kept == "float16" else 0.4
                ratio = other[what] / ours[what]
                figure(f"{kept}: {what} of float32's", ratio, "times", goal, least=False, as_json=as_json)
    if ours and (other := measured.get("Vitrine, 1 % changed")):
        whole = ours["load"] + ours["optimise"]
        figure(
            "1 % changed, of a new shard's time", other["optimise"] / whole, "times", 0.25, least=False, as_json=as_json
        )


def prepare(folder: Path, options: argparse.Namespace) -> None:
    """The vectors, the questions, and what is right."""
    made = vectors(options.products, options.dim, 0, options.products)
    changed = np.arange(0, len(made), round(1 / CHANGED))
    other = made.copy()
    other[changed] = vectors(len(changed), options.dim, 1, options.products)
    questions = vectors(options.questions, options.dim, 2, options.products)
    for name, array in (("vectors", made), ("changed", other), ("questions", questions)):
        np.save(folder / f"{name}.npy", array)
    told = {"local": min(options.local, len(made)), "changed": changed.tolist()}
    (folder / "told.json").write_text(json.dumps(told))
    for part, revised in ((made, False), (made[: told["local"]], False), (other, True)):
        scores = questions @ part.T
        exact = np.argsort(-scores, axis=1)[:, :TOP]
        (folder / f"plain{len(part)}{revised}.json").write_text(json.dumps(exact.tolist()))
        for number, row in enumerate(scores):
            row[np.arange(len(part)) % BRANDS != number % BRANDS] = -2
        exact = np.argsort(-scores, axis=1)[:, :TOP]
        (folder / f"filtered{len(part)}{revised}.json").write_text(json.dumps(exact.tolist()))


def measure(name: str, folder: Path) -> dict[str, float]:
    """A system's figures."""
    found: dict[str, float] = {}
    for action in ("load", "ask"):
        command = [sys.executable, "-m", "benchmarks.index", "--child", name, action, str(folder)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found |= json.loads(done.stdout.splitlines()[-1])
    found["load a second"] = found["points"] / found["load"] if found["load"] else 0.0
    found["load and optimise a second"] = found["points"] / (found["load"] + found["optimise"])
    place = folder / name
    if name == "Vitrine, 1 % changed":
        place = artifacts.published(folder / "Vitrine, one shard", kinds.EDGE)[0]
    found["disk"] = allocated(place) / 2**20
    return found


def present(name: str) -> bool:
    """Whether a peer is installed; says so where it is not."""
    package = SYSTEMS[name][1]
    if package is None or find_spec(package):
        return True
    print(f"{name}: left out, not installed")
    return False


if __name__ == "__main__":
    main()
