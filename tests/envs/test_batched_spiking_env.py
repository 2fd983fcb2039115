import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from snn_gym.envs import BatchedSpikingEnv
from snn_gym.program.encoders import spike_encoders
from tests.envs.comparison import assert_equal_batches
from tests.envs.variants import every_spiking_id


@every_spiking_id
@pytest.mark.parametrize("encoder", spike_encoders())
def test_a_batch_is_gymnasiums_batch_of_single_environments(env_id, encoder):
    arguments = {"encoder": encoder, "time_steps": 3, "max_episode_steps": 23}
    ours = gym.make_vec(env_id, 3, **arguments)
    theirs = gym.make_vec(
        env_id,
        3,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        **arguments,
    )
    assert isinstance(ours, BatchedSpikingEnv)
    assert_equal_batches(ours, theirs, steps=90)


@every_spiking_id
def test_each_environment_is_the_single_one(env_id):
    vector = gym.make_vec(env_id, num_envs=2, encoder="rate")
    single = gym.make(env_id, encoder="rate")
    spikes, infos = vector.reset(seed=40)
    observation, info = single.reset(seed=41)
    vector.action_space.seed(1)
    for _ in range(220):
        assert np.array_equal(spikes[1], observation)
        assert np.array_equal(infos["analogue_observation"][1], info["analogue_observation"])
        actions = vector.action_space.sample()
        spikes, rewards, terminated, truncated, infos = vector.step(actions)
        observation, reward, *ends, info = single.step(actions[1])
        assert rewards[1] == reward
        assert [terminated[1], truncated[1]] == ends
        if any(ends):
            assert np.array_equal(infos["final_obs"][1], observation)
            final = infos["final_info"]["analogue_observation"][1]
            assert np.array_equal(final, info["analogue_observation"])
            observation, info = single.reset()


def test_returned_arrays_are_never_written_again():
    env = gym.make_vec("snn/CartPole-v1", 3, max_episode_steps=4)
    kept, copies = [], []
    for result in [env.reset(seed=0), *(env.step(env.action_space.sample()) for _ in range(9))]:
        infos = result[-1]
        arrays = [*result[:-1], infos["analogue_observation"]]
        arrays += [final for final in infos.get("final_obs", ()) if final is not None]
        kept += arrays
        copies += [array.copy() for array in arrays]
    assert all(np.array_equal(one, other) for one, other in zip(kept, copies, strict=True))


@pytest.mark.parametrize("env_id", ["snn/CartPole-v1", "snn/LunarLander-v3"])
def test_pictures_are_those_of_single_environments(env_id):
    vector = gym.make_vec(env_id, 2, render_mode="rgb_array", max_episode_steps=3)
    singles = [gym.make(env_id, render_mode="rgb_array", max_episode_steps=3) for _ in range(2)]
    vector.reset(seed=3)
    for index, single in enumerate(singles):
        single.reset(seed=3 + index)
    for action in (0, 1, 0, 1):  # through the end of an episode
        for image, single in zip(vector.render(), singles, strict=True):
            assert np.array_equal(image, single.render())
        vector.step(np.array([action, action]))
        for single in singles:
            if single.step(action)[3]:
                single.reset()
    vector.close()


def test_a_window_for_a_batch_is_refused():
    with pytest.raises(ValueError, match="'human' is not allowed for a batch of environments"):
        gym.make_vec("snn/CartPole-v1", 2, render_mode="human")


def test_arguments_of_make_count_and_wrong_ones_are_named():
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
    ours = gym.make_vec(env_id, 2, **arguments)
    theirs = gym.make_vec(
        env_id,
        2,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        **arguments,
    )
    assert_equal_batches(ours, theirs, steps=60)
    base = ours.base._task if hasattr(ours.base, "_task") else ours.base._envs[1]
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
