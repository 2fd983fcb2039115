"""Tests of the callback that logs dynamics: values, side effects, and resumed logs."""

import csv
import itertools

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import CallbackList
from stable_baselines3.common.logger import KVWriter, Logger

from snn_gym import evaluate, make_vec_env
from snn_gym.learners import StatefulPPO
from snn_gym.policies import (
    SpikingActorCriticPolicy,
    StatefulActorCriticPolicy,
    StockActorCriticPolicy,
)
from snn_gym.spiking import Dynamics, NetworkConfig, relative_gradients
from snn_gym.spiking.bookkeeping import full_state
from snn_gym.training import DynamicsCallback, read_training
from snn_gym.training.dynamics_log import play_decisions
from tests.training._runs import killed_at, results, run

pytestmark = pytest.mark.check


def ppo(policy=SpikingActorCriticPolicy, env="CartPole-v1", encoder="rate", **options):
    network = NetworkConfig(hidden_sizes=(16,), encoder=encoder)
    return PPO(
        policy, env, n_steps=64, batch_size=64, n_epochs=2, seed=0,
        policy_kwargs={"network": network, **options},
    )  # fmt: skip


def rows(folder):
    with (folder / "dynamics.csv").open() as file:
        return list(csv.DictReader(file))


def timesteps(folder):
    return [int(step) for step, _ in itertools.groupby(row["timestep"] for row in rows(folder))]


def test_noise_is_the_same_in_every_row(tmp_path):
    model = ppo(normalise_observations=False)
    model.learn(192, callback=DynamicsCallback(64, tmp_path, probe_size=16))
    rates = {
        x["value"] for x in rows(tmp_path) if x["part"] == "input" and x["measure"] == "rate_hz"
    }
    assert len(rates) == 1


class Kept(KVWriter):
    """Logger output that stores all values."""

    def __init__(self):
        self.seen = []

    def write(self, key_values, key_excluded, step=0):
        self.seen.append(dict(key_values))

    def close(self):
        pass


def test_rows_are_the_summary_on_the_probe(tmp_path):
    model = ppo(encoder="constant")
    seen = []
    original = model.policy.record
    model.policy.record = lambda obs: seen.append(obs.copy()) or original(obs)
    model.learn(256, callback=DynamicsCallback(100, tmp_path, probe_size=40))
    # Complete at 40; a rollout begins at 128, the training ends at 256.
    assert timesteps(tmp_path) == [40, 128, 256]
    assert all(np.array_equal(seen[0], batch) for batch in seen)
    assert seen[0].shape == (40, 4)
    del model.policy.record
    recording = model.policy.record(seen[0])
    network = model.policy.acting_network()  # whose last gradients are still there
    summary = Dynamics(recording, network, gradients=relative_gradients(network)).summary()
    assert "hidden_1/relative_gradient" in summary
    last = {f"{x['part']}/{x['measure']}": float(x["value"]) for x in rows(tmp_path)[-60:]
            if x["timestep"] == "256"}  # fmt: skip
    assert last.pop("hidden_1/relative_change") > 0
    assert last == summary
    first = {x["measure"]: x["value"] for x in rows(tmp_path) if x["timestep"] == "40"}
    assert first["relative_change"] == "0.0"


def test_the_logger_gets_the_same_numbers(tmp_path):
    model, kept = ppo(), Kept()
    model.set_logger(Logger(None, [kept]))
    model.learn(192, callback=DynamicsCallback(64, probe_size=16))
    logged = [x["dynamics/hidden_1/rate_hz"] for x in kept.seen if "dynamics/hidden_1/rate_hz" in x]
    assert len(logged) == 3
    assert list(tmp_path.iterdir()) == []


