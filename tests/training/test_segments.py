"""Tests of segments: they start from the seed alone."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import SubprocVecEnv, VecFrameStack, VecMonitor, VecNormalize

from snn_gym.envs import StableBaselinesVecEnv
from snn_gym.policies import SpikingActorCriticPolicy, SpikingDQNPolicy
from snn_gym.training.run import begin_segment
from snn_gym.zoo import make_agent
from snn_gym.zoo.build import make_environments


def test_segments_depend_only_on_seed_and_number():
    def draws(seed, segment, disturb):
        model = make_agent("ppo-lif", "CartPole-v1", seed=disturb)
        for _ in range(disturb):
            model.get_env().reset()
            torch.rand(3)
            np.random.rand()  # noqa: NPY002 - Stable-Baselines3 draws from it
        begin_segment(model, seed, segment, lambda: make_environments("CartPole-v1", 8, 0))
        return (
            model._last_obs.tobytes(),
            float(torch.rand(1)),
            float(np.random.rand()),  # noqa: NPY002
            [int(model.action_space.sample()) for _ in range(16)],
        )

    first = draws(1, 4, disturb=1)
    assert draws(1, 4, disturb=3) == first
    for seed, segment in ((1, 5), (2, 4), (4, 1)):
        other = draws(seed, segment, disturb=1)
        assert all(mine != theirs for mine, theirs in zip(first, other, strict=True))


def test_native_batches_restart():
    task = "snn/CueAccumulation-v0"

    def first_spikes(disturb):
        model = make_agent("recurrent-ppo-gru", task, seed=disturb)
        env = model.get_env()
        assert isinstance(env, StableBaselinesVecEnv)
        env.reset()
        for _ in range(disturb):
            env.step(np.zeros(64, np.int64))
        begin_segment(model, 1, 4, lambda: make_environments(task, 64, 0))
        assert model.get_env() is env
        return model._last_obs, env.step(np.zeros(64, np.int64))[0]

    for one, same in zip(first_spikes(1), first_spikes(3), strict=True):
        assert np.array_equal(one, same)


def test_environments_in_other_processes_are_refused():
    model = make_agent("ppo-lif", "CartPole-v1", n_envs=1)
    model.env = VecFrameStack(SubprocVecEnv([lambda: gym.make("CartPole-v1")]), 2)
    with pytest.raises(ValueError, match=r"stepped in this process, got SubprocVecEnv; make them"):
        begin_segment(model, 0, 0, lambda: make_environments("CartPole-v1", 1, 0))
    model.env.close()


@pytest.mark.parametrize(
    ("wrap", "n_envs"), [(VecNormalize, 1), (lambda env: VecFrameStack(VecMonitor(env), 2), 8)]
)
def test_a_segment_reaches_environments_through_wrappers(wrap, n_envs):
    def make():
        return make_environments("CartPole-v1", n_envs, 0)

    def walk(env):
        return [env.step(np.full(n_envs, step % 2))[0] for step in range(12)]

    plain = PPO(SpikingActorCriticPolicy, make(), n_steps=8, batch_size=8)
    begin_segment(plain, 3, 2, make)
    expected = walk(plain.get_env())
    model = PPO(SpikingActorCriticPolicy, wrap(make()), n_steps=8, batch_size=8)
    env = model.get_env()
    env.reset()
    walk(env)
    begin_segment(model, 3, 2, make)
    assert model.get_env() is env
    for seen, known in zip(walk(env), expected, strict=True):
        if not isinstance(env, VecNormalize):
            assert np.array_equal(seen[:, -4:], known)
    if isinstance(env, VecNormalize):
        assert np.array_equal(env.get_original_obs(), expected[-1])


def test_replay_stores_unnormalised_observations():
    def make():
        return make_environments("CartPole-v1", 1, 0)

    env = VecNormalize(make())
    model = DQN(SpikingDQNPolicy, env, learning_starts=0, buffer_size=10, train_freq=2)
    model.learn(2)
    begin_segment(model, 0, 1, make)
    assert np.array_equal(model._last_original_obs, env.get_original_obs())
    assert not np.array_equal(model._last_original_obs, model._last_obs)


def test_hidden_environment_state_ends_with_the_segment():
    # Box2D's world lives on between the episodes of an environment: without new ones the second
    # walk differs.
    def make():
        return make_environments("BipedalWalker-v3", 1, 0)

    model = PPO(SpikingActorCriticPolicy, make(), n_steps=2, batch_size=2)
    actions = np.random.default_rng(0).uniform(-1, 1, (150, 1, 4)).astype(np.float32)
    walks = []
    for _ in range(2):
        begin_segment(model, 5, 1, make)
        walks.append([model.get_env().step(action)[0] for action in actions])
    assert np.array_equal(*walks)


def test_a_segment_cuts_the_episodes_of_the_replay_buffer():
    # One sub-environment, five transitions of reward 1, no episode end: a segment begins after the
    # third. A three-step return from the second transition must stop at the third.
    model = make_agent(
        "dqsn", "CartPole-v1", seed=0, n_steps=3, gamma=0.5, buffer_size=10, n_envs=1
    )
    buffer = model.replay_buffer
    observation, action = np.zeros((1, 4), np.float32), np.zeros((1, 1))
    for step in range(5):
        buffer.add(observation, observation + step, action, np.ones(1), np.zeros(1), [{}])
        if step == 2:
            begin_segment(model, 0, 1, lambda: make_environments("CartPole-v1", 1, 0))
    sample = buffer._get_samples(np.array([0, 1, 2, 3]))
    assert sample.rewards.flatten().tolist() == [1.75, 1.5, 1.0, 1.5]
    assert sample.discounts.flatten().tolist() == [0.125, 0.25, 0.5, 0.25]
    assert sample.next_observations[:, 0].tolist() == [2.0, 2.0, 2.0, 4.0]
    assert sample.dones.flatten().tolist() == [0.0, 0.0, 0.0, 0.0]
