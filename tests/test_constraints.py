"""The pinned packages install on every Python that README.md promises."""

import os
import re
from importlib import metadata

import pytest
from hypothesis import settings
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.conftest import REPOSITORY

OLDEST = "3.11.2"  # Debian 12's own


def pins() -> dict[str, str]:
    """Version by package, as constraints.txt has them."""
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def installed() -> dict[str, metadata.Distribution]:
    """The environment's packages that constraints.txt pins (not each is needed on each platform)."""
    found = {canonicalize_name(each.name): each for each in metadata.distributions()}
    return {name: found[canonicalize_name(name)] for name in pins() if canonicalize_name(name) in found}


def test_the_readme_names_the_oldest_python_and_the_makefile_refuses_older_ones() -> None:
    """A promise that nothing keeps: the README's first line is where a newcomer starts."""
    assert f"Python {OLDEST} or newer" in (REPOSITORY / "README.md").read_text(encoding="utf-8")
    made = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    oldest = ", ".join(OLDEST.split("."))
    assert f"({oldest}) <= sys.version_info < (3, 13)" in made


@pytest.mark.parametrize("python", [OLDEST, "3.11.14", "3.12.0"])
def test_every_pin_installs_on(python: str) -> None:
    """One pin that needs a newer Python ends `make demo` and `make test` in ResolutionImpossible."""
    there = installed()
    assert len(there) > 200
    refusing = {
        name: needed
        for name, each in there.items()
        if (needed := (each.metadata.get_all("Requires-Python") or [""])[0]) and python not in SpecifierSet(needed)
    }
    assert refusing == {}


def test_the_environment_is_the_pinned_one() -> None:
    """What is tested is what a user gets."""
    there = installed()
    other = {name: each.version for name, each in there.items() if not re.match(re.escape(pins()[name]), each.version)}
    assert other == {}


def test_property_tests_have_no_deadline() -> None:
    """An example that takes 200 ms on a busy machine failed `make test`, whatever the code did."""
    assert settings().deadline is None
    assert settings().derandomize or os.environ.get("VITRINE_FUZZ")
