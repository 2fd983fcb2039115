"""Tests of flat spike trains: policies learn the same weights as with spike trains."""

import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import FlattenExtractor, NatureCNN

import snn_gym
from snn_gym._base.spaces import FlatSpikes
from snn_gym.policies.observations import make_normaliser, spike_steps_of


def test_time_steps_come_from_the_space_without_normalisation():
    space = FlatSpikes(7, 3)
    assert spike_steps_of(space, FlattenExtractor) == 7
    assert spike_steps_of(space, NatureCNN) is None
    assert make_normaliser(space, FlattenExtractor, {}, True) is None
    plain = spaces.Box(0.0, 1.0, (21,))
    assert spike_steps_of(plain, FlattenExtractor) is None
    assert make_normaliser(plain, FlattenExtractor, {}, True) is not None


@pytest.mark.parametrize(("agent", "task", "steps", "overrides"), [
    ("ppo-lif", "CartPole{}-v1", 64, {"n_steps": 32}),
    ("recurrent-ppo-lsnn", "CueAccumulation{}-v0", 128,
     {"n_envs": 2, "n_steps": 32, "batch_size": 64, "n_epochs": 1}),
])  # fmt: skip
def test_training_gives_the_same_weights(agent, task, steps, overrides):
    weights = []
    for form in ("", "-flat"):
        # one after the other, because learners draw on global generators
        name = f"snn/{task.format(form)}"
        model = snn_gym.make_agent(agent, name, seed=0, **overrides).learn(steps)
        weights.append(torch.nn.utils.parameters_to_vector(model.policy.parameters()))
    assert torch.equal(*weights)
