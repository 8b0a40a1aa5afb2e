"""Training: Vitrine against SentenceTransformerTrainer with MultipleNegativesRankingLoss.

Same base model, same pairs, same batch, same length, on the CPU, or a GPU. The peer at its default
(float32), in bfloat16 (its own mixed precision), and so without attention dropout, with both of transformers' attention
kernels: the fastest of those is its best setting. Each system's time is that of one pass over the pairs, cutting into
word pieces included, loading the model and saving it not. Tokens are counted without padding.

`--memory minilm` measures instead the most memory of a process that trains at the defaults, `--memory distilbert` with
a model of DistilBERT's size.
"""

import resource
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks._compare import alternate, arguments, figure, table
from benchmarks.embed import synthetic_catalogue
from include.catalogue.schema import PRODUCTS_FILE, read_rows
from include.core.settings import MINILM_PACKAGE
from include.core.train_settings import TrainSettings
from include.model.base import resolve_base
from include.model.encoder import Encoder
from include.model.tokens import CatalogueTokens, tokenize
from include.training.batches import TrainingData, locate_texts
from include.training.checkpoint import Checkpoints
from include.training.loop import fit
from include.training.pairs import find_pairs

MAX_TOKENS = 96


def main() -> None:
    options = arguments(__doc__ or "", {"memory": ("minilm", "distilbert")}, pairs=768, batch=64)
    warnings.simplefilter("ignore")
    if options.memory:
        name = f"most memory of training at the defaults, a model of {options.memory}'s size"
        figure(name, most_memory(options.memory), "GiB", 3.0, least=False, as_json=options.json)
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        catalogue = synthetic_catalogue(root / "data", round(2.2 * options.pairs))
        base = resolve_base(MINILM_PACKAGE, root=root / "data").path
        settings = TrainSettings(
            epochs=1,
            max_pairs=options.pairs,
            batch_size=options.batch,
            max_tokens=MAX_TOKENS,
            related_share=0.0,
            mini_batch=max(128, options.batch),
            checkpoint_steps=100_000,
        )
        pairs = find_pairs(catalogue, settings)
        texts = pair_texts(catalogue, settings)
        encoder = Encoder.load(base, max_tokens=MAX_TOKENS)
        tokens = sum(len(ids) for side in texts for ids in encoder.tokenize(side))
        Encoder.load(base, max_tokens=MAX_TOKENS).save(root / "model")
        rounds = iter(range(1000))

        def ours(precision: str) -> dict[str, float]:
            chosen = Encoder.load(base, max_tokens=MAX_TOKENS, precision=precision)
            place = root / f"round-{next(rounds)}"
            place.mkdir()
            began = time.perf_counter()
            # A catalogue's word pieces are kept: made anew for every round here, in a data directory of its own.
            cut = tokenize(catalogue, chosen.tokenizer, MAX_TOKENS, root=place).path
            found, located = locate_texts(pairs, CatalogueTokens(cut, chosen.tokenizer))
            before = time.perf_counter() - began
            done = fit(chosen, TrainingData(found, located), settings, checkpoints=Checkpoints(place, "f"))
            return figures(before + done.seconds, sum(each["pairs"] for each in done.history) / len(pairs))

        def figures(seconds: float, share: float = 1.0) -> dict[str, float]:
            return {"pairs/s": share * len(pairs) / seconds, "tokens/s": share * tokens / seconds}

        def peer(**how: Any) -> Callable[[], dict[str, float]]:
            return lambda: figures(peer_seconds(root / "model", texts, options.batch, root, **how))

        systems: dict[str, Callable[[], dict[str, float]]] = {
            "Vitrine, bfloat16": lambda: ours("bfloat16"),
            "Vitrine, float32": lambda: ours("float32"),
            "Trainer, default (float32)": peer(),
            "Trainer, bf16": peer(bf16=True),
            "Trainer, bf16, eager attention": peer(bf16=True, attention="eager"),
            "Trainer, bf16, no attention dropout": peer(bf16=True, attention_dropout=0.0),
            "Trainer, bf16, both": peer(bf16=True, attention="eager", attention_dropout=0.0),
        }
        medians = alternate(systems, options.rounds)
        peak = matmul_peak()
    work = 6 * sum(p.numel() for name, p in encoder.model.named_parameters() if "embeddings" not in name)
    if not options.json:
        title = f"{len(pairs):,} pairs of title and content, {tokens:,} tokens, batch {options.batch}"
        table(medians, f"{title}, median of {options.rounds}")
    speeds = [found["pairs/s"] for found in medians.values()]
    tell = {"least": True, "as_json": options.json}
    gpu = torch.cuda.is_available()
    figure("training speed against the peer's best", speeds[0] / max(speeds[3:]), "times", 2.0 if gpu else 1.3, **tell)
    figure("training speed against the peer's default", speeds[0] / speeds[2], "times", 2.0, **tell)
    reached = medians["Vitrine, bfloat16"]["tokens/s"]
    figure("tokens trained on", reached, "tokens/s", None, **tell)
    figure("share of the bfloat16 matrix-multiply peak", reached * work / peak, "of 1", None, **tell)


