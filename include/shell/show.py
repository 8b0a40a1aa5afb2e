"""Results for people: answers with numbered sources, tables. All other people's text is printable and has no markup."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from include.answering.sentences import say
from include.answering.sureness import CLOSE, RELATED, SURE
from include.catalogue.attributes import shown
from include.core.progress import clock
from include.core.redaction import escaped
from include.exam.summary import NAMES

WIDE = 200  # characters of a line that goes into a pipe or a file
MATCHES = ((CLOSE, "close match"), (RELATED, "related products"))  # the words of the Ask page, plugins/words.js
STATES = {"success": "green", "failed": "red", "running": "cyan"}


def console(*, stderr: bool = False) -> Console:
    """Where to print: as wide as the terminal; what is printed is taken as it is, without markup."""
    made = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    return made if made.is_terminal else Console(stderr=stderr, markup=False, emoji=False, highlight=False, width=WIDE)


def text(value: object, style: str = "") -> Text:
    """A text on one line, printable; "–" for None."""
    return Text("–" if value is None else escaped(" ".join(str(value).split())), style)


def answers(result: Mapping[str, Any]) -> None:
    """Each question, its answer, its sources or the nearest products, how sure it is, and what had to be mended."""
    out = console()
    for number, each in enumerate(result["answers"]):
        if number:
            out.print()
        out.print(text(each["question"], "bold"))
        if each["error"]:
            out.print(text(f"Not asked: {each['error']['what']} {each['error']['next_step']}", "red"))
            continue
        if each["mended"]:
            out.print(text(say("showing_results_for", each["language"], searched=each["searched"]), "italic"))
        out.print(text(each["answer"]))
        listed = each["sources"] or each["products"]
        if listed and not each["found"]:
            out.print(Text("The nearest products:", "dim"))
        for place, product in enumerate(listed, 1):
            _product(out, place, product)
        out.print(text(confidence(each, result["threshold"]), "dim"))
        for warning in each["warnings"]:
            out.print(text(f"Warning: {warning}", "yellow"))
    _counted(out, result["facets"])


def confidence(entry: Mapping[str, Any], threshold: float) -> str:
    """Both confidences in words, and in figures."""
    sure, near = entry["confidence"]["answer"], entry["confidence"]["retrieval"]
    word = "Not found" if not entry["found"] else "Found for sure" if sure >= SURE else "Probably found"
    match = next((word for least, word in MATCHES if near >= least), "nothing close")
    return f"{word} ({sure:.2f}, needed {threshold:.2f}) · {match} ({near:.2f})"


def products(result: Mapping[str, Any]) -> None:
    """The products of a search by rank."""
    out = console()
    if result["mended"]:
        out.print(text(say("showing_results_for", result["language"], searched=result["searched"]), "italic"))
    rows = (
        (each["rank"], each["title"], each["uid"], f"{each['score']:.3f}", shown(each.get("attributes", {})))
        for each in result["products"]
    )
    _table(out, ("", "product", "uid", "score", "attributes"), rows)
    for warning in result["warnings"]:
        out.print(text(f"Warning: {warning}", "yellow"))
    _counted(out, result["facets"])


def versions(found: Sequence[Mapping[str, Any]]) -> None:
    """The kept versions, the live one marked."""
    rows = (
        (
            "live" if each["live"] else "",
            each["version"],
            _when(each["logical_date"]),
            f"{each['products']:,}",
            each["model"],
            f"{each['action']} {_when(each['published_at'])}",
            each["approved_by"] or each["run_id"],
        )
        for each in found
    )
    _table(console(), ("", "version", "date", "products", "model", "last", "by"), rows)


def status(found: Mapping[str, Any]) -> None:
    """Where one has looked, what is live, and how the rest is."""
    live = found["live"]
    rows: dict[str, object] = {"Airflow" if "airflow" in found else "Data": found.get("airflow") or found["data"]}
    if live is not None:
        rows["Live"] = f"version {live['version']}, {live['products']:,} products, {live['model']}"
        rows["Since"] = f"{_when(live['published_at'])}, by {live['approved_by'] or live['run_id']}"
    else:
        rows["Live"] = "nothing has been published"
    rows["Kept"] = f"{found['versions']} versions"
    if disk := found.get("disk"):
        rows["Disk"] = f"{disk['free'] / 1e9:,.1f} of {disk['size'] / 1e9:,.1f} GB are free"
    for name, state in found.get("health", {}).items():
        rows[name.replace("_", " ").capitalize()] = state
    for name, run in found.get("runs", {}).items():
        rows[name] = None if run is None else f"{run['state']}, {_when(run['start_date'])}"
    grid = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        grid.add_row(text(name, "bold"), text(value))
    console().print(grid)


def runs(found: Sequence[Mapping[str, Any]]) -> None:
    """The newest runs of a DAG."""
    rows = (
        (
            each["run_id"],
            text(each["state"], STATES.get(each["state"], "")),
            _when(each["start_date"]),
            _took(each["duration"]),
            each["triggering_user_name"],
            ", ".join(f"{name}={value}" for name, value in (each["conf"] or {}).items()),
        )
        for each in found
    )
    _table(console(), ("run", "state", "started", "took", "by", "settings"), rows)


def tasks(found: Mapping[str, Any]) -> None:
    """A run's tasks, and why it failed."""
    rows = (
        (
            each["task_id"] + (f" {each['map_index'] + 1}" if each["map_index"] >= 0 else ""),
            text(each["state"], STATES.get(each["state"] or "", "")),
            _when(each["start_date"]),
            _took(each["duration"]),
            each["try_number"],
        )
        for each in found["tasks"]
    )
    out = console()
    out.print(text(f"{found['run_id']}: {found['state']}", "bold"))
    _table(out, ("task", "state", "started", "took", "try"), rows)
    for line in (found["failure"] or "").split("\n"):
        out.print(text(line, "red"))


def exam(found: Mapping[str, Any]) -> None:
    """What the check of the live version found: the figures now, and when it was published."""
    out = console()
    out.print(text(f"{found['reason'][:1].upper()}{found['reason'][1:]}."))
    systems = list(found["figures"])
    if systems:
        names = found["figures"][systems[0]]
        rows = ((NAMES[name], *(_figure(found["figures"][each][name]) for each in systems)) for name in names)
        _table(out, ("", *systems), rows)


def _figure(told: Mapping[str, Any]) -> str:
    return f"{told['value']:.3f} ({told['low']:.3f} to {told['high']:.3f}, {told['questions']:,} questions)"


def _table(out: Console, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*(each if isinstance(each, Text) else text(each) for each in row))
    out.print(table if table.rows else Text("None.", "dim"))


def _product(out: Console, place: int, product: Mapping[str, Any]) -> None:
    title = text(product["title"] or "(no title)", "bold")
    out.print(Text.assemble(f"[{place}] ", title, " · ", text(f"uid {product['uid']} · {product['score']:.3f}", "dim")))
    if product["snippet"] != product["title"]:
        out.print(Text("    ") + text(product["snippet"]))
    if attributes := product.get("attributes"):
        out.print(Text("    ") + text(shown(attributes), "dim"))


def _counted(out: Console, facets: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    for name, values in facets.items():
        out.print(text(f"{name}: " + ", ".join(f"{each['value']} ({each['count']:,})" for each in values), "dim"))


def _when(moment: str | None) -> str | None:
    """A moment as people say it, in UTC."""
    return None if moment is None else f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _took(seconds: float | None) -> str | None:
    return None if seconds is None else clock(seconds)
