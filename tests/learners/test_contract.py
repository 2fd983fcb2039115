"""The contract of every learner without gradients."""

import csv

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.callbacks import BaseCallback, StopTrainingOnMaxEpisodes
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure

from snn_gym import evaluate, load_agent, save_agent
from snn_gym.zoo.identity import extract_settings
from tests.learners.cases import CASES, SMALL, make
from tests.learners.toy_envs import Steady

pytestmark = pytest.mark.parametrize("name", CASES)

STEPS = 600


class Witness(BaseCallback):
    """Keep what a learner tells its callbacks."""

    def __init__(self, stop_after=None):
        super().__init__()
        self.calls, self.episodes, self.stop_after = [], [], stop_after

    def _on_training_start(self):
        self.calls.append("training_start")

    def _on_rollout_start(self):
        self.calls.append("rollout_start")

    def _on_step(self):
        self.calls.append("step")
        self.episodes += [info["episode"] for info in self.locals["infos"]]
        assert len(self.locals["dones"]) == len(self.locals["infos"])
        assert len(self.locals["new_obs"]) >= len(self.locals["infos"])
        assert self.num_timesteps == sum(x["l"] for x in self.episodes)
        return self.stop_after is None or self.calls.count("step") < self.stop_after

    def _on_rollout_end(self):
        self.calls.append("rollout_end")

    def _on_training_end(self):
        self.calls.append("training_end")


def observations(count=20):
    return np.random.default_rng(0).normal(0, 1, (count, 4)).astype(np.float32)


def test_every_episode_that_judges_weights_is_counted_and_shown(name):
    model, witness = make(name), Witness()
    assert model.learn(STEPS, callback=witness) is model
    assert model.num_timesteps == sum(x["l"] for x in witness.episodes) >= STEPS
    assert model.num_episodes == len(witness.episodes)
    # One reward for every step of CartPole.
    assert all(x["r"] == x["l"] and x["t"] >= 0 for x in witness.episodes)
    last = extract_settings(model).episodes_per_iteration
    assert sum(x["l"] for x in witness.episodes[:-last]) < STEPS


def test_callbacks_are_called_in_stable_baselines3s_order(name):
    witness = Witness()
    make(name).learn(STEPS, callback=witness)
    first, *middle, last = witness.calls
    assert (first, last) == ("training_start", "training_end")
    iterations = " ".join(middle).split("rollout_end")
    assert iterations.pop() == ""
    assert {x.strip() for x in iterations} <= {"rollout_start step", "rollout_start step step"}


def test_a_callback_stops_it(name):
    witness = Witness(stop_after=2)
    make(name).learn(10**9, callback=witness)
    assert witness.calls.count("step") <= 3  # an iteration is finished
    model = make(name).learn(10**9, callback=StopTrainingOnMaxEpisodes(30))
    assert 30 <= model.num_episodes < 60


def test_it_logs_as_stable_baselines3_does(name, tmp_path):
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


def test_a_run_for_tensorboard_is_called_as_asked_or_after_the_learner(name, tmp_path):
    model = make(name, tensorboard_log=str(tmp_path))
    model.learn(1)
    model.learn(1, tb_log_name="mine")
    assert sorted(folder.name for folder in tmp_path.iterdir()) == sorted([f"{name}_1", "mine_1"])


def test_a_progress_bar_is_shown_only_where_asked_for(name, monkeypatch):
    shown = []

    class Bar(BaseCallback):
        def _on_training_start(self):
            shown.append(self.model)

        def _on_step(self):
            return True

    monkeypatch.setattr("snn_gym.learners.base._ProgressBar", Bar)
    model = make(name)
    model.learn(1)
    assert shown == []
    model.learn(1, progress_bar=True)
    assert shown == [model]


def test_a_seed_decides_everything(name):
    first, same, other = (make(name, seed=seed).learn(STEPS) for seed in (3, 3, 4))
    assert np.array_equal(first.weights, same.weights)
    assert first.num_timesteps == same.num_timesteps
    assert not np.array_equal(first.weights, other.weights)


def test_a_zip_goes_on_where_it_stopped(name, tmp_path):
    model = make(name).learn(STEPS)
    model.save(tmp_path / "model.zip")
    loaded = type(model).load(tmp_path / "model.zip", env=make_vec_env("CartPole-v1"))
    assert np.array_equal(loaded.weights, model.weights)
    for each in (model, loaded):
        each.learn(STEPS, reset_num_timesteps=False)
    assert np.array_equal(loaded.weights, model.weights)
    assert loaded.num_timesteps == model.num_timesteps >= 2 * STEPS
    without_env = type(model).load(tmp_path / "model.zip")
    kept = without_env.predict(observations())[0]
    assert without_env.num_timesteps < model.num_timesteps
    with pytest.raises(ValueError, match=r"call set_env\(env\) first"):
        without_env.judge(without_env.weights[None])
    without_env.set_env(make_vec_env("CartPole-v1"))
    assert np.array_equal(without_env.predict(observations())[0], kept)
    assert without_env.judge(without_env.weights[None]).steps > 0


