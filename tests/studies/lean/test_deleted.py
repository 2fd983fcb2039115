"""Tests of neurons that are deleted in mid-training."""

import pytest
import torch
from stable_baselines3 import PPO

from snn_gym.policies import SpikingActorCriticPolicy
from studies.lean import rescue
from studies.lean.deleted import Deletion
from studies.lean.rescue import BadStart

_NETWORK = {"hidden_sizes": [12, 8], "time_steps": 4}


@pytest.fixture
def trained():
    """Return a PPO of 4 rollouts whose neurons are deleted before the third, and its layers."""
    model = PPO(
        SpikingActorCriticPolicy, "CartPole-v1", n_steps=32, batch_size=16, n_epochs=2, seed=0,
        device="cpu", policy_kwargs={"network": _NETWORK},
    )  # fmt: skip
    policy = model.policy
    layers = list(policy.mlp_extractor.actor.layers)
    model.learn(128, callback=Deletion(layers, 0.25, 50, seed=0))
    return model, layers


def test_deleted_neurons_stay_unchanged_and_the_rest_learn(trained):
    for layer, count in zip(trained[1], (3, 2), strict=True):
        gone = layer.linear.bias == -1.0
        assert gone.sum() == count
        assert not layer.linear.weight[gone].any()
        assert layer.linear.weight[~gone].any(1).all()


def test_deleted_neurons_never_fire(trained):
    model, layers = trained
    recording = model.policy.record(torch.randn(64, 4).numpy())
    for layer, recorded in zip(layers, recording.layers[-2:], strict=True):
        gone = layer.linear.bias == -1.0
        assert not recorded.spikes[:, :, gone].any()
        assert recorded.spikes[:, :, ~gone].any()


def test_the_start_is_listed_in_the_rescue_study(tmp_path, monkeypatch):
    start = BadStart("CartPole-v1", 512, deleted_share=0.5)
    monkeypatch.setattr(rescue, "STARTS", {"half": start})
    seen = []
    rescue.run_start("half", 1000, ("off", "good"), tmp_path, seen.append)
    assert [x.arm for x in seen] == ["half-off", "half-good"]
