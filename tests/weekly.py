"""A small shop whose catalogue changes a little each week, run through the stage functions."""

import json
import random
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from include import stages
from include.core import artifacts, kinds
from include.core.answer_settings import AnswerSettings
from include.core.forms import pipeline_settings
from include.model.encoder import Encoder
from include.model.tokens import tokenize
from include.run import Run
from tests.small import Product, products

COUNT = 50
FIRST = datetime(2026, 1, 4, tzinfo=UTC)
CONF: Mapping[str, Any] = {
    **{"max_steps": 1, "max_tokens": 16, "holdout": 10, "eval_corpus": 100, "row_group_rows": 100, "shards": 1},
    **{"tolerance": 1.0, "min_recall": 0.5, "precision": "float32"},
}


class Weekly:
    """Runs of `train_and_index`, one a week; each changes 2 % of the products.

    Args:
        place: Holds the data directory and the catalogue file.
        base: The base model's directory.
        saved: A model as `Encoder.save` writes it, which stands for a trained one.
        conf: Further settings.
    """

    def __init__(self, place: Path, base: Path, saved: Path, **conf: Any) -> None:
        self.place, self.root, self.file = place, place / "data", place / "catalogue.jsonl"
        self.base, self.saved = base, saved
        self.conf = {**CONF, "base_model": str(base), "source": str(self.file), **conf}
        self.rows = products(COUNT)
        self.random = random.Random(5)

    def change(self, week: int) -> None:
        """Give 2 % of the products another text."""
        for place in self.random.sample(range(COUNT), k=max(1, COUNT // 50)):
            row = self.rows[place]
            self.rows[place] = Product(row.uid, row.title, f"{row.content} Edition {week}.")
        lines = [{"uid": row.uid, "title": row.title, "content": row.content} for row in self.rows]
        self.place.mkdir(parents=True, exist_ok=True)
        self.file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

    def run(self, name: str, week: int, **conf: Any) -> Run:
        settings = pipeline_settings({**self.conf, **conf})
        date = FIRST + timedelta(weeks=week)
        return Run(settings=settings, root=self.root, run_id=name, logical_date=date)

    def steps(self, run: Run) -> Iterator[str]:
        """Does one stage after another; yields the name of each when it is done."""
        source = stages.download(run)
        yield "download"
        catalogue = stages.convert(run, source)
        yield "convert"
        with self.training():
            model = stages.fine_tune(run, catalogue)
        yield "fine_tune"
        evaluation = stages.evaluate(run, catalogue, model)
        yield "evaluate"
        parts = stages.plan_shards(run, catalogue, model)
        yield "plan_shards"
        embedded = [stages.embed(run, part) for part in parts]
        yield "embed"
        shards = [stages.upsert(run, part) for part in embedded]
        yield "upsert"
        version = stages.verify(run, shards)
        yield "verify"
        asked = {"asked": False, "reason": "promote is auto"}
        self.decision = stages.publish(run, version, evaluation, asked)
        yield "publish"
        self.pruned = stages.prune(run)
        results = {"download": source, "convert": catalogue, "publish": self.decision, "prune": self.pruned}
        stages.report(results, root=self.root, run_id=run.run_id, logical_date=run.logical_date.isoformat())

    def week(self, number: int, **conf: Any) -> None:
        """A whole run on a changed catalogue; it trains every fourth week."""
        self.change(number)
        retrain = "auto" if number % 4 == 0 else "never"
        for _ in self.steps(self.run(f"week {number}", number, retrain=retrain, **conf)):
            pass

    @contextmanager
    def training(self) -> Iterator[None]:
        """What a training leaves, without one: it takes seconds in a process of its own."""

        def train(catalogue: Path, settings: Any, *, root: Path, **_: Any) -> artifacts.Artifact:
            cut = tokenize(catalogue, Encoder.load(self.base, device="cpu").tokenizer, 16, root=root)
            mark = cut.inputs["catalogue"]
            mined = artifacts.build(root, kinds.NEGATIVES, lambda _: {}, settings={}, inputs={"catalogue": mark})

            def write(space: artifacts.Workspace) -> dict[str, Any]:
                shutil.copytree(self.saved, space.path, dirs_exist_ok=True)
                return {"steps": 1}

            inputs = {"catalogue": mark, "base": "0" * 16, "negatives": mined.fingerprint}
            return artifacts.build(root, kinds.MODEL, write, settings={}, inputs=inputs)

        with mock.patch("include.training.train.train_in_subprocess", train):
            yield

    def answers(self) -> bool:
        """Whether the live index opens and finds a product by its title, verified to the last byte."""
        live = json.loads((self.root / "index" / "products" / "live.json").read_text())["version"]
        version = json.loads((self.root / "version" / live / "version.json").read_text())
        places = [version["model"], version["catalogue"], version["plan"]]
        for place in (*places, *(shard[name] for shard in version["shards"] for name in ("path", "embedding"))):
            artifacts.read(self.root / place)
        settings = AnswerSettings(threshold=0.0, mode="bm25", top_k=1)
        row = self.rows[17]
        found = stages.answer_question(row.title, settings, self.run("look", 0).settings.index, root=self.root)
        return bool(found["answers"][0]["sources"][0]["uid"] == row.uid)

    def counts(self) -> dict[str, int]:
        """How many artifacts there are of each kind."""
        names = [path.name for path in self.root.iterdir() if (path / "by_run").exists() or any(path.glob(".*.lock"))]
        return {name: len(artifacts.published(self.root, artifacts.Kind(name, 0))) for name in sorted(names)}
