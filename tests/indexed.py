"""From a published catalogue and model to a verified index version, stage by stage, for tests."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.catalogue.attributes import Attribute
from include.core import artifacts, kinds
from include.core.index_settings import IndexSettings
from include.core.settings import EmbedSettings, EvaluateSettings
from include.index.embed import embed
from include.index.plan import plan_shards
from include.index.upsert import upsert
from include.index.verify import verify
from include.publishing.publish import Release, history, publish, roll_back
from include.store.connection import ServerConnection
from include.store.protocol import Store
from include.store.stores import open_store
from tests.small import Product, copy_data, products, publish_model, write_catalogue

ATTRIBUTES = [
    Attribute(name="brand", type="keyword", field="Brand"),
    Attribute(name="price", type="money", field="price"),
    Attribute(name="tags", type="keywords", field="tags"),
    Attribute(name="released", type="date", field="released"),
    Attribute(name="in_stock", type="boolean", field="in stock"),
]
ROWS = products(40)
ESC, BIDI = "\x1b[31m", "\u202e"
HOSTILE = Product(
    "h1", f"Pump <script>alert(1)</script> {ESC}red{BIDI}kcart [red]", f"It pumps {{{{ 7*7 }}}} {ESC}{BIDI}litres."
)
VALUES: list[dict[str, Any]] = [
    {
        "brand": ["Sony", "LG"][number % 2],
        "price": number + 0.5,
        "tags": ["new", "red"][: number % 3] or None,
        "released": datetime(2024, 1, 1 + number % 28, tzinfo=UTC),
        "in_stock": None if number == 7 else number % 3 == 0,
    }
    for number in range(len(ROWS))
]


def load(
    root: Path, catalogue: Path, model: Path, index: IndexSettings, *, shards: int = 2, store: Store | None = None
) -> tuple[Path, list[dict[str, Any]]]:
    """Plan, embed and upsert; returns the plan and the shards' summaries."""
    plan = plan_shards(catalogue, model, EmbedSettings(shards=shards), index, root=root)
    store = store or open_store(index, root=root)
    summaries = []
    for number in range(plan.stats["shards"]):
        embedding = embed(plan.path, number, root=root)
        summaries.append(upsert(plan.path, number, embedding.path, index, store, root=root))
    return plan.path, summaries


def build_version(
    root: Path,
    catalogue: Path,
    model: Path,
    index: IndexSettings | None = None,
    store: Store | None = None,
    *,
    shards: int = 2,
) -> artifacts.Artifact:
    """A verified version; in the embedded store where no other is given."""
    chosen = index or IndexSettings()
    plan, summaries = load(root, catalogue, model, chosen, shards=shards, store=store)
    return verify(plan, summaries, chosen, store or open_store(chosen, root=root), root=root)


def evaluation(root: Path, model: Path, *, passed: bool = True, reason: str = "better") -> Path:
    """An evaluation artifact with a gate."""
    stats: Mapping[str, Any] = {"gate": {"passed": passed, "reason": reason}}
    inputs = {"model": artifacts.read(model, verify=False).fingerprint}
    return artifacts.build(root, kinds.EVALUATION, lambda _: stats, settings=dict(stats), inputs=inputs).path


def day(number: int) -> datetime:
    """The given day of January 2026, at midnight UTC."""
    return datetime(2026, 1, number, tzinfo=UTC)


def answers(store: Store, root: Path, title: str) -> str:
    """The uid that a word search in the live version finds first: shows that the live index works."""
    from include.store.version import IndexVersion

    live = store.live()
    assert live is not None
    searcher = store.open(live, IndexVersion.read(root / "version" / live).shards)
    try:
        return searcher.bm25(title, 1)[0].uid
    finally:
        searcher.close()


INDEX = IndexSettings()