def test_continued_training_continues_the_log(tmp_path):
    ppo().learn(256, callback=DynamicsCallback(64, tmp_path / "whole", probe_size=16))
    parts = ppo()
    parts.learn(128, callback=DynamicsCallback(64, tmp_path / "parts", probe_size=16))
    # Another callback, as after a crash, whose rows from later steps are dropped.
    file = tmp_path / "parts" / "dynamics.csv"
    file.write_text(file.read_text() + "192,hidden_1,rate_hz,7.0\n")
    parts.learn(
        128,
        callback=DynamicsCallback(64, tmp_path / "parts", probe_size=16),
        reset_num_timesteps=False,
    )
    assert timesteps(tmp_path / "parts") == timesteps(tmp_path / "whole")
    assert timesteps(tmp_path / "parts") == [16, 64, 128, 192, 256]
    # A new learn() begins new episodes, but until then all is equal.
    before = [row for row in rows(tmp_path / "whole") if int(row["timestep"]) < 128]
    assert rows(tmp_path / "parts")[: len(before)] == before


def test_new_training_restarts_the_log(tmp_path):
    for _ in range(2):
        ppo().learn(64, callback=DynamicsCallback(32, tmp_path, probe_size=16))
    assert timesteps(tmp_path) == [16, 64]


class DictEnv(gym.Env):
    observation_space = spaces.Dict(
        {"a": spaces.Box(-1, 1, (3,)), "b": spaces.MultiBinary(2)}
    )  # fmt: skip
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, False, {}


def test_dict_observations_are_stored_and_reread(tmp_path):
    model = ppo(env=DictEnv(), encoder="constant")
    model.learn(64, callback=DynamicsCallback(32, tmp_path, probe_size=16))
    first = rows(tmp_path)
    model.learn(
        64, callback=DynamicsCallback(32, tmp_path, probe_size=16), reset_num_timesteps=False
    )
    assert timesteps(tmp_path) == [16, 64, 128]
    assert rows(tmp_path)[: len(first)] == first


def stateful(task="snn/CueAccumulation-v0"):
    options = {"n_steps": 20, "batch_size": 80, "n_epochs": 1}
    network = NetworkConfig(hidden_sizes=(12,), neuron="alif", recurrent=True)
    env = make_vec_env(task, 4, seed=0)
    policy = StatefulActorCriticPolicy
    return StatefulPPO(policy, env, policy_kwargs={"network": network}, seed=0, **options)


def test_stateful_policies_are_measured_like_an_evaluation(tmp_path):
    model = stateful().learn(160, callback=DynamicsCallback(100, tmp_path, probe_size=360))
    # Episodes of 9 environment steps: 40 whole ones, and 100 others of the evaluation.
    evaluated = evaluate(model, "snn/CueAccumulation-v0")
    last = {(x["part"], x["measure"]): float(x["value"]) for x in rows(tmp_path)
            if x["timestep"] == str(model.num_timesteps)}  # fmt: skip
    spikes, time_ms = evaluated.spikes_per_decision["hidden_1"], 8.0
    rate_hz = last["hidden_1", "rate_hz"]
    assert rate_hz == pytest.approx(spikes / 12 / time_ms * 1000.0, rel=0.05)
    synops = last["hidden_1", "synops_per_decision"]
    assert synops == pytest.approx(evaluated.synops_per_decision["hidden_1"], rel=0.05)


def test_played_decisions_equal_single_environments():
    policy = stateful().policy
    seen, (met,) = play_decisions(policy, make_vec_env("snn/CueAccumulation-v0", 2, seed=0), 30)
    vec = make_vec_env("snn/CueAccumulation-v0", 2, seed=0)
    vec.seed(1_500_000_000)
    observations, state, spikes, starts = vec.reset(), [None, None], 0.0, [True, True]
    for _ in range(15):
        actions = np.zeros(2, np.int64)
        for k in range(2):
            state[k] = None if starts[k] else state[k]
            recorded = policy.record(observations[k], state[k])
            spikes += recorded.spikes_per_decision()["hidden_1"]
            actions[k], state[k] = policy.predict(observations[k], state[k], deterministic=True)
        observations, _, starts, _ = vec.step(actions)
    together = policy.record(seen, (met,))
    assert together.spikes_per_decision()["hidden_1"] * 30 == pytest.approx(spikes)


@pytest.mark.parametrize("make", [ppo, stateful])
def test_training_is_the_same_with_and_without_the_log(make, tmp_path):
    plain = make().learn(200)
    after = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002 - the global one
    logged = make().learn(200, callback=DynamicsCallback(50, tmp_path, probe_size=16))
    assert len(timesteps(tmp_path)) >= 3
    state = full_state(plain.policy)
    assert all(torch.equal(state[name], x) for name, x in full_state(logged.policy).items())
    assert plain.policy.training == logged.policy.training
    # Both trainings seed the generators, so that they end alike.
    assert torch.equal(after[0], torch.get_rng_state())
    assert after[1] == np.random.get_state()[1].tolist()  # noqa: NPY002


