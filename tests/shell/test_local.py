"""`vitrine … --local`: the commands on a data directory, without Airflow."""

import json
import os
import re
import subprocess
import sys
import webbrowser
from pathlib import Path
from typing import Any

import pytest

from include.answering.answer import answer
from include.core.answer_settings import AnswerSettings
from include.core.environment import REPOSITORY
from include.feedback.store import append
from include.report.report import report
from include.shell.exits import DONE, FAILED, NOTHING, UNREACHABLE, USAGE
from tests.feedback.judged import row
from tests.indexed import BIDI, ESC, HOSTILE, INDEX, open_shop
from tests.shell.conftest import Typed

QUESTION = "How much does the red kettle number 0 weigh?"
HARMFUL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def plain(value: Any) -> Any:
    """The JSON without what differs from one time to the next."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items() if name not in ("seconds", "milliseconds")}
    return [plain(each) for each in value] if isinstance(value, list) else value


def test_an_answer_shows_question_answer_numbered_sources_and_how_sure_it_is(typed: Typed, described: Path) -> None:
    """What a person reads has to be what the JSON says."""
    done = typed("ask", QUESTION, "--local", "--data", described)
    told = answer([QUESTION], AnswerSettings(), INDEX, root=described)
    (entry,) = told["answers"]
    assert done.exit_code == (DONE if entry["found"] else NOTHING), done.output
    lines = done.stdout.splitlines()
    assert lines[0] == QUESTION
    assert entry["answer"] in done.stdout
    for number, each in enumerate(entry["sources"] or entry["products"], 1):
        assert f"[{number}] {each['title']} · uid {each['uid']} · {each['score']:.3f}" in lines
    assert f"({entry['confidence']['answer']:.2f}, needed {told['threshold']:.2f})" in done.stdout
    assert re.search(
        r"^(Found for sure|Probably found|Not found) .* · (close match|related products|nothing close) \(0\.\d\d\)$",
        done.stdout,
        re.MULTILINE,
    )


def test_json_is_the_json_of_everywhere(typed: Typed, described: Path) -> None:
    """A script that reads the shell reads the DAG's result, too."""
    done = typed("ask", QUESTION, "a tent", "--local", "--data", described, "--top-k", 3, "--facets", "brand", "--json")
    expected = answer([QUESTION, "a tent"], AnswerSettings(top_k=3, facets="brand"), INDEX, root=described)
    assert plain(json.loads(done.stdout)) == plain(expected)
    assert not done.stderr


def test_questions_come_by_a_pipe(typed: Typed, described: Path) -> None:
    done = typed("ask", "-", "--local", "--data", described, "--json", input="a red kettle\n\n a tent \n")
    assert [each["question"] for each in json.loads(done.stdout)["answers"]] == ["a red kettle", "a tent"]
    assert typed("ask", "-", "--local", "--data", described, input="\n").exit_code == USAGE


def test_a_mended_word_is_told(typed: Typed, described: Path) -> None:
    """Results for another word than the typed one look like a fault."""
    done = typed("ask", "a red kettel", "--local", "--data", described, "--json")
    (entry,) = json.loads(done.stdout)["answers"]
    assert entry["mended"], "the question is chosen so that it is"
    assert entry["searched"] in typed("ask", "a red kettel", "--local", "--data", described).stdout


def test_a_search_lists_products_by_rank(typed: Typed, described: Path) -> None:
    done = typed("search", "kettle", "--local", "--data", described, "--filter", "price < 20", "--top-k", 4)
    assert done.exit_code == DONE
    assert re.search(r"^1 +\w+ kettle number \d+ +\d{10} +[\d.]+ +brand: ", done.stdout, re.MULTILINE)
    assert len(done.stdout.splitlines()) == 5
    found = json.loads(typed("search", "kettle", "--local", "--data", described, "--top-k", 4, "--json").stdout)
    assert [each["rank"] for each in found["products"]] == [1, 2, 3, 4]
    none = typed("search", "kettle", "--local", "--data", described, "--filter", "price > 10000")
    assert (none.exit_code, "None." in none.stdout) == (NOTHING, True)


