"""What the index's stages count: the statistics of an `embedding` and of a `version`, which the report reads."""

from pydantic import BaseModel


class Embedded(BaseModel):
    """A shard's embedding: its rows; texts that its tries embedded, and their tokens; rows that took a known vector."""

    rows: int
    embedded: int
    copied: int
    tokens: int
    tokens_per_second: float
    dim: int


class Checked(BaseModel):
    """A verified version.

    Attributes:
        version: Its fingerprint.
        points: How many it holds.
        recall: 0-1, at `recall_at` against exact search.
        recall_at: Results of each query that count.
        queries: Titles of sampled products.
        samples: Products read back.
        found_by_words: Share of the queries with words for which BM25 finds the product itself, or one of the same
            title; None where no query has a word.
    """

    version: str
    points: int
    recall: float
    recall_at: int
    queries: int
    samples: int
    found_by_words: float | None = None
