"""The random scores in the files are those that random play gets.

Those of native tasks are tested beside their other scores, in ``tests/tasks/native``.
"""

import copy

import gymnasium as gym
import numpy as np
import pytest

from snn_gym.registry import load_environment_spec
from tests.envs.variants import ANALOGUE, PLASTICITY, SPIKING

# Its 4,000 judged episodes of 500 steps take tens of seconds.
LONG = "snn/Plasticity-Acrobot-v0"


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
    """Return what ``random_return`` gives, all seeds at once."""
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


@pytest.mark.parametrize("env_id", [*SPIKING, *ANALOGUE])
def test_random_score_is_reproduced(env_id):
    spec = load_environment_spec(env_id)
    env = gym.make(spec.base_id).unwrapped
    env = gym.wrappers.TimeLimit(env, spec.max_episode_steps)
    returns = [random_return(env, seed) for seed in range(spec.reference.random_episodes)]
    assert_reproduced(spec.reference, returns)


@pytest.mark.parametrize(
    "env_id",
    [pytest.param(name, marks=[pytest.mark.slow] if name == LONG else []) for name in PLASTICITY],
)
def test_random_score_of_a_plasticity_task_is_reproduced(env_id):
    spec = load_environment_spec(env_id)
    assert_reproduced(spec.reference, random_returns_of_a_batch(spec))
