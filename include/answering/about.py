"""What an open version is, for people: products, model, attributes, when and by whom it was published."""

from typing import Any

from include.answering.asker import Asker
from include.store.filters import COUNTED

PUBLISHED = ("published_at", "action", "previous", "logical_date", "run_id", "approved_by")


def about(asker: Asker) -> dict[str, Any]:
    """A version as JSON; `published` is None where it never was."""
    version, entry = asker.version, asker.published
    return {
        "version": version.name,
        "collection": version.collection,
        "store": version.store,
        "products": version.points,
        "model": version.model,
        "catalogue": version.catalogue,
        "dimensions": version.dim,
        "language": version.language,
        "attributes": [
            {"name": each.name, "type": each.type, "counted": each.type in COUNTED} for each in version.attributes
        ],
        "published": None if entry is None else {name: getattr(entry, name) for name in PUBLISHED},
    }
