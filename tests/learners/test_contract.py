"""Tests of Stable-Baselines3's API, for learners without gradients and with local rules."""

import csv

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.callbacks import BaseCallback, StopTrainingOnMaxEpisodes
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure
from stable_baselines3.dqn import MlpPolicy

from snn_gym import evaluate, learners, load_agent, save_agent
from snn_gym.spiking import NetworkConfig
from snn_gym.zoo.files import extract_settings
from tests.learners.cases import CASES, EVERY, SMALL, make
from tests.learners.toy_envs import Steady

STEPS = 600
LIMITS = ([0, 0], [1, 1])
gradient_free = pytest.mark.parametrize("name", CASES)
every = pytest.mark.parametrize("name", EVERY)


class Witness(BaseCallback):
    """Record the calls of a learner and its episodes."""

    def __init__(self, stop_after=None):
        super().__init__()
        self.calls, self.episodes, self.stop_after = [], [], stop_after

    def _on_training_start(self):
        self.calls.append("training_start")

    def _on_rollout_start(self):
        self.calls.append("start")

    def _on_step(self):
        self.calls.append("step")
        infos = self.locals["infos"]
        self.episodes += [info["episode"] for info in infos if "episode" in info]
        assert len(self.locals["new_obs"]) >= len(infos) == len(self.locals["dones"])
        return self.stop_after is None or self.calls.count("step") < self.stop_after

    def _on_rollout_end(self):
        self.calls.append("end")

    def _on_training_end(self):
        self.calls.append("training_end")


def make_env():
    return make_vec_env("CartPole-v1", seed=0)


def weights(model):
    return model.policy.parameters_to_vector()


def observations(count=20):
    return np.random.default_rng(0).normal(0, 1, (count, 4)).astype(np.float32)


@gradient_free
def test_callbacks_see_every_episode_in_stable_baselines3s_order(name):
    model, witness = make(name), Witness()
    assert model.learn(STEPS, callback=witness) is model
    assert model.num_timesteps == sum(x["l"] for x in witness.episodes) >= STEPS
    assert model.num_episodes == len(witness.episodes)
    # One reward for every step of CartPole.
    assert all(x["r"] == x["l"] and x["t"] >= 0 for x in witness.episodes)
    last = extract_settings(model).episodes_per_iteration
    assert sum(x["l"] for x in witness.episodes[:-last]) < STEPS
    first, *middle, last = witness.calls
    assert (first, last) == ("training_start", "training_end")
    iterations = " ".join(middle).split("end")
    assert iterations.pop() == ""
    assert {x.strip() for x in iterations} <= {"start step", "start step step"}


@gradient_free
def test_a_callback_stops_training(name):
    witness = Witness(stop_after=2)
    make(name).learn(10**9, callback=witness)
    assert witness.calls.count("step") <= 3  # an iteration is finished
    model = make(name).learn(10**9, callback=StopTrainingOnMaxEpisodes(30))
    assert 30 <= model.num_episodes < 60


@every
def test_logs_equal_stable_baselines3(name, tmp_path):
    model = make(name)
    model.set_logger(configure(str(tmp_path), ["csv"]))
    model.learn(STEPS, log_interval=1)
    rows = list(csv.DictReader((tmp_path / "progress.csv").open()))
    last = rows[-1]
    assert float(last["time/total_timesteps"]) == model.num_timesteps
    assert float(last["time/episodes"]) == model.num_episodes
    recent = [x["l"] for x in model.ep_info_buffer]
    assert float(last["rollout/ep_len_mean"]) == pytest.approx(np.mean(recent))
    assert float(last["rollout/ep_rew_mean"]) == pytest.approx(np.mean(recent))
    assert float(last["time/fps"]) > 0


@pytest.mark.parametrize("name", ["AcceptReject", "LocalActorCritic"])
def test_tensorboard_folder_name(name, tmp_path):
    model = make(name, tensorboard_log=str(tmp_path))
    model.learn(1)
    model.learn(1, tb_log_name="mine")
    assert sorted(folder.name for folder in tmp_path.iterdir()) == sorted([f"{name}_1", "mine_1"])


@every
def test_training_is_reproducible_by_its_seed(name):
    first, same, other = (make(name, make_env(), seed=seed).learn(STEPS) for seed in (3, 3, 4))
    assert np.array_equal(weights(first), weights(same))
    assert first.num_timesteps == same.num_timesteps
    assert not np.array_equal(weights(first), weights(other))


