"""include/batch/: a file of questions comes back as a file of answers, by one version, whatever happens meanwhile."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include import stages
from include.answering.answer import answer
from include.answering.asker import Asker
from include.answering.questions import one_of
from include.batch import answer_file as module
from include.batch.summary import Answered
from include.batch.write import COLUMNS, flat, writer
from include.core import artifacts, kinds
from include.core.answer_settings import AnswerSettings
from include.core.errors import BadFilter, BadQuestion, BadSource, NoLiveIndex, Terminal, UnknownVersion
from include.exam.scoring import score
from include.questions.questions import Question
from tests.indexed import INDEX, Shop, open_shop
from tests.small import products

SETTINGS = AnswerSettings()
ROWS = products(40)
ASKED: list[dict[str, Any]] = [
    {"id": f"q{number}", "question": f"What is the {row.title} made of?", "uids": [row.uid], "evidence": ["is made of"]}
    for number, row in enumerate(ROWS[:10])
] + [{"id": "none", "question": "Is there a submarine of 9 tons?", "answerable": False}]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Shop:
    return open_shop(tmp_path_factory.mktemp("shop") / "data", tiny_model)


@pytest.fixture
def shop(built: Shop, root: Path) -> Shop:
    """A shop whose first version is live."""
    made = built.copy(root)
    made.publish(1)
    return made


def json_lines(path: Path, rows: Sequence[dict[str, Any] | str]) -> str:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return str(path)


def answered(shop: Shop, place: str, run_id: str = "run", **options: Any) -> tuple[dict[str, Any], Answered]:
    """What the stage returns, and its statistics."""
    settings = options.pop("settings", SETTINGS)
    made = stages.answer_file(place, settings, INDEX, root=shop.root, run_id=run_id, **options)
    return made, Answered.model_validate(made["stats"])


def read_lines(path: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def timeless(entry: dict[str, Any]) -> dict[str, Any]:
    generator = entry["generator"] and {**entry["generator"], "seconds": 0}
    return {**entry, "seconds": 0, "generator": generator}


def test_each_question_is_answered_as_it_is_alone(shop: Shop, tmp_path: Path) -> None:
    """A file that says something else than the Ask page does would be believed by nobody."""
    told: list[dict[str, Any]] = []
    made, stats = answered(shop, json_lines(tmp_path / "asked.jsonl", ASKED), sink=told.append)
    rows = read_lines(made["file"])
    assert [row.pop("id") for row in rows] == [each["id"] for each in ASKED]
    figures = [row.pop("figures") for row in rows]
    alone = answer([str(each["question"]) for each in ASKED], SETTINGS, INDEX, root=shop.root)
    assert [timeless(row) for row in rows] == [timeless(each) for each in alone["answers"]]
    for name in ("version", "bm25_weight", "threshold", "threshold_from", "filter", "facets"):
        assert made["stats"][name] == alone[name]
    assert (stats.read, stats.asked, stats.rejected, stats.found) == (11, 11, 0, sum(row["found"] for row in rows))
    assert stats.version == shop.versions[0] and stats.products == 40 and stats.per_second > 0
    assert (told[-1]["stage"], told[-1]["done"], told[-1]["total"]) == ("answer questions", 11, 11)
    assert {"rate", "seconds_left"} <= told[-1].keys()
    assert "answers" not in made and len(json.dumps(made)) < 5000, "the result is small, however long the file"

    labels = [
        Question(
            "", str(each["question"]), tuple(each.get("uids", ())), tuple(each.get("evidence", ())), "uids" in each
        )
        for each in ASKED
    ]
    for label, row, own in zip(labels, rows, figures, strict=True):
        expected = score(label, row)
        assert own == {name: expected[name] for name in own} and own
    right = [own["hit@1"] for own in figures[:10]]
    assert stats.figures["hit@1"] == {"value": sum(right) / 10, "questions": 10}
    assert stats.figures["answered_wrongly"]["questions"] == 1
    assert {"hit@5", "evidence", "refused_wrongly"} <= stats.figures.keys()
    assert stats.labelled == 11


def test_a_question_needs_no_label_and_bad_rows_are_set_aside(shop: Shop, tmp_path: Path) -> None:
    """One bad row in ten thousand must neither end the run nor vanish."""
    rows: list[dict[str, Any] | str] = [
        {"question": "Which kettle is red?"},
        "",
        "{broken",
        {"question": " "},
        {"question": "Which lamp? " * 300, "id": "long"},
        {"question": "Which lamp?", "id": 7, "shop": "b"},
        {"question": "Which drill?", "uids": ["of another shop"]},
    ]
    made, stats = answered(shop, json_lines(tmp_path / "asked.jsonl", rows))
    assert [row["id"] for row in read_lines(made["file"])] == ["1", "7", "6"], "its own, or the number of its row"
    assert (stats.read, stats.blank, stats.asked, stats.rejected) == (6, 1, 3, 3)
    aside = read_lines(Path(made["path"]) / "rejected.jsonl")
    assert [(each["line"], each["reason"]) for each in aside] == [
        (3, "no JSON object"),
        (4, "no question"),
        (5, "question over 2,000 characters"),
    ]
    assert stats.ignored == {"shop": 1}
    assert (stats.labelled, stats.unknown_products, stats.figures) == (0, 1, {})


def test_a_table_comes_back_as_a_table(shop: Shop, tmp_path: Path) -> None:
    """An analyst opens it in a spreadsheet, or reads it with pandas, and sees answer and source at once."""
    asked = tmp_path / "asked.csv"
    with asked.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerows(
            [
                ["id", "question", "uids"],
                *([each["id"], each["question"], "|".join(each.get("uids", []))] for each in ASKED[:10]),
            ]
        )
    made, _ = answered(shop, str(asked))
    assert Path(made["file"]).name == "answers.csv"
    with Path(made["file"]).open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == COLUMNS.names
    for row in rows:
        entry = json.loads(row["entry"])
        assert (row["question"], row["answer"], row["found"]) == (
            entry["question"],
            entry["answer"],
            str(entry["found"]).lower(),
        )
        first = entry["sources"][0] if entry["found"] else {"uid": "", "title": ""}
        assert (row["source_uid"], row["source_title"]) == (first["uid"], first["title"])
        assert row["nearest_uid"] == entry["products"][0]["uid"]
    assert any(row["found"] == "true" for row in rows) and {row["hit@1"] for row in rows} <= {"1.0", "0.0"}

    pq.write_table(
        pa.Table.from_pylist([{"id": each["id"], "question": each["question"]} for each in ASKED]),
        tmp_path / "asked.parquet",
    )
    made, _ = answered(shop, str(tmp_path / "asked.parquet"))
    table = pq.read_table(made["file"])
    assert Path(made["file"]).name == "answers.parquet" and table.schema == COLUMNS
    assert table.column("id").to_pylist() == [each["id"] for each in ASKED]
    assert [json.loads(each)["answer"] for each in table.column("entry").to_pylist()] == table.column(
        "answer"
    ).to_pylist()


def test_no_cell_of_a_table_is_computed_by_a_spreadsheet(shop: Shop, tmp_path: Path) -> None:
    """A product called `=HYPERLINK(…)` must not become a link in the analyst's table."""
    entry = answer(["Which kettle?"], SETTINGS, INDEX, root=shop.root)["answers"][0]
    hostile = {
        **entry,
        "id": "-7",
        "answer": '=HYPERLINK("http://evil","a")',
        "question": "+cmd|' /C calc'!A0",
        "figures": None,
    }
    with writer(tmp_path / "a.csv", "csv") as file:
        file.write([hostile])
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["id"], row["answer"], row["question"]) == ("-7", "'" + hostile["answer"], "'" + hostile["question"])
    assert flat(hostile)["answer"] == hostile["answer"]


