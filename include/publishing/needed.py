"""What published versions and runs need: the artifacts that pruning must not touch.

From what a run has used and what a version names, the way goes back over the inputs: a version to its plan, shards,
vectors, model and catalogue; a model to its base and hard negatives; a catalogue to its source. Word pieces stay with
the model that was trained on them, exams and their questions with their version, and of the evaluations of a version's
model the newest. Not followed is what was only there at the time, such as the live model that an evaluation compared
with: over it, each week would need the one before.
"""

import logging
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from include.core import artifacts, kinds
from include.core.artifacts import Artifact
from include.core.errors import DamagedArtifact
from include.core.index_settings import IndexSettings
from include.store.journal import Journal
from include.store.stores import open_store
from include.store.version import IndexVersion

log = logging.getLogger(__name__)

# From what is made to what it is made of: in this order they are removed, so that nothing ever names what is gone.
KINDS = (
    kinds.EXAM,
    *(kinds.VERSION, kinds.EDGE, kinds.PLAN, kinds.EMBEDDING, kinds.EVALUATION, kinds.READER, kinds.MODEL),
    *(kinds.NEGATIVES, kinds.TOKENS, kinds.BASE, kinds.QUESTIONS, kinds.CATALOGUE, kinds.SOURCE, kinds.REPORT),
)
FINGERPRINT = re.compile("[0-9a-f]{16}")
COLLECTION = re.compile("[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
INPUTS = {  # roles in the manifest whose fingerprints are artifacts that are needed, with their kinds
    "version": {"plan": "plan"},
    "plan": {"catalogue": "catalogue", "model": "model"},
    "edge": {"embedding": "embedding"},
    "model": {"base": "base", "negatives": "negatives"},
    "exam": {"questions": "questions"},
}

Shelf = Mapping[str, Artifact | None]  # by `<kind>/<fingerprint>`; None where the manifest cannot be read


def shelf(root: Path) -> dict[str, Artifact | None]:
    """Every artifact that there is, by `<kind>/<fingerprint>`, the newest of each kind first."""
    found: dict[str, Artifact | None] = {}
    for kind in KINDS:
        paths = [path for path in (root / kind.name).glob("[!.]*") if FINGERPRINT.fullmatch(path.name)]
        for path in sorted(paths, key=_age, reverse=True):
            try:
                found[f"{kind.name}/{path.name}"] = artifacts.described(path)
            except DamagedArtifact:
                if path.exists():
                    found[f"{kind.name}/{path.name}"] = None
    return found


def collections(root: Path) -> list[str]:
    """Those that have a journal or an alias here, but for what no collection is called."""
    return sorted(
        path.name for path in (root / "index").glob("[!.]*") if path.is_dir() and COLLECTION.fullmatch(path.name)
    )


def published_versions(root: Path) -> list[str]:
    """The versions that are live, were live, or are being published, in all collections; a server's by the journal.

    Raises:
        DamagedArtifact: A journal or an alias cannot be read.
    """
    found: list[str | None] = []
    for collection in collections(root):
        journal = Journal.load(root, collection)
        found += [*journal.by_publication(), journal.intent.version if journal.intent else None]
        found.append(open_store(IndexSettings(collection=collection), root=root).live())
    return [version for version in found if version is not None]


def needed(root: Path, held: Shelf, used: Iterable[str], versions: Iterable[str]) -> set[str]:
    """What is needed by what was used and by published versions; names as in `held`, some may be gone."""
    names = set(versions)
    kept = {f"version/{name}" for name in names} & held.keys()
    found: set[str] = set()
    there = {name for name in names if f"version/{name}" in held}
    waiting = [*used, *kept, *_readers(root, there)]
    waiting += [name for version in names for name, _ in plans_of(version, held)]
    waiting += [name for name, made in held.items() if name.startswith("exam/") and made and _of(made) in there]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _made_of(name, root, held)
    models = [made for name, made in held.items() if name.startswith("model/") and name in found and made]
    trained_on = {_about(made) for made in models}
    bases = {f"model/{made.inputs.get('base')}" for made in models}  # a model of ours; not followed further
    cut = {name for name, made in held.items() if name.startswith("tokens/") and made and _about(made) in trained_on}
    return found | cut | bases & held.keys() | set(_evaluations(held, kept))


def _readers(root: Path, versions: Collection[str]) -> Iterator[str]:
    """The readers that were published with versions."""
    for collection in collections(root):
        journal = Journal.load(root, collection)
        for entry in (*journal.history, *([journal.intent] if journal.intent else [])):
            if entry.version in versions and entry.reader is not None:
                yield f"{kinds.READER.name}/{entry.reader}"


def _of(exam: Artifact) -> str | None:
    """The version that an exam is of: what is live is asked again what it was published with."""
    return exam.inputs.get("version")


def _about(made: Artifact) -> str | None:
    """What identifies the catalogue that something was made of: see `include.catalogue.identity`."""
    return made.inputs.get("catalogue")


def _made_of(name: str, root: Path, held: Shelf) -> Iterator[str]:
    """What an artifact needs."""
    kind, _, mark = name.partition("/")
    made = held.get(name)
    if made is not None:
        yield from (f"{of}/{made.inputs[role]}" for role, of in INPUTS.get(kind, {}).items() if role in made.inputs)
        if kind in ("catalogue", "questions"):  # which knows its source by content: several files may have had it
            sources = ((each, one) for each, one in held.items() if each.startswith("source/") and one)
            same = (each for each, one in sources if one.stats.get("sha256") == made.inputs.get("source"))
            yield from list(same)[:1]
    if kind == "version" and name in held:
        yield from _of_version(mark, root, held)


def _of_version(mark: str, root: Path, held: Shelf) -> Iterator[str]:
    yield from (name for name, _ in plans_of(mark, held))
    try:
        version = IndexVersion.described(IndexVersion.path(root, mark))
    except DamagedArtifact as damage:
        if not IndexVersion.path(root, mark).exists():
            return
        log.warning("%s Every shard and all vectors are kept, since it could be any of them.", damage.what)
        yield from (name for name in held if name.startswith(("edge/", "embedding/")))
        return
    yield from (version.model, version.catalogue, version.plan)
    for shard in version.shards:
        yield from (str(shard[place]) for place in ("path", "embedding") if place in shard)


def _evaluations(held: Shelf, versions: Iterable[str]) -> Iterator[str]:
    """The newest evaluation of each version's model."""
    models = {plan.inputs.get("model") for name in versions for _, plan in plans_of(name.partition("/")[2], held)}
    for name, made in held.items():
        if name.startswith("evaluation/") and made and (model := made.inputs.get("model")) in models:
            models.remove(model)
            yield name


def plans_of(version: str, held: Shelf) -> Iterator[tuple[str, Artifact]]:
    """The plan that leads to a version, if it is there."""
    for name, made in held.items():
        if name.startswith("plan/") and made and made.stats.get("version") == version:
            yield name, made


def _age(path: Path) -> float:
    try:
        return (path / artifacts.MANIFEST).stat().st_mtime
    except FileNotFoundError:
        return 0.0