@gradient_free
def test_a_zip_continues_training(name, tmp_path):
    model = make(name).learn(STEPS)
    model.save(tmp_path / "model.zip")
    loaded = type(model).load(tmp_path / "model.zip", env=make_vec_env("CartPole-v1"))
    assert np.array_equal(loaded.weights, model.weights)
    for each in (model, loaded):
        each.learn(STEPS, reset_num_timesteps=False)
    assert np.array_equal(loaded.weights, model.weights)
    assert loaded.num_timesteps == model.num_timesteps >= 2 * STEPS
    without_env = type(model).load(tmp_path / "model.zip")
    actions = without_env.predict(observations())[0]
    assert without_env.num_timesteps < model.num_timesteps
    with pytest.raises(ValueError, match=r"call set_env\(env\) first"):
        without_env.judge(without_env.weights[None])
    without_env.set_env(make_vec_env("CartPole-v1"))
    assert np.array_equal(without_env.predict(observations())[0], actions)
    assert without_env.judge(without_env.weights[None]).steps > 0


@every
def test_a_saved_agent_acts_the_same(name, tmp_path):
    model = make(name, observation_limits=([-3] * 4, [3] * 4)).learn(STEPS)
    save_agent(model, tmp_path)
    loaded = load_agent(tmp_path)
    assert type(loaded) is type(model)
    assert extract_settings(loaded) == extract_settings(model)
    assert loaded.observation_limits == ((-3.0,) * 4, (3.0,) * 4)
    actions = (x.predict(observations(), deterministic=True)[0] for x in (model, loaded))
    assert np.array_equal(*actions)
    assert loaded.learn(STEPS, reset_num_timesteps=False).num_timesteps >= 2 * STEPS


@every
def test_state_tensors_have_fixed_names(name):
    model = make(name).learn(STEPS)
    state = model.state_tensors()
    fresh = make(name, seed=1)
    fresh.load_state_tensors(state)
    for key, value in fresh.state_tensors().items():
        assert value.dtype == state[key].dtype
        assert np.array_equal(value, state[key], equal_nan=value.dtype.kind == "f")
    with pytest.raises(ValueError, match=r"got \['something'\]"):
        fresh.load_state_tensors({"something": np.zeros(1)})


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        (x, 20_000) if x in ("RandomSearch", "CMAES")
        else pytest.param(x, 40_000, marks=pytest.mark.slow)
        for x in CASES
    ],
)  # fmt: skip
def test_cartpole_is_learned(name, steps):
    # A random network balances the pole for 9 to 60 steps.
    model = make(name, seed=2).learn(steps)
    assert evaluate(model, "CartPole-v1", episodes=20).mean > 300


@gradient_free
def test_continuous_actions_of_any_vec_env(name):
    env = make_vec_env(lambda: gym.wrappers.TimeLimit(gym.make("Pendulum-v1"), 20), n_envs=2)
    model = make(name, env, network=SMALL, probe_episodes=2).learn(100)
    # Episodes of 20 steps; two play side by side.
    assert model.num_timesteps == 20 * model.num_episodes
    actions = model.predict(np.ones((5, 3), np.float32))[0]
    assert actions.shape == (5, 1)
    assert np.abs(actions).max() <= 2.0


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"bad_step": 2}, "gave the reward nan at step 2 of the episode"),
        ({"blind_step": 0}, r"gave the observation inf at step 0 of the episode with seed \d+"),
        ({"blind_step": 2}, r"gave the observation inf at step 2 of the episode with seed \d+"),
        ({"action_space": gym.spaces.MultiBinary(3)}, r"chooses Discrete, Box actions.*PPO"),
        ({"low": -np.inf}, r"no limits; give observation_limits=\(low, high\)"),
    ],
)
@gradient_free
def test_unsupported_environments_are_refused(name, task, message):
    env = make_vec_env(lambda: Steady(**task))
    with pytest.raises(ValueError, match=message):
        make(name, env, network=SMALL).learn(100)


@every
def test_invalid_arguments_are_refused(name):
    model = make(name, make_vec_env(lambda: Steady(low=-np.inf)), observation_limits=LIMITS)
    with pytest.raises(ValueError, match="total_timesteps must be at least 1, got 0"):
        model.learn(0)
    with pytest.raises(ValueError, match=r"needs \w+Policy, got DQNPolicy"):
        getattr(learners, name)(MlpPolicy, "CartPole-v1")
    with pytest.raises(ValueError, match="recurrent=True; use recurrent=False"):
        make(name, network=NetworkConfig(recurrent=True))
