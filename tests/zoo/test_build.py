"""Tests of models built from agent files."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch.testing import assert_close

from snn_gym.learners.lean_algorithm import LeanAlgorithm, stock
from snn_gym.policies.raw_observations import raw_policy
from snn_gym.spiking import SpikingNetwork
from snn_gym.zoo import agent_ids, build_policy, load_agent_spec, make_agent
from snn_gym.zoo.algorithms import ALGORITHMS
from snn_gym.zoo.files import extract_settings

PAIRS = [(name, env_id) for name in agent_ids() for env_id in load_agent_spec(name).environments]
# An environment of each agent, and an agent of each environment.
CASES = sorted({*dict(PAIRS).items(), *((x, y) for y, x in {y: x for x, y in PAIRS}.items())})
ONE_OF_EACH = {load_agent_spec(name).algorithm: (name, env_id) for name, env_id in CASES}


def observations(env_id, count=16):
    space = gym.make(env_id).observation_space
    space.seed(0)
    return np.array([space.sample() for _ in range(count)])


@pytest.mark.parametrize(("name", "env_id"), CASES)
def test_agents_are_built_from_their_files(name, env_id):
    spec = load_agent_spec(name)
    model = make_agent(name, env_id, seed=3)
    algorithm = ALGORITHMS[spec.algorithm].stock or spec.algorithm
    assert stock(type(model)).__name__ == algorithm
    lean = "lean" in spec.network_settings(env_id).get("regulation", {})
    assert isinstance(model, LeanAlgorithm) == (lean and spec.budget_class == "gradient")
    assert model.seed == 3
    assert model.get_env().num_envs == spec.settings(env_id).n_envs
    assert extract_settings(model) == spec.settings(env_id)
    hidden_sizes = spec.network_settings(env_id)["hidden_sizes"]
    assert model.policy.network.hidden_sizes == tuple(hidden_sizes)
    spiking = any(isinstance(part, SpikingNetwork) for part in model.policy.modules())
    flags = [spec.policy_kwargs.get(flag) for flag in ("spiking_actor", "spiking")]
    is_ann = False in flags or name.startswith("sb3-")
    assert spiking == (not is_ann)


@pytest.mark.parametrize("name", [x for x in agent_ids() if x.startswith("recurrent-")])
def test_agents_with_a_memory_act_on_each_of_their_tasks(name):
    for env_id in load_agent_spec(name).environments:
        policy = build_policy(name, env_id)
        policy.observation_space.seed(0)
        action, _ = policy.predict(policy.observation_space.sample())
        assert policy.action_space.contains(action)


@pytest.mark.parametrize("seed", [0.9, True, "zero"])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(ValueError, match=r"^seed: expected int, got"):
        make_agent("ppo-lif", "CartPole-v1", seed=seed)


def test_the_seed_decides_the_weights():
    first, same, other = (
        make_agent("ppo-lif", "CartPole-v1", seed=seed).policy.state_dict() for seed in (1, 1, 2)
    )
    assert_close(first, same, rtol=0, atol=0)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize(("name", "env_id"), ONE_OF_EACH.values(), ids=ONE_OF_EACH)
def test_build_policy_takes_the_weights_of_the_model(name, env_id):
    trained, policy = raw_policy(make_agent(name, env_id, seed=1)), build_policy(name, env_id)
    policy.load_acting_state_dict(trained.acting_state_dict())
    seen = observations(env_id)
    assert_close(
        policy.predict(seen, deterministic=True)[0], trained.predict(seen, deterministic=True)[0]
    )


def test_overrides_replace_settings_of_the_file():
    model = make_agent(
        "ppo-lif", "CartPole-v1", n_envs=2, n_steps=16, batch_size=32,
        network={"hidden_sizes": [5], "time_steps": 3},
    )  # fmt: skip
    assert (model.n_envs, model.n_steps, model.batch_size) == (2, 16, 32)
    network = model.policy.network
    assert (network.hidden_sizes, network.time_steps, network.surrogate_slope) == ((5,), 3, 5.0)
    with pytest.raises(ValueError, match="unknown key hidden_sizes; allowed keys: n_envs"):
        make_agent("ppo-lif", "CartPole-v1", hidden_sizes=(3,))
    with pytest.raises(ValueError, match="network: unknown key sizes; allowed keys: hidden_sizes"):
        make_agent("ppo-lif", "CartPole-v1", network={"sizes": [5]})
