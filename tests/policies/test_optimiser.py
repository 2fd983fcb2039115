"""Tests of the optimiser that is created on first use."""

import copy

import pytest
from stable_baselines3 import A2C, DQN, PPO

from snn_gym import make_agent
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
    ("arguments", "line"),
    [
        ({"learning_rate": -1.0}, "learning rate"),
        ({"learning_rate": float("nan")}, "learning rate"),
        ({"policy_kwargs": {"optimizer_kwargs": {"betas": (2.0, 0.9)}}}, "beta"),
        *(
            ({"policy_kwargs": {"optimizer_kwargs": x}}, "a mapping of arguments of Adam")
            for x in ({"unknown": 1}, {"lr": 0.1}, 1e-5)
        ),
    ],
)
def test_invalid_optimiser_arguments_are_refused_at_once(kind, arguments, line):
    with pytest.raises(ValueError, match=line):
        make(kind, **arguments)


def test_options_of_adam_override_those_of_an_agents_file():
    (group,) = make_agent("ppo-lif", "CartPole-v1").policy.optimizer.param_groups
    assert group["eps"] == 1e-20
    agent = make_agent("ppo-lif", "CartPole-v1", optimizer_kwargs={"eps": 1e-3})
    assert agent.policy.optimizer.param_groups[0]["eps"] == 1e-3


def test_copies_optimise_their_parameters():
    policy = make().policy
    copied = copy.deepcopy(policy)  # before the optimiser is there
    parameters = list(copied.parameters())
    optimised = copied.optimizer.param_groups[0]["params"]
    assert [id(x) for x in optimised] == [id(x) for x in parameters]
    assert not {id(x) for x in optimised} & {id(x) for x in policy.parameters()}
