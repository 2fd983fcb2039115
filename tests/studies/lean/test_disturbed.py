"""Tests of evaluation where something differs from training."""

from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch

from snn_gym.leaderboard import evaluate
from snn_gym.zoo import make_agent
from studies.changed import make_changed
from studies.lean import disturbed, runner
from studies.lean.disturbed import Disturbance, NoisySight, evaluate_disturbed
from studies.lean.outcome import Outcome
from tests.studies.lean.made import ShortTask, report_text


def test_noise_has_the_units_of_each_observation_and_can_be_restarted():
    seen = []
    policy = SimpleNamespace(
        normaliser=SimpleNamespace(std=torch.tensor([1.0, 100.0])),
        predict=lambda obs, *_, **__: (seen.append(obs), None),
        reseed_noise=lambda _: None,
    )
    noisy = NoisySight(policy, 0.1)
    for _ in range(2):
        noisy.reseed_noise(5)
        noisy.predict(np.ones((4000, 2), np.float32), deterministic=True)
    assert np.array_equal(seen[0], seen[1])
    assert seen[0].dtype == np.float32
    assert seen[0].mean(0) == pytest.approx([1.0, 1.0], abs=0.6)
    assert seen[0].std(0) == pytest.approx([0.1, 10.0], rel=0.05)


def test_environments_change_only_the_given_attributes():
    env = make_changed("CartPole-v1", {"length": 1.0})
    assert (env.unwrapped.length, env.unwrapped.masspole) == (1.0, 0.1)
    assert env.spec.max_episode_steps == 500
    with pytest.raises(ValueError, match=r"CartPole-v1 has no attribute 'girth', of which 2.0"):
        make_changed("CartPole-v1", {"girth": 2.0})
    for env_id, all_of_task in disturbed.DISTURBANCES.items():
        plain = gym.make(env_id).unwrapped
        for disturbance in all_of_task:
            assert all(getattr(plain, k) != v for k, v in disturbance.changes.items())


def test_no_disturbance_equals_the_plain_evaluation():
    model = make_agent("ppo-lif", "CartPole-v1", 0)
    plain = evaluate(model, "CartPole-v1", 5)
    same = {"masspole": 0.1}
    assert evaluate_disturbed(model, "CartPole-v1", Disturbance("x"), 5).returns == plain.returns
    unchanged = evaluate_disturbed(model, "CartPole-v1", Disturbance("x", changes=same), 5)
    assert unchanged.returns == plain.returns
    noisy = evaluate_disturbed(model, "CartPole-v1", Disturbance("x", noise=5.0), 5)
    assert noisy.returns != plain.returns
    assert noisy.total("macs_per_decision") == plain.total("macs_per_decision")


@pytest.mark.slow
def test_off_and_lean_are_made_again_and_reported(tmp_path, monkeypatch):
    few = {"CartPole-v1": (Disturbance("noise-9", noise=9.0),)}
    monkeypatch.setattr(disturbed, "DISTURBANCES", few)
    monkeypatch.setattr("studies.lean.report_disturbed.DISTURBANCES", few)
    monkeypatch.setattr(runner, "CHECKPOINT_INTERVAL", 512)
    task, seen = ShortTask("CartPole-v1"), list[Outcome]()
    for seed in (1000, 1001, 1001):  # a file that exists is passed over
        disturbed.run_disturbed(task, seed, tmp_path / "r", tmp_path / "s", seen.append)
    assert [(x.arm, x.seed) for x in seen] == [
        ("noise-9-off", 1000), ("noise-9-lean", 1000), ("noise-9-off", 1001), ("noise-9-lean", 1001)
    ]  # fmt: skip
    assert "| CartPole-v1 | noise-9 | 2 | " in report_text(tmp_path / "r", tmp_path)
