"""Where the vectors lie, and how they are searched: the settings of `upsert`, `verify`, `publish` and of questions."""

from typing import ClassVar, Literal

from pydantic import Field

from include.core.settings import Group, is_none

# fmt: off
Language = Literal[
    "auto", "none",
    "arabic", "armenian", "basque", "catalan", "danish", "dutch", "english", "estonian", "finnish", "french",
    "german", "greek", "hindi", "hungarian", "indonesian", "irish", "italian", "lithuanian", "nepali",
    "norwegian", "portuguese", "romanian", "russian", "serbian", "spanish", "swedish", "tamil", "turkish",
    "yiddish",
]  # Snowball's, see include/store/terms.py
# fmt: on


def _is_float32(value: object) -> bool:
    return value == "float32"


class IndexSettings(Group):
    """Where the vectors lie, and how they are searched."""

    section: ClassVar[str] = "index"

    store: Literal["embedded", "server"] = Field(
        "embedded",
        title="Vector store",
        description="`embedded`: Qdrant Edge in the data directory. `server`: the Qdrant server behind the Airflow "
        "connection `qdrant_default`.",
    )
    collection: str = Field(
        "products",
        title="Collection",
        description="Name of the live index: on a server the alias; versions are called `<collection>_<version>`.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$",
    )
    language: Language = Field(
        "auto",
        title="Language of the words",
        description="Words are found by their stems, and a question's empty words are not searched for, as they are in "
        "this language. `auto`: what the catalogue's texts say; `none`, words as they are, where none stands out. "
        "It knows Danish, Dutch, English, French, German, Italian, Norwegian, Portuguese, Russian, Spanish, Swedish "
        "and Turkish.",
    )
    hnsw_m: int = Field(16, title="HNSW m", description="Links of a node; more is better and larger.", ge=4, le=128)
    hnsw_ef_construct: int = Field(
        128, title="HNSW ef_construct", description="Candidates while building; more is better, slower.", ge=8, le=2000
    )
    # A plan, and what is built from it, knows these where they are set: see `include.index.plan`.
    vector_format: Literal["float32", "float16", "int8", "turbo8"] = Field(
        "float32",
        title="Vectors kept as",
        description="`float32`; `float16`: half the room; `turbo8`: TurboQuant codes of 8 bits alone, a quarter of the "
        "room; `int8`: codes of 8 bits are searched, and the best compared again by their float32 originals, which "
        "stay on the disk: a quarter of the memory, more of the disk.",
        exclude_if=_is_float32,
    )
    server_shards: int | None = Field(
        None,
        title="Shards on the server",
        description="Of a version's collection, spread over the cluster's nodes. Empty: one a node.",
        ge=1,
        le=1024,
        exclude_if=is_none,
    )
    replication_factor: int | None = Field(
        None,
        title="Replicas on the server",
        description="Nodes that hold each shard of a collection. Empty: one.",
        ge=1,
        le=32,
        exclude_if=is_none,
    )
    write_consistency: int | None = Field(
        None,
        title="Replicas that confirm",
        description="How many must have stored a point before it counts as written. Empty: one.",
        ge=1,
        le=32,
        exclude_if=is_none,
    )
    vector_memory: Literal["cold", "cached"] | None = Field(
        None,
        title="Vectors on the server",
        description="`cached`: read into memory as they are used, as far as there is room; `cold`: read from the disk "
        "each time (codes of `int8` stay in memory). Empty: as the server does it.",
        exclude_if=is_none,
    )
    min_recall: float = Field(
        0.95,
        title="Least recall@10",
        description="Of the index against exact search, 0-1, measured before publishing; lower fails the run.",
        ge=0,
        le=1,
    )
    keep_versions: int = Field(
        3,
        title="Versions kept",
        description="Published versions kept for rollback, the live one included.",
        ge=1,
        le=50,
    )
