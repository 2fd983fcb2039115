"""Tests of the base class of batches, step by step by hand."""

import gymnasium as gym
import numpy as np

from snn_gym.envs.batch import BatchEnv


class Counting(BatchEnv):
    """Environment i of three counts its steps, and ends at 2 + i."""

    def __init__(self, limit):
        space = gym.spaces.Box(0.0, 9.0, (1,), np.float32)
        super().__init__(3, limit, space, gym.spaces.Discrete(2))
        self._count = np.zeros(3, np.int64)

    def draw(self, index):
        raise NotImplementedError

    def _start(self, rows, seeds, options):
        self._count[rows] = 0
        return self._observe()[rows]

    def _advance(self, actions):
        self._count += 1
        return self._count / 2.0, self._count == np.arange(2, 5)

    def _observe(self):
        return self._count[:, np.newaxis].astype(np.float32)

    def _info(self):
        return {"count": self._count}


def step(env):
    """Make a step; return observations, rewards, terminated, truncated as lists, and the infos."""
    *arrays, infos = env.step([0, 0, 0])
    return [array.ravel().tolist() for array in arrays], infos


def test_infos_cover_running_episodes():
    env = Counting(limit=3)
    _, infos = env.reset(seed=0)
    assert infos["count"].tolist() == [0, 0, 0]
    results, infos = step(env)
    assert results == [[1, 1, 1], [0.5] * 3, [False] * 3, [False] * 3]
    assert {key: value.tolist() for key, value in infos.items()} == {
        "count": [1, 1, 1],
        "_count": [True] * 3,
    }
    # environment 0 is at its end, and starts anew
    results, infos = step(env)
    assert results == [[0, 2, 2], [1.0] * 3, [True, False, False], [False] * 3]
    assert (infos["count"].tolist(), infos["_count"].tolist()) == ([0, 2, 2], [True] * 3)
    assert infos["_final_info"].tolist() == infos["_final_obs"].tolist() == [True, False, False]
    assert infos["final_info"]["count"].tolist() == [2, 0, 0]
    assert infos["final_obs"][0].tolist() == [2.0]
    assert infos["final_obs"][1] is None
    # environment 1 ends by the task and at the limit, environment 2 at the limit
    results, infos = step(env)
    assert results == [[1, 0, 0], [0.5, 1.5, 1.5], [False, True, False], [False, True, True]]
    assert infos["count"].tolist() == [1, 0, 0]
    assert infos["final_info"]["count"].tolist() == [0, 3, 3]


def test_partial_resets():
    env = Counting(limit=9)
    env.reset(seed=0)
    step(env)
    mask = np.array([False, True, False])
    observations, infos = env.reset(options={"reset_mask": mask})
    assert observations.ravel().tolist() == [1, 0, 1]
    assert (infos["count"].tolist(), infos["_count"].tolist()) == ([0, 0, 0], mask.tolist())
    assert step(env)[0][0] == [0, 1, 2]  # environment 0 ended at 2
