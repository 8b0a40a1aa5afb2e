"""include/questions/: every row of a questions file has a fate, and each question is in one part."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include import stages
from include.core import artifacts, kinds
from include.core.errors import BadSource
from include.core.forms import pipeline_settings
from include.questions.questions import SHARES, part, read
from include.questions.rows import Refused, parse
from include.questions.summary import Fates
from include.run import Run

ROWS: list[dict[str, Any]] = [
    {
        "question": "Which kettle is made of steel?",
        "uids": ["0000000000"],
        "evidence": ["made of steel"],
        "kind": "fact",
    },
    {"question": "which  KETTLE is made of steel", "uids": ["0000000000"], "evidence": ["It is red"]},  # merged
    {"question": "Which kettle is made of steel?", "uids": ["0000000010", "nowhere"]},  # of another product
    {"question": "Is the drill waterproof?", "uids": ["0000000004"], "answerable": False, "weight": 2.5},
    {"question": "Do you sell submarines?", "uids": [], "answerable": False, "lang": "EN"},
]
BAD: list[tuple[dict[str, Any] | str, str]] = [
    ({"question": " ", "uids": ["0000000000"]}, "no question"),
    ({"question": "Who?", "uids": []} | {"answerable": True}, "names no product"),
    ({"question": "Whose?", "uid": "0000000000"}, "names no product"),
    ({"question": "What is it?", "uids": ["of another shop"]}, "no product of this catalogue"),
    ({"question": "What is this?", "uids": {"0000000000": 1}}, "no list of ids"),
    ({"question": "Why?", "uids": ["0000000000"], "evidence": [["a"]]}, "no list of texts"),
    ({"question": "Where?", "uids": ["0000000000"], "answerable": "perhaps"}, "neither true nor false"),
    ({"question": "When?", "uids": ["0000000000"], "weight": 0}, "weight is no number above 0"),
    ({"question": "How " * 600, "uids": ["0000000000"]}, "over 2,000 characters"),
    ("{broken", "no JSON object"),
]


@pytest.fixture
def run_on(root: Path) -> Callable[..., Run]:
    """A function that gives a run with these settings, of 2 March 2026."""

    def make(**conf: Any) -> Run:
        date = datetime(2026, 3, 2, tzinfo=UTC)
        return Run(settings=pipeline_settings(conf), root=root, run_id="r", logical_date=date)

    return make


def as_lines(rows: list[Any]) -> bytes:
    return "\n".join(each if isinstance(each, str) else json.dumps(each) for each in rows).encode()


def as_csv(rows: list[Any]) -> bytes:
    text = io.StringIO()
    table = csv.DictWriter(text, ["question", "uids", "evidence", "answerable", "lang", "weight", "id", "kind"])
    table.writeheader()
    for row in rows:
        table.writerow({**row, "uids": "|".join(row["uids"]), "evidence": json.dumps(row.get("evidence", []))})
    return text.getvalue().encode()


def as_frame(rows: list[Any]) -> bytes:
    """CSV as pandas writes a column of lists."""
    frame = pd.DataFrame(rows)
    return frame.assign(uids=frame["uids"].map(str)).to_csv(index=False).encode()


def as_parquet(rows: list[Any]) -> bytes:
    stream = io.BytesIO()
    names = ("question", "uids", "evidence", "answerable", "lang", "weight", "id", "kind")
    pq.write_table(pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows]), stream)
    return stream.getvalue()


def read_file(run: Run, catalogue: Path) -> dict[str, Any]:
    made = stages.read_questions(run, artifacts.read(catalogue).summary())
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("name", "written"),
    [("q.jsonl", as_lines), ("q.csv", as_csv), ("frame.csv", as_frame), ("q.parquet", as_parquet)],
    ids=["lines", "csv", "frame", "parquet"],
)
def test_the_same_questions_come_out_of_every_form_of_file(
    name: str, written: Callable[[list[Any]], bytes], run_on: Callable[..., Run], catalogue: Path, tmp_path: Path
) -> None:
    """A spreadsheet's cells have no lists: its questions would name one product called `0000000000|nowhere`."""
    (tmp_path / name).write_bytes(written(ROWS))
    made = read_file(run_on(questions=str(tmp_path / name)), catalogue)
    fates = Fates.model_validate(made["stats"])
    assert (fates.read, fates.accepted, fates.rejected, fates.merged) == (5, 4, 0, 1)
    assert (fates.unknown_uids, fates.answerable, fates.with_evidence) == (1, 2, 1)
    first, other, missing, absent = read(Path(made["path"])).all
    assert first.evidence == ("made of steel", "It is red"), "both rows' evidence"
    assert (other.uids, other.part) == (("0000000010",), first.part)
    assert (missing.answerable, missing.weight, absent.uids, absent.lang) == (False, 2.5, (), "en")
    again = stages.read_questions(run_on(questions=str(tmp_path / name)), artifacts.read(catalogue).summary())
    assert again is not None and again["reused"] is True


