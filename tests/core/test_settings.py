"""include/core/settings.py: every knob once; what is refused is refused by name."""

import json
import os
from typing import Any
from unittest.mock import patch

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.core import artifacts
from include.core.answer_settings import AnswerSettings, ServingSettings
from include.core.environment import REPOSITORY
from include.core.errors import BadSettings
from include.core.forms import allowed, environment, form_fields, from_form, parse, pipeline_settings, reference
from include.core.index_settings import IndexSettings
from include.core.pipeline_settings import GROUPS, PRESETS, START, PipelineSettings, PresetSettings
from include.core.settings import ConvertSettings, Group, SourceSettings
from include.core.train_settings import TrainSettings
from tests.small import few

PIPELINE: list[type[Group]] = [PresetSettings, *GROUPS.values()]
EVERY: list[type[Group]] = [*PIPELINE, AnswerSettings, ServingSettings]
OPTIONAL = [(group, name) for group in EVERY for name, info in group.model_fields.items() if info.default is None]


def test_names_are_unique_over_all_groups() -> None:
    """A form is flat: a name used twice would set two stages at once."""
    names = [name for group in PIPELINE for name in group.model_fields]
    assert len(names) == len(set(names))


def test_every_setting_has_a_title_a_description_and_an_allowed_default() -> None:
    """The Trigger form shows nothing else to a user."""
    for group in EVERY:
        group()
        assert group.section
        for name, info in group.model_fields.items():
            assert info.title, name
            assert info.description and info.description.rstrip().endswith((".", ")")), name


def test_an_unknown_name_is_refused_and_the_known_ones_are_listed() -> None:
    """Airflow passes unknown conf keys through: a typo would train with the default, silently."""
    with pytest.raises(BadSettings, match=r"Unknown settings: epoch.*Known are: .*epochs"):
        pipeline_settings({"epoch": 3})


def test_an_unknown_name_is_told_with_the_known_ones_near_it() -> None:
    """Of forty names listed, the one that was meant is hard to find."""
    with pytest.raises(BadSettings, match=r"Unknown settings: epoch \(did you mean epochs\?\), qqq\.") as caught:
        pipeline_settings({"epoch": 3, "qqq": 1})
    assert "batch_size" in caught.value.next_step


def test_every_refused_value_is_named_in_one_message() -> None:
    """One error at a time makes a user trigger five times."""
    with pytest.raises(BadSettings, match=r"epochs = 0.*batch_size = 'x'"):
        pipeline_settings({"epochs": 0, "batch_size": "x"})


def test_flat_values_reach_their_stage() -> None:
    """A value in the wrong group is a value without effect."""
    settings = pipeline_settings({"epochs": 3, "shards": 5, "store": "server"})
    assert (settings.train.epochs, settings.embed.shards, settings.index.store) == (3, 5, "server")
    assert settings.convert == PipelineSettings().convert


def test_settings_are_frozen() -> None:
    """A stage that changes its settings would no longer match its fingerprint."""
    with pytest.raises(ValueError, match="frozen"):
        PipelineSettings().train.epochs = 5  # type: ignore[misc]


def test_groups_of_one_form_are_parsed_in_order() -> None:
    """The answer DAG's form mixes two groups."""
    answer, index = from_form({"top_k": 3, "collection": "shop"}, AnswerSettings, IndexSettings)
    assert (answer.top_k, index.collection) == (3, "shop")
    with pytest.raises(BadSettings, match="Unknown settings: shards"):
        from_form({"shards": 3}, AnswerSettings, IndexSettings)


