"""Tests of interval timing: dynamics by hand, and reference policies."""

import functools

import numpy as np
import pytest

import snn_gym  # noqa: F401 - registers the ids
from references import RandomActions, play, scripted_policy
from references.interval_timing import best_fixed_delay, best_memoryless, expected_rewards
from snn_gym.envs.native.interval_timing import GROUP, IntervalTiming, IntervalTimingSettings
from snn_gym.envs.registry import load_environment_spec

LEVELS = ("snn/IntervalTiming-v0", "snn/IntervalTiming-medium-v0", "snn/IntervalTiming-hard-v0")
EPISODES = 1000
CLEAR = {"pulse_rate_hz": 996.0, "background_rate_hz": 0.0}


def level_task(env_id, num_envs=EPISODES):
    return IntervalTiming(num_envs, **load_environment_spec(env_id).task.arguments)


@functools.cache
def returns_of(env_id, kind):
    task = level_task(env_id)
    policy = RandomActions(task) if kind == "random" else scripted_policy(task, kind)
    return play(task, policy, seed=0)


def clear_task(foreperiod, interval, **settings):
    """Return one environment of certain pulses at the start of a known episode."""
    task = IntervalTiming(
        1,
        intervals_steps=[interval],
        foreperiod_steps=foreperiod,
        foreperiod_jitter_steps=0,
        **{"response_steps": interval + 2, **CLEAR, **settings},
    )
    return task, task.reset(seed=0)[0]


def firing(spikes):
    """Return the groups of which nearly all neurons fire."""
    shares = spikes.reshape(len(spikes), -1, 4, GROUP).mean(axis=(0, 1, 3))
    return np.flatnonzero(shares > 0.9).tolist()


class TestDynamics:
    def test_a_walk_through_an_episode(self):
        task, spikes = clear_task(foreperiod=1, interval=3, tolerance=0.5)
        seen, rewards, ends, produced = [firing(spikes)], [], [], []
        # go is ignored before the set pulse, which is shown at environment step 1 + 3
        for action in (1, 1, 1, 1, 0, 0, 1):
            spikes, reward, terminated, truncated, info = task.advance(np.array([action]))
            seen.append(firing(spikes))
            rewards.append(float(reward[0]))
            ends.append((bool(terminated[0]), bool(truncated[0])))
            produced.append(int(info["produced_steps"][0]))
        assert seen == [[], [0], [], [], [1], [], [], []]
        # the go came 2 environment steps after set: an error of 1 of the 1.5 allowed
        assert rewards[:-1] == [0.0] * 6
        assert rewards[-1] == pytest.approx(1 / 3)
        assert ends == [(False, False)] * 6 + [(True, False)]
        assert produced == [-1] * 6 + [2]
        assert info["interval_steps"].tolist() == [3]
        assert info["set_step"].tolist() == [4]

    @pytest.mark.parametrize(
        ("produced", "reward"), [(0, 0), (2, 0), (3, 0.5), (4, 1), (5, 0.5), (6, 0)]
    )
    def test_the_reward_of_each_produced_interval(self, produced, reward):
        task, _ = clear_task(foreperiod=0, interval=4, tolerance=0.5)
        for step in range(4 + produced):
            _, none, terminated, _, _ = task.advance(np.array([0]))
            assert not terminated[0], step
            assert none[0] == 0.0
        _, got, terminated, _, _ = task.advance(np.array([1]))
        assert terminated[0]
        assert got[0] == pytest.approx(reward)
        assert got.dtype == np.float64

    def test_without_a_go_the_episode_ends_unrewarded(self):
        task, _ = clear_task(foreperiod=2, interval=3, response_steps=4)
        ends = [task.advance(np.array([0]))[1:4] for _ in range(task.settings.episode_steps)]
        assert [bool(end[1][0]) for end in ends] == [False] * 9 + [True]
        assert [bool(end[2][0]) for end in ends] == [False] * 9 + [True]
        assert not any(end[0][0] for end in ends)

    def test_a_go_at_the_last_chance_counts(self):
        task, _ = clear_task(foreperiod=0, interval=4, response_steps=5, tolerance=0.5)
        for _ in range(9):
            task.advance(np.array([0]))
        _, reward, terminated, _, info = task.advance(np.array([1]))
        assert terminated[0]
        assert reward[0] == pytest.approx(0.5)
        assert info["produced_steps"].tolist() == [5]

    def test_starts_are_uniform(self):
        task = IntervalTiming(3000, intervals_steps=[2, 5, 7], foreperiod_jitter_steps=3)
        _, info = task.reset(seed=0)
        foreperiod = info["set_step"] - info["interval_steps"]
        for values, expected in ((info["interval_steps"], [2, 5, 7]), (foreperiod, [1, 2, 3, 4])):
            found, counts = np.unique(values, return_counts=True)
            assert found.tolist() == expected
            mean = 3000 / len(expected)
            assert np.abs(counts - mean).max() < 5 * np.sqrt(mean)

    def test_a_new_episode_forgets_the_go(self):
        task, _ = clear_task(foreperiod=0, interval=2)
        results = [task.step([1]) for _ in range(3)]
        assert [bool(result[2][0]) for result in results] == [False, False, True]
        info = results[-1][4]
        assert info["final_info"]["produced_steps"].tolist() == [0]
        assert info["produced_steps"].tolist() == [-1]
        assert firing(results[-1][0][0]) == [0]

    def test_firing_rates_equal_the_settings(self):
        task = IntervalTiming(
            2000, foreperiod_steps=0, foreperiod_jitter_steps=0, pulse_rate_hz=125.0
        )
        spikes, _ = task.reset(seed=0)
        shares = spikes.reshape(-1, 4, GROUP).mean(axis=(0, 2))
        expected = np.array([32, 3, 3, 3]) / 256
        assert np.allclose(shares, expected, atol=0.002)