def test_versions_status_and_rollback(typed: Typed, root: Path, tiny_model: Path) -> None:
    """The way back at night, when Airflow is down."""
    shop = open_shop(root, tiny_model)
    place = ("--local", "--data", root)
    assert typed("status", *place).exit_code == NOTHING
    assert typed("versions", *place).exit_code == NOTHING
    shop.publish(1)
    shop.publish(2)
    listed = json.loads(typed("versions", *place, "--json").stdout)
    assert [(each["version"], each["live"]) for each in listed] == [(shop.versions[1], True), (shop.versions[0], False)]
    shown = typed("versions", *place).stdout
    assert re.search(rf"^live +{shop.versions[1]} +2026-01-02 00:00 UTC +40 ", shown, re.MULTILINE)
    assert shop.versions[1] in typed("status", *place).stdout

    unasked = typed("rollback", *place)
    assert (unasked.exit_code, shop.live) == (USAGE, 2), "nobody has said yes"
    done = typed("rollback", *place, "--yes")
    assert (done.exit_code, shop.live) == (DONE, 1), done.output
    assert shop.versions[0] in done.stdout
    assert shop.journal[-1][:2] == (1, "rolled back")
    assert typed("rollback", shop.versions[1], *place, "--yes").exit_code == DONE
    assert typed("rollback", "0" * 16, *place, "--yes").exit_code == NOTHING
    assert shop.live == 2


def test_an_exam_of_a_version_without_questions_says_so(typed: Typed, described: Path) -> None:
    done = typed("exam", "--local", "--data", described)
    assert done.exit_code == NOTHING
    assert "was published without questions" in done.stdout


def test_a_damaged_index_fails_the_exam(typed: Typed, root: Path, tiny_model: Path) -> None:
    shop = open_shop(root, tiny_model)
    shop.publish(1)
    next(shop.model.glob("*.safetensors")).write_bytes(b"")
    done = typed("exam", "--local", "--data", root)
    assert done.exit_code == FAILED
    assert "is damaged" in done.stderr
    assert not done.stdout


