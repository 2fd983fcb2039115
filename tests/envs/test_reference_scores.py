"""The random scores in the files are those that random play gets."""

import gymnasium as gym
import numpy as np
import pytest

import snn_gym
from snn_gym.registry import load_environment_spec


def random_return(env, seed):
    env.reset(seed=seed)
    env.action_space.seed(1_000_000 + seed)
    total, over = 0.0, False
    while not over:
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        total += float(reward)
        over = terminated or truncated
    return total


@pytest.mark.parametrize("env_id", snn_gym.env_ids())
def test_random_score_is_reproduced(env_id):
    spec = load_environment_spec(env_id)
    env = gym.make(spec.base_id).unwrapped
    env = gym.wrappers.TimeLimit(env, spec.max_episode_steps)
    reference = spec.reference
    returns = [random_return(env, seed) for seed in range(reference.random_episodes)]
    error = np.std(returns, ddof=1) / np.sqrt(len(returns))
    # Room for another processor's rounding, which a chaotic task amplifies.
    assert np.mean(returns) == pytest.approx(reference.random, abs=max(0.01, error))
    assert error == pytest.approx(reference.random_standard_error, rel=0.1, abs=0.01)
    assert reference.random < reference.solved <= reference.maximum
