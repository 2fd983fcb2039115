"""Tests of zips for RL Zoo: what its own functions find, and Stable-Baselines3 loads."""

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

import snn_gym
from snn_gym.cli import main
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.spiking import NetworkConfig
from snn_gym.zoo.algorithms import ALGORITHMS
from snn_gym_deploy import to_zip
from snn_gym_deploy.rl_zoo import ALGOS
from tests.interop.programs import run

SMALL = NetworkConfig(hidden_sizes=(8,), time_steps=3)


@pytest.fixture(scope="module")
def zoo():
    """Import RL Zoo, and take back its change of gymnasium's TimeLimit, which other tests need."""
    stock = gym.wrappers.TimeLimit
    zoo = pytest.importorskip("rl_zoo3.utils", reason="rl_zoo3, of the extra dev, is missing")
    gym.wrappers.TimeLimit = gym.wrappers.common.TimeLimit = stock
    return zoo


def found(zoo, folder, algo, env_id):
    """Return the model and the environments as RL Zoo's ``enjoy`` makes them."""
    name = zoo.EnvironmentName(env_id)
    _, path, log = zoo.get_model_path(0, str(folder), algo, name)
    settings, statistics = zoo.get_saved_hyperparams(f"{log}/{name}", test_mode=True)
    with open(f"{log}/{name}/args.yml") as file:
        arguments = zoo.yaml.safe_load(file)["env_kwargs"]
    env = zoo.create_test_env(
        env_id, stats_path=statistics, should_render=False, hyperparams=settings,
        env_kwargs=arguments,
    )  # fmt: skip
    return zoo.ALGOS[algo].load(path), env


def test_every_name_is_one_of_rl_zoos_and_of_ours(zoo):
    ours = {(algorithm.stock or name).lower() for name, algorithm in ALGORITHMS.items()}
    assert {*ALGOS} <= {*zoo.ALGOS} & ours
    assert {*zoo.ALGOS} & ours == {*ALGOS}


@pytest.mark.parametrize(
    ("agent", "env_id", "algo"),
    [
        ("ppo-lif", "CartPole-v1", "ppo"),
        ("ppo-lif", "snn/CartPole-v1", "ppo"),
        ("dqsn", "CartPole-v1", "dqn"),
        ("sac-lif", "Pendulum-v1", "sac"),
        ("sb3-ppo", "CartPole-v1", "ppo"),
    ],
)
def test_rl_zoo_finds_a_model_that_acts_the_same(zoo, tmp_path, agent, env_id, algo):
    model = snn_gym.make_agent(agent, env_id, seed=0)
    path = to_zip(model, tmp_path)
    flat = env_id.replace("/", "-")
    assert path == tmp_path / algo / f"{flat}_1" / f"{flat}.zip"
    loaded, env = found(zoo, tmp_path, algo, env_id)
    assert type(loaded.policy) is type(model.policy)
    observations = env.reset()
    for _ in range(20):
        actions, _ = model.predict(observations, deterministic=True)
        np.testing.assert_array_equal(loaded.predict(observations, deterministic=True)[0], actions)
        observations, *_ = env.step(actions)


def test_ppo_loads_the_zip_of_a_stored_agent_and_keeps_its_score(tmp_path):
    model = snn_gym.load_pretrained("ppo-lif-8", "CartPole-v1")
    loaded = stable_baselines3.PPO.load(to_zip(model, tmp_path))
    played = snn_gym.evaluate(loaded, "CartPole-v1", 5)
    assert played.returns == snn_gym.evaluate(model, "CartPole-v1", 5).returns


def test_arguments_and_statistics_of_the_environment_are_taken_along(zoo, tmp_path):
    env = VecNormalize(
        DummyVecEnv([lambda: snn_gym.envs.registry.make_task("Pendulum-v1", g=5e-5)])
    )
    model = stable_baselines3.PPO(
        SpikingActorCriticPolicy, env, n_steps=64, policy_kwargs={"network": SMALL}, seed=0
    )
    to_zip(model.learn(128), tmp_path)
    loaded, offered = found(zoo, tmp_path, "ppo", "Pendulum-v1")
    assert offered.get_attr("g") == [5e-5]
    np.testing.assert_array_equal(offered.obs_rms.mean, env.obs_rms.mean)
    env.training = env.norm_reward = False
    env.seed(3)
    offered.seed(3)
    scores = [evaluate_policy(x, y, 2, warn=False) for x, y in ((model, env), (loaded, offered))]
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)  # RL Zoo's Monitor rounds


def test_an_algorithm_that_rl_zoo_lacks_is_refused(tmp_path, capsys):
    words = [
        "export",
        "recurrent-ppo-gru",
        "snn/CueAccumulation-v0",
        "--zip",
        str(tmp_path / "logs"),
    ]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("snn-gym: RL Zoo has no StatefulPPO; expected one of a2c, ddpg")
    assert not (tmp_path / "logs").exists()


def test_the_command_writes_the_zip_of_a_stored_agent(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["export", "ppo-lif-8", "CartPole-v1", "--zip", "logs"]
    assert main(words) == 0
    assert capsys.readouterr().out == "written: logs/ppo/CartPole-v1_1/CartPole-v1.zip\n"
    assert main(words) == 2
    assert "logs exists already; name another place" in capsys.readouterr().err


@pytest.mark.slow
def test_rl_zoo_shows_an_exported_agent(tmp_path):
    words = ["export", "ppo-lif-8", "CartPole-v1", "--zip", "logs"]
    run(tmp_path, "-c", f"from snn_gym.cli import main; main({words})")
    words = ("--algo", "ppo", "--env", "CartPole-v1", "-f", "logs", "--no-render", "-n", "1100")
    printed = run(tmp_path, "-m", "rl_zoo3.enjoy", *words, "--gym-packages", "snn_gym")
    assert "2 Episodes\nMean reward: 500.00 +/- 0.00" in printed
