"""Tests of the optimiser that is created on first use."""

import copy

import pytest
from stable_baselines3 import A2C, DQN, PPO

from snn_gym.policies import SpikingActorCriticPolicy, SpikingDQNPolicy

NETWORK = {"hidden_sizes": [4], "time_steps": 2}


def make(kind=PPO, **arguments):
    policy = SpikingDQNPolicy if kind is DQN else SpikingActorCriticPolicy
    policy_kwargs = {"network": NETWORK, **arguments.pop("policy_kwargs", {})}
    return kind(policy, "CartPole-v1", policy_kwargs=policy_kwargs, device="cpu", **arguments)


@pytest.mark.parametrize("decoder", ["mean_rate", "population"])
@pytest.mark.parametrize("kind", [PPO, DQN, A2C])
def test_optimiser_equals_stable_baselines3(kind, decoder):
    model = make(
        kind, learning_rate=0.003, policy_kwargs={"network": {**NETWORK, "decoder": decoder}}
    )
    policy = model.policy
    optimiser = policy.optimizer
    assert optimiser is policy.optimizer
    assert type(optimiser) is policy.optimizer_class
    trained = policy.q_net if kind is DQN else policy
    expected = policy.optimizer_class(trained.parameters(), lr=0.003, **policy.optimizer_kwargs)
    (group,), (wanted,) = optimiser.param_groups, expected.param_groups
    assert group.keys() == wanted.keys()
    assert [id(x) for x in group.pop("params")] == [id(x) for x in wanted.pop("params")]
    assert group == wanted


@pytest.mark.parametrize("kind", [PPO, DQN])
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"learning_rate": -1.0}, ValueError),
        ({"learning_rate": float("nan")}, ValueError),
        ({"policy_kwargs": {"optimizer_kwargs": {"betas": (2.0, 0.9)}}}, ValueError),
        ({"policy_kwargs": {"optimizer_kwargs": {"unknown": 1}}}, TypeError),
    ],
)
def test_invalid_optimiser_arguments_are_refused_at_once(kind, arguments, error):
    with pytest.raises(error):
        make(kind, **arguments)


def test_copies_optimise_their_parameters():
    policy = make().policy
    copied = copy.deepcopy(policy)  # before the optimiser is there
    parameters = list(copied.parameters())
    optimised = copied.optimizer.param_groups[0]["params"]
    assert [id(x) for x in optimised] == [id(x) for x in parameters]
    assert not {id(x) for x in optimised} & {id(x) for x in policy.parameters()}
