"""Branches share their trunk until they leave it; agents that are trained on change."""

from pathlib import Path

import pytest
import torch

from snn_gym._base.storage import load_tensors
from studies.copies import trained
from studies.copies.trained import train_branches, train_further


@pytest.fixture
def _short(monkeypatch):
    monkeypatch.setattr(trained, "STEPS", 1280)
    monkeypatch.setattr(trained, "CHECKPOINT_INTERVAL", 256)
    monkeypatch.setattr(trained, "TRUNK_SEEDS", (5,))
    monkeypatch.setattr(trained, "BRANCH_TENTHS", (1, 4))
    monkeypatch.setattr(trained, "BRANCH_SEEDS", (0, 1))
    monkeypatch.setattr(trained, "PAIRED_AGENT", "ppo-lif")


def _difference(one, other):
    a, b = (load_tensors(path, max_bytes=1 << 20)[0] for path in (one, other))
    return sum(float(torch.dist(a[name], b[name])) for name in a if name.endswith("weight"))


@pytest.mark.usefixtures("_short")
def test_a_branch_of_the_same_seed_is_the_trunk(tmp_path):
    train_branches(tmp_path)
    trunk = tmp_path / "branch-5-0-5.safetensors"
    assert _difference(trunk, tmp_path / "paired-5.safetensors") == 0
    late, early = (
        _difference(trunk, tmp_path / f"branch-5-{checkpoint}-6.safetensors")
        for checkpoint in (4, 1)
    )
    assert _difference(trunk, tmp_path / "branch-5-1-5.safetensors") == 0
    # The last update has a learning rate of 0, so that nothing but its rollout differs.
    assert late == 0 < early


@pytest.mark.usefixtures("_short")
def test_training_on_changes_a_stored_agent(tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "FURTHER_UPDATES", (1, 2))
    rows = Path(__file__).parents[3] / "leaderboard" / "results" / "ppo-lif" / "CartPole-v1"
    stored = tmp_path / "rows"
    stored.mkdir()
    (stored / "0.safetensors").write_bytes((rows / "0.safetensors").read_bytes())
    train_further(stored, tmp_path)
    one, two = (
        _difference(stored / "0.safetensors", tmp_path / f"further-0-{x}.safetensors")
        for x in (1, 2)
    )
    assert 0 < one < two