def test_a_stateful_policy_of_an_unknown_environment_is_refused(tmp_path):
    network = NetworkConfig(hidden_sizes=(4,), neuron="alif", recurrent=True)
    model = StatefulPPO(
        "StatefulActorCriticPolicy", NamelessEnv(), n_steps=16, batch_size=16,
        policy_kwargs={"network": network},
    )  # fmt: skip
    with pytest.raises(gym.error.UnregisteredEnv, match="an object of class NamelessEnv without"):
        model.learn(16, callback=DynamicsCallback(10, tmp_path / "log"))
    assert not (tmp_path / "log").exists()


class NamelessEnv(DictEnv):
    observation_space = spaces.Box(-1, 1, (3,))


@pytest.mark.parametrize("numbers", [{"every": 0}, {"every": 9, "probe_size": 0}])
def test_numbers_below_1_are_refused(numbers):
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        DynamicsCallback(**numbers)


def test_a_policy_that_does_not_spike_is_refused(tmp_path):
    callback = DynamicsCallback(10, tmp_path / "log")
    with pytest.raises(ValueError, match=r"this SpikingActorCriticPolicy does not spike, .* leave"):
        ppo(spiking_actor=False).learn(64, callback=callback)
    with pytest.raises(ValueError, match=r"this StockActorCriticPolicy does not spike, .* leave"):
        PPO(StockActorCriticPolicy, "CartPole-v1").learn(64, callback=CallbackList([callback]))
    with pytest.raises(ValueError, match=r"can't be recorded; use a policy of snn_gym\.policies"):
        PPO("MlpPolicy", "CartPole-v1").learn(64, callback=CallbackList([callback]))
    assert not (tmp_path / "log").exists()


def test_an_algorithm_that_shows_no_observations_is_refused():
    model, callback = ppo(), DynamicsCallback(10)
    callback.init_callback(model)
    callback.on_training_start({}, {})
    with pytest.raises(ValueError, match=r"PPO shows its callbacks no observations \(new_obs\)"):
        callback.on_step()


def test_other_files_are_refused(tmp_path):
    (tmp_path / "dynamics.csv").write_text("mine\n1\n")
    with pytest.raises(ValueError, match="is no log of dynamics: expected the columns timestep"):
        ppo().learn(64, callback=DynamicsCallback(10, tmp_path))


@pytest.mark.parametrize(
    ("agent", "interval", "steps"),
    [
        ("ppo-lif", 256, 600),
        ("recurrent-ppo-lif-tick", 2_304, 5_000),
        # Learners without gradients show few observations of each episode.
        ("es", 1_000, 4_000),
    ],
)
def test_resumed_runs_have_the_log_of_an_uninterrupted_run(agent, interval, steps, tmp_path):
    options = {"interval": interval, "steps": steps, "dynamics": True}
    if agent.startswith("recurrent"):
        options["env_id"] = "snn/CueAccumulation-v0"
    run(agent, tmp_path / "whole", **options)
    with killed_at(int(0.6 * steps)):
        run(agent, tmp_path / "killed", **options)
    run(agent, tmp_path / "killed", resume=True, **options)
    assert results(tmp_path / "killed") == results(tmp_path / "whole")
    log = (tmp_path / "whole" / "dynamics.csv").read_bytes()
    assert (tmp_path / "killed" / "dynamics.csv").read_bytes() == log
    assert len(timesteps(tmp_path / "whole")) >= 3
    assert read_training(tmp_path / "whole").dynamics


def test_an_agent_that_does_not_spike_is_refused_before_the_folder_is_made(tmp_path):
    for agent in ("ppo-mlp", "dqn-mlp"):
        with pytest.raises(ValueError, match=r"does not spike, .* leave out --dynamics, or train"):
            run(agent, tmp_path / "run", dynamics=True)
    assert not (tmp_path / "run").exists()
