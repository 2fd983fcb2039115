"""TorchRL's environment around a spiking task in its flat form."""

import gymnasium as gym
import pytest

import snn_gym  # noqa: F401  registers the ids
from tests.interop.programs import program_of_tutorial, run

torchrl_gym = pytest.importorskip("torchrl.envs.libs.gym", reason="torchrl is not installed")


def test_torchrl_accepts_a_flat_task():
    task = "snn/Pendulum-flat-v1"
    from torchrl.envs.utils import check_env_specs

    env = torchrl_gym.GymEnv(task)
    check_env_specs(env, seed=0)
    space = gym.make(task).observation_space
    rollout = env.rollout(5)
    assert rollout["observation"].shape == (5, *space.shape)
    assert set(rollout["observation"].unique().tolist()) == {0.0, 1.0}


@pytest.mark.slow
def test_the_program_of_the_tutorial_runs(tmp_path):
    said = run(tmp_path, program_of_tutorial("with_torchrl.py", tmp_path))
    assert float(said.removeprefix("return: ")) >= 8  # a pole falls no sooner
