"""RLlib's PPO on a spiking task in its flat form."""

import gymnasium as gym
import pytest

from tests.interop.programs import program_of_tutorial, run

rllib_ppo = pytest.importorskip("ray.rllib.algorithms.ppo", reason="ray[rllib] is not installed")


def make_task(_config):
    import snn_gym  # noqa: F401  registers the ids, in RLlib's own processes too

    return gym.make("snn/CartPole-flat-v1")


@pytest.mark.slow
def test_rllib_learns_a_spiking_task(monkeypatch):
    from ray.tune.registry import register_env

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # one machine: no token file in the home folder
    register_env("flat", make_task)
    config = (
        rllib_ppo.PPOConfig()
        .environment("flat")
        .env_runners(num_env_runners=0, num_envs_per_env_runner=4)
        .training(train_batch_size_per_learner=1024, lr=1e-3, num_epochs=6, minibatch_size=128)
        .debugging(seed=0)
    )
    algorithm = config.build_algo()
    returns = [algorithm.train()["env_runners"]["episode_return_mean"] for _ in range(12)]
    algorithm.stop()
    assert returns[0] < 40  # random play: 22
    assert returns[-1] > 80


@pytest.mark.slow
def test_the_program_of_the_tutorial_runs(monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    said = run(tmp_path, program_of_tutorial("with_rllib.py", tmp_path))
    assert 8 <= float(said.split("return: ")[1].split()[0]) < 100  # one iteration: near random play
