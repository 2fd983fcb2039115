import subprocess
import sys

import gymnasium as gym
import pytest
from gymnasium.vector import AutoresetMode

from tests.envs.comparison import assert_equal_batches


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
    ours = gym.make_vec(env_id, 2, **arguments)
    theirs = gym.make_vec(
        env_id,
        2,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        **arguments,
    )
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
