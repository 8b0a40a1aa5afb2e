"""docs/guide.md, as a reader types it: every block, in its order, in one shell."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from include.core.environment import REPOSITORY, VARIABLES
from include.core.settings import IndexSettings
from include.publishing.kept_versions import kept_versions
from tests.system.conftest import Airflow

pytestmark = pytest.mark.airflow
GUIDE = (REPOSITORY / "docs" / "guide.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
END = "the block has ended"


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


@pytest.fixture
def place(airflow: Airflow, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A folder to play in, and an environment in which `vitrine` is the one that `make` puts into .venv/bin."""
    programs = tmp_path / "checkout" / ".venv" / "bin"
    programs.mkdir(parents=True)
    shutil.copy(REPOSITORY / "include" / "shell" / "vitrine.sh", programs / "vitrine")
    (programs / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (programs / "python").chmod(0o755)
    (tmp_path / "checkout" / "include").symlink_to(REPOSITORY / "include")
    ours = {variable.name for variable in VARIABLES}
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    user, password = airflow.local.login()
    given = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(tmp_path / "checkout"),
        "VITRINE_AIRFLOW": airflow.local.url,
        "VITRINE_USER": user,
        "VITRINE_PASSWORD": password,
        "VITRINE_DATA": str(airflow.data),
    }
    folder = tmp_path / "shop"
    folder.mkdir()
    return folder, {**clean, **given}


def test_every_block_of_the_guide_does_what_it_says(airflow: Airflow, place: tuple[Path, dict[str, str]]) -> None:
    """A guide that fails at the third line is the last thing that a newcomer reads."""
    folder, environment = place
    typed = list(blocks())
    lines, program = ["set -euo pipefail"], ""
    for number, block in enumerate(typed):
        if block.language == "python":
            program += f"{block.typed}\nprint({f'{END} {number}'!r})\n"
        else:
            lines += [block.typed, f"echo '{END} {number}'"]
    lines.append("python - <<'END OF PYTHON'\n" + program + "END OF PYTHON")
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert typed[-1].language == "python", "the shell's blocks come first"
    said = re.split(rf"{END} \d+\n", done.stdout)
    assert len(said) == len(typed) + 1
    for block, output in zip(typed, said, strict=False):
        shown = {same(line) for line in output.splitlines()}
        assert {same(line) for line in block.told} <= shown, (block.told, output)
    newest, earlier = kept_versions(airflow.data, IndexSettings(collection="shop"))
    assert (newest["live"], newest["products"], earlier["products"]) == (True, 13, 12)
    assert "<title>" in (folder / "report.html").read_text()
