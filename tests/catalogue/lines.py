"""Lines of a catalogue, bad and good ones, and the way from lines to a converted catalogue."""

import gzip
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from include.catalogue.convert import convert
from include.catalogue.schema import open_parquet
from include.core import artifacts
from include.core.artifacts import Artifact
from include.core.settings import ConvertSettings
from include.formats.line_parser import LONG_LINE

ANY = ConvertSettings(max_reject_share=1)


def publish(root: Path, data: bytes | Path, name: str = "trn.json.gz") -> Path:
    """A source artifact with one file, as `download` makes it."""

    def write(space: artifacts.Workspace) -> dict[str, Any]:
        file = space.path / name
        if isinstance(data, Path):
            shutil.copy(data, file)
        else:
            file.write_bytes(data)
        sha256 = artifacts.file_sha256(file)
        return {"file": name, "origin": name, "bytes": file.stat().st_size, "sha256": sha256, "format": "any"}

    key = artifacts.file_sha256(data) if isinstance(data, Path) else data.hex()
    return artifacts.build(root, artifacts.Kind("source", 1), write, settings={"key": key}).path


def row(uid: Any = "0000000001", title: Any = "Red kettle", content: Any = "It boils.", **more: Any) -> bytes:
    fields = {"uid": uid, "title": title, "content": content, "target_ind": [3], "target_rel": [1.0], **more}
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


def converted(root: Path, lines: Iterable[bytes], settings: ConvertSettings = ANY) -> Artifact:
    made = convert(publish(root, gzip.compress(b"\n".join(lines))), settings, root=root)
    for role, counts in made.stats.items():
        if role in ("trn", "tst", "lbl"):
            assert counts["read"] == counts["accepted"] + counts["rejected"] + counts["merged"]
            assert sum(counts["reasons"].values()) == counts["rejected"]
    return made


def made(root: Path, records: Sequence[Mapping[str, Any]], **settings: Any) -> Artifact:
    """These records as a catalogue, converted."""
    lines = b"\n".join(json.dumps(record).encode() for record in records)
    return convert(publish(root, lines, "products.jsonl"), ConvertSettings(**settings), root=root)


def stored(made: Artifact, name: str = "products.parquet") -> list[dict[str, Any]]:
    artifacts.read(made.path)
    with open_parquet(made.path / name) as file:
        rows: list[dict[str, Any]] = file.read().to_pylist()
    return rows


BAD_LINES = {
    b"not json": "not JSON",
    b"<html>": "not JSON",
    row()[:-1]: "JSON breaks off",
    row()[:25]: "JSON breaks off",
    b"[1, 2]": "not a JSON object",
    b'"text"': "not a JSON object",
    b"null": "not a JSON object",
    row() + row(): "more than one JSON value on a line",
    row(uid=1.5): "uid is not a string",
    row(uid=2**64): "uid is not a string",
    row(uid=["a"]): "uid is not a string",
    row(uid=True): "uid is not a string",
    row(uid=...): "no uid",
    row(uid=None): "no uid",
    row(uid=""): "uid is empty",
    row(uid="  "): "uid is empty",
    row(uid=float("nan")): "no uid",
    row(uid="a\x00b"): "uid has unprintable characters",
    row(uid="\ud800"): "uid has unprintable characters",
    row(uid="u" * 201): "uid over 200 characters",
    row(title=...): "no title",
    row(title=None): "no title",
    row(title=""): "no title",
    row(title=" &nbsp;<br>\u200b\x00"): "no title",
    row(title=float("nan")): "no title",
    row(title="N/A"): "title is a placeholder",
    row(title=" None "): "title is a placeholder",
    row(title="null"): "title is a placeholder",
    row(title="---"): "title is a placeholder",
    row(title=5): "title is not a string",
    row(title=["a"]): "title is not a string",
    row(content=5): "content is not a string",
    row(content={"a": "b"}): "content is not a string",
    row(target_ind="1"): "target_ind is not a list",
    row(target_ind={}): "target_ind is not a list",
    row(target_ind=""): "target_ind is not a list",
    row(target_ind={}, target_rel=[]): "target_ind is not a list",
    row(target_ind=...): "target_ind and target_rel differ in length",
    row(target_rel=[]): "target_ind and target_rel differ in length",
    row(title="  ", target_ind=[]): "target_ind and target_rel differ in length",
    row(target_rel={}): "target_rel is not a list",
    row(target_ind=[1, 2]): "target_ind and target_rel differ in length",
    row(target_ind=[-1]): "target_ind has something other than row numbers",
    row(target_ind=[2**31]): "target_ind has something other than row numbers",
    row(target_ind=[2**70]): "target_ind has something other than row numbers",
    row(target_ind=[1.5]): "target_ind has something other than row numbers",
    row(target_ind=[True]): "target_ind has something other than row numbers",
    row(target_ind=["1"]): "target_ind has something other than row numbers",
    row(target_ind=["\ud83d"]): "target_ind has something other than row numbers",
    row(target_rel="\ud83d"): "target_rel is not a list",
    row(target_ind=[None]): "target_ind has something other than row numbers",
    row(target_ind=[[1]]): "target_ind has something other than row numbers",
    row(target_rel=["1"]): "target_rel has something other than finite numbers",
    row(target_rel=[None]): "target_rel has something other than finite numbers",
    row(target_rel=[True]): "target_rel has something other than finite numbers",
    row(target_rel=[1e300]): "target_rel has something other than finite numbers",
    row(target_rel=[float("nan")]): "target_rel has something other than finite numbers",
    row()[:-1] + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}": "nested too deeply",
    row()[:-1] + b',"x":' + b"[" * 100_000: "nested too deeply",
    b'{"a":' * 100_000: "nested too deeply",
    row().replace(b"Red", b"R\xe9d"): "not UTF-8",
    row().replace(b"Red", b"\xed\xa0\x80"): "not UTF-8",
    row().decode().encode("utf-16-le"): "not JSON",
    row().replace(b"Red", b"R\x00d"): "raw control character in a string",
    row().replace(b"Red", b"R\td"): "raw control character in a string",
    row(content="x" * 10_000_001): LONG_LINE,
    row() + b" " * 10_000_000: LONG_LINE,
}

