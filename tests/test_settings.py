"""include/settings.py: every knob once; what is refused is refused by name."""

import pytest

from include.errors import BadSettings
from include.forms import allowed, environment, form_fields, from_form, parse, pipeline_settings, reference
from include.settings import (
    GROUPS,
    REPOSITORY,
    AnswerSettings,
    IndexSettings,
    PipelineSettings,
    SourceSettings,
    TrainSettings,
)


def test_names_are_unique_over_all_groups() -> None:
    """A form is flat: a name used twice would set two stages at once."""
    names = [name for group in GROUPS.values() for name in group.model_fields]
    assert len(names) == len(set(names))


def test_every_setting_has_a_title_a_description_and_an_allowed_default() -> None:
    """The Trigger form shows nothing else to a user."""
    for group in (*GROUPS.values(), AnswerSettings):
        group()
        for name, info in group.model_fields.items():
            assert info.title, name
            assert info.description and info.description.rstrip().endswith((".", ")")), name


def test_an_unknown_name_is_refused_and_the_known_ones_are_listed() -> None:
    """Airflow passes unknown conf keys through: a typo would train with the default, silently."""
    with pytest.raises(BadSettings, match=r"Unknown settings: epoch\. Known are: .*epochs"):
        pipeline_settings({"epoch": 3})


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
    monkeypatch.setenv("VITRINE_SOURCE", "")
    fields = form_fields(GROUPS.values())
    assert fields["epochs"]["default"] == 9
    assert fields["source"]["default"] == "sample"
    assert environment(TrainSettings) == {"epochs": "9"}
    monkeypatch.setenv("VITRINE_EPOCHS", "many")
    with pytest.raises(BadSettings, match="epochs = 'many'"):
        form_fields(GROUPS.values())


def test_the_form_has_choices_ranges_and_sections() -> None:
    """A free text field for a choice invites values that fail an hour later."""
    fields = form_fields(GROUPS.values())
    assert fields["promote"]["enum"] == ["auto", "approval", "never"]
    assert (fields["epochs"]["minimum"], fields["epochs"]["maximum"]) == (1, 100)
    assert fields["source_sha256"]["type"] == ["null", "string"]
    assert fields["source_sha256"]["default"] is None
    assert {field["section"] for field in fields.values()} == {
        "Catalogue source",
        "Cleaning",
        "Fine-tuning",
        "Evaluation and the gate",
        "Embedding",
        "Index",
    }
    assert set(form_fields([IndexSettings], ["store"])) == {"store"}


def test_the_reference_in_the_docs_is_that_of_the_code() -> None:
    """A documented default that is not the real one is worse than none. `make settings` mends it."""
    page = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    assert reference() in page
    assert allowed(form_fields([TrainSettings])["learning_rate"]) == "over 0, to 0.01"


def test_a_refused_address_is_named_without_its_secrets() -> None:
    """A signed address of more than 2000 characters is refused, and must not stand in the log for that."""
    source = f"https://me:hunter2@h/c.zip?X-Amz-Signature=hunter2{'x' * 2000}"
    with pytest.raises(BadSettings, match="source = 'https://") as caught:
        parse(SourceSettings, {"source": source})
    assert "hunter2" not in str(caught.value)