def publish_described(root: Path, saved_model: Path, values: Sequence[Mapping[str, Any]] = VALUES) -> str:
    """Publish an index of `ROWS` with `ATTRIBUTES`; its version."""
    return _publish(root, write_catalogue(root, ROWS, attributes=ATTRIBUTES, values=values), saved_model)


def publish_hostile(root: Path, saved_model: Path) -> str:
    """Publish an index with a product that would do harm, in its texts and in an attribute; its version."""
    rows, brands = [HOSTILE, *products(20)], [{"brand": f"<b>{ESC}{BIDI}Acme"}, *[{"brand": "LG"}] * 20]
    return _publish(root, write_catalogue(root, rows, attributes=ATTRIBUTES[:1], values=brands), saved_model)


def _publish(root: Path, catalogue: Path, saved_model: Path) -> str:
    version = build_version(root, catalogue, publish_model(root, saved_model))
    release = Release(version.path, None, day(1), "test")
    publish(release, INDEX, EvaluateSettings(), open_store(INDEX, root=root), root=root)
    return version.fingerprint


@dataclass
class Shop:
    """A data directory with four verified versions, oldest first; none is live."""

    root: Path
    versions: list[str]
    model: Path
    index: IndexSettings = INDEX
    server: ServerConnection | None = None

    @property
    def store(self) -> Store:
        return open_store(self.index, root=self.root, server=self.server)

    def publish(self, number: int, date: datetime | None = None, **options: Any) -> dict[str, Any]:
        """Publish version `number` (1-4) for the day of that number."""
        version, gate = self.root / "version" / self.versions[number - 1], options.pop("evaluation", None)
        return publish(
            Release(version, gate, date or day(number), f"run {number}", reader=options.pop("reader", None)),
            self.index.model_copy(update={"keep_versions": options.pop("keep_versions", 10)}),
            EvaluateSettings(promote=options.pop("promote", "auto"), max_gone=options.pop("max_gone", 0.3)),
            options.pop("store", self.store),
            root=self.root,
            approval=options.pop("approval", None),
        )

    def roll_back(self, to: str = "previous") -> dict[str, Any]:
        return roll_back(to, self.index, self.store, root=self.root, run_id="by hand")

    def ten_moves(self) -> Iterator[str | None]:
        """Move the alias ten times, every fourth time back; the live version after each."""
        for number in range(10):
            if number % 4 == 3:
                self.roll_back()
            else:
                self.publish(1 + (number + 1) % 4, day(10 + number))
            yield self.store.live()

    @property
    def editions(self) -> dict[str, str]:
        """By version, the title that only it has."""
        return {version: f"golden edition {number}" for number, version in enumerate(self.versions, 1)}

    @property
    def live(self) -> int | None:
        """The number of the live version, read from the stored alias."""
        path = self.root / "index" / "products" / "live.json"
        return 1 + self.versions.index(json.loads(path.read_text())["version"]) if path.exists() else None

    @property
    def journal(self) -> list[tuple[int, str, str]]:
        entries = history(self.root, "products")
        return [(1 + self.versions.index(e["version"]), e["action"], e["logical_date"][8:10]) for e in entries]

    def marks(self, kind: artifacts.Kind) -> set[str]:
        """The fingerprints of what is published."""
        return {path.name for path in artifacts.published(self.root, kind)}

    def copy(self, root: Path) -> "Shop":
        """The same in another data directory."""
        copy_data(self.root, root)
        return Shop(root, self.versions, root / self.model.relative_to(self.root))


def open_shop(
    root: Path, saved_model: Path, index: IndexSettings = INDEX, server: ServerConnection | None = None
) -> Shop:
    """Build the four versions: their first shard is the same, their second differs in one product."""
    model = publish_model(root, saved_model)
    versions = []
    for number in range(1, 5):
        rows = products(40)
        rows[30] = rows[30]._replace(title=f"golden edition {number}")
        store = open_store(index, root=root, server=server)
        versions.append(build_version(root, write_catalogue(root, rows), model, index, store).fingerprint)
    return Shop(root, versions, model, index, server)
