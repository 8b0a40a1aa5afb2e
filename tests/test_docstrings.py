"""The examples in docstrings, run as they stand: a reader takes them for true."""

import doctest
import importlib

import pytest

from include.core.environment import REPOSITORY

WITH_EXAMPLES = [
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
    for path in sorted((REPOSITORY / "include").rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_the_examples_of(module: str) -> None:
    done = doctest.testmod(importlib.import_module(module))
    assert done.attempted > 0, "`>>> ` stands where doctest does not look"
    assert done.failed == 0


def test_there_are_examples() -> None:
    """A path that is wrong finds none, and the test above passes."""
    assert "include.core.redaction" in WITH_EXAMPLES
