"""--track with Weights & Biases itself, without its servers."""

import pytest

from tests.interop.programs import run

wandb = pytest.importorskip("wandb", reason="wandb is not installed")

TRAIN = """
import sys
from snn_gym.cli import main
words = "train ppo-lif CartPole-v1 --steps 600 --track --no-progress --out run"
sys.exit(main(words.split()))
"""


@pytest.mark.slow
def test_a_tracked_run_is_stored_for_a_later_upload(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "offline")
    run(tmp_path, "-c", TRAIN)
    (kept,) = (tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb")
    assert kept.stat().st_size > 0
    assert b"rollout/ep_rew_mean" in kept.read_bytes()
