"""How the model and the reader are trained: the settings of `fine_tune` and `train_reader`."""

from typing import ClassVar, Literal

from pydantic import Field, field_serializer

from include.core.settings import DISTILBERT, MINILM_PACKAGE, Group


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


class ReaderSettings(Group):
    """How the reader is trained, which says how likely a sentence answers a question."""

    section: ClassVar[str] = "reader"

    reader: Literal["auto", "never"] = Field(
        "auto",
        title="Reader",
        description="`auto`: where a questions file has evidence, a reader is trained on it, and used if it "
        "ranks evidence better than word overlap and cosine do. `never`: none.",
    )
    reader_epochs: int = Field(3, title="Epochs of the reader", description="Passes over its questions.", ge=1, le=100)
    reader_learning_rate: float = Field(
        1e-4, title="Learning rate of the reader", description="Its highest, after warm-up.", gt=0, le=0.1
    )
    reader_layers: int = Field(
        3,
        title="Layers of the reader",
        description="So many of the model's last layers read question and sentence together, and are trained; those "
        "before read each alone and stay as they are.",
        ge=1,
        le=24,
    )