def test_a_report_is_found_opened_and_copied(
    typed: Typed, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ("--local", "--data", root)
    assert typed("report", *place).exit_code == NOTHING
    for run_id in ("first", "second"):
        report({}, root=root, run_id=run_id, logical_date="2026-01-01T00:00:00+00:00")
    opened: list[str] = []

    def open_page(address: str) -> bool:
        opened.append(address)
        return True

    monkeypatch.setattr(webbrowser, "open", open_page)
    done = typed("report", *place, "--open")
    assert done.exit_code == DONE
    page = Path(done.stdout.strip())
    assert "second" in page.read_text()
    assert opened == [page.as_uri()]
    copied = tmp_path / "report.html"
    assert json.loads(typed("report", "first", *place, "-o", copied, "--json").stdout) == {
        "run_id": "first",
        "path": str(copied),
    }
    assert "first" in copied.read_text()
    assert typed("report", "third", *place).exit_code == NOTHING
    assert len(opened) == 1


def test_what_people_said_is_a_file_of_questions(typed: Typed, root: Path, tmp_path: Path) -> None:
    """Danger: a line that is broken in two, or that turns the terminal round."""
    place = ("--local", "--data", root)
    assert (typed("feedback", *place).exit_code, typed("feedback", *place).stdout) == (NOTHING, "")
    said = row(0, question=f"Which {BIDI}kettle\u2028is é?", sources=["7"], found=True)
    append(root, "products", said)
    append(root, "toys", row(1, question="Which robot?", sources=["8"], found=True))
    (line,) = typed("feedback", *place).stdout.split("\n")[:-1]
    assert (json.loads(line)["question"], json.loads(line)["uids"]) == (" ".join(said.question.split()), ["7"])
    assert "\\u202e" in line and "é" in line
    done = typed("feedback", *place, "--collection", "toys", "-o", tmp_path / "said.jsonl")
    assert (done.exit_code, done.stdout) == (DONE, "")
    assert json.loads((tmp_path / "said.jsonl").read_text())["question"] == "Which robot?"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("ask", "a lamp", "--top-k", "1000"), USAGE, "top_k"),
        (("ask", "a lamp", "--filter", "brnad = 1"), USAGE, "brnad"),
        (("ask", "x" * 2001), USAGE, "2,001 characters"),
        (("ask", "a lamp", "--mode", "psychic"), USAGE, "psychic"),
        (("ask",), USAGE, "question"),
        (("ask", "a lamp", "--version", "0" * 16), NOTHING, "does not exist"),
        (("ask", "a lamp", "--collection", "toys"), NOTHING, "Nothing has been published"),
        (("ask", "a lamp", "--generator", "llm"), USAGE, "language model"),
        (("ask", "a lamp", "--store", "server"), USAGE, "AIRFLOW_CONN_QDRANT_DEFAULT"),
        (("trigger", "source=x"), USAGE, "No such option"),
    ],
)
def test_what_is_wrong_is_told_on_standard_error_with_a_code(
    typed: Typed, described: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    """A script goes by the code; a person by the words."""
    done = typed(*words, "--local", "--data", described)
    assert (done.exit_code, done.stdout) == (code, ""), done.output
    assert told in done.stderr


def test_a_server_that_does_not_answer_is_out_of_reach(
    typed: Typed, described: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_QDRANT_DEFAULT", json.dumps({"host": "127.0.0.1", "port": 9}))
    done = typed("ask", "a lamp", "--local", "--data", described, "--store", "server")
    assert done.exit_code == UNREACHABLE, done.output


@pytest.mark.parametrize("words", [("ask", "Which pump <script>?"), ("search", "pump")])
def test_product_text_is_harmless_in_a_terminal(typed: Typed, hostile: Path, words: tuple[str, str]) -> None:
    """ANSI codes hide what stands before them, bidi controls turn it round, markup colours or swallows it."""
    place = ("--local", "--data", hostile, "--facets", "brand")
    done = typed(*words, *place, color=True)
    assert "Pump <script>alert(1)</script> \\x1b[31mred\\u202ekcart [red]" in done.stdout
    assert "<b>\\x1b[31m\\u202eAcme" in done.stdout
    found = typed(*words, *place, "--json")
    for text in (done.output, found.output, typed("ask", "a lamp", *place, "--filter", f"{ESC}{BIDI}").output):
        assert not HARMFUL.search(text)
    titles = [each["title"] for each in _products(json.loads(found.stdout))]
    assert HOSTILE.title in titles, "the JSON says what the catalogue says"


def _products(found: dict[str, Any]) -> list[dict[str, Any]]:
    return found["products"] if "products" in found else found["answers"][0]["products"]  # type: ignore[no-any-return]


def shell(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The shell in a process of its own, which then says what it has loaded."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


LOADED = "import sys, atexit; atexit.register(lambda: print('LOADED', *sys.modules)); "


def test_help_and_questions_load_only_what_they_need(described: Path) -> None:
    """A command that takes seconds to say its usage is typed once."""
    asked = ["ask", QUESTION, "--local", "--data", str(described)]
    for words, never in (
        (["--help"], ("torch", "pandas", "pyarrow", "airflow", "numpy", "httpx", "transformers")),
        (asked, ("torch", "pandas", "pyarrow", "airflow", "transformers")),
    ):
        code = f"{LOADED}sys.argv[1:] = {words!r}; from include.shell.__main__ import main; main()"
        done = shell(code)
        assert done.returncode == 0, done.stderr
        loaded = set(done.stdout.partition("LOADED")[2].split())
        assert "include.shell.options" in loaded
        assert loaded.isdisjoint(never), loaded & set(never)


def test_the_shells_completion_knows_commands_and_settings() -> None:
    """Typer's own: the completed words, as bash asks for them."""
    asked = {"_VITRINE_COMPLETE": "complete_bash", "COMP_CWORD": "1", "COMP_WORDS": "vitrine ro"}
    code = "from include.shell.__main__ import main; main()"
    assert shell(code, **asked).stdout.split() == ["rollback"]
    asked |= {"COMP_CWORD": "2", "COMP_WORDS": "vitrine trigger pre"}
    assert shell(code, **asked).stdout.split() == ["preset=", "precision="]
