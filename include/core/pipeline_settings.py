"""The settings of a whole run of `train_and_index`: the presets, and the groups of all its stages."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from include.core.index_settings import IndexSettings
from include.core.settings import (
    ConvertSettings,
    EmbedSettings,
    EvaluateSettings,
    Group,
    QuestionSettings,
    RetentionSettings,
    SourceSettings,
)
from include.core.train_settings import ReaderSettings, TrainSettings


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


# The form's first section, in this order; every other field is an advanced one.
START = ("source", "preset", "promote")
GROUPS: dict[str, type[Group]] = {
    "source": SourceSettings,
    "convert": ConvertSettings,
    "questions": QuestionSettings,
    "train": TrainSettings,
    "reader": ReaderSettings,
    "evaluate": EvaluateSettings,
    "embed": EmbedSettings,
    "index": IndexSettings,
    "retention": RetentionSettings,
}
_ALL: tuple[type[Group], ...] = (PresetSettings, *GROUPS.values())
_FIELDS = {name: field for group in _ALL for name, field in group.model_fields.items()}
_NAMES = re.compile(rf'\b({"|".join(name for name in _FIELDS if "_" in name)})\b(?! \(")')


class PipelineSettings(Group):
    """All settings of `train_and_index`, by stage."""

    source: SourceSettings = SourceSettings()
    convert: ConvertSettings = ConvertSettings()
    questions: QuestionSettings = QuestionSettings()
    train: TrainSettings = TrainSettings()
    reader: ReaderSettings = ReaderSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    embed: EmbedSettings = EmbedSettings()
    index: IndexSettings = IndexSettings()
    retention: RetentionSettings = RetentionSettings()


def with_titles(step: str) -> str:
    """A next step whose settings have, beside their names, the titles that the Trigger form shows."""
    return _NAMES.sub(lambda found: f'{found[1]} ("{_FIELDS[found[1]].title}")', step)
