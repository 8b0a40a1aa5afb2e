"""docs/guide.md, as a reader types it: every block, in its order, in one shell; and `vitrine` against Airflow."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from include.answering.schema import Answers, Found
from include.core.environment import REPOSITORY, VARIABLES
from include.core.index_settings import IndexSettings
from include.publishing.kept_versions import kept_versions
from tests.system.conftest import Airflow

pytestmark = pytest.mark.airflow
GUIDE = (REPOSITORY / "docs" / "guide.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
END = "the block has ended"
WAYS = ("", "--local")  # through Airflow, and without


class Block(NamedTuple):
    """What is typed, by what, and what the guide says comes of it."""

    language: str
    typed: str
    told: list[str]


def blocks() -> Iterator[Block]:
    """The guide's blocks; one of text belongs to the one before it."""
    found: list[Block] = []
    for language, text in BLOCK.findall(GUIDE):
        if language == "text":
            found[-1].told.extend(text.splitlines())
        else:
            found.append(Block(language, text, []))
    assert {each.language for each in found} == {"bash", "python"}
    return iter(found)


def same(line: str) -> str:
    """A line without its scores, which differ a little from one processor to another."""
    return re.sub(r"\b\d\.\d{3}\b", "#", line)


@pytest.fixture(scope="module")
def shop(airflow: Airflow, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder to play in, and an environment in which `vitrine` is the one that `make` puts into .venv/bin."""
    checkout = tmp_path_factory.mktemp("guide") / "checkout"
    programs, folder = checkout / ".venv" / "bin", checkout / "build" / "shop"
    programs.mkdir(parents=True)
    folder.mkdir(parents=True)
    shutil.copy(REPOSITORY / "include" / "shell" / "vitrine.sh", programs / "vitrine")
    (programs / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (programs / "python").chmod(0o755)
    (checkout / "include").symlink_to(REPOSITORY / "include")
    ours = {variable.name for variable in VARIABLES}
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    user, password = airflow.local.login()
    given = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(checkout),
        "VITRINE_AIRFLOW": airflow.local.url,
        "VITRINE_USER": user,
        "VITRINE_PASSWORD": password,
        "VITRINE_DATA": str(airflow.data),
    }
    return folder, {**clean, **given}


def typed(shop: tuple[Path, dict[str, str]], script: str, **given: str) -> subprocess.CompletedProcess[str]:
    """What comes of a bash script there."""
    folder, environment = shop
    return subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{script}"],
        cwd=folder,
        env={**environment, **given},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


@pytest.fixture(scope="module")
def walked(airflow: Airflow, shop: tuple[Path, dict[str, str]]) -> list[tuple[Block, str]]:
    """Each block with what came of it."""
    found = list(blocks())
    lines, program = [], ""
    for number, block in enumerate(found):
        if block.language == "python":
            program += f"{block.typed}\nprint({f'{END} {number}'!r})\n"
        else:
            lines += [block.typed, f"echo '{END} {number}'"]
    done = typed(shop, "\n".join([*lines, f"python - <<'END OF PYTHON'\n{program}END OF PYTHON"]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert [each.language for each in found] == sorted(each.language for each in found), "the shell's blocks come first"
    said = re.split(rf"{END} \d+\n", done.stdout)
    assert said.pop() == ""
    return list(zip(found, said, strict=True))


def test_every_block_of_the_guide_does_what_it_says(
    airflow: Airflow, shop: tuple[Path, dict[str, str]], walked: list[tuple[Block, str]]
) -> None:
    """A guide that fails at the third line is the last thing that a newcomer reads."""
    for block, output in walked:
        assert {same(line) for line in block.told} <= {same(line) for line in output.splitlines()}, output
    newest, earlier = kept_versions(airflow.data, IndexSettings(collection="shop"))
    assert (newest["live"], newest["products"], earlier["products"]) == (True, 13, 12)
    assert "<title>" in (shop[0] / "report.html").read_text()


@pytest.mark.usefixtures("walked")
def test_airflow_and_the_data_directory_give_the_same_json(shop: tuple[Path, dict[str, str]]) -> None:
    """Who switches from one to the other changes an option, not a program."""
    for command, model in (("ask 'Is there a kettle?' 'Do you sell toasters?'", Answers), ("search kettle", Found)):
        both = [
            json.loads(typed(shop, f"vitrine {command} --collection shop --json {how}; true").stdout) for how in WAYS
        ]
        for found in both:
            model.model_validate(found)
            found.pop("seconds")
            found.pop("milliseconds")
            for entry in found.get("answers", []):
                entry.pop("seconds")
        assert both[0] == both[1]
    both = [json.loads(typed(shop, f"vitrine versions --collection shop --json {how}").stdout) for how in WAYS]
    assert both[0] == both[1]


@pytest.mark.usefixtures("walked")
@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        ("ask 'a lamp' --filter 'brnad = 1'", 2, "brnad"),
        ("ask 'a lamp' --version 0123456789abcdef", 3, "does not exist"),
        ("ask 'a lamp' --collection toys", 3, "Nothing has been published"),
        ("rollback 0123456789abcdef --yes", 3, "Kept are"),
        ("report no-such-run", 3, "has no report"),
        ("runs no-such-run", 3, "has no run no-such-run"),
        ("status --password wrong", 4, "Airflow said 401"),
    ],
)
def test_what_fails_in_airflow_ends_as_it_does_without(
    shop: tuple[Path, dict[str, str]], command: str, code: int, told: str
) -> None:
    """The task's own error, its next step and its code, not that a run has failed."""
    done = typed(shop, f"vitrine {command}", VITRINE_COLLECTION="shop")
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert told in done.stderr