def test_the_environment_sets_a_forms_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment sets its catalogue once, not at each trigger."""
    monkeypatch.setenv("VITRINE_EPOCHS", "9")
    monkeypatch.setenv("VITRINE_SHARDS", "5")
    monkeypatch.setenv("VITRINE_PRESET", "quick")
    monkeypatch.setenv("VITRINE_SOURCE", "")
    fields = form_fields(PIPELINE)
    assert fields["epochs"]["default"] == 9, "as explicit as a value that was typed"
    assert fields["batch_size"]["default"] is None
    assert fields["source"]["default"] == "sample"
    assert "empty: 5." in fields["shards"]["description_md"]
    sent = pipeline_settings({name: field["default"] for name, field in fields.items()})
    assert (sent.train.epochs, sent.train.batch_size, sent.embed.shards) == (9, 32, 5)
    emptied = pipeline_settings({**dict.fromkeys(set(fields) - set(START)), "preset": "quick"})
    assert (emptied.train.epochs, emptied.embed.shards) == (1, 5), "the preset's, and what the form began with"
    assert environment(TrainSettings) == {"epochs": "9"}
    monkeypatch.setenv("VITRINE_EPOCHS", "many")
    with pytest.raises(BadSettings, match="epochs = 'many'"):
        form_fields(GROUPS.values())


def test_the_form_has_choices_ranges_and_sections() -> None:
    """A free text field for a choice invites values that fail an hour later."""
    fields = form_fields(PIPELINE)
    assert fields["promote"]["enum"] == ["auto", "approval", "never"]
    assert fields["retrain"]["enum"] == ["auto", "always", "never", None]
    assert fields["retrain"]["values_display"] == {"null": "default (auto)"}
    assert (fields["epochs"]["minimum"], fields["epochs"]["maximum"]) == (1, 100)
    assert fields["source_sha256"]["type"] == ["null", "string"]
    assert fields["source_sha256"]["default"] is None
    assert list(dict.fromkeys(field["section"] for field in fields.values())) == [
        "Start here",
        "Advanced: catalogue",
        "Advanced: cleaning",
        "Advanced: questions",
        "Advanced: fine-tuning",
        "Advanced: reader",
        "Advanced: evaluation and the gate",
        "Advanced: embedding",
        "Advanced: index",
        "Advanced: retention",
    ]
    assert list(fields)[:3] == list(START)
    assert fields["collection"]["description_md"].count(r"**\<collection\>\_\<version\>**") == 1, "bold, and as it is"
    assert not [name for name, field in fields.items() if "`" in field["description_md"]]
    assert set(form_fields([IndexSettings], ["store"])) == {"store"}


def test_the_form_says_what_it_would_cut_in_silence_and_what_empty_means() -> None:
    """Airflow's form turns 500 epochs into 100 without a word."""
    fields = form_fields(PIPELINE)
    assert fields["epochs"]["description_md"].endswith(
        " Allowed: 1 to 100; empty: as the preset says (quick 1, balanced 2, thorough 6)."
    )
    assert fields["sample_products"]["description_md"].endswith(" Allowed: 50 to 5,000,000; empty: 3,000.")
    assert fields["learning_rate"]["description_md"].endswith(" Allowed: over 0, to 0.01; empty: 0.0001.")
    for name, field in form_fields(EVERY).items():
        assert "maximum" not in field or "Allowed: " in field["description_md"], name
        assert name in START or "null" in field["type"], "an advanced field can be emptied"
        assert name in START or field["type"] == ["null", "boolean"] or "mpty: " in field["description_md"], name


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_an_emptied_field_is_the_forms_default(empty: str | None) -> None:
    """Whether a person empties it in the form (null) or a client sends an empty text."""
    fields = form_fields(PIPELINE)
    for name, field in fields.items():
        if name in START:
            with pytest.raises((jsonschema.ValidationError, BadSettings)):
                jsonschema.validate(empty, _schema(field))
                pipeline_settings({name: empty})
        elif empty is None or "string" in field["type"]:
            if "enum" not in field:
                jsonschema.validate(empty, _schema(field))
            assert pipeline_settings({name: empty}) == PipelineSettings(), name


def _schema(field: dict[str, Any]) -> dict[str, Any]:
    """As `Param` makes it."""
    return {key: value for key, value in field.items() if key != "default"}


