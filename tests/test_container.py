"""Tests of the Containerfile: installed versions and copied files.

No image is built here; `make lint` runs hadolint.
"""

import itertools
import json
import re
import shlex
import shutil
import tomllib
from pathlib import Path

import pytest

from snn_gym._base.folders import checkout_root
from snn_gym.cli import main
from snn_gym.envs.registry import IMPORTED
from snn_gym.leaderboard.results import list_rows
from tests.packages import build

ROOT = checkout_root()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def instructions() -> list[tuple[str, list[str]]]:
    """Return each instruction and its words, without comments."""
    text = (ROOT / "Containerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    pairs = [line.split(maxsplit=1) for line in lines]
    return [(name, json.loads(x) if x.startswith("[") else shlex.split(x)) for name, x in pairs]


def words_of(wanted: str) -> list[list[str]]:
    return [words for name, words in instructions() if name == wanted]


def test_python_version_equals_the_rows() -> None:
    ((image,),) = words_of("FROM")
    rows = [row for row in list_rows(ROOT / "leaderboard") if row.budget_class != IMPORTED]
    trained = {row.recipe.versions["python"] for row in rows if row.recipe is not None}
    assert re.findall(r"/python:([\d.]+)-", image) == sorted(trained)


def test_base_image_has_a_digest() -> None:
    ((image,),) = words_of("FROM")
    assert re.search(r"@sha256:[0-9a-f]{64}$", image)


def test_packages_are_installed_by_hash_without_additions() -> None:
    (run,) = words_of("RUN")
    *lists, project = (shlex.split(x) for x in shlex.join(run).split("'&&'"))
    for words in lists:
        assert words[:5] == ["pip", "install", "--no-cache-dir", "--no-deps", "--require-hashes"]
    named = [dict(itertools.pairwise(words)) for words in lists]
    assert [values["--requirement"] for values in named] == [
        "leaderboard/torch.txt",
        "leaderboard/constraints.txt",
    ]
    # PyTorch's index serves PyTorch alone.
    assert [values.get("--index-url") for values in named] == [
        "https://download.pytorch.org/whl/cpu",
        None,
    ]
    options = ["--no-cache-dir", "--no-deps", "--no-build-isolation", "--editable", "."]
    assert project == ["pip", "install", *options]


def test_training_has_one_thread_as_in_the_makefile() -> None:
    assert words_of("ENV") == [["OMP_NUM_THREADS=1"]]
    assert "export OMP_NUM_THREADS := 1\n" in (ROOT / "Makefile").read_text()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Give the files of the checkout in the image."""
    for *sources, target in words_of("COPY"):
        for source in sources:
            if source.endswith("/"):
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / source, tmp_path / target, ignore=ignored)
            else:
                shutil.copy(ROOT / source, tmp_path / target)
    return tmp_path


@pytest.mark.check
def test_copied_files_build_a_wheel_and_run_the_command(copied: Path, tmp_path_factory) -> None:
    assert build("wheel", copied, tmp_path_factory.mktemp("wheel")).exists()
    ((program,),), (words,) = words_of("ENTRYPOINT"), words_of("CMD")
    assert program in PROJECT["scripts"]
    empty = tmp_path_factory.mktemp("leaderboard")
    assert main([*words, "--leaderboard", str(empty)]) == 0
