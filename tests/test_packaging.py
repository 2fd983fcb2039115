"""Tests of the wheel: one package with light content, which works outside the checkout."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import PurePosixPath

import pytest

import snn_gym
from snn_gym._base.folders import CONTENT_FOLDERS, checkout_root
from snn_gym.leaderboard.batches import shipped_weights
from snn_gym.leaderboard.pretrained import find_trained
from tests.packages import build

ROOT = checkout_root()
SUFFIXES = {".py", ".txt"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


def names_in(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return [PurePosixPath(name) for name in archive.namelist()]


@pytest.fixture(scope="module")
def names(wheel):
    return names_in(wheel)


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run_from(site, code, folder):
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_only_top_level_of_the_wheel_is_the_package(names):
    version = snn_gym.__version__
    assert {name.parts[0] for name in names} == {"snn_gym", f"snn_gym-{version}.dist-info"}


def test_the_wheel_has_the_code_and_its_type_marker(names):
    inside = {name for name in names if name.parts[0] == "snn_gym" and name.parts[1] != "_content"}
    code = {name for name in inside if name.suffix in SUFFIXES}
    expected = {
        PurePosixPath(path.relative_to(ROOT).as_posix())
        for path in (ROOT / "snn_gym").rglob("*")
        if path.suffix in SUFFIXES
    }
    assert {name.suffix for name in expected} == SUFFIXES
    assert code == expected
    assert PurePosixPath("snn_gym/py.typed") in names


def content_of(names):
    return {PurePosixPath(*name.parts[2:]) for name in names if "_content" in name.parts}


def test_the_wheel_has_all_light_content_and_small_trained_agents(names):
    content = content_of(names)
    shipped = {"leaderboard" / PurePosixPath(x) for x, _ in shipped_weights(ROOT / "leaderboard")}
    assert len(shipped) > 20
    assert shipped <= content
    assert {name.suffix for name in content - shipped} == {".toml", ".md", ".jsonl"}
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
import snn_gym, snn_gym._base.folders
from snn_gym.cli import main
assert snn_gym._base.folders.checkout_root() is None
print(snn_gym.__file__, *snn_gym.env_ids(), *snn_gym.agent_ids())
raise SystemExit(main(["table"]))
"""


@pytest.mark.check
def test_wheel_works_next_to_foreign_folders(site, tmp_path):
    project = tmp_path / "project"
    for folder in ("envs", "agents"):
        (project / folder).mkdir(parents=True)
        (project / folder / "__init__.py").write_text("")
    (project / "pyproject.toml").write_text("")
    done = run_from(site, CODE, project)
    where, *ids = done.stdout.split()
    assert where.startswith(str(site))
    assert ids == [*snn_gym.env_ids(), *snn_gym.agent_ids()]
    assert done.returncode == 2
    assert "name the folder with --leaderboard" in done.stderr


@pytest.mark.slow
def test_wheel_of_the_source_distribution_has_the_same_files(names, tmp_path):
    sdist = build("sdist", ROOT, tmp_path)
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (root,) = (path for path in tmp_path.iterdir() if path.is_dir())
    (tmp_path / "out").mkdir()
    assert set(names_in(build("wheel", root, tmp_path / "out"))) == set(names)


TRAINED = """
import snn_gym
from snn_gym.cli import main
model = snn_gym.load_pretrained("ppo-lif", "CartPole-v1")
print(model.seed, model.predict(model.env.reset())[0].shape)
assert main(["pretrained"]) == 0
try:
    snn_gym.load_pretrained("recurrent-ppo-gru", "snn/WaterMaze-v0")
except ValueError as error:
    print(error)
"""


@pytest.mark.slow
def test_wheel_has_trained_agents_and_names_the_source_of_other_agents(site, tmp_path):
    done = run_from(site, TRAINED, tmp_path)
    assert done.stderr == ""
    first, *table, last = done.stdout.splitlines()
    assert first.startswith(f"{find_trained('ppo-lif', 'CartPole-v1').row().seed} (")
    listed = {tuple(line.split()[:2]) for line in table if "-v" in line}
    shipped = [file.parts for file, _ in shipped_weights(ROOT / "leaderboard")]
    assert listed == {(agent, env.replace("__", "/")) for _, agent, env, _ in shipped}
    assert "are in a checkout of snn_gym, under leaderboard/weights" in table[-1]
    assert "the weights of recurrent-ppo-gru on snn/WaterMaze-v0 with seed" in last
    assert "a checkout of snn_gym has those of all rows" in last


def test_version_is_defined_once():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    citation, changes = ((ROOT / x).read_text() for x in ("CITATION.cff", "CHANGELOG.md"))
    # Brackets have the versions that are released; the next one is a candidate, such as 2.0.0rc1.
    released = re.search(r"^## \[(.+)\]", changes, re.MULTILINE)[1]
    assert re.search(r"^version: (.+)$", citation, re.MULTILINE)[1] == released
    version, _, candidate = snn_gym.__version__.partition("rc")
    assert candidate or version == released
    heading = rf"^## {re.escape(version)} \(not released" if candidate else r"^## \["
    assert re.search(heading, changes, re.MULTILINE)


KINDS = ("Changed (breaking)", "Changed", "Added", "Deprecated", "Removed", "Fixed", "Security")


def test_every_section_of_the_changelog_is_in_order():
    text = (ROOT / "CHANGELOG.md").read_text()
    # A version that is not released has no brackets.
    _, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    found = [re.match(r"\[?([\d.]+)\]?", part) for part in parts]
    assert all(found)
    numbers = [tuple(map(int, match[1].split("."))) for match in found]
    assert numbers == sorted(numbers, reverse=True)
    for part in parts:
        titles = re.findall(r"^### (.+)", part, re.MULTILINE)
        assert titles == [kind for kind in KINDS if kind in titles], part[:20]


def test_the_core_needs_no_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    core = {re.split(r"[\[<>=~]", line)[0] for line in project["dependencies"]}
    for extra, lines in project["optional-dependencies"].items():
        # An extra may name an extra of a core package, such as gymnasium[box2d].
        plain = {re.split(r"[<>=~]", line)[0] for line in lines if "[" not in line}
        assert not core & plain, extra
