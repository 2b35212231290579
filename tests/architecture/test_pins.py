"""The pinned versions fit what pyproject.toml asks for, and name nothing that only one machine has."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
GROUPS = {"base": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
LATER = {"hub"}
"""Extras that neither the demo nor the tests install: they need no pin yet."""


def pins() -> dict[str, str]:
    lines = [line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    found = [re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.!+_-]+)", line) for line in lines if line]
    assert all(found), "constraints.txt holds `name==version` and comments, nothing else"
    return {canonicalize_name(match[1]): match[2] for match in found if match}


def test_every_requirement_is_pinned_to_a_version_that_fits() -> None:
    pinned = pins()
    for group, requirements in GROUPS.items():
        for requirement in map(Requirement, requirements):
            version = pinned.get(canonicalize_name(requirement.name))
            if version is None:
                assert group in LATER, f"{requirement} of {group} has no pin"
            else:
                assert requirement.specifier.contains(version), f"{requirement}, but pinned to {version}"


def test_no_pin_is_twice_or_local() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    assert len(lines) == len(pins())
    assert not [version for version in pins().values() if "+" in version], "a local version exists on one machine only"


def test_the_environment_has_the_pinned_versions() -> None:
    """Holds in the .venv that `make` builds; another environment may have other versions."""
    if Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
        pytest.skip("not running in the project's own .venv")
    # torch calls its build for processors alone "+cpu": the same version
    here = {
        canonicalize_name(found.metadata["Name"]): found.version.partition("+")[0] for found in metadata.distributions()
    }
    unpinned = set(here) - set(pins()) - {"bodega", "pip", "setuptools", "wheel"}
    assert not unpinned, f"installed but not pinned: {sorted(unpinned)}"
    other = {name: here[name] for name, version in pins().items() if here.get(name, version) != version}
    assert not other, f"installed in another version than pinned: {other}"
