"""Fixtures: small agents of the zoo, saved and submitted."""

import json
import shutil
from pathlib import Path

import pytest

from snn_gym.leaderboard import submit, verification, verify, write_table
from snn_gym.leaderboard.manifest import MANIFEST_NAME, WEIGHTS_NAME
from snn_gym.zoo import make_agent, save_agent
from tests.leaderboard.helpers import SETTINGS, Template, rerun_in_process


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    """Give a saved `ppo-lif` after a little training on CartPole-v1."""
    model = make_agent("ppo-lif", "CartPole-v1", seed=0)
    model.learn(512)  # two updates, the first of which learns
    return save_agent(model, tmp_path_factory.mktemp("run") / "ppo-lif")


@pytest.fixture(scope="session")
def template(run_folder, tmp_path_factory):
    """Give the honest submission of `run_folder` on three episodes."""
    out = submit(run_folder, tmp_path_factory.mktemp("out") / "s", seeds=SETTINGS.seeds)
    manifest = json.loads((out / MANIFEST_NAME).read_text())
    return Template(manifest, (out / WEIGHTS_NAME).read_bytes())


@pytest.fixture
def in_process(monkeypatch):
    """Re-run submissions in this process; agents of the zoo are known to be small enough."""
    monkeypatch.setattr(verification, "rerun_limited", rerun_in_process)
    monkeypatch.setattr(verification, "check_architecture", lambda *_: None)


@pytest.fixture(scope="session")
def verified_board(template, tmp_path_factory):
    """Give a read-only leaderboard of one verified row and its table."""
    root = tmp_path_factory.mktemp("verified")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verification, "rerun_limited", rerun_in_process)
        patch.setattr(verification, "check_architecture", lambda *_: None)
        verify(template.write(root / "submission"), root / "board", SETTINGS)
    write_table(root / "board")
    return root / "board"


@pytest.fixture
def board(verified_board, in_process, tmp_path):
    """Give a copy of the leaderboard of one verified row."""
    return Path(shutil.copytree(verified_board, tmp_path / "board"))