class TestReferences:
    def test_expected_rewards_by_hand(self):
        settings = IntervalTimingSettings(intervals_steps=(2, 4), response_steps=5, tolerance=0.5)
        expected = np.array([0, 0, 1, 0.5, 1, 0.5]) / 2
        assert np.allclose(expected_rewards(settings), expected)
        assert best_fixed_delay(settings) == (0.5, 2)

    def test_the_best_hazard_by_hand(self):
        # One interval, reward for the very interval alone, pulses that cannot be missed: the
        # return is (1 - h) h, best at h = 1/2.
        settings = IntervalTimingSettings(
            intervals_steps=(2,), response_steps=2, tolerance=0.5, **CLEAR
        )
        value, share, count = best_memoryless(settings)
        assert value == pytest.approx(0.25)
        assert (share, count) == (0.5, 0)

    @pytest.mark.parametrize("env_id", LEVELS)
    def test_reference_scores_equal_measured_scores(self, env_id):
        spec = load_environment_spec(env_id)
        settings, reference = level_task(env_id, 1).settings, spec.reference
        assert reference.memoryless == pytest.approx(best_memoryless(settings)[0], abs=5e-5)
        measured = {
            "random": reference.random,
            "memoryless": reference.memoryless,
            "oracle": reference.oracle,
            "fixed_delay": best_fixed_delay(settings)[0],
        }
        for kind, score in measured.items():
            returns = returns_of(env_id, kind)
            error = returns.std() / np.sqrt(EPISODES)
            assert abs(returns.mean() - score) < 4 * error + 1e-3, kind

    def test_memoryless_hazard_is_optimal(self):
        settings = level_task(LEVELS[0], 1).settings
        rewards = expected_rewards(settings)
        hazards = np.linspace(0.0, 1.0, 1001)[:, np.newaxis]
        steps = np.arange(1, settings.response_steps + 1)
        free = ((1 - hazards) ** (steps - 1) * hazards) @ rewards[1:]
        # An upper bound, for it waits at every set pulse; here pulses are clear enough to reach it.
        assert best_memoryless(settings)[0] == pytest.approx(free.max(), abs=2e-4)

    def test_the_oracle_is_perfect_where_pulses_are_clear(self):
        task = IntervalTiming(200, intervals_steps=[1, 2, 3, 7], response_steps=9, **CLEAR)
        assert play(task, scripted_policy(task, "oracle"), seed=0).tolist() == [1.0] * 200
