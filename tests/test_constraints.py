"""The pinned packages install on every Python that README.md promises."""

import os
import re
from importlib import metadata

import pytest
from hypothesis import settings
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from include.core.environment import REPOSITORY

OLDEST = "3.11.2"  # Debian 12's own


def direct() -> list[Requirement]:
    """What requirements.txt and requirements-dev.txt ask for."""
    texts = [(REPOSITORY / name).read_text(encoding="utf-8") for name in ("requirements.txt", "requirements-dev.txt")]
    lines = [line.partition("#")[0].strip() for text in texts for line in text.splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("-r ")]


def needed() -> list[Requirement]:
    """What the direct requirements need, through any number of others, on this Python or on the oldest."""
    there = {canonicalize_name(each.name): each for each in metadata.distributions()}
    oldest = {"python_full_version": OLDEST, "python_version": OLDEST.rpartition(".")[0]}
    found, asked = direct(), set()
    for wanted in found:  # grows meanwhile
        for extra in {"", *wanted.extras} if (name := canonicalize_name(wanted.name)) in there else ():
            if (name, extra) not in asked:
                asked.add((name, extra))
                for each in map(Requirement, there[name].requires or []):
                    if name == "torch" and each.name not in pins():  # its build for GPUs pins what it needs itself
                        continue
                    on = [each.marker.evaluate({**python, "extra": extra}) for python in ({}, oldest) if each.marker]
                    found += [each] if any(on or [True]) else []
    return found


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


def test_the_pins_are_those_that_the_requirements_need() -> None:
    """A requirement that was changed without `make lock` is installed unpinned, or not at all."""
    pinned = {canonicalize_name(name): version for name, version in pins().items()}
    wanted = needed()
    refused = [str(each) for each in wanted if pinned.get(canonicalize_name(each.name), "0") not in each.specifier]
    assert refused == [], "say `make lock`"
    assert sorted(pinned) == sorted({canonicalize_name(each.name) for each in wanted}), "say `make lock`"


def test_the_environment_is_the_pinned_one() -> None:
    """What is tested is what a user gets."""
    there = installed()
    other = {name: each.version for name, each in there.items() if not re.match(re.escape(pins()[name]), each.version)}
    assert other == {}


def test_property_tests_have_no_deadline() -> None:
    """An example that takes 200 ms on a busy machine failed `make test`, whatever the code did."""
    assert settings().deadline is None
    assert settings().derandomize or os.environ.get("VITRINE_FUZZ")
