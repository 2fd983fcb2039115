"""Tests of batched environments of the zoo, against single environments."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

import snn_gym
from snn_gym.envs import StableBaselinesVecEnv
from snn_gym.envs.classic_control import BATCHED_TASKS
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.spiking.bookkeeping import full_state
from snn_gym.training.run import begin_segment
from snn_gym.zoo import build
from snn_gym.zoo.build import identify, seed_environments
from tests.envs.comparison import assert_equal_runs
from tests.marked import checked

ON_POLICY = {"n_steps": 8, "batch_size": 16, "n_epochs": 1}
OFF_POLICY = {"learning_starts": 20, "batch_size": 8}
SMALL = {"network": {"hidden_sizes": [8]}, "n_envs": 4}
# tests/envs compares batches with single environments; this file compares training.
TRAININGS = [
    *(("ppo-mlp", base_id, "disjoint", ON_POLICY) for base_id in BATCHED_TASKS),
    *(
        ("ppo-lif", f"snn/{base_id}", "consecutive", ON_POLICY)
        for base_id in BATCHED_TASKS
        if base_id != "MountainCarContinuous-v0"
    ),
    checked("dqsn", "Acrobot-v1", "consecutive", OFF_POLICY),
    ("dqsn", "snn/MountainCar-v0", "disjoint", OFF_POLICY),
    ("sac-lif", "Pendulum-v1", "disjoint", OFF_POLICY),
    checked("sac-lif", "MountainCarContinuous-v0", "consecutive", OFF_POLICY),
]


def learned(agent, env_id, seeding, settings):
    """Return a trained agent, continued like a run with checkpoints."""
    model = snn_gym.make_agent(agent, env_id, seed=2, seeding=seeding, **settings)
    model.learn(160)
    make_environments = partial(build.make_environments, env_id, model.n_envs, 0)
    begin_segment(model, 7, 1, make_environments, seeding)
    return model.learn(96, reset_num_timesteps=False)


@pytest.mark.parametrize("env_id", ["CartPole-v1", "snn/CartPole-v1", "Pendulum-v1"])
def test_few_copies_are_stepped_one_by_one_and_many_as_a_batch(env_id):
    few, many = (build.make_environments(env_id, n_envs, 0) for n_envs in (3, 4))
    assert isinstance(few, DummyVecEnv)
    assert isinstance(many, StableBaselinesVecEnv)


def test_tasks_without_a_batched_form_are_stepped_one_by_one():
    assert isinstance(build.make_environments("FrozenLake-v1", 8, 0), DummyVecEnv)


@pytest.mark.filterwarnings("ignore:.*was not tuned for")
@pytest.mark.parametrize(("agent", "env_id", "seeding", "settings"), TRAININGS)
def test_agents_learn_the_same_weights_and_episodes(agent, env_id, seeding, settings, monkeypatch):
    settings = {**settings, **SMALL}
    batched = learned(agent, env_id, seeding, settings)
    monkeypatch.setattr(build, "BATCHED_FROM", 1000)
    single = learned(agent, env_id, seeding, settings)
    # Rewards of some are normalised in a wrapper.
    for model, kind in ((batched, StableBaselinesVecEnv), (single, DummyVecEnv)):
        assert isinstance(model.get_env().unwrapped, kind)
    start = full_state(snn_gym.make_agent(agent, env_id, seed=2, **settings).policy)
    found, same = full_state(batched.policy), full_state(single.policy)
    for name, tensor in same.items():
        np.testing.assert_array_equal(found[name], tensor)
    assert any(not np.array_equal(found[name], start[name]) for name in start)
    episodes, same_episodes = (
        [(info["r"], info["l"]) for info in model.ep_info_buffer] for model in (batched, single)
    )
    assert episodes == same_episodes


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1", "snn/Acrobot-v1"])
@settings(max_examples=3)
@given(n_envs=st.integers(1, 6), seed=st.integers(0, 10**9 - 1))
def test_streams_are_the_same_under_both_seedings(env_id, n_envs, seed):
    for seeding in ("disjoint", "consecutive"):
        both = [
            snn_gym.make_vec_env(env_id, n_envs, seed, mode=mode) for mode in ("batched", "sync")
        ]
        starts, actions = [], []
        for env in both:
            seed_environments(env, seed, seeding)
            starts.append(env.reset())
            actions.append([env.action_space.sample() for _ in range(5)])
        np.testing.assert_array_equal(*starts)
        np.testing.assert_array_equal(*actions)
        for env in both:
            seed_environments(env, seed, seeding)
            env.seed = lambda _: None
        assert_equal_runs(*both, seed, steps=40)


@pytest.mark.parametrize(
    ("env_id", "arguments"),
    [
        ("CartPole-v1", {"sutton_barto_reward": True}),
        ("Pendulum-v1", {"g": 3.0}),
        ("MountainCar-v0", {}),
        ("snn/CartPole-v1", {"encoder": "rate"}),
    ],
)
def test_identity_of_a_batch_has_its_arguments(env_id, arguments):
    env = build.make_environments(env_id, 4, 0, arguments)
    assert isinstance(env, StableBaselinesVecEnv)
    model = PPO(SpikingActorCriticPolicy, env, n_steps=8, batch_size=32)
    assert identify(model).environment_kwargs == arguments
    assert identify(model).environment == env_id


def test_spec_of_a_batch_has_the_step_limit():
    env = snn_gym.make_vec_env("CartPole-v1", 4, env_kwargs={"max_episode_steps": 17})
    assert env.get_attr("spec")[0].max_episode_steps == 17