SCRIPT = """
from pathlib import Path
import include.answering.batches, include.batch.answer_file, include.core.artifacts
from include import stages
from include.core.answer_settings import AnswerSettings
from include.core.index_settings import IndexSettings

root, place, point, count = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
include.batch.answer_file.CHUNK = 4
calls = 0

def stopping_at(count, function):
    def call(*arguments, **options):
        global calls
        calls += 1
        if calls == count:
            reach(point)
        return function(*arguments, **options)
    return call

if point == "ask":
    Asker = include.batch.answer_file.Asker
    Asker.answer = stopping_at(count, Asker.answer)
elif point == "keep":
    include.answering.batches.write_json = stopping_at(count, include.answering.batches.write_json)
elif point == "manifest":
    include.core.artifacts.write_json = stopping_at(count, include.core.artifacts.write_json)
stages.answer_file(place, AnswerSettings(), IndexSettings(), root=root, run_id="run")
"""


@pytest.mark.parametrize(("point", "count", "before"), [("ask", 3, 8), ("keep", 2, 4), ("manifest", 2, 11)])
def test_a_killed_file_goes_on_where_it_was_with_its_version(
    point: str, count: int, before: int, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost, nothing doubled, and no answer is by a version that went live meanwhile."""
    from tests.faults.killed import kill_at_point

    place = json_lines(tmp_path / "asked.jsonl", ASKED)
    assert kill_at_point(SCRIPT, shop.root, place, point, count) == point
    assert artifacts.published(shop.root, kinds.ANSWERS) == []
    shop.publish(2)

    asked: list[str] = []
    real = Asker.answer

    def spy(self: Asker, questions: Sequence[str], *given: Any, **options: Any) -> dict[str, Any]:
        asked.extend(questions)
        return real(self, questions, *given, **options)

    monkeypatch.setattr(Asker, "answer", spy)
    monkeypatch.setattr(module, "CHUNK", 4)
    told: list[dict[str, Any]] = []
    made, stats = answered(shop, place, sink=told.append)
    assert asked == [each["question"] for each in ASKED[before:]]
    assert [row["id"] for row in read_lines(made["file"])] == [each["id"] for each in ASKED]
    assert (stats.version, stats.asked, stats.notes) == (shop.versions[0], 11, [])
    assert stats.figures["hit@1"]["questions"] == 10
    assert next(shot for shot in told if shot["stage"] == "answer questions")["done"] == before
    assert not [path for path in (shop.root / "answers").iterdir() if path.name.startswith((".tmp", ".scratch"))]

    again, _ = answered(shop, place)
    assert again["reused"] and again["path"] == made["path"], "the same run, cleared"
    other, stats = answered(shop, place, run_id="another")
    assert not other["reused"] and stats.version == shop.versions[1]


def stopped_after(chunks: int, monkeypatch: pytest.MonkeyPatch, then: Callable[[], object]) -> None:
    """Let `Asker.answer` do so many chunks, and then something else."""
    real, calls = Asker.answer, []

    def call(self: Asker, *given: Any, **options: Any) -> dict[str, Any]:
        calls.append(1)
        if len(calls) > chunks:
            then()
        return real(self, *given, **options)

    monkeypatch.setattr(module, "CHUNK", 4)
    monkeypatch.setattr(Asker, "answer", call)


def test_a_version_that_goes_live_meanwhile_answers_nothing(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table whose halves are by two catalogues can be compared with nothing."""
    stopped_after(1, monkeypatch, lambda: shop.live == 2 or shop.publish(2))
    made, stats = answered(shop, json_lines(tmp_path / "asked.jsonl", ASKED))
    assert shop.live == 2
    assert stats.version == shop.versions[0] and len(read_lines(made["file"])) == 11


def fail() -> None:
    raise RuntimeError("the process ends here")


def test_a_retry_says_that_its_version_is_gone_and_asks_all_anew(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was answered by the old one must not stand beside the new one's answers."""
    place = json_lines(tmp_path / "asked.jsonl", ASKED)
    with monkeypatch.context() as patch:
        stopped_after(1, patch, fail)
        with pytest.raises(RuntimeError):
            answered(shop, place)
    shop.publish(2, keep_versions=1)
    monkeypatch.setattr(module, "CHUNK", 4)
    made, stats = answered(shop, place)
    assert stats.version == shop.versions[1] and len(read_lines(made["file"])) == 11
    (note,) = stats.notes
    assert shop.versions[0] in note and "asked anew" in note and shop.versions[1] in note


def test_a_version_that_was_asked_for_by_name_is_not_replaced(shop: Shop, tmp_path: Path) -> None:
    """Whoever names a version wants no other."""
    place = json_lines(tmp_path / "asked.jsonl", ASKED)
    shop.publish(2)
    _, stats = answered(shop, place, settings=AnswerSettings(version=shop.versions[0]))
    assert stats.version == shop.versions[0]
    with pytest.raises(UnknownVersion, match="Kept versions"):
        answered(shop, place, "other", settings=AnswerSettings(version="0" * 16))


@pytest.mark.parametrize("text", ["question\r\n{}\r\n", '"Question"\n"{}"\n', "\ufeffquestion\n{}"])
def test_a_table_may_have_its_questions_alone(shop: Shop, tmp_path: Path, text: str) -> None:
    """It is the simplest file that a person makes; a comma in a question ends no cell."""
    asked = ["Which lamp, of these, is for the garden?", "Which kettle is red?"]
    between = '"\n"' if '"' in text else "\n"
    (tmp_path / "asked.csv").write_text(text.format(between.join(asked)), encoding="utf-8")
    made, _ = answered(shop, str(tmp_path / "asked.csv"))
    with Path(made["file"]).open(encoding="utf-8-sig", newline="") as stream:
        assert [(row["id"], row["question"]) for row in csv.DictReader(stream)] == [("1", asked[0]), ("2", asked[1])]


def test_ids_that_are_numbers_stay_themselves(shop: Shop, tmp_path: Path) -> None:
    """pandas makes 1001.0 of a column with a gap; by a row's number instead, answers would be joined to others."""
    table = pa.table({"id": [1001.0, None, 17.5], "question": ["Which kettle?", "Which lamp?", "Which drill?"]})
    pq.write_table(table, tmp_path / "asked.parquet")
    made, _ = answered(shop, str(tmp_path / "asked.parquet"))
    assert pq.read_table(made["file"])["id"].to_pylist() == ["1001", "2", "17.5"]
    _, stats = answered(shop, json_lines(tmp_path / "bad.jsonl", [{"id": True, "question": "Which?"}, *ASKED]))
    assert stats.reasons == {"id is no text or number": 1}


def test_files_that_cannot_be_read_say_what_to_do(shop: Shop, tmp_path: Path) -> None:
    """The message is all that an analyst has."""
    whole = tmp_path / "whole.parquet"
    pq.write_table(pa.table({"question": ["Which kettle?"] * 1000}), whole)
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(whole.read_bytes()[:-20])
    pdf = tmp_path / "asked.pdf"
    pdf.write_bytes(b"%PDF-1.7 and so on\n" * 20)
    other = json_lines(tmp_path / "other.jsonl", [{"text": "Which kettle?"}])
    for place in (str(cut), str(pdf), other, str(tmp_path / "nowhere.csv")):
        with pytest.raises(BadSource) as refused:
            answered(shop, place)
        assert refused.value.next_step and isinstance(refused.value, Terminal), place
        assert Path(place).name in refused.value.what
    prose = tmp_path / "prose.txt"
    prose.write_text("Which kettle is red?\nWhich lamp, for the garden?\n")
    with pytest.raises(BadSource, match="has no rows that can be read") as refused:
        answered(shop, str(prose))
    assert "`source`" not in refused.value.next_step and "field `question`" in refused.value.next_step
    with pytest.raises(BadSource, match=r"its fields text mean nothing here.* a field `question`"):
        answered(shop, other)
    assert artifacts.published(shop.root, kinds.ANSWERS) == []
    with pytest.raises(BadFilter):
        answered(shop, json_lines(tmp_path / "asked.jsonl", ASKED), settings=AnswerSettings(filter="brnad = 1"))


def test_a_question_or_a_file_but_not_both() -> None:
    """Which of two is meant nobody can guess; the question that the form begins with is nobody's."""
    assert one_of("Which lamp?", None, untouched="Which?") is None
    assert one_of("Which?", " ", untouched="Which?") is None
    assert one_of("Which?", "/data/asked.csv ", untouched="Which?") == "/data/asked.csv"
    with pytest.raises(BadQuestion, match=r"both a question, 'Which lamp\?', and a file"):
        one_of("Which lamp?", "/data/asked.csv", untouched="Which?")
    with pytest.raises(BadQuestion, match=r"neither .* Give `question` or `questions_file`"):
        one_of(" ", None, untouched="Which?")


def test_without_a_live_index_it_says_so(root: Path, tmp_path: Path) -> None:
    """The next step is to build one."""
    with pytest.raises(NoLiveIndex, match="train_and_index"):
        stages.answer_file(json_lines(tmp_path / "a.jsonl", ASKED), SETTINGS, INDEX, root=root, run_id="run")
