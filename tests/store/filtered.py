"""Products with attributes, and random filters each beside its plain evaluation in pandas."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from include.catalogue.attributes import Attribute
from include.index.points import as_payload
from include.store.protocol import PointBatch, Spec, Store, point_id
from tests.index.points import batches
from tests.small import Product

ATTRIBUTES = (
    Attribute(name="brand", type="keyword", field="Brand"),
    Attribute(name="größe", type="number", field="Größe"),
    Attribute(name="price", type="money", field="price"),
    Attribute(name="released", type="date", field="released"),
    Attribute(name="in_stock", type="boolean", field="In stock"),
    Attribute(name="色", type="keywords", field="色"),
    Attribute(name="note", type="text", field="note"),
)
BRANDS = ["Sony", "sony", "ソニー", 'O"Neill', "Bang & Olufsen", "", "Ação"]
COLOURS = ["red", "green", "blue", "açaí"]
WORDS = ["leather", "bag", "Steel", "café", "20", "cm"]
FIRST_DAY = datetime(2019, 1, 1, tzinfo=UTC)

Case = tuple[str, "pd.Series[bool]"]  # a filter, and for which products it holds


def some_values(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Attributes of `count` products, of which each lacks some."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        row = {
            "brand": str(random.choice(BRANDS)),
            "größe": float(random.integers(-5, 50)) / 2,
            "price": round(float(random.gamma(2, 50)), 2),
            "released": FIRST_DAY + timedelta(seconds=int(random.integers(0, 6 * 365 * 86400))),
            "in_stock": bool(random.random() < 0.7),
            "色": [str(each) for each in random.choice(COLOURS, random.integers(1, 3), replace=False)],
            "note": " ".join(random.choice(WORDS, 3)),
        }
        rows.append({name: None if random.random() < 0.15 else value for name, value in row.items()})
    return rows


def points(
    rows: Sequence[Product], vectors: np.ndarray, values: Sequence[Mapping[str, Any]], *, size: int = 256
) -> Iterator[PointBatch]:
    """The rows as points with attributes."""
    by_id = {point_id(row.uid): as_payload(each) for row, each in zip(rows, values, strict=True)}
    for batch in batches(rows, vectors, size=size):
        payloads = [{**one, "attributes": by_id[name]} for name, one in zip(batch.ids, batch.payloads, strict=True)]
        yield PointBatch(batch.uids, batch.ids, batch.vectors, payloads)


def load_described(
    store: Store,
    version: str,
    rows: Sequence[Product],
    vectors: np.ndarray,
    values: Sequence[Mapping[str, Any]],
    *,
    shards: int = 2,
) -> list[dict[str, Any]]:
    """Load products with `ATTRIBUTES` in so many shards; the summaries."""
    store.prepare(version, Spec(vectors.shape[1], 16, 128, ATTRIBUTES))
    summaries = []
    for number, part in enumerate(np.array_split(np.arange(len(rows)), shards)):
        each = points([rows[row] for row in part], vectors[part], [values[row] for row in part])
        inputs = {"embedding": f"{version}-{number}-{len(part)}", "attributes": "a"}
        summaries.append(store.upsert(version, number, each, inputs=inputs, attributes=ATTRIBUTES))
    store.seal(version, summaries)
    return summaries


def random_filters(frame: pd.DataFrame, count: int, seed: int = 0) -> list[Case]:
    """So many filters of one to four conditions, with what pandas makes of each over the frame of `some_values`."""
    random = np.random.default_rng(seed)
    return [_some(frame, random, 2) for _ in range(count)]


def _some(frame: pd.DataFrame, random: np.random.Generator, depth: int) -> Case:
    if depth == 0 or random.random() < 0.3:
        return _comparison(frame, random)
    (left, left_holds), (right, right_holds) = (_some(frame, random, depth - 1) for _ in range(2))
    kind = random.integers(3)
    if kind == 0:
        return f"({left}) and ({right})", left_holds & right_holds
    if kind == 1:
        return f"{left} or {right}", left_holds | right_holds
    return f"not ({left})", ~left_holds


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def _comparison(frame: pd.DataFrame, random: np.random.Generator) -> Case:
    """One comparison of each kind, with equal chances."""
    brand, other = (str(each) for each in random.choice(BRANDS, 2, replace=False))
    colour, word = str(random.choice(COLOURS)), str(random.choice(WORDS))
    size, price = float(random.integers(-5, 50)) / 2, float(random.integers(5, 300))
    day = FIRST_DAY + timedelta(days=int(random.integers(0, 6 * 365)))
    name = str(random.choice(frame.columns))
    colours: pd.Series[Any] = frame["色"].map(lambda held: held if isinstance(held, list) else [])
    words: pd.Series[Any] = frame["note"].map(lambda held: held.lower().split() if isinstance(held, str) else [])
    stock, date, brands = frame["in_stock"], frame["released"], frame["brand"]
    kinds: list[Callable[[], Case]] = [
        lambda: (f"brand = {_quoted(brand)}", brands == brand),
        lambda: (f"brand != {_quoted(brand)}", brands != brand),
        lambda: (f"brand in ({_quoted(brand)}, {_quoted(other)})", brands.isin([brand, other])),
        lambda: (f"größe = {size}", frame["größe"] == size),
        lambda: (f"größe not between {size} and {size + 5}", ~frame["größe"].between(size, size + 5)),
        lambda: (f"price <= {price}", frame["price"] <= price),
        lambda: (f"price > {price}", frame["price"] > price),
        lambda: (f"released >= {day:%Y-%m-%d}", date >= day),
        lambda: (f"released <= {day:%Y-%m-%d}", date < day + timedelta(days=1)),
        lambda: (f"released between {FIRST_DAY:%Y-%m-%d} and {day:%Y-%m-%dT%H:%M:%SZ}", date.between(FIRST_DAY, day)),
        lambda: ("in_stock", stock == True),  # noqa: E712
        lambda: ("in_stock = false", stock == False),  # noqa: E712
        lambda: (f"色 = {_quoted(colour)}", colours.map(lambda held: colour in held)),
        lambda: (f'色 in ("red", {_quoted(colour)})', colours.map(lambda held: "red" in held or colour in held)),
        lambda: (f"note contains {_quoted(word)}", words.map(lambda held: word.lower() in held)),
        lambda: (f"{name} is missing", frame[name].isna()),
        lambda: (f"{name} is not missing", frame[name].notna()),
    ]
    text, holds = kinds[random.integers(len(kinds))]()
    return text, holds.astype(bool)
