"""Encoding: Vitrine's Encoder against SentenceTransformer.encode, same model, same texts, same length, CPU.

The peer at its default (float32) and at its best setting here (bfloat16 weights); each with length-sorted batches, as
it does by itself. Tokens are counted without padding.
"""

import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks._compare import alternate, arguments, figure, table
from include.catalogue.schema import PRODUCTS_FILE, product_text, read_rows
from include.core.settings import MINILM_PACKAGE, ConvertSettings, SourceSettings
from include.model.encoder import Encoder

MAX_TOKENS = 96


def main() -> None:
    options = arguments(__doc__ or "", texts=1000)
    import torch
    from sentence_transformers import SentenceTransformer

    from include.model.base import resolve_base

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        texts = product_texts(root, options.texts)
        ours = Encoder.load(resolve_base(MINILM_PACKAGE, root=root).path, max_tokens=MAX_TOKENS)
        ours.save(Path(folder) / "model")
        default = SentenceTransformer(str(Path(folder) / "model"), device="cpu")
        best = SentenceTransformer(
            str(Path(folder) / "model"), device="cpu", model_kwargs={"torch_dtype": torch.bfloat16}
        )
        tokens = sum(len(ids) for ids in ours.tokenize(texts))
        reference = default.encode(texts[:200], batch_size=32)

        def timed(encode: Callable[[list[str]], np.ndarray]) -> dict[str, float]:
            began = time.perf_counter()
            vectors = encode(texts)
            seconds = time.perf_counter() - began
            cosine = (vectors[:200] * reference).sum(axis=1).min()
            return {"tokens/s": tokens / seconds, "least cosine": float(cosine)}

        medians = alternate(
            {
                f"Vitrine Encoder, {ours.precision}": lambda: timed(ours.encode),
                "SentenceTransformer, default": lambda: timed(default.encode),
                "SentenceTransformer, bfloat16": lambda: timed(
                    lambda each: best.encode(each, convert_to_tensor=True).float().numpy()
                ),
            },
            options.rounds,
        )
    if not options.json:
        table(medians, f"{options.texts:,} product texts, {tokens:,} tokens, median of {options.rounds}")
    speeds = [found["tokens/s"] for found in medians.values()]
    figure(
        "encode speed against the peer's default",
        speeds[0] / speeds[1],
        "times",
        None,
        least=True,
        as_json=options.json,
    )
    figure(
        "encode speed against the peer's best",
        speeds[0] / max(speeds[1:]),
        "times",
        1.0,
        least=True,
        as_json=options.json,
    )


def product_texts(root: Path, count: int) -> list[str]:
    """Texts of a synthetic catalogue, cleaned as the pipeline does."""
    texts = []
    for rows in read_rows(synthetic_catalogue(root, count * 2) / PRODUCTS_FILE, ["title", "content"]):
        texts += [product_text(row["title"], row["content"]) for row in rows.to_pylist()]
    return texts[:count]


def synthetic_catalogue(root: Path, products: int) -> Path:
    """A converted synthetic catalogue under a data directory."""
    from include.catalogue.convert import convert
    from include.source.download import download

    source = download(SourceSettings(sample_products=products, sample_seed=5), root=root)
    return convert(source.path, ConvertSettings(), root=root).path


if __name__ == "__main__":
    main()