def test_a_saved_agent_acts_the_same(name, tmp_path):
    model = make(name, observation_limits=([-3] * 4, [3] * 4)).learn(STEPS)
    save_agent(model, tmp_path)
    loaded = load_agent(tmp_path)
    assert type(loaded) is type(model)
    assert extract_settings(loaded) == extract_settings(model)
    assert loaded.observation_limits == ((-3.0,) * 4, (3.0,) * 4)
    assert np.array_equal(loaded.predict(observations())[0], model.predict(observations())[0])
    assert loaded.learn(STEPS, reset_num_timesteps=False).num_timesteps >= 2 * STEPS


def test_its_state_is_tensors_of_fixed_names(name):
    model = make(name).learn(STEPS)
    state = model.state_tensors()
    fresh = make(name, seed=1)
    fresh.load_state_tensors(state)
    for key, value in fresh.state_tensors().items():
        assert value.dtype == state[key].dtype
        assert np.array_equal(value, state[key], equal_nan=value.dtype.kind == "f")
    with pytest.raises(ValueError, match=r"got \['something'\]"):
        fresh.load_state_tensors({"something": np.zeros(1)})


def test_it_learns_cartpole(name):
    # A random network balances the pole for 9 to 60 steps.
    model = make(name, seed=2).learn(40_000)
    assert evaluate(model, "CartPole-v1", episodes=20).mean > 300


def test_it_drives_boxes_and_any_vec_env(name):
    env = make_vec_env(lambda: gym.wrappers.TimeLimit(gym.make("Pendulum-v1"), 20), n_envs=2)
    model = make(name, env, network=SMALL, probe_episodes=2).learn(100)
    # Episodes of 20 steps; two play side by side.
    assert model.num_timesteps == 20 * model.num_episodes
    actions = model.predict(np.ones((5, 3), np.float32))[0]
    assert actions.shape == (5, 1)
    assert np.abs(actions).max() <= 2.0


def test_an_empty_budget_is_refused(name):
    with pytest.raises(ValueError, match="total_timesteps must be at least 1, got 0"):
        make(name, network=SMALL).learn(0)


def test_a_reward_that_is_no_number_is_refused(name):
    env = make_vec_env(lambda: Steady(bad_step=2))
    with pytest.raises(ValueError, match=r"gave the reward nan at step 2 of the episode"):
        make(name, env, network=SMALL).learn(100)


@pytest.mark.parametrize("step", [0, 2])
def test_an_observation_that_is_no_number_is_refused(name, step):
    env = make_vec_env(lambda: Steady(blind_step=step))
    message = rf"gave the observation inf at step {step} of the episode with seed \d+; obs"
    with pytest.raises(ValueError, match=message):
        make(name, env, network=SMALL).learn(100)


def test_actions_that_it_cannot_drive_are_refused(name):
    env = make_vec_env(lambda: Steady(action_space=gym.spaces.MultiBinary(3)))
    with pytest.raises(ValueError, match=r"chooses Discrete, Box actions.*PPO"):
        make(name, env, network=SMALL)


def test_observations_without_limits_are_refused(name):
    env = make_vec_env(lambda: Steady(low=-np.inf))
    with pytest.raises(ValueError, match=r"no limits; give observation_limits=\(low, high\)"):
        make(name, env, network=SMALL)
    assert make(name, env, network=SMALL, observation_limits=([0, 0], [1, 1])).learn(10)


def test_hyper_parameters_out_of_range_are_refused(name):
    with pytest.raises(ValueError, match=f"{name}: probe_episodes must be at least 1, got 0"):
        make(name, network=SMALL, probe_episodes=0)


def test_another_policy_and_another_network_are_refused(name):
    from stable_baselines3.dqn import MlpPolicy

    from snn_gym import learners
    from snn_gym.spiking import NetworkConfig

    kind = getattr(learners, name)
    with pytest.raises(ValueError, match="needs SpikingControllerPolicy, got DQNPolicy"):
        kind(MlpPolicy, "CartPole-v1")
    with pytest.raises(ValueError, match="recurrent=True; use recurrent=False"):
        make(name, network=NetworkConfig(recurrent=True))