GOOD_LINES: dict[bytes, dict[str, Any]] = {
    row(content=...): {"content": ""},
    row(content=None): {"content": ""},
    row(content=""): {"content": ""},
    row(target_ind=..., target_rel=...): {"target_ind": [], "target_rel": []},
    row(target_ind=None, target_rel=None): {"target_ind": [], "target_rel": []},
    row(target_ind=[], target_rel=[]): {"target_ind": [], "target_rel": []},
    row(target_ind=[2**31 - 1], target_rel=[1]): {"target_ind": [2**31 - 1], "target_rel": [1.0]},
    row(target_ind=[1, 2, 3], target_rel=[2**24 + 1, 2**63, 0.5]): {"target_rel": [2.0**24, 2.0**63, 0.5]},
    row(target_ind=[1], target_rel=[3.4028234663852886e38]): {"target_rel": [3.4028234663852886e38]},
    row(uid=" x/é-1 "): {"uid": "x/é-1"},
    row(uid=7): {"uid": "7"},
    row(uid=-(2**63)): {"uid": str(-(2**63))},
    row(uid=2**64 - 1): {"uid": str(2**64 - 1)},
    row(title="Nana"): {"title": "Nana"},
    row(title="😀"): {"title": "😀"},
    row(content=float("nan")): {"title": "Red kettle", "content": ""},
    row(price=float("inf"), cost=float("-inf"), x=[float("nan")]): {"content": "It boils."},
    row()[:-1] + b',"price":1e999}': {"content": "It boils."},
    row()[:-1] + b',"price":' + b"1" * 5000 + b".5e999}": {"content": "It boils."},
    row()[:-1] + b',"price":' + b"1" * 5000 + b"}": {"content": "It boils."},
    row(target_rel=...): {"target_ind": [3], "target_rel": [1.0]},
    row(target_ind=[1, 2], target_rel=None): {"target_ind": [1, 2], "target_rel": [1.0, 1.0]},
    row(target_ind=float("nan"), target_rel=float("nan")): {"target_ind": [], "target_rel": []},
    row(target_ind=10**400, target_rel=...): {"target_ind": [], "target_rel": []},
    row(uid="u" * 200): {"uid": "u" * 200},
    row(title="half \ud83d"): {"title": "half \ufffd"},
    row(title="a\u2028b", content="c\u0085d\x00e"): {"title": "a b", "content": "c d e"},
    row() + b"\r": {"title": "Red kettle"},
    b"  " + row() + b" \t": {"title": "Red kettle"},
    row(extra={"deep": [[[1]]]}): {"title": "Red kettle"},
    b'{"uid":"x","uid":"y","title":"last wins"}': {"uid": "y", "title": "last wins", "content": ""},
    row(content="x" * 9_999_000): {"content": "x" * 4000},
}
