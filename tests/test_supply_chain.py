"""Tests of pinned dependencies: versions, hashes and indexes."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from collections.abc import Iterator

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from snn_gym._base.folders import checkout_root
from snn_gym.envs.registry import IMPORTED
from snn_gym.leaderboard.limited_process import MAX_PARAMETERS
from snn_gym.leaderboard.results import list_rows

ROOT = checkout_root()
assert ROOT is not None
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = ("box2d", "contrib", "digits", "mujoco")
"""Extras that rows were trained with."""
LISTS = ("constraints.txt", "torch.txt")
_ENTRY = re.compile(
    r"^([a-z0-9-]+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.M
)
_NVIDIA = re.compile(r"nvidia-|cuda-|triton$")


def pinned() -> dict[str, str]:
    """Return the version of each package that has hashes."""
    texts = [(ROOT / "leaderboard" / name).read_text() for name in LISTS]
    return {name: version for text in texts for name, version, _ in _ENTRY.findall(text)}


def needed(names: list[str], extra: str = "") -> Iterator[str]:
    """Yield the packages that requirements ask for on this machine."""
    for name in names:
        asked = Requirement(name)
        if asked.marker is None or asked.marker.evaluate({"extra": extra}):
            yield canonicalize_name(asked.name)
            for one in asked.extras or {""}:
                yield from needed(importlib.metadata.requires(asked.name) or [], one)


def test_lists_have_only_versions_with_hashes() -> None:
    for name in LISTS:
        text = (ROOT / "leaderboard" / name).read_text()
        rest = [line for line in _ENTRY.sub("", text).splitlines() if line and line[0] != "#"]
        assert rest == (["--requirement torch.txt"] if name == "constraints.txt" else [])


def test_training_dependencies_have_hashes() -> None:
    optional = PROJECT["project"]["optional-dependencies"]
    asked = [*PROJECT["project"]["dependencies"], *(x for name in EXTRAS for x in optional[name])]
    asked += PROJECT["build-system"]["requires"]
    missing = {name for name in needed(asked) if not _NVIDIA.match(name)} - pinned().keys()
    assert not missing


def test_versions_equal_the_rows() -> None:
    versions = pinned()
    rows = list_rows(ROOT / "leaderboard")
    assert rows
    for row in rows:
        assert row.recipe is not None or row.budget_class == IMPORTED
        for name, version in ({} if row.recipe is None else row.recipe.versions).items():
            if name not in ("python", "snn_gym"):
                assert version.removesuffix("+cpu") == versions[canonicalize_name(name)], row.name


@pytest.mark.parametrize(
    "name",
    [
        "Makefile",
        "Containerfile",
        ".github/workflows/check.yml",
        ".github/workflows/submission.yml",
    ],
)
def test_no_second_index_serves_every_package(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    commands = [line for line in lines if not line.lstrip().startswith("#")]
    assert not [line for line in commands if "extra-index-url" in line]


def test_security_pages_state_the_limits_of_the_verifier() -> None:
    for name in ("SECURITY.md", "docs/guide/verifier.md"):
        assert f"{MAX_PARAMETERS:,} parameters" in (ROOT / name).read_text()
