"""The wheel holds one package with light content, and works away from the checkout."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import PurePosixPath

import pytest

import snn_gym
from snn_gym.content import CONTENT_FOLDERS, checkout_root

ROOT = checkout_root()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    # hatchling itself, for pip would fetch the build backend from the network
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return [PurePosixPath(name) for name in archive.namelist()]


def test_the_only_top_level_of_the_wheel_is_the_package(names):
    version = snn_gym.__version__
    assert {name.parts[0] for name in names} == {"snn_gym", f"snn_gym-{version}.dist-info"}


def test_the_wheel_has_the_code_and_its_type_marker(names):
    code = {name for name in names if "_content" not in name.parts and name.suffix == ".py"}
    expected = {
        PurePosixPath(path.relative_to(ROOT).as_posix())
        for path in (ROOT / "snn_gym").rglob("*.py")
    }
    assert code == expected
    assert PurePosixPath("snn_gym/py.typed") in names


def test_the_wheel_has_all_light_content_and_no_weights(names):
    content = {PurePosixPath(*name.parts[2:]) for name in names if "_content" in name.parts}
    assert {name.suffix for name in content} == {".toml", ".md"}
    for folder in ("envs", "agents"):
        expected = {
            PurePosixPath(path.relative_to(ROOT).as_posix())
            for path in (ROOT / folder).rglob("*")
            if path.is_file()
        }
        assert {name for name in content if name.parts[0] == folder} == expected
    assert PurePosixPath("leaderboard/RULES.md") in content


def test_content_folders_are_no_packages():
    for folder in CONTENT_FOLDERS:
        assert not list((ROOT / folder).rglob("__init__.py"))


CODE = """
import snn_gym, snn_gym.content
from snn_gym.cli import main
assert snn_gym.content.checkout_root() is None
print(snn_gym.__file__, *snn_gym.env_ids(), *snn_gym.agent_ids())
raise SystemExit(main(["table"]))
"""


def test_the_wheel_works_beside_somebody_elses_folders(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    project = tmp_path / "project"
    for folder in ("envs", "agents"):
        (project / folder).mkdir(parents=True)
        (project / folder / "__init__.py").write_text("")
    (project / "pyproject.toml").write_text("")
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    where, *ids = done.stdout.split()
    assert where.startswith(str(tmp_path / "site"))
    assert ids == [*snn_gym.env_ids(), *snn_gym.agent_ids()]
    assert done.returncode == 2
    assert "name the folder with --leaderboard" in done.stderr


def test_there_is_one_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^version: (.+)$", citation, re.MULTILINE)[1] == snn_gym.__version__
    assert f"## [{snn_gym.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_core_needs_no_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    core = {re.split(r"[\[<>=~]", line)[0] for line in project["dependencies"]}
    for extra, lines in project["optional-dependencies"].items():
        # An extra may name an extra of a core package, such as gymnasium[box2d].
        plain = {re.split(r"[<>=~]", line)[0] for line in lines if "[" not in line}
        assert not core & plain, extra
