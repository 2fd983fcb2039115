"""Tests of the PettingZoo environment: synapses as agents."""

import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test

import snn_gym.envs.synapses
from snn_gym.envs.synapses import plasticity_parallel_env
from tests.envs.synapses.toy_jobs import Distance


@pytest.mark.parametrize("job", ["Teacher", "XOR", "CartPole"])
def test_pettingzoo_api_and_seed_tests_pass(job):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(plasticity_parallel_env(job, horizon=7), num_cycles=25)
        parallel_seed_test(lambda: plasticity_parallel_env(job, horizon=4), num_cycles=10)


def test_agents_equal_the_gymnasium_environment():
    arguments = {"features": "all", "renew_probe_every": 2, "probe_size": 2}
    env = plasticity_parallel_env("CartPole", horizon=4, **arguments)
    single = gym.make("snn/Plasticity-CartPole-v0", max_episode_steps=4, **arguments)
    rng = np.random.default_rng(0)
    for seed in (6, None):
        features, infos = env.reset(seed=seed)
        observation, info = single.reset(seed=seed)
        assert list(features) == env.agents == [f"synapse_{index}" for index in range(114)]
        for step in range(1, 5):
            assert np.array_equal(np.concatenate(list(features.values())), observation)
            assert infos["synapse_5"] == {"score": info["score"], "steps": info["steps"]}
            action = rng.integers(0, 3, 114)
            moves = dict(zip(env.agents, action, strict=True))
            features, rewards, terminations, truncations, infos = env.step(moves)
            observation, reward, _, truncated, info = single.step(action)
            assert set(rewards.values()) == {reward}
            assert set(terminations.values()) == {False}
            assert set(truncations.values()) == {truncated} == {step == 4}
        # the last features are the ended episode's, not the next one's
        assert np.array_equal(np.concatenate(list(features.values())), observation)
        assert env.agents == []


def test_too_many_agents_name_the_vector_environment():
    message = "of 1210 synapses has too many agents .*at most 500.*use snn_gym.envs.synapses"
    with pytest.raises(ValueError, match=message):
        plasticity_parallel_env("Digits")
    assert len(plasticity_parallel_env("XOR", {"hidden_sizes": [99]}).possible_agents) == 497


def test_every_agent_must_move():
    env = plasticity_parallel_env(Distance())
    with pytest.raises(
        ValueError, match=r"each of the 0 present agents; after an episode call res"
    ):
        env.step({"synapse_0": 1})
    env.reset(seed=0)
    with pytest.raises(ValueError, match="got actions of 1 agents, expected one for each of the 4"):
        env.step({"synapse_0": 1})


def test_without_pettingzoo_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pettingzoo", None)
    monkeypatch.delitem(sys.modules, "snn_gym.envs.synapses.parallel", raising=False)
    with pytest.raises(gym.error.DependencyNotInstalled, match=r"install -e \"\.\[multiagent\]\""):
        plasticity_parallel_env("XOR")


def test_public_names_load_on_first_access():
    assert {"PlasticityVecEnv", "plasticity_parallel_env"} <= set(dir(snn_gym.envs.synapses))
    with pytest.raises(
        AttributeError, match=r"module 'snn_gym\.envs\.synapses' has no attribute 'Plasticty'"
    ):
        _ = snn_gym.envs.synapses.Plasticty
    code = (
        "import sys, snn_gym.envs.synapses\n"
        "assert not {'torch', 'stable_baselines3', 'pettingzoo', 'numba'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
