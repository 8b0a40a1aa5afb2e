"""Embedding: Vitrine's Encoder against SentenceTransformer, ONNX Runtime and OpenVINO: same model, same cut texts.

The texts are those of `../shared/data/real-trn.zip` where it is there, else a synthetic catalogue's with lengths drawn
like theirs. Each system encodes all of them from text to vectors; batches are sorted by length, as
SentenceTransformer does by itself. Its bfloat16 is taken at its best batch size of a first round, as are OpenVINO's
batches; ONNX Runtime runs our export of floats, in int8 as its own dynamic quantisation makes it. A peer whose least
cosine to float32 is below 0.999 does not count among the best. Tokens are counted without padding. On a machine that
others use too, the processors' own time for a token compares the systems better than tokens a second.

OpenVINO and ONNX's tools are not required: `pip install openvino onnx`; what is not installed is named as left out.
"""

import json
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from benchmarks._compare import alternate, arguments, figure, table
from include.catalogue.schema import PRODUCTS_FILE, product_text, read_rows
from include.core.arrays import Vectors
from include.core.settings import MINILM_PACKAGE, ConvertSettings, SourceSettings
from include.model.directory import WEIGHTS
from include.model.encoder import Encoder
from include.model.onnx_export import write_onnx
from include.model.passes import length_batches
from include.model.query_encoder import ONNX_FILE

MAX_TOKENS = 96
REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "real-trn.zip"
QUANTILES = (29, 57, 79, 96, 96)  # word pieces of the real texts at 5, 25, 50, 75 and 95 %, cut at 96
LEAST_COSINE = 0.999
CATALOGUE = 1_390_000  # products, that hours are told for
BATCHES = (16, 32, 64)  # texts, that SentenceTransformer is tried with
BATCH_TOKENS = (512, 1024, 2048)  # that OpenVINO is tried with

Encode = Callable[[list[str]], Vectors]


def main() -> None:
    options = arguments(__doc__ or "", texts=800)
    from include.model.base import resolve_base

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        root, model = Path(folder) / "data", Path(folder) / "model"
        base = resolve_base(MINILM_PACKAGE, root=root).path
        Encoder.load(base, max_tokens=MAX_TOKENS).save(model)
        write_onnx(load_file(model / WEIGHTS), json.loads((model / "config.json").read_text()), model / ONNX_FILE)
        texts = product_texts(root, options.texts)
        exact = Encoder.load(model, precision="float32")
        ids = exact.tokenize(texts)
        tokens = sum(map(len, ids))
        reference = exact.encode(texts)
        measure_pace(model, root, exact, ids)
        ours = Encoder.load(model, measured=root)
        systems: dict[str, Encode] = {"Vitrine": ours.encode}
        systems |= sentence_transformers(model, texts) | onnx_runtime(model, exact) | openvino(model, exact, texts)

        def timed(encode: Encode) -> dict[str, float]:
            began, used = time.perf_counter(), time.process_time()
            vectors = encode(texts)
            seconds, used = time.perf_counter() - began, time.process_time() - used
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
            return {
                "tokens/s": tokens / seconds,
                "products/s": len(texts) / seconds,
                "CPU us a token": 1e6 * used / tokens,
                "hours for 1.39 M": CATALOGUE * seconds / len(texts) / 3600,
                "least cosine": float((vectors * reference).sum(axis=1).min()),
            }

        medians = alternate({name: partial(timed, run) for name, run in systems.items()}, options.rounds)
        if not options.json:
            table(medians, f"{len(texts):,} product texts, {tokens:,} tokens, median of {options.rounds}")
            where_it_goes(ours, ids)
    told(medians, as_json=options.json)


