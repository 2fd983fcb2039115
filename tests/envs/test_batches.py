"""Tests of batches: steps by hand, copies, and equality with gymnasium's batches."""

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import snn_gym
from snn_gym.envs.batch import BatchEnv
from snn_gym.envs.classic_control import BATCHED_TASKS, BatchedCartPole
from snn_gym.envs.registry import flat_ids
from snn_gym.program.encoders import spike_encoders
from tests.envs.comparison import assert_equal_batches
from tests.envs.variants import PLASTICITY, SPIKING, steps_of
from tests.marked import slow

ENCODERS = spike_encoders()
ARGUMENTS = {
    **{
        name: {"encoder": ENCODERS[k % len(ENCODERS)], "time_steps": 2}
        for k, name in enumerate(SPIKING)
    },
    **{
        name: {"network": {"hidden_sizes": [3], "time_steps": 2}, "probe_size": 2,
               "renew_probe_every": 2}
        for name in PLASTICITY
    },
}  # fmt: skip


def batches(env_id, **arguments):
    """Return our batch, and gymnasium's of our single environments."""
    ours = gym.make_vec(env_id, 3, **arguments)
    theirs = gym.make_vec(
        env_id,
        3,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        **arguments,
    )
    assert type(ours) is not type(theirs)
    assert ours.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    return ours, theirs


@pytest.mark.parametrize("env_id", [*snn_gym.env_ids(), *(slow(x) for x in flat_ids())])
def test_batches_equal_gymnasiums_batches(env_id):
    arguments = {"max_episode_steps": 4, **ARGUMENTS.get(env_id, {})}
    assert_equal_batches(*batches(env_id, **arguments), steps=steps_of(env_id, 45))


@pytest.mark.parametrize(
    "env_id",
    ["snn/CartPole-v1", "snn/CueAccumulation-v0", "snn/LunarLander-v3", "snn/WaterMaze-flat-v0"],
)
def test_terminated_episodes_equal_gymnasiums_batches(env_id):
    assert_equal_batches(*batches(env_id), steps=200)


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


def test_make_arguments_are_used_and_invalid_arguments_are_named():
    env = gym.make_vec("snn/CartPole-v1", 2, encoder="latency", time_steps=5, low=-9, high=9)
    assert env.single_observation_space == gym.spaces.MultiBinary((5, 4))
    assert env.spec.id == "snn/CartPole-v1"
    assert env.base.spec.id == "CartPole-v1"
    with pytest.raises(ValueError, match=r"^encoder 'population': unknown key neurons; "):
        gym.make_vec("snn/CartPole-v1", 2, encoder_parameters={"neurons": 4})


@pytest.mark.parametrize(
    ("env_id", "arguments"),
    [
        ("snn/Pendulum-v1", {"g": 2.0}),
        ("snn/CartPole-v1", {"sutton_barto_reward": True}),
        ("snn/LunarLander-v3", {"gravity": -3.0, "enable_wind": True}),
    ],
)
def test_arguments_of_the_task_reach_it(env_id, arguments):
    ours, theirs = batches(env_id, **arguments)
    assert_equal_batches(ours, theirs, steps=60)
    base = ours.base._task if hasattr(ours.base, "_task") else ours.base.envs[1]
    for name, value in arguments.items():
        assert getattr(base, name.replace("sutton", "_sutton")) == value


def test_a_batch_loads_no_learning_library():
    code = (
        "import sys, gymnasium, snn_gym\n"
        "env = gymnasium.make_vec('snn/CartPole-v1', num_envs=2)\n"
        "env.reset(seed=0); env.step([0, 1]); env.close()\n"
        "assert not {'torch', 'norse', 'stable_baselines3', 'numba'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