@pytest.mark.parametrize(("group", "name"), OPTIONAL)
def test_an_empty_text_means_that_an_optional_setting_is_not_set(
    group: type[Group], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A REST client that fills every field of a template, and an environment file with `VITRINE_X=`."""
    monkeypatch.setenv(f"VITRINE_{name.upper()}", "")
    assert form_fields([group])[name]["default"] is None
    for empty in ("", " ", None):
        assert getattr(group(**{name: empty}), name) is None
        assert getattr(from_form({name: empty}, group)[0], name) is None


def test_every_optional_text_is_among_those() -> None:
    """A text with default "" would be a required field of the form that is empty: nothing could be triggered."""
    assert {name for _, name in OPTIONAL} >= {"matryoshka", "source_sha256", "filter_file", "bm25_weight"}
    assert not [name for group in EVERY for name, info in group.model_fields.items() if info.default == ""]


def test_the_settings_of_models_and_catalogues_have_their_old_fingerprints() -> None:
    """Another writing of the same settings would train every model anew."""
    assert TrainSettings().model_dump()["matryoshka"] == ""
    assert TrainSettings(matryoshka="").model_dump_json() == TrainSettings().model_dump_json()
    kind = artifacts.Kind("t", 1)
    assert artifacts.fingerprint(kind, TrainSettings().model_dump(), {}) == "0bd1d8898efe5801"
    assert artifacts.fingerprint(kind, ConvertSettings().model_dump(), {}) == "b6086dae708ba02d"
    again = TrainSettings.model_validate_json(TrainSettings().model_dump_json())
    assert again == TrainSettings(), "as the training process gets them"


def test_a_preset_sets_what_it_says_and_a_field_wins_over_it() -> None:
    """`make demo` sends nothing but `quick`, and a person who changes one number keeps the rest."""
    fields = form_fields(PIPELINE)
    untouched = {name: field["default"] for name, field in fields.items()}
    assert pipeline_settings(untouched) == PipelineSettings() == pipeline_settings({"preset": "balanced"})
    for preset, values in PRESETS.items():
        settings = pipeline_settings({**untouched, "preset": preset})
        flat = {name: value for group in GROUPS for name, value in getattr(settings, group).model_dump().items()}
        assert {name: flat[name] for name in values} == values
        assert preset in fields["preset"]["description_md"]
    chosen = pipeline_settings({**untouched, "preset": "quick", "max_pairs": 0, "epochs": 3})
    assert (chosen.train.max_pairs, chosen.train.epochs, chosen.train.batch_size) == (0, 3, 32)
    with pytest.raises(BadSettings, match=r"preset = 'fast'.*quick"):
        pipeline_settings({"preset": "fast"})
    with pytest.raises(BadSettings, match=r"Unknown settings: Preset \(did you mean preset\?\)\."):
        pipeline_settings({"Preset": "quick"})


def test_presets_name_settings_and_hold_values_that_these_take() -> None:
    """A misspelt name would be refused in every run that chooses the preset."""
    assert set(PRESETS) == set(form_fields([PresetSettings])["preset"]["enum"])
    for values in PRESETS.values():
        from_form(values, *GROUPS.values())
    assert SourceSettings().source == "sample"


def test_the_reference_in_the_docs_is_that_of_the_code() -> None:
    """A documented default that is not the real one is worse than none. `make settings` mends it."""
    page = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    assert reference() in page
    assert allowed(form_fields([TrainSettings])["learning_rate"]) == "over 0, to 0.01"
    assert "| `symmetric` | `true` | `true`, `false` |" in reference()
    assert "### Preset" in reference() and "| `preset` |" in reference()


def test_a_refused_address_is_named_without_its_secrets() -> None:
    """A signed address of more than 2000 characters is refused, and must not stand in the log for that."""
    source = f"https://me:hunter2@h/c.zip?X-Amz-Signature=hunter2{'x' * 2000}"
    with pytest.raises(BadSettings, match="source = 'https://") as caught:
        parse(SourceSettings, {"source": source})
    assert "hunter2" not in str(caught.value)


MARK = "QqZzSecret"
TYPED = st.sampled_from(
    [
        "",
        " ",
        "live",
        "auto",
        "never",
        "quick",
        "llm",
        "1",
        "-1",
        "0.5",
        "1e3",
        "nan",
        "inf",
        "TRUE",
        "yes",
        "1_0",
        " 7 ",
        "07",
        "+1",
        "256, 128",
        "١",
        "0" * 16,
        "a" * 64,
        "\n",
        "x\n",
        "products",
        "products\n",
        f"https://me:{MARK}@h/c.zip",
        "9" * 400,
    ]
)
NAMES = [name for group in EVERY for name in group.model_fields]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-2, 600)
    | st.floats()
    | st.floats(0, 1)
    | st.text(max_size=6)
    | st.sampled_from(
        [
            *(
                "",
                " ",
                "live",
                "auto",
                "never",
                "quick",
                "thorough",
                "llm",
                "server",
                "1",
                "1.5",
                "nan",
                "1e400",
                "TRUE",
            ),
            *(
                "0" * 16,
                "a" * 64,
                "256, 128",
                "\u0661",
                "\ud800",
                "x\ny",
                "9" * 5000,
                f"https://me:{MARK}@h/c.zip",
                2**70,
            ),
            *(f"s3://b/c?token={MARK}", f"me:{MARK}@h", "x" * 3000),
        ]
    ),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
FORMS = st.dictionaries(st.sampled_from(NAMES) | st.sampled_from(NAMES) | st.text(max_size=6), VALUES, max_size=5)


@given(FORMS)
@example({"\x1f": None})
@example({"source": [f"https://me:{MARK}@h/c.zip"]})
def test_whatever_a_form_sends_is_settings_or_a_refusal(values: dict[str, Any]) -> None:
    """Danger: a value over REST that no form would send ends the run in frames of pydantic, or shows a password."""
    for build in (pipeline_settings, lambda form: from_form(form, AnswerSettings, IndexSettings)):
        try:
            made = build(values)
        except BadSettings as refused:
            assert refused.next_step.isprintable()
            assert refused.what.isprintable(), refused.what
            assert MARK not in str(refused)
            continue
        groups = [made] if isinstance(made, PipelineSettings) else made
        for group in groups:
            assert type(group).model_validate(json.loads(json.dumps(group.model_dump(), allow_nan=False))) == group


@few(4)
@given(
    st.dictionaries(
        st.sampled_from(NAMES), st.text(st.characters(codec="utf-8", exclude_characters="\0")) | TYPED, max_size=3
    )
)
def test_whatever_the_environment_presets_is_a_form_that_can_be_sent(chosen: dict[str, str]) -> None:
    """Danger: the settings take it and the form's own rule refuses it: no run can be triggered, with no reason."""
    with patch.dict(os.environ, {f"VITRINE_{name.upper()}": value for name, value in chosen.items()}):
        try:
            fields = form_fields(PIPELINE) | form_fields([AnswerSettings])
        except BadSettings as refused:
            assert refused.what.isprintable()
            assert MARK not in str(refused)
            return
        for name, field in fields.items():
            jsonschema.validate(field["default"], field, cls=jsonschema.Draft202012Validator)
            assert field["title"], name
        sent = {name: field["default"] for name, field in fields.items() if name not in AnswerSettings.model_fields}
        assert pipeline_settings(sent).model_dump()
