"""The rules of the house: each contract broken in a copy, where `make lint` has to say so; and how long code may be."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.core.environment import REPOSITORY, VARIABLES

FLOORS = "Imports run down the floors, and rooms of one floor do not know each other"
AIRFLOW = "The logic never imports Airflow"
ANSWERING = "A question is answered without torch, transformers, pyarrow and pandas"
CIRCLES = "No folder imports in a circle"

# Contract that is broken, module, the line that breaks it, words of the refusal.
WRONG = {
    "up the floors": (
        FLOORS,
        "core/errors.py",
        "from include.index import plan",
        "include.core.errors -> include.index.plan",
    ),
    "a room of the same floor": (
        FLOORS,
        "training/loss.py",
        "from include.evaluation import metrics",
        "include.training.loss -> include.evaluation.metrics",
    ),
    "Airflow, inside a function": (
        AIRFLOW,
        "stages.py",
        "def late() -> None:\n    from airflow.sdk import dag",
        "include.stages -> airflow",
    ),
    "torch, through another room": (
        ANSWERING,
        "model/query_encoder.py",
        "import torch",
        "include.model.query_encoder -> torch",
    ),
    "a circle": (CIRCLES, "model/vectors.py", "from include.index import embed", "include.index"),
}

LONGEST_FUNCTION = 60  # lines, without its docstring
LONGEST_MODULE = 330
TABLES = {"include/core/settings.py", "include/sample/words.py"}  # every setting, every word: data that one looks up


def contracts(place: Path) -> subprocess.CompletedProcess[str]:
    """What `make lint` prints of the contracts over the `include/` in `place`."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of include/, and of the file that holds the contracts."""
    shutil.copytree(REPOSITORY / "include", tmp_path / "include", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_house_as_it_is_keeps_four_contracts(house: Path) -> None:
    done = contracts(house)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Contracts: 4 kept, 0 broken." in done.stdout


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_import_is_refused_by_the_contract_that_it_breaks(name: str, house: Path) -> None:
    """Danger: a contract that names no module any more, after a rename, is kept by everything."""
    contract, module, line, words = WRONG[name]
    file = house / "include" / module
    file.write_text(f"{file.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    done = contracts(house)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{contract} BROKEN" in done.stdout, done.stdout
    assert words in done.stdout, done.stdout


def test_a_room_that_the_contracts_do_not_name_is_refused(house: Path) -> None:
    """A new folder needs its floor."""
    (house / "include" / "attic").mkdir()
    (house / "include" / "attic" / "__init__.py").write_text('"""New."""\n', encoding="utf-8")
    done = contracts(house)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "attic" in done.stdout + done.stderr


def test_environment_variables_are_named_in_one_place() -> None:
    """One that is read elsewhere is missing in the reference in docs/operations.md."""
    found: dict[str, set[str]] = {}
    for path in [path for room in ("include", "dags", "plugins") for path in (REPOSITORY / room).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and re.fullmatch("VITRINE_[A-Z_]+", str(node.value)):
                found.setdefault(str(path.relative_to(REPOSITORY)), set()).add(str(node.value))
    assert found == {"include/core/environment.py": {variable.name for variable in VARIABLES}}


def test_a_large_file_is_refused(tmp_path: Path) -> None:
    """A model or a catalogue that was added by mistake stays in the history of every clone."""
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    (tmp_path / "below.bin").write_bytes(bytes(1_000_000))
    (tmp_path / "ação two.bin").write_bytes(bytes(1_100_000))
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    for added, refused in (("below.bin", False), ("ação two.bin", True)):
        subprocess.run(["git", "add", added], cwd=tmp_path, check=True)
        command = ["make", "-s", "no-large-files"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ("ação two.bin" in done.stdout, done.returncode != 0) == (refused, refused), done.stdout + done.stderr


def test_no_test_imports_a_test() -> None:
    """What several need lies beside them; else a test that is renamed, or left out, takes others along."""
    files = [path for room in ("tests", "benchmarks") for path in (REPOSITORY / room).rglob("*.py")]
    imported = re.compile(r"^\s*(?:from|import) (tests[.\w]*[.]test_\w+)", re.MULTILINE)
    found = {path.name: imported.findall(path.read_text(encoding="utf-8")) for path in files}
    assert len(found) > 100
    assert not {name: names for name, names in found.items() if names}


def test_the_tests_lie_in_the_same_folders() -> None:
    rooms = {path.name for path in (REPOSITORY / "include").iterdir() if (path / "__init__.py").exists()}
    folders = {path.name for path in (REPOSITORY / "tests").iterdir() if (path / "__init__.py").exists()}
    assert rooms <= folders, sorted(rooms - folders)


def modules() -> list[Path]:
    return [file for folder in ("include", "dags", "plugins") for file in sorted((REPOSITORY / folder).rglob("*.py"))]


def too_long(source: str) -> Iterator[str]:
    """The functions of a module that have more lines than they may."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            told = 0 if ast.get_docstring(node) is None else (first.end_lineno or 0) - first.lineno + 1
            lines = (node.end_lineno or 0) - node.lineno + 1 - told
            if lines > LONGEST_FUNCTION:
                yield f"{node.name} ({lines} lines)"


def test_no_function_is_too_long() -> None:
    """How many parameters one takes is in pyproject.toml: ruff counts them."""
    assert {str(file): names for file in modules() if (names := list(too_long(file.read_text(encoding="utf-8"))))} == {}


def test_lines_are_counted_without_the_docstring() -> None:
    body = '    """What it does.\n\n    And how.\n    """\n' + "    step()\n" * (LONGEST_FUNCTION - 1)
    assert list(too_long(f"def whole():\n{body}")) == []
    assert list(too_long(f"def whole():\n{body}    step()\n")) == [f"whole ({LONGEST_FUNCTION + 1} lines)"]


def test_no_module_is_too_long() -> None:
    lines = {
        file.relative_to(REPOSITORY).as_posix(): len(file.read_text(encoding="utf-8").splitlines())
        for file in modules()
    }
    assert {name: count for name, count in lines.items() if count > LONGEST_MODULE and name not in TABLES} == {}
