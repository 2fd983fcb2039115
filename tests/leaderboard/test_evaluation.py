"""Tests of evaluation: returns, seeds, costs, and no side effects."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

import snn_gym
from snn_gym.envs.stable_baselines import MOST_STEPS
from snn_gym.leaderboard.evaluation import _Visited, evaluate, evaluation_seeds
from snn_gym.program.costs import Costs
from snn_gym.spiking.bookkeeping import full_state
from snn_gym.zoo import build_policy
from snn_gym.zoo.recipe import TRAINING_SEED_LIMIT


class _Countdown(gym.Env[np.ndarray, int]):
    """Last as many steps as the seed; pay a seed-dependent reward that rounds in float32."""

    observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = spaces.Discrete(2)
    reset_seeds: list[int | None] = []  # noqa: RUF012 - shared on purpose: gym.make hides the object

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.reset_seeds.append(seed)
        self._left = int(seed or 0) % 7 + 1
        return np.array([self._left], np.float32), {}

    def step(self, action):
        self._left -= 1
        reward = 1e8 if action == 1 else 0.1
        return np.array([self._left], np.float32), reward, self._left == 0, False, {}


gym.register("Countdown-v0", entry_point=_Countdown, max_episode_steps=100)


class _Recording:
    def __init__(self, batch):
        mean = float(batch.mean())
        self.costs = Costs(
            spikes_per_decision={"hidden_1": mean},
            synops_per_decision={"hidden_1": 4 * mean},
            macs_per_decision={"dense": 10.0},
            synapses={"hidden_1": 8.0},
        )


class _Policy:
    """Act by the parity of the observation; record all calls."""

    def __init__(self):
        self.calls = []

    def predict(self, observation, state, episode_start, deterministic):
        self.calls.append(("predict", (observation.shape, deterministic)))
        return observation[:, 0].astype(int) % 2, None

    def reseed_noise(self, seed):
        self.calls.append(("reseed", seed))

    def record(self, batch, state):
        self.calls.append(("record", batch.copy()))
        return _Recording(batch)


def test_returns_lengths_and_costs_by_hand():
    policy = _Policy()
    result = evaluate(policy, "Countdown-v0", seeds=(1, 2))
    # Seed 1: observations 2, 1; seed 2: observations 3, 2, 1. Odd ones pay 1e8, even ones 0.1;
    # in float32 the tenths would be lost.
    assert result.lengths == (2, 3)
    assert result.returns == (1e8 + 0.1, 2e8 + 0.1)
    assert result.mean == np.mean(result.returns)
    assert result.iqm == np.mean(result.returns)
    assert result.spikes_per_decision == pytest.approx({"hidden_1": 9 / 5})
    assert result.synops_per_decision == pytest.approx({"hidden_1": 36 / 5})
    assert result.macs_per_decision == {"dense": 10.0}
    assert result.spikes_per_synapse == pytest.approx(36 / 5 / 8)
    assert [value for kind, value in policy.calls if kind == "reseed"] == [1, 1]
    # Three steps of the longer episode; the shorter one keeps its place in the batch.
    assert [value for kind, value in policy.calls if kind == "predict"] == [((2, 1), True)] * 3


def test_default_seeds_are_public_and_apart_from_training():
    _Countdown.reset_seeds.clear()
    policy = _Policy()
    result = evaluate(policy, "Countdown-v0", episodes=4)
    expected = tuple(2_000_000_000 + episode for episode in range(4))
    assert result.seeds == tuple(_Countdown.reset_seeds) == expected
    assert min(evaluation_seeds(100)) >= TRAINING_SEED_LIMIT
    assert max(evaluation_seeds(100)) < 2**31
    for episodes in (0, 10**20):
        with pytest.raises(ValueError, match="at least 1 and at most 1000000, got"):
            evaluation_seeds(episodes)


@pytest.mark.parametrize(("arguments", "message"), [
    ({"seeds": [0.9]}, r"seeds\[0\]: expected int, got 0.9 \(float\)"),
    ({"seeds": [3, True]}, r"seeds\[1\]: expected int, got True \(bool\)"),
    ({"seeds": np.array([1.0])}, r"seeds\[0\]: expected int, got .*1.0"),
    ({"seeds": [-1]}, r"seeds\[0\] must be at least 0 and below 4294967296, got -1"),
    ({"seeds": []}, "seeds must have 1 to 1000000 entries, got 0"),
    ({"seeds": 0.9}, r"seeds: expected a list, got 0.9 \(float\)"),
    ({"episodes": 1.5}, r"episodes: expected int, got 1.5 \(float\)"),
    ({"episodes": True}, r"episodes: expected int, got True \(bool\)"),
])  # fmt: skip
def test_seeds_and_numbers_of_episodes_are_whole_numbers(arguments, message):
    _Countdown.reset_seeds.clear()
    with pytest.raises(ValueError, match=message):
        evaluate(_Policy(), "Countdown-v0", **arguments)
    assert _Countdown.reset_seeds == []
    numbers = evaluate(_Policy(), "Countdown-v0", seeds=np.array([4, 5]))
    assert numbers.seeds == (4, 5)


class _Cycle(gym.Env[np.ndarray, int]):
    """500 steps, in which the observation is the seed, or the step if ``by_step``, modulo 4."""

    observation_space = spaces.Box(0.0, 3.0, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, by_step):
        self._by_step = by_step

    def _observation(self):
        return np.array([(self._step if self._by_step else self._seed) % 4], np.float32)

    def reset(self, *, seed=None, options=None):
        self._seed, self._step = seed, 0
        return self._observation(), {}

    def step(self, action):
        self._step += 1
        return self._observation(), 0.0, self._step == 500, False, {}


@pytest.mark.parametrize("by_step", [False, True])
def test_costs_of_long_episodes_come_from_all_episodes_and_phases(by_step):
    # Of 100 episodes of 500 steps, 50,000 decisions, 20,000 are recorded at most.
    policy = _Policy()
    result = evaluate(policy, lambda: _Cycle(by_step), episodes=100)
    recorded = sum(len(batch) for kind, batch in policy.calls if kind == "record")
    assert 10_000 <= recorded <= 20_000
    # The mean of as many 0, 1, 2 and 3; that of 10,000 draws has a standard error of 0.011.
    assert result.spikes_per_decision["hidden_1"] == pytest.approx(1.5, abs=0.06)


@given(count=st.integers(0, 500), limit=st.integers(2, 40))
def test_subsample_is_even_and_bounded(count, limit):
    visited = _Visited(limit)
    for k in range(count):
        visited.add(np.array([k]), (np.array([-k]),))
    kept = [int(observation[0]) for observation, _ in visited.decisions]
    assert [-int(state[0][0]) for _, state in visited.decisions if state is not None] == kept
    assert len(kept) <= limit
    # Of each block of decisions there is one; the last block may not be complete.
    assert any(
        [k // block for k in kept] == list(range(len(kept))) and count // block <= len(kept)
        for block in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    )
    assert len(kept) >= min(count, limit // 2)


def test_large_observations_are_bounded_by_their_bytes():
    visited = _Visited(100, max_bytes=10 * 64)
    for k in range(50):
        visited.add(np.full((8, 8), k, np.uint8), None)
    kept = [int(observation[0, 0]) for observation, _ in visited.decisions]
    assert len(kept) in (6, 7)
    assert [k // 8 for k in kept] == list(range(len(kept)))


def test_observations_are_copied():
    visited = _Visited(4)
    buffer, state = np.zeros(1), np.zeros(1)
    visited.add(buffer, (state,))
    visited.add(buffer, None)
    buffer[0] = state[0] = 5.0
    (observation, kept), (_, nothing) = visited.decisions
    assert observation[0] == 0.0
    assert kept is not None
    assert kept[0][0] == 0.0
    assert nothing is None


def test_evaluation_changes_neither_policy_nor_thread_count():
    model = snn_gym.make_agent("ppo-lif", "CartPole-v1", seed=0)
    model.learn(256)
    before = {name: tensor.clone() for name, tensor in full_state(model.policy).items()}
    threads, noise = torch.get_num_threads(), torch.get_rng_state()
    first = evaluate(model, "CartPole-v1", episodes=3)
    assert evaluate(model.policy, "CartPole-v1", episodes=3) == first
    after = full_state(model.policy)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), noise)


def test_an_ann_has_no_spikes_and_hand_counted_macs():
    result = evaluate(build_policy("dqn-mlp", "CartPole-v1"), "CartPole-v1", episodes=2)
    assert result.spikes_per_decision == {}
    assert result.synops_per_decision == {}
    macs = result.macs_per_decision
    assert macs["dense_1"] == 4 * 128
    assert 0 < macs["dense_2"] < 128 * 2  # of units that are not zero


@pytest.mark.parametrize(
    ("agent", "env_id", "fan_out", "macs", "updates"),
    [
        # 64 GRU units of three gates: products with what they carry, which is nothing in the first
        # of 9 decisions, 3 products of gates in each unit, and two outputs.
        (
            "recurrent-ppo-gru",
            "snn/CueAccumulation-v0",
            3 * 64,
            3 * 64 * 64 * 8 / 9 + 3 * 64 + 64 * 2,
            64,
        ),
        # Two layers of 64 tanh units: the second, and two outputs.
        ("ppo-mlp", "snn/CartPole-v1", 64, 64 * 64 + 64 * 2, 64 + 64),
    ],
)
def test_spikes_into_an_ann_are_synaptic_operations(agent, env_id, fan_out, macs, updates):
    result = evaluate(build_policy(agent, env_id), env_id, episodes=2)
    spikes = result.spikes_per_decision["input"]
    assert spikes > 0.0
    assert result.synops_per_decision == pytest.approx({"input": spikes * fan_out})
    assert sum(result.macs_per_decision.values()) == pytest.approx(macs)
    assert sum(result.neuron_updates_per_decision.values()) == updates


def play_alone(policy, env, seed):
    """Play an episode by `predict`; return its return, observations and states."""
    observation, _ = env.reset(seed=seed)
    state, total, ended, met = None, 0.0, False, []
    while not ended:
        met.append((observation, state))
        action, state = policy.predict(observation, state, deterministic=True)
        observation, reward, terminated, truncated, _ = env.step(action)
        total, ended = total + float(reward), terminated or truncated
    return total, met


def test_batched_episodes_equal_single_episodes():
    """Batched episodes equal separate episodes with `predict`."""
    policy = build_policy("ppo-mlp", "CartPole-v1")
    result = evaluate(policy, "CartPole-v1", episodes=5)
    for seed, expected in zip(result.seeds, result.returns, strict=True):
        assert play_alone(policy, gym.make("CartPole-v1"), seed)[0] == expected


@pytest.mark.parametrize("agent", ["recurrent-ppo-lsnn", "recurrent-ppo-gru"])
def test_state_is_reset_between_episodes(agent):
    task = "snn/CueAccumulation-medium-v0"
    policy = build_policy(agent, task)
    result = evaluate(policy, task, episodes=4)
    spikes, decisions = 0.0, 0
    for seed, expected in zip(result.seeds, result.returns, strict=True):
        total, met = play_alone(policy, gym.make(task), seed)
        assert total == expected
        decisions += len(met)
        spikes += sum(sum(policy.record(*x).spikes_per_decision().values()) for x in met)
    assert sum(result.lengths) == decisions
    assert sum(result.spikes_per_decision.values()) == pytest.approx(spikes / decisions, rel=1e-4)
    assert ("hidden_1" in result.spikes_per_decision) == (agent == "recurrent-ppo-lsnn")


class _Room(gym.Env[np.ndarray, Any]):
    """Stay for ever; observe the number of steps, and NaN at ``faulty_step``."""

    observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)

    def __init__(self, actions=2, faulty_step=-1):
        self.action_space = spaces.Discrete(actions)
        self._faulty_step = faulty_step

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._steps = 0
        return self._look(), {}

    def step(self, action):
        self._steps += 1
        return self._look(), 0.5, False, False, {}

    def _look(self):
        return np.array([np.nan if self._steps == self._faulty_step else self._steps], np.float32)


class _Narrow(gym.ActionWrapper[Any, Any, Any]):
    """The task with actions in [-1, 1]."""

    def __init__(self, env):
        super().__init__(env)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def action(self, action):
        return action


gym.register("Room-v0", entry_point=_Room)
gym.register("ShortRoom-v0", entry_point=_Room, max_episode_steps=7)
gym.register("LongRoom-v0", entry_point=_Room, max_episode_steps=MOST_STEPS + 5)
gym.register("Narrow-v0", entry_point=lambda: _Narrow(gym.make("Pendulum-v1")))


@pytest.mark.parametrize(
    ("trained_on", "env_id", "differing"),
    [
        ("Pendulum-v1", "Narrow-v0", r"action_space is Box\(-2\.0, 2\.0.* Box\(-1\.0, 1\.0"),
        ("Room-v0", _Room(actions=3), r"action_space is Discrete\(2\) .* Discrete\(3\)"),
        ("Room-v0", DummyVecEnv([lambda: _Room(3)]), r"is Discrete\(2\) .* Discrete\(3\)"),
        ("Room-v0", "CartPole-v1", r"observation_space is Box.*\(1,\).* Box.*\(4,\)"),
    ],
)
def test_an_environment_with_other_spaces_is_refused(trained_on, env_id, differing):
    model = PPO("MlpPolicy", gym.make(trained_on), n_steps=8, batch_size=8)
    for acting in (model, model.policy):
        with pytest.raises(ValueError, match=differing):
            evaluate(acting, env_id, episodes=1)


@pytest.mark.parametrize(
    ("step", "where"),
    [(0, "at step 0 of the episode with seed 5"), (3, "at step 3 of the episode with seed 5")],
)
def test_an_observation_that_is_not_finite_is_refused(step, where):
    with pytest.raises(ValueError, match=f"ShortRoom-v0 gave the observation nan {where}"):
        evaluate(_Policy(), "ShortRoom-v0", seeds=[5, 6], env_kwargs={"faulty_step": step})


def test_an_episode_without_an_end_is_cut_with_one_line():
    said = r"Room-v0: episodes did not end within 20 steps and were cut there; raise max_steps"
    with pytest.warns(UserWarning, match=said) as warned:
        result = evaluate(_Policy(), "Room-v0", episodes=3, max_steps=20)
    assert len(warned) == 1
    assert result.lengths == (20,) * 3
    assert result.returns == (10.0,) * 3
    with pytest.warns(UserWarning, match=f"within {MOST_STEPS:,} steps"):
        assert evaluate(_Policy(), "Room-v0", episodes=1).lengths == (MOST_STEPS,)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("env_id", "length"), [("ShortRoom-v0", 7), ("LongRoom-v0", MOST_STEPS + 5)]
)
def test_an_episode_with_a_time_limit_is_played_to_its_end(env_id, length):
    assert evaluate(_Policy(), env_id, episodes=1).lengths == (length,)
