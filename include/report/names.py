"""Plain names for what evaluation measures, for who does not know the field's; the field's own stands beside, small."""

from include.evaluation.summary import label
from include.report.html import Cell

PROTOCOLS = {
    "title_to_content": "Finding a product's description by its title",
    "query_to_label": "Finding the related products of a product",
}
SYSTEMS = {
    "bm25": "words alone",
    "base": "untrained model",
    "tuned": "new model",
    "hybrid": "model and words",
    "live": "live model",
}
METRICS = {
    "p": ("the first result is right", "right among the first {}"),
    "psp": ("the first is right, rare ones count more", "right among the first {}, rare ones count more"),
    "r": ("found first", "found among the first {}"),
    "mrr": ("how early the first right one comes", "how early the first right one comes"),
    "ndcg": ("order of the results", "order of the first {}"),
}


def protocol(name: str) -> str:
    """What a protocol asks, in words; its name where it is not known."""
    return PROTOCOLS.get(name, name)


def system(name: str) -> str:
    """What has searched, in words."""
    return SYSTEMS.get(name, name)


def metric(name: str) -> str:
    """What a metric counts, in words: `r@10` is "found among the first 10"."""
    kind, _, count = name.partition("@")
    if kind not in METRICS:
        return label(name)
    first, more = METRICS[kind]
    return first if count == "1" else more.format(count)


def metric_cell(name: str) -> Cell:
    """Both of a metric's names, to begin a row."""
    return Cell(metric(name), small=label(name))


def system_cell(name: str) -> Cell:
    """Both of a system's names, for a table's head."""
    return Cell(system(name), small=name)


def pair_cell(pair: str) -> Cell:
    """Both of the names of a difference such as `tuned-base`, for a table's head."""
    first, _, second = pair.partition("-")
    return Cell(f"{system(first)} against {system(second)}", small=f"{first} − {second}")