def most_memory(model: str) -> float:
    """Of this process, in GiB, at the end of four steps at the defaults."""
    from transformers import DistilBertConfig, DistilBertModel

    steps, settings = 4, TrainSettings(related_share=0.0, epochs=1)
    settings = settings.model_copy(update={"max_pairs": steps * settings.batch_size})
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        catalogue = synthetic_catalogue(root / "data", round(2.2 * settings.max_pairs))
        base = resolve_base(MINILM_PACKAGE, root=root / "data").path
        encoder = Encoder.load(base, max_tokens=settings.max_tokens)
        if model == "distilbert":
            encoder.model, encoder.dim = DistilBertModel(DistilBertConfig()), DistilBertConfig().dim
        cut = tokenize(catalogue, encoder.tokenizer, settings.max_tokens, root=root).path
        found, located = locate_texts(find_pairs(catalogue, settings), CatalogueTokens(cut, encoder.tokenizer))
        fit(encoder, TrainingData(found, located), settings, checkpoints=Checkpoints(root, "f"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def pair_texts(catalogue: Path, settings: TrainSettings) -> tuple[list[str], list[str]]:
    """Titles and contents of the pairs that `find_pairs` draws."""
    pairs = find_pairs(catalogue, settings)
    rows = [row for part in read_rows(catalogue / PRODUCTS_FILE, ["title", "content"]) for row in part.to_pylist()]
    return tuple([rows[row][name] for row in pairs.left_product] for name in ("title", "content"))  # type: ignore[return-value]


def peer_seconds(
    model: Path,
    texts: tuple[list[str], list[str]],
    batch: int,
    root: Path,
    *,
    bf16: bool = False,
    attention: str = "sdpa",
    attention_dropout: float | None = None,
) -> float:
    """One epoch of SentenceTransformerTrainer over the pairs, in seconds."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.losses import MultipleNegativesRankingLoss

    changed = {} if attention_dropout is None else {"attention_dropout": attention_dropout}
    student = SentenceTransformer(
        str(model), model_kwargs={"attn_implementation": attention}, config_kwargs=changed or None
    )
    trainer = SentenceTransformerTrainer(
        model=student,
        args=SentenceTransformerTrainingArguments(
            output_dir=str(root / "peer"),
            num_train_epochs=1,
            per_device_train_batch_size=batch,
            learning_rate=5e-5,
            bf16=bf16,
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            logging_strategy="no",
        ),
        train_dataset=Dataset.from_dict({"anchor": texts[0], "positive": texts[1]}),
        loss=MultipleNegativesRankingLoss(student),
    )
    began = time.perf_counter()
    trainer.train()
    return time.perf_counter() - began


def matmul_peak() -> float:
    """The best of ten products of 4096 x 4096 bfloat16 matrices, in operations a second."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    size = 4096
    a, b = (torch.randn(size, size, dtype=torch.bfloat16, device=device) for _ in range(2))
    best = float("inf")
    for _ in range(10):
        began = time.perf_counter()
        float((a @ b)[0, 0])  # waits for a GPU
        best = min(best, time.perf_counter() - began)
    return float(2 * size**3 / best)


if __name__ == "__main__":
    main()