def told(medians: dict[str, dict[str, float]], *, as_json: bool) -> None:
    """Print the figures and whether they meet their targets."""
    speeds = {name: found["tokens/s"] for name, found in medians.items() if found["least cosine"] >= LEAST_COSINE}
    ours, default = medians["Vitrine"], medians["SentenceTransformer, default"]
    best = max(speed for name, speed in speeds.items() if name != "Vitrine")

    def report(name: str, value: float, unit: str, target: float | None = None) -> None:
        figure(name, value, unit, target, least=True, as_json=as_json)

    report("least cosine to float32", ours["least cosine"], "", LEAST_COSINE)
    report("embedding", ours["tokens/s"], "tokens/s")
    report("1.39 million products", ours["hours for 1.39 M"], "h")
    report("embedding against the peer's default", ours["tokens/s"] / default["tokens/s"], "times", 2.5)
    report("embedding against the best peer of equal quality", ours["tokens/s"] / best, "times", 1.15)


def measure_pace(model: Path, root: Path, encoder: Encoder, ids: Sequence[np.ndarray]) -> None:
    """Have the fastest way to encode measured, as the first shard of a large catalogue does."""
    from include.model import pace

    worth, pace.WORTH_MEASURING = pace.WORTH_MEASURING, 0
    Encoder.load(model, measured=root).encode_ids(ids[:50])
    pace.WORTH_MEASURING = worth


def sentence_transformers(model: Path, texts: Sequence[str]) -> dict[str, Encode]:
    """The peer as it comes, and in bfloat16 at its best batch."""
    import torch
    from sentence_transformers import SentenceTransformer

    default = SentenceTransformer(str(model), device="cpu")
    half = SentenceTransformer(str(model), device="cpu", model_kwargs={"torch_dtype": torch.bfloat16})

    def rounded(size: int) -> Encode:
        return lambda each: half.encode(each, batch_size=size, convert_to_tensor=True).float().numpy()

    size = fastest(BATCHES, rounded, texts)
    return {
        "SentenceTransformer, default": default.encode,
        f"SentenceTransformer, bfloat16, {size}": rounded(size),
    }


def onnx_runtime(model: Path, encoder: Encoder) -> dict[str, Encode]:
    """ONNX Runtime in float32 and, where its tools are installed, in int8."""
    import onnxruntime

    file = model / ONNX_FILE
    kinds = {"float32": file}
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        kinds["int8"] = file.with_name("int8.onnx")
        quantize_dynamic(file, kinds["int8"], weight_type=QuantType.QInt8, per_channel=True)
    except ImportError as absent:
        print(f"ONNX Runtime int8 is left out: {absent}")
        del kinds["int8"]

    def run(path: Path) -> Encode:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return lambda texts: in_batches(encoder, texts, 1024, lambda batch: session.run(None, batch)[0])

    return {f"ONNX Runtime, {name}": run(path) for name, path in kinds.items()}


def openvino(model: Path, encoder: Encoder, texts: Sequence[str]) -> dict[str, Encode]:
    """OpenVINO as it comes for throughput: it chooses precision and streams itself."""
    try:
        library = import_module("openvino")
    except ImportError as absent:
        print(f"OpenVINO is left out: {absent}")
        return {}
    compiled = library.Core().compile_model(str(model / ONNX_FILE), "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"})

    def run(batch_tokens: int) -> Encode:
        def encode(each: list[str]) -> Vectors:
            ids = encoder.tokenize(each)
            made = np.empty((len(ids), encoder.dim), np.float32)
            queue = library.AsyncInferQueue(compiled)
            queue.set_callback(lambda request, rows: made.__setitem__(rows, request.get_output_tensor(0).data))
            for rows, batch in padded(encoder, ids, batch_tokens):
                queue.start_async(batch, rows)
            queue.wait_all()
            return made

        return encode

    size = fastest(BATCH_TOKENS, run, texts)
    precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    return {f"OpenVINO, {precision}, {size} tokens": run(size)}


