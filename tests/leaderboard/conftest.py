"""Fixtures: small agents of the zoo, saved and submitted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from snn_gym.leaderboard import submit
from snn_gym.leaderboard.manifest import MANIFEST_NAME, WEIGHTS_NAME
from snn_gym.zoo import make_agent, save_agent
from tests.leaderboard.helpers import SETTINGS, Template


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a saved `ppo-lif` after a little training on CartPole-v1."""
    model = make_agent("ppo-lif", "CartPole-v1", seed=0)
    model.learn(256)
    return save_agent(model, tmp_path_factory.mktemp("run") / "ppo-lif")


@pytest.fixture(scope="session")
def template(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Give the honest submission of `run_folder` on three episodes."""
    out = submit(run_folder, tmp_path_factory.mktemp("out") / "s", seeds=SETTINGS.seeds)
    manifest = json.loads((out / MANIFEST_NAME).read_text())
    return Template(manifest, (out / WEIGHTS_NAME).read_bytes())
