"""Tests of copies of environments from a batch, and of steps without a restart."""

import gymnasium as gym
import numpy as np
import pytest

from snn_gym.envs.classic_control import BATCHED_TASKS, BatchedCartPole


@pytest.mark.parametrize("env_id", BATCHED_TASKS)
def test_selected_copies_continue_like_the_originals(env_id):
    task = BATCHED_TASKS[env_id](3)
    task.reset(seed=5)
    task.action_space.seed(0)
    for _ in range(4):
        task.step(task.action_space.sample())
    which = np.array([2, 0, 0])
    before = task.state
    copies, same = task.select(which), task.select(np.arange(3))
    for _ in range(5):
        actions = task.action_space.sample()
        ours = copies.advance(actions[which])
        theirs = same.advance(actions)
        assert np.array_equal(task.state, before)  # copies do not change the original
        for mine, all_of_them in zip(ours[:4], theirs[:4], strict=True):
            assert np.array_equal(mine, all_of_them[which])
    same = task.select(np.arange(3))
    for _ in range(5):
        actions = task.action_space.sample()
        stepped = task.step(actions)
        assert not (stepped[2] | stepped[3]).any()
        for mine, original in zip(same.advance(actions)[:4], stepped[:4], strict=True):
            assert np.array_equal(mine, original)


def test_advance_ends_episodes_like_step_without_a_restart():
    task = BatchedCartPole(1, max_episode_steps=3)
    task.reset(seed=0)
    copy = task.select(np.array([0]))
    assert [copy.advance(np.array([1]))[3][0] for _ in range(3)] == [False, False, True]
    state = copy.state
    assert not np.array_equal(copy.advance(np.array([1]))[0], state)
    with pytest.raises(gym.error.ResetNeeded):
        copy.step(np.array([1]))
