"""Tests of the random scores in the environment files.

Scores of native tasks are tested in ``tests/references``.
"""

import copy

import gymnasium as gym
import numpy as np
import pytest

from snn_gym.envs.registry import load_environment_spec
from tests.envs.variants import ANALOGUE, PLASTICITY, SPIKING

pytestmark = pytest.mark.check

# 1,000 and more steps of Box2D or MuJoCo an episode of the ones, 4,000 judged episodes of 500 steps
# of the other take tens of seconds.
HEAVY = ("snn/Ant-v5", "snn/BipedalWalker-v3", "snn/HalfCheetah-v5", "snn/Swimmer-v5")
LONG = (
    *HEAVY,
    *(f"snn/Plasticity-{job}-v0" for job in ("Acrobot", "CartPole", "MountainCar")),
    "snn/Acrobot-v1",
    "snn/MountainCarContinuous-v0",
)
FEW = 5
"""Episodes of heavy tasks that take less than a second."""


def random_return(env, seed):
    env.reset(seed=seed)
    env.action_space.seed(1_000_000 + seed)
    total, over = 0.0, False
    while not over:
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        total += float(reward)
        over = terminated or truncated
    return total


def random_returns_of_a_batch(spec):
    """Return ``random_return`` of all seeds at once."""
    episodes = spec.reference.random_episodes
    envs = gym.make_vec(spec.base_id, episodes)
    envs.reset(seed=0)
    spaces = [copy.deepcopy(envs.single_action_space) for _ in range(episodes)]
    for seed, space in enumerate(spaces):
        space.seed(1_000_000 + seed)
    total, over = np.zeros(episodes), np.zeros(episodes, np.bool_)
    while not over.any():
        _, rewards, _, over, _ = envs.step(np.stack([space.sample() for space in spaces]))
        total += rewards
    assert over.all()
    return total


def assert_reproduced(reference, returns):
    error = np.std(returns, ddof=1) / np.sqrt(len(returns))
    # Room for another processor's rounding, which a chaotic task amplifies.
    assert np.mean(returns) == pytest.approx(reference.random, abs=max(0.01, error))
    assert error == pytest.approx(reference.random_standard_error, rel=0.1, abs=0.01)
    assert reference.random < reference.solved <= reference.maximum


def returns_of(spec, episodes):
    env = gym.make(spec.base_id).unwrapped
    env = gym.wrappers.TimeLimit(env, spec.max_episode_steps)
    return [random_return(env, seed) for seed in range(episodes)]


def marked(names):
    return [pytest.param(x, marks=[pytest.mark.slow] if x in LONG else []) for x in names]


@pytest.mark.parametrize("env_id", marked([*SPIKING, *ANALOGUE]))
def test_random_score_is_reproduced(env_id):
    spec = load_environment_spec(env_id)
    assert_reproduced(spec.reference, returns_of(spec, spec.reference.random_episodes))


@pytest.mark.parametrize("env_id", HEAVY)
def test_first_episodes_of_slow_tasks_agree_with_the_random_score(env_id):
    spec = load_environment_spec(env_id)
    reference = spec.reference
    error = reference.random_standard_error * np.sqrt(reference.random_episodes / FEW)
    returns = returns_of(spec, FEW)
    assert np.mean(returns) == pytest.approx(reference.random, abs=3 * error)
    assert 0 < np.std(returns, ddof=1) < 3 * error * np.sqrt(FEW)


@pytest.mark.parametrize("env_id", marked(PLASTICITY))
def test_random_score_of_a_plasticity_task_is_reproduced(env_id):
    spec = load_environment_spec(env_id)
    assert_reproduced(spec.reference, random_returns_of_a_batch(spec))
