"""Tests of the right actions that native tasks know: who takes them earns all."""

import gymnasium as gym
import numpy as np
import pytest

from tests.envs.variants import every_native_id


@every_native_id
def test_right_actions_earn_all(env_id):
    task = gym.make_vec(env_id, 8)
    task.reset(seed=0)
    if task.right_actions() is None:
        pytest.skip("no action of this task is right or wrong")
    returns, ends = np.zeros(8), 0
    for _ in range(3 * task.settings.episode_steps):
        right, weights = task.right_actions()
        assert right.shape == weights.shape == (8,)
        _, rewards, terminated, _, _ = task.step(np.where(weights > 0, right, 0))
        returns += rewards
        np.testing.assert_allclose(returns[terminated], 1.0)
        returns[terminated] = 0.0
        ends += terminated.sum()
    assert ends > 8


def test_a_wrong_action_where_it_does_not_matter_costs_nothing():
    task = gym.make_vec("snn/DelayedMatchToSample-v0", 8)
    task.reset(seed=0)
    earned = 0.0
    for _ in range(task.settings.episode_steps):
        right, weights = task.right_actions()
        _, rewards, _, _, _ = task.step(np.where(weights > 0, right, 1 - right))
        earned += rewards.sum()
    assert earned == 8


def test_the_right_step_of_an_interval_weighs_most():
    task = gym.make_vec("snn/IntervalTiming-v0", 1, intervals_steps=(2,), foreperiod_jitter_steps=0)
    task.reset(seed=0)
    found = []
    for _ in range(9):
        right, weights = task.right_actions()
        found.append((int(right[0]), float(weights[0])))
        task.step(np.zeros(1, np.int64))
    # Ready is step 1, set is step 3, and go is right at step 5.
    before = [(0, 0.0)] * 3
    assert found == [*before, (0, 1.0), (0, 1.5), (1, 3.0), (1, 1.0), (1, 1.0), (1, 0.0)]