def fastest(sizes: Iterable[int], made: Callable[[int], Encode], texts: Sequence[str]) -> int:
    """The size that encodes some of the texts fastest, by the better of two tries."""
    some = list(texts[:: max(1, len(texts) // 200)])

    def seconds(size: int) -> float:
        taken = []
        for _ in range(3):  # the first warms up
            began = time.perf_counter()
            made(size)(some)
            taken.append(time.perf_counter() - began)
        return min(taken[1:])

    return min(sizes, key=seconds)


def in_batches(encoder: Encoder, texts: list[str], batch_tokens: int, run: Callable[[dict[str, Any]], Any]) -> Vectors:
    """What `run` makes of the texts, batch by batch."""
    ids = encoder.tokenize(texts)
    made = np.empty((len(ids), encoder.dim), np.float32)
    for rows, batch in padded(encoder, ids, batch_tokens):
        made[rows] = run(batch)
    return made


def padded(
    encoder: Encoder, ids: Sequence[np.ndarray], batch_tokens: int
) -> Iterable[tuple[list[int], dict[str, np.ndarray]]]:
    """Batches of like length, as an exported model takes them."""
    for rows in length_batches([len(each) for each in ids], batch_tokens):
        input_ids, mask = encoder.pad([ids[row] for row in rows])
        yield rows, {"input_ids": input_ids.numpy(), "attention_mask": mask.numpy()}


def where_it_goes(encoder: Encoder, ids: Sequence[np.ndarray]) -> None:
    """Print what a pass spends its time on, and how long the products of matrices would take at the measured peak."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as seen:
        encoder.encode_ids(ids, batch_tokens=1024)  # one batch at once: the profiler sees this thread alone
    events = sorted(seen.key_averages(), key=lambda event: -event.self_cpu_time_total)
    whole = sum(event.self_cpu_time_total for event in events)
    print("of the time of all operators:")
    for event in events[:7]:
        print(f"  {event.self_cpu_time_total / whole:6.1%} {event.key}")
    one, other = torch.randn(1024, 1536), torch.randn(1536, 1536)
    dtype = torch.bfloat16 if encoder.precision == "bfloat16" else torch.float32
    one, other = one.to(dtype), other.to(dtype)
    taken = []
    for _ in range(10):
        began = time.perf_counter()
        torch.mm(one, other)
        taken.append(time.perf_counter() - began)
    shape = encoder.shape
    per_token = 2 * shape["n_layers"] * shape["dim"] * (4 * shape["dim"] + 2 * shape["hidden_dim"])
    peak = 2 * one.numel() * other.shape[1] / min(taken)
    print(f"products of matrices alone, at the measured {peak / 1e9:,.0f} GFLOP/s: {peak / per_token:,.0f} tokens/s")


def product_texts(root: Path, count: int) -> list[str]:
    """Texts of products, cleaned as the pipeline does."""
    from include.catalogue.convert import convert
    from include.source.download import download

    if REAL.exists():
        source = download(SourceSettings(source=str(REAL)), root=root)
        products = convert(source.path, ConvertSettings(), root=root).path
    else:
        products = synthetic_catalogue(root, count)
    texts: list[str] = []
    for rows in read_rows(products / PRODUCTS_FILE, ["title", "content"]):
        texts += [product_text(row["title"], row["content"]) for row in rows.to_pylist()]
    if REAL.exists():
        return [texts[place] for place in np.random.default_rng(1).permutation(len(texts))[:count]]
    drawn = np.interp(np.random.default_rng(1).random(count), (0.05, 0.25, 0.5, 0.75, 0.95), QUANTILES)
    words = (texts[number % len(texts)].split() for number in range(count))
    return [" ".join((each * 96)[: round(0.75 * size)]) for each, size in zip(words, drawn.tolist(), strict=True)]


def synthetic_catalogue(root: Path, products: int) -> Path:
    """A converted synthetic catalogue under a data directory."""
    from include.catalogue.convert import convert
    from include.source.download import download

    source = download(SourceSettings(sample_products=products, sample_seed=5), root=root)
    return convert(source.path, ConvertSettings(), root=root).path


if __name__ == "__main__":
    main()
