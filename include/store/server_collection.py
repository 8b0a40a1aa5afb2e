"""What a version's collection on a Qdrant server is made as. Of settings that are not set nothing is sent."""

from typing import Any

from qdrant_client import models

from include.catalogue.attributes import AttributeType
from include.core.index_settings import IndexSettings
from include.store.filters import path_of
from include.store.protocol import TEXT_FIELD, Spec

INDEXES: dict[AttributeType, models.PayloadSchemaType] = {
    "keyword": models.PayloadSchemaType.KEYWORD,
    "keywords": models.PayloadSchemaType.KEYWORD,
    "number": models.PayloadSchemaType.FLOAT,
    "money": models.PayloadSchemaType.FLOAT,
    "date": models.PayloadSchemaType.DATETIME,
    "boolean": models.PayloadSchemaType.BOOL,
    "text": models.PayloadSchemaType.TEXT,
}


def collection_params(index: IndexSettings, spec: Spec) -> dict[str, Any]:
    """The arguments of `create_collection`; HNSW is deferred."""
    return {
        "vectors_config": _vectors(index, spec.dim),
        "shard_number": index.server_shards,
        "replication_factor": index.replication_factor,
        "write_consistency_factor": index.write_consistency,
        "hnsw_config": models.HnswConfigDiff(m=spec.hnsw_m, ef_construct=spec.hnsw_ef_construct),
        "optimizers_config": models.OptimizersConfigDiff(indexing_threshold=0),
    }


def _vectors(index: IndexSettings, dim: int) -> models.VectorParams:
    """How the vectors are kept: in which form, and where."""
    kept, memory, quantised = index.vector_format, index.vector_memory, None
    if kept == "int8":
        memory = memory or "cold"
        codes = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, memory=models.Memory.PINNED)
        quantised = models.ScalarQuantization(scalar=codes)
    return models.VectorParams(
        size=dim,
        distance=models.Distance.COSINE,
        datatype=models.Datatype(kept) if kept in ("float16", "turbo8") else None,
        quantization_config=quantised,
        memory=models.Memory(memory) if memory else None,
    )


def payload_indexes(spec: Spec) -> dict[str, Any]:
    """The payload's indexes by field."""
    return {
        "uid": models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD),
        # The default tokenization, as in edge_filter.py.
        TEXT_FIELD: models.TextIndexParams(type=models.TextIndexType.TEXT, scoring=True),
        **{path_of(each.name): INDEXES[each.type] for each in spec.attributes},
    }
