"""Tests of `make release-check`: steps in a clone of the commit, and a summary."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from snn_gym._base.folders import checkout_root

ROOT = checkout_root()
SCRIPT = ROOT / ".ci" / "release.py"
MAKEFILE = """
check:
\t@cat word
wheels:
\t@echo "SKIPPED [1] tests/test_wheel.py:74: there is no Python 3.12 on this machine"
\t@echo "PYTHONPATH is '$$PYTHONPATH'"
docs:
\t@echo a warning; exit 3
audit sbom retrain:
\t@touch done
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Give a repository with changes after its only commit."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "Makefile").write_text(MAKEFILE)
    (folder / "word").write_text("committed\n")
    who = ("-c", "user.name=A", "-c", "user.email=a@b.c")
    for words in (("init", "-q"), ("add", "."), (*who, "commit", "-q", "-m", "first")):
        subprocess.run(["git", *words], cwd=folder, check=True)
    (folder / "word").write_text("changed\n")
    return folder


def release(repository: Path, *steps: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(repository.parent / "out"), *steps],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_summary_lists_passed_failed_and_skipped_steps(repository: Path) -> None:
    done = release(repository, "check", "wheels", "docs")
    shown, summary = done.stdout.split("\n\nrelease check of ")
    assert "committed" in shown.splitlines()  # the commit is checked
    assert "PYTHONPATH is ''" in shown.splitlines()
    lines = [re.sub(r"in \d+\.\d min: .*/", "", line) for line in summary.splitlines()[1:]]
    assert lines == [
        "  1 changed files here are not committed, and not in it",
        "  check    passed check.log",
        "  wheels   passed wheels.log",
        "           skipped: tests/test_wheel.py:74: there is no Python 3.12 on this machine",
        "  docs     FAILED docs.log",
        "  audit    left out",
        "  sbom     left out",
        "  retrain  left out",
        "failed: docs",
    ]
    assert done.returncode == 1
    assert (repository.parent / "out" / "check.log").read_text() == "committed\n"


def test_clone_is_recreated_and_the_checkout_is_unchanged(repository: Path) -> None:
    for steps in (["audit"], []):
        done = release(repository, *steps)
        assert done.stdout.splitlines()[-1] == ("failed: none" if steps else "failed: docs")
        assert done.returncode == (not steps)
    assert (repository.parent / "out" / "clone" / "done").exists()
    assert sorted(path.name for path in repository.iterdir()) == [".git", "Makefile", "word"]


def test_an_unknown_step_is_named_before_anything_is_cloned(repository: Path) -> None:
    done = release(repository, "chekc")
    assert done.returncode == 2
    assert done.stderr.startswith("there is no step 'chekc'; there are: check wheels")
    assert not (repository.parent / "out").exists()


def test_every_step_is_a_target_of_make() -> None:
    steps = runpy.run_path(str(SCRIPT))["STEPS"]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert len(steps) == 6
    assert set(steps) <= set(targets)