def test_every_bad_row_is_set_aside_with_its_reason(
    run_on: Callable[..., Run], catalogue: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A row that vanishes without a word is an exam that is easier than it looks."""
    file = tmp_path / "q.jsonl"
    file.write_bytes(as_lines([*ROWS, "", *(row for row, _ in BAD)]))
    made = read_file(run_on(questions=str(file)), catalogue)
    fates = Fates.model_validate(made["stats"])
    assert fates.read == fates.accepted + fates.rejected + fates.merged == len(ROWS) + len(BAD)
    assert (fates.rejected, fates.blank) == (len(BAD), 1)
    lines = (Path(made["path"]) / "rejected.jsonl").read_text().splitlines()
    reasons = {row["line"]: row["reason"] for row in map(json.loads, lines)}
    for number, (_, words) in enumerate(BAD, len(ROWS) + 2):
        assert words in reasons[number], (number, reasons)
    assert "1 rejected, no question (line 7" in caplog.text


def test_two_questions_never_share_an_id(run_on: Callable[..., Run], catalogue: Path, tmp_path: Path) -> None:
    """Answers are kept by the question's id."""
    rows = [{"id": 7, "question": f"Which lamp, the {n}.?", "uids": ["0000000001"]} for n in (1, 2)]
    (tmp_path / "q.jsonl").write_bytes(as_lines(rows))
    made = read_file(run_on(questions=str(tmp_path / "q.jsonl")), catalogue)
    assert made["stats"]["reasons"] == {"another question has its id": 1}


def test_a_file_of_another_shop_fails_with_the_reasons(
    run_on: Callable[..., Run], catalogue: Path, tmp_path: Path
) -> None:
    """With no question left, every later measurement would be of nothing."""
    (tmp_path / "2026-03-02.csv").write_text("question,uids\nWhich lamp?,B000\nWhich tent?,B001\n")
    run = run_on(questions=f"{tmp_path}/{{date}}.csv")
    with pytest.raises(BadSource, match=r"no product of this catalogue has its uids \(2\)\. Each row needs"):
        stages.read_questions(run, artifacts.read(catalogue).summary())
    assert artifacts.published(run.root, kinds.QUESTIONS) == []


def test_a_mistyped_column_does_not_make_every_question_unanswerable(
    run_on: Callable[..., Run], catalogue: Path, tmp_path: Path
) -> None:
    """An exam without a right product would calibrate a threshold that answers nothing."""
    (tmp_path / "q.csv").write_text("question,uid\nWhich lamp?,0000000001\nWhich tent?,0000000002\n")
    with pytest.raises(BadSource, match=r"names no product, .*\(2\); its fields uid mean nothing here\."):
        read_file(run_on(questions=str(tmp_path / "q.csv")), catalogue)


def test_without_a_file_nothing_is_done_and_said(
    run_on: Callable[..., Run], catalogue: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Most catalogues come without questions, and their runs must not wait."""
    caplog.set_level("INFO")
    assert stages.read_questions(run_on(questions=" "), artifacts.read(catalogue).summary()) is None
    assert "the setting `questions` is empty" in caplog.text


def test_questions_that_differ_in_what_nobody_hears_are_in_one_part() -> None:
    """Else the exam asks what training has seen."""
    for number in range(300):
        asked = f"Does model {number} have a lid?"
        assert part(asked) == part(f"  does MODEL {number} have a lid") == part(f"Does model {number}, have a lid?!")


def test_the_parts_have_their_shares() -> None:
    """A hash that leans would leave an exam of a handful."""
    count = 5000
    found = [part(f"question number {number}") for number in range(count)]
    for name, share in SHARES.items():
        assert abs(found.count(name) / count - share / 100) < 0.03, name


@pytest.mark.parametrize("cell", ["True", "yes", 1, 1.0, "1"])
def test_a_tables_words_for_yes_are_read(cell: Any) -> None:
    row = parse(json.dumps({"question": "Which?", "uids": "a; b", "answerable": cell}).encode())
    assert row is not None and row.question.answerable and row.question.uids == ("a", "b")


def test_a_field_that_means_nothing_is_named() -> None:
    """`uid` for `uids` would leave every question without a product."""
    with pytest.raises(Refused, match="names no product"):
        parse(b'{"question": "Which?", "uid": "a"}')
    row = parse(b'{"question": "Which?", "uids": "a", "evidences": ["b"]}')
    assert row is not None and row.others == ("evidences",)
