"""Tests of files that name a module: no entry point imports it."""

import contextlib
import importlib
import io
import json
import shutil
import sys

import gymnasium as gym
import pytest

from snn_gym import load_agent
from snn_gym.cli import main
from snn_gym.leaderboard import SubmissionError, reevaluate, submit, table_rows, verify
from snn_gym.leaderboard.results import list_rows
from snn_gym.training import train
from snn_gym.zoo import read_manifest
from tests.edits import edit_json
from tests.leaderboard.helpers import SETTINGS, edit_row
from tests.leaderboard.test_table import fill, make_row

TASK = "payload:CartPole-v1"


@pytest.fixture
def marker(tmp_path, monkeypatch):
    """Put a module on the path that makes a file on import; give that file."""
    made = tmp_path / "imported"
    (tmp_path / "payload.py").write_text(f"open({str(made)!r}, 'w').close()")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "payload", raising=False)
    yield made
    sys.modules.pop("payload", None)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    train("dqn-mlp", "CartPole-v1", out=folder, steps=300, checkpoint_interval=100)
    return folder


def edited(trained, folder, **changes):
    """Copy a run and change every JSON file in it that has these keys."""
    shutil.copytree(trained, folder)
    for path in folder.rglob("*.json"):
        content = json.loads(path.read_text())
        edit_json(path, **{key: changes[key] for key in changes if key in content})
    return folder


def resume(run):
    return train("dqn-mlp", "CartPole-v1", out=run, steps=600, checkpoint_interval=100, resume=True)


def test_payload_runs_without_the_check(marker):
    """Test of the tests: gymnasium imports the module of such an id."""
    gym.make(TASK)
    assert marker.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"environment": TASK},
        {"environment_kwargs": {"id": TASK}},
        {"environment_kwargs": {"base_id": TASK}, "environment": "snn/CartPole-v1"},
        {"environment_kwargs": {"wrapped": [{"env": TASK}]}},
    ],
)
@pytest.mark.parametrize(
    "entry",
    [
        load_agent,
        read_manifest,
        submit,
        lambda run: refused(["evaluate", str(run), "--episodes", "1"]),
        lambda run: refused(["submit", str(run)]),
        lambda run: refused(["plot", str(run)]),
    ],
    ids=["load_agent", "read_manifest", "submit", "evaluate", "submit command", "plot command"],
)
def test_run_folders_import_no_module(entry, change, trained, marker, tmp_path):
    run = edited(trained, tmp_path / "run", **change)
    with pytest.raises(ValueError, match="names a module, and a file can't have code run"):
        entry(run)
    assert not marker.exists()
    assert "payload" not in sys.modules


def refused(words):
    """Run a command that is refused in one line; raise that line."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        assert main(words) == 2
    line = said.getvalue()
    assert line.count("\n") == 1
    raise ValueError(line)


def test_resuming_a_run_imports_no_module(trained, marker, tmp_path):
    run = edited(trained, tmp_path / "run", environment=TASK)
    with pytest.raises(ValueError, match="payload"):
        resume(run)
    words = ["train", "dqn-mlp", "CartPole-v1", "--steps", "600", "--out", str(run), "--resume"]
    with pytest.raises(ValueError, match="names a module"):
        refused(words)
    assert not marker.exists()


def test_submissions_import_no_module(template, marker, tmp_path):
    folder = template.with_manifest(environment=TASK).write(tmp_path / "s")
    with pytest.raises(SubmissionError) as caught:
        verify(folder, tmp_path / "board", SETTINGS)
    assert caught.value.code == "manifest-schema"
    assert not marker.exists()
    assert not (tmp_path / "board").exists()


@pytest.mark.parametrize("read", [list_rows, lambda board: list(reevaluate(board))])
def test_rows_import_no_module(read, marker, tmp_path):
    fill(tmp_path, make_row(evaluator_version=1))
    edit_row(tmp_path, environment=TASK)
    with pytest.raises(SubmissionError, match="row-schema"):
        read(tmp_path)
    with pytest.warns(UserWarning, match="set aside"):
        assert table_rows(tmp_path) == ()
    assert not marker.exists()
