"""Conversion with several processes, and how lines are read beside plain `json`: one result."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.catalogue import cleaning_pool
from include.catalogue.clean import Cleaner
from include.catalogue.cleaning_pool import CleaningPool
from include.catalogue.convert import convert, product_table
from include.catalogue.rows import Reading, RowReader
from include.core import artifacts
from include.core.artifacts import Artifact
from include.core.environment import REPOSITORY
from include.core.settings import ConvertSettings
from include.sample.write import write_sample
from tests.catalogue.lines import BAD_LINES, GOOD_LINES, publish, row
from tests.catalogue.random_lines import FIELDS, judged_rows


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.formats.lines.line_blocks.__kwdefaults__", {"block": 50_000, "limit": 10_000_000})


def outcome(made: Artifact) -> dict[str, Any]:
    files = {file.name: artifacts.file_sha256(file) for file in made.path.glob("*.parquet")}
    return {"files": files, "stats": made.stats, "fingerprint": made.fingerprint}


@pytest.mark.usefixtures("small_blocks")
def test_any_number_of_processes_writes_the_same_bytes(root: Path, tmp_path: Path) -> None:
    """Danger: a retry on a machine with other processors makes another catalogue, and all that follows runs again."""
    write_sample(tmp_path / "sample.zip", 2000, 7)
    found = []
    for processes in (1, 2, 3):
        source = publish(root / str(processes), tmp_path / "sample.zip", "sample.zip")
        made = convert(source, ConvertSettings(), root=root / str(processes), processes=processes)
        assert not made.reused
        found.append(outcome(made))
    assert found[0]["stats"]["trn"]["merged"] > 0 and found[0]["stats"]["trn"]["rejected"] > 0
    assert set(found[0]["files"]) == {"products.parquet", "queries.parquet", "labels.parquet", "rejected.parquet"}
    assert found[1] == found[0]
    assert found[2] == found[0]


@pytest.mark.usefixtures("small_blocks")
def test_a_uid_is_known_again_from_another_process(root: Path) -> None:
    """Danger: each process hashes a uid its own way, and duplicates slip through."""
    lines = [row(uid=f"u{n % 400}", title=f"title {n}") for n in range(4000)]
    made = convert(publish(root, b"\n".join(lines)), ConvertSettings(), root=root, processes=3)
    assert made.stats["trn"]["accepted"] == 400
    assert made.stats["trn"]["merged"] == made.stats["trn"]["merged_different"] == 3600


def test_a_small_file_starts_no_process(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Danger: three thousand products pay for processes that take longer to start than the work."""

    def refuse(*_: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(cleaning_pool, "_Worker", refuse)
    lines = [row(uid=str(n)) for n in range(3000)]
    assert (
        convert(publish(root, b"\n".join(lines)), ConvertSettings(), root=root, processes=2).stats["products"] == 3000
    )
    with pytest.raises(AssertionError), CleaningPool(Reading(100, 100), 2) as pool:  # the guard does guard
        list(pool.rows(iter([b"a"] * 9)))


def test_the_rows_of_blocks_come_in_their_order() -> None:
    """Danger: a block that is read faster than the one before it comes first, and row numbers are another line's."""
    blocks = [b"\n".join([row(uid=f"{block}")] * (1 if block % 3 else 2000)) for block in range(24)]
    with CleaningPool(Reading(100, 100), 3) as pool:
        found = [rows.uids.joined for rows in pool.rows(iter(blocks))]
    assert [uids[:1] if len(uids) == 1 else uids[: len(uids) // 2000 or None] for uids in found] == [
        str(block).encode() for block in range(24)
    ]


def test_a_cleaning_process_starts_without_heavy_imports() -> None:
    """Danger: each process pays half a second for numpy, pyarrow or pydantic, which it does not need."""
    heavy = "{'numpy', 'pyarrow', 'pydantic'}"
    code = f"import sys, include.catalogue.cleaning_process; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout == "[]\n"


def test_converting_does_not_import_pandas() -> None:
    """Danger: the first call of pyarrow.array imports pandas, and every conversion takes a second longer."""
    code = """
import sys, tempfile
from pathlib import Path
from include.catalogue.convert import convert
from include.source.download import download
from include.core.settings import ConvertSettings, SourceSettings
with tempfile.TemporaryDirectory() as folder:
    source = download(SourceSettings(sample_products=1000), root=Path(folder))
    convert(source.path, ConvertSettings(), root=Path(folder))
print("pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout == "False\n"


def as_judged(lines: list[bytes]) -> None:
    """Assert that these lines, read together and each alone, give what `judged` says."""
    cleaner = Cleaner(60, 200)
    products, rejected = judged_rows(lines, cleaner)
    together = RowReader(Reading(60, 200)).read(b"\n".join(lines))
    assert product_table(together, 0).to_pylist() == products
    assert [number for number, _, _ in together.rejects] == rejected
    assert together.cleaned == dict(cleaner.counts)
    alone = [RowReader(Reading(60, 200)).read(line) for line in lines]
    assert together.rejects == [(n, *rest) for n, rows in enumerate(alone) for _, *rest in rows.rejects]
    for name in ("cleaned", "mended", "ignored", "refused_fields"):
        assert getattr(together, name) == dict(sum((Counter(getattr(rows, name)) for rows in alone), Counter())), name
    assert (together.blank, together.emptied) == (sum(r.blank for r in alone), sum(r.emptied for r in alone))


# Two parsers that there once were disagreed about each of these.
@pytest.mark.parametrize(
    "fields",
    [
        {"title": "  ", "target_ind": [], "target_rel": [1.0]},
        {"target_ind": {}, "target_rel": []},
        {"target_ind": "", "target_rel": []},
        {"target_ind": {}},
        {"target_ind": [-1]},
    ],
    ids=str,
)
def test_a_line_is_read_alike_alone_and_beside_others(fields: dict[str, Any]) -> None:
    """Danger: what becomes of a line, or how it is counted, depends on its neighbours in the block."""
    as_judged([json.dumps({"uid": "a", "title": "kettle"} | fields).encode(), row(uid="b", target_ind=[-1]), row()])


@pytest.mark.parametrize("number", range(len(BAD_LINES)))
def test_a_bad_line_is_refused_beside_others(number: int) -> None:
    """Danger: a line is taken that the rules refuse, or the reason depends on a neighbour."""
    bad = list(BAD_LINES)[number]
    found = RowReader(Reading(60, 200)).read(b"\n".join([row(uid="a"), bad, row(uid="b")]))
    assert [reject[:2] for reject in found.rejects] == [(1, BAD_LINES[bad])]
    assert found.uids.joined == b"ab"


@pytest.mark.parametrize("number", range(len(GOOD_LINES)))
def test_an_odd_line_is_taken_as_plain_json_has_it(number: int) -> None:
    """Danger: what is stored depends on the parser."""
    line = list(GOOD_LINES)[number]
    if b"1" * 5000 not in line:  # json refuses it
        as_judged([row(uid="a"), line, row(uid="b")])


@given(st.lists(FIELDS, max_size=6), st.booleans())
def test_whatever_json_says_is_read_as_plain_json_has_it(rows: list[dict[str, Any]], escaped: bool) -> None:
    """Danger: what the acceptor refuses at first, and gets again, is read otherwise than what it takes at once."""
    sound = {"uid": "sound", "title": "kettle", "target_ind": [1], "target_rel": [1.0]}
    lines = [json.dumps(sound | fields, ensure_ascii=escaped).encode("utf-8", "surrogatepass") for fields in rows]
    as_judged(lines or [b""])


@given(st.data())
def test_damaged_lines_are_read_as_plain_json_has_them(data: st.DataObject) -> None:
    """Danger: a line that was cut, or of which one byte changed, is read as something else by one of them."""
    line = bytearray(row(content="Gr\u00fc\u00dfe <b>5&quot;</b>", target_ind=[3, 14], target_rel=[1.0, 0.5]))
    position = data.draw(st.integers(0, len(line) - 1))
    if data.draw(st.booleans()):
        del line[position:]
    else:
        line[position] = data.draw(st.integers(0, 255).filter(lambda byte: byte != 10))
    as_judged([bytes(line)])
