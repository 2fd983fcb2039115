"""Containerfile: it installs what the rows were trained under, and copies what that needs.

Nothing is built here; `make lint` has hadolint read the file.
"""

import itertools
import json
import re
import shlex
import shutil
import tomllib
from pathlib import Path

import pytest

from snn_gym.cli import main
from snn_gym.content import checkout_root
from snn_gym.registry import IMPORTED
from snn_gym.scoring.results import list_rows
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


def test_its_python_is_the_one_that_trained_the_rows() -> None:
    ((image,),) = words_of("FROM")
    rows = [row for row in list_rows(ROOT / "leaderboard") if row.budget_class != IMPORTED]
    trained = {row.recipe.versions["python"] for row in rows if row.recipe is not None}
    assert re.findall(r"/python:([\d.]+)-", image) == sorted(trained)


def test_everything_is_installed_under_the_pinned_versions_with_extras_that_there_are() -> None:
    (words,) = words_of("RUN")
    assert words[:2] == ["pip", "install"]
    values = dict(itertools.pairwise(words))
    assert values["--constraint"] == "leaderboard/constraints.txt"
    # All else that it names is the project itself.
    taken = {values[option] for option in ("--constraint", "--extra-index-url", "--editable")}
    assert [word for word in words[2:] if not word.startswith("--") and word not in taken] == []
    extras = re.fullmatch(r"\.\[(.+)\]", values["--editable"])[1].split(",")
    assert set(extras) <= set(PROJECT["optional-dependencies"])
    pinned = (ROOT / "leaderboard" / "constraints.txt").read_text()
    for extra in extras:  # a row may have been trained with any of them
        for requirement in PROJECT["optional-dependencies"][extra]:
            name = re.match(r"[\w-]+", requirement)[0]
            assert re.search(rf"^{name}==", pinned, re.MULTILINE), requirement


def test_training_has_one_thread_as_in_the_makefile() -> None:
    assert words_of("ENV") == [["OMP_NUM_THREADS=1"]]
    assert "export OMP_NUM_THREADS := 1\n" in (ROOT / "Makefile").read_text()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Give what the image would hold of the checkout."""
    for *sources, target in words_of("COPY"):
        for source in sources:
            if source.endswith("/"):
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / source, tmp_path / target, ignore=ignored)
            else:
                shutil.copy(ROOT / source, tmp_path / target)
    return tmp_path


def test_what_it_copies_can_be_built_and_its_command_run(copied: Path, tmp_path_factory) -> None:
    assert build("wheel", copied, tmp_path_factory.mktemp("wheel")).exists()
    ((program,),), (words,) = words_of("ENTRYPOINT"), words_of("CMD")
    assert program in PROJECT["scripts"]
    empty = tmp_path_factory.mktemp("leaderboard")
    assert main([*words, "--leaderboard", str(empty)]) == 0
