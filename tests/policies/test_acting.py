"""Tests of actions by compiled programs against PyTorch, for policies, spaces and decoders."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.utils import ConstantSchedule

from snn_gym.policies import SpikingActorCriticPolicy, SpikingControllerPolicy
from snn_gym.spiking import NetworkConfig
from tests.policies.firing import made_to_fire

BOX = spaces.Box(-2.0, 2.0, (2, 2), np.float32)
SEEN = {
    "analogue": spaces.Box(-4.0, 4.0, (3,), np.float32),
    "of two axes": spaces.Box(-4.0, 4.0, (2, 3), np.float64),
    "flags": spaces.MultiBinary(6),
    "spikes": spaces.MultiBinary((5, 6)),
    "classes": spaces.Discrete(4),
}
CHOSEN = {"discrete": spaces.Discrete(3), "continuous": BOX, "flags": spaces.MultiBinary(3)}


def build(kind, seen, chosen="discrete", **network):
    torch.manual_seed(0)
    config = NetworkConfig((12, 8), 5, **network)
    policy = kind(SEEN[seen], CHOSEN[chosen], ConstantSchedule(0.1), network=config)
    return made_to_fire(policy)


def observe(seen, batch):
    SEEN[seen].seed(0)
    return np.stack([SEEN[seen].sample() for _ in range(batch)])


def both_ways(policy, observation):
    """Return actions by the compiled program and by PyTorch."""
    short = policy.predict(observation, deterministic=True)[0]
    return short, policy.predict_by_torch(observation, deterministic=True)[0]


def test_non_deterministic_actions_are_sampled():
    policy, observation = build(SpikingActorCriticPolicy, "analogue"), observe("analogue", 30)
    drawn = [policy.predict(observation)[0] for _ in range(2)]
    assert (drawn[0] != drawn[1]).any()


def test_pytorch_decides_between_nearly_equal_values():
    policy, observations = build(SpikingControllerPolicy, "analogue"), observe("analogue", 300)
    head = policy.controller.head
    with torch.no_grad():
        head.weight[1], head.bias[1] = head.weight[0], head.bias[0]
        head.weight[2] = head.weight[0] * (1 + 1e-7)
        head.bias[2] = head.bias[0]
    short, long = both_ways(policy, observations)
    np.testing.assert_array_equal(short, long)
    one = [policy.predict(x, deterministic=True)[0] for x in observations]
    by_torch = [policy.predict_by_torch(x, deterministic=True)[0] for x in observations]
    np.testing.assert_array_equal(one, by_torch)


def change_in_place(policy):
    with torch.no_grad():
        policy.action_net.weight.neg_()


def change_of_part(policy):
    torch.manual_seed(1)
    policy.action_net = torch.nn.Linear(8, 3)


def change_by_hook(policy):
    policy.action_net.register_forward_hook(lambda *_: -_[-1])


@pytest.mark.parametrize("change", [change_in_place, change_of_part, change_by_hook])
def test_weight_changes_are_detected(change):
    policy, observations = build(SpikingActorCriticPolicy, "analogue"), observe("analogue", 60)
    before = policy.predict(observations, deterministic=True)[0]
    change(policy)
    after, expected = both_ways(policy, observations)
    np.testing.assert_array_equal(after, expected)
    assert (after != before).any()


def test_overridden_predict_is_used():
    class First(SpikingActorCriticPolicy):
        """Policy that always takes the first action."""

        def _predict(self, observation, deterministic=False):
            return torch.zeros(len(observation), dtype=torch.int64)

    policy = build(First, "analogue")
    assert not policy.predict(observe("analogue", 60), deterministic=True)[0].any()


def test_stable_baselines3_errors_are_kept():
    policy = build(SpikingActorCriticPolicy, "analogue")
    with pytest.raises(ValueError, match="Unexpected observation shape"):
        policy.predict(np.zeros((2, 4), np.float32), deterministic=True)
    with pytest.raises(ValueError, match="mixing Gym API with SB3 VecEnv API"):
        policy.predict((np.zeros(3, np.float32), {}), deterministic=True)
