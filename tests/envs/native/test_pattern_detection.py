"""Tests of pattern detection: windows by hand, and uninformative rates."""

import functools
import itertools

import numpy as np
import pytest

import snn_gym  # noqa: F401 - registers the ids
from references import play, scripted_policy
from references.pattern_detection import permanents
from snn_gym.envs.batch import EVERY
from snn_gym.envs.native.pattern_detection import PatternDetection, PatternDetectionSettings
from snn_gym.envs.registry import load_environment_spec

LEVELS = (
    "snn/PatternDetection-v0",
    "snn/PatternDetection-medium-v0",
    "snn/PatternDetection-hard-v0",
)
WINDOWS = 6000


def level_task(env_id, num_envs):
    return PatternDetection(num_envs, **load_environment_spec(env_id).task.arguments)


@functools.cache
def windows_of(env_id):
    """Return first windows (n, T, N) of many episodes, and whether each holds the pattern."""
    spikes, info = level_task(env_id, WINDOWS).reset(seed=0)
    return spikes, info["present"]


def observed(task, present, shift=0, order=None, jitter_byte=128):
    """Return the times (N,) of spikes in a window of given state and noise.

    Args:
        task: One environment.
        present: The window holds the pattern.
        shift: Of the pattern.
        order: Time step of each channel's spike in noise; falling in each block by default.
        jitter_byte: Noise of the jitter of every spike.
    """
    channels, time_steps = task.channels, task.time_steps
    if order is None:
        order = np.tile(np.arange(time_steps)[::-1], channels // time_steps)
    task.reset(seed=0)
    task._present[:], task._shift[:] = present, shift
    noise = np.zeros((1, time_steps * channels), np.uint8)
    noise[0, : 4 * channels] = ((np.asarray(order) + 1) << 20).astype("<u4").view(np.uint8)
    noise[0, 4 * channels : 5 * channels] = jitter_byte
    spikes = np.zeros((1, time_steps * channels), np.bool_)
    task._emit(EVERY, noise, spikes)
    window = spikes.reshape(time_steps, channels)
    assert (window.sum(axis=0) == 1).all()
    return window.argmax(axis=0)


class TestDynamics:
    def test_noise_orders_spikes_by_key(self):
        task = PatternDetection(1, channels=16, pattern_channels=16)
        order = [3, 1, 4, 0, 5, 2, 6, 7, 7, 6, 5, 4, 3, 2, 1, 0]
        assert observed(task, present=False, order=order).tolist() == order

    def test_pattern_changes_only_pattern_channels(self):
        task = PatternDetection(1, channels=24, pattern_channels=16)
        times = observed(task, present=True)
        assert times[:16].tolist() == task.settings.pattern().tolist()
        assert times[16:].tolist() == [7, 6, 5, 4, 3, 2, 1, 0]

    def test_shift_rotates_only_the_pattern(self):
        task = PatternDetection(1, channels=16, pattern_channels=8, shift_steps=5)
        times = observed(task, present=True, shift=5)
        assert times[:8].tolist() == [(time + 5) % 8 for time in task.settings.pattern()]
        assert times[8:].tolist() == [7, 6, 5, 4, 3, 2, 1, 0]
        noise = observed(task, present=False, shift=5)
        assert noise.tolist() == [7, 6, 5, 4, 3, 2, 1, 0] * 2

    @pytest.mark.parametrize(("byte", "move"), [(0, -1), (85, -1), (86, 0), (170, 0), (171, 1)])
    @pytest.mark.parametrize("present", [False, True])
    def test_jitter_moves_noise_and_pattern_spikes_equally(self, present, byte, move):
        task = PatternDetection(1, channels=16, pattern_channels=8, jitter_steps=1)
        still = observed(task, present, jitter_byte=128)
        assert observed(task, present, jitter_byte=byte).tolist() == ((still + move) % 8).tolist()

    def test_a_walk_through_an_episode(self):
        task = PatternDetection(1, windows=4)
        task.reset(seed=0)
        task._present[0] = [True, False, False, True]
        steps = [task.advance(np.array([action])) for action in (1, 1, 0, 0)]
        assert [float(step[1][0]) for step in steps] == [0.25, 0.0, 0.25, 0.0]
        assert [bool(step[2][0]) for step in steps] == [False, False, False, True]
        assert [bool(step[3][0]) for step in steps] == [False, False, False, True]
        # the info is that of the window just shown
        assert [bool(step[4]["present"][0]) for step in steps] == [False, False, True, True]
        assert steps[0][4]["schedule"].tolist() == [[True, False, False, True]]
        pattern = task.settings.pattern()
        held = [bool((step[0][0].argmax(axis=0) == pattern).all()) for step in steps]
        assert held == [False, False, True, True]
        assert steps[0][1].dtype == np.float64

    def test_windows_are_drawn_uniformly(self):
        task = PatternDetection(4000, shift_steps=3)
        task.reset(seed=0)
        assert abs(task._present.mean() - 0.5) < 5 * 0.5 / np.sqrt(40_000)
        values, counts = np.unique(task._shift, return_counts=True)
        assert values.tolist() == [0, 1, 2, 3]
        assert np.abs(counts - 10_000).max() < 5 * np.sqrt(10_000)

    def test_random_permutations_are_uniform(self):
        spikes, info = PatternDetection(WINDOWS, channels=8, pattern_channels=8).reset(seed=0)
        times = spikes[~info["present"]].argmax(axis=1)
        for one, other in ((0, 1), (0, 7), (3, 4)):
            pairs, counts = np.unique(8 * times[:, one] + times[:, other], return_counts=True)
            assert len(pairs) == 56
            mean = len(times) / 56
            assert (((counts - mean) ** 2) / mean).sum() < 55 + 5 * np.sqrt(2 * 55)


class TestSettings:
    def test_pattern_depends_only_on_its_seed(self):
        same, again, other = (
            PatternDetectionSettings(pattern_seed=seed).pattern() for seed in (3, 3, 4)
        )
        assert same.tolist() == again.tolist() != other.tolist()
        blocks = same.reshape(-1, 8)
        assert (np.sort(blocks, axis=1) == np.arange(8)).all()
        assert len({tuple(block) for block in blocks.tolist()}) == 5


class TestRatesTellNothing:
    @pytest.mark.parametrize("env_id", LEVELS)
    def test_every_channel_fires_once_in_every_window(self, env_id):
        spikes, present = windows_of(env_id)
        assert (spikes.sum(axis=1) == 1).all()
        assert 0.45 < present.mean() < 0.55

    def test_without_jitter_every_time_step_holds_a_spike_of_each_block(self):
        task = PatternDetection(500, pattern_channels=24, shift_steps=7)
        spikes, _ = task.reset(seed=0)
        assert (spikes.reshape(500, 8, 5, 8).sum(axis=3) == 1).all()

    @pytest.mark.parametrize("env_id", LEVELS[1:])
    def test_jittered_population_counts_have_equal_distributions(self, env_id):
        spikes, present = windows_of(env_id)
        # spikes of the two blocks that take part at every level, in each time step
        counts = spikes[:, :, :16].sum(axis=2)
        for step in range(8):
            found = [np.bincount(counts[mask, step], minlength=9) for mask in (present, ~present)]
            table = np.array(found)[:, :5].astype(float)
            expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
            assert (((table - expected) ** 2) / expected).sum() < 4 + 5 * np.sqrt(2 * 4)

    def test_single_spikes_are_uninformative_at_the_hard_level(self):
        spikes, present = windows_of(LEVELS[2])
        for mask in (present, ~present):
            shares = spikes[mask].mean(axis=0)
            assert np.abs(shares - 1 / 8).max() < 5 * np.sqrt(7 / 64 / mask.sum())

    def test_single_spikes_are_informative_at_the_lowest_level(self):
        spikes, present = windows_of(LEVELS[0])
        assert set(np.unique(spikes[present].mean(axis=0))) == {0.0, 1.0}


class TestReferences:
    def test_permanents_are_sums_over_permutations(self):
        matrices = np.random.default_rng(0).random((3, 5, 5))
        expected = [
            sum(
                np.prod([matrix[row, column] for row, column in enumerate(order)])
                for order in itertools.permutations(range(5))
            )
            for matrix in matrices
        ]
        assert np.allclose(permanents(matrices), expected)

    def test_likelihoods_are_probabilities(self):
        # T = 5, one block: all 5^5 windows, one spike for each channel
        task = PatternDetection(
            1, channels=5, pattern_channels=5, time_steps=5, jitter_steps=1, shift_steps=2
        )
        observer = scripted_policy(task, "oracle")
        times = np.array(list(itertools.product(range(5), repeat=5)))
        for log in (observer._pattern_log(times), observer._noise_log(times)):
            assert np.exp(log).sum() == pytest.approx(1.0)

    def test_observer_refuses_more_than_ten_time_steps(self):
        task = PatternDetection(1, channels=12, pattern_channels=12, time_steps=12, jitter_steps=1)
        with pytest.raises(ValueError, match="takes at most 10 time steps, got 12"):
            scripted_policy(task, "oracle")

    def test_observer_accuracy_equals_its_likelihoods(self):
        task = PatternDetection(
            4000, channels=5, pattern_channels=5, time_steps=5, jitter_steps=1, windows=5
        )
        observer = scripted_policy(task, "oracle")
        times = np.array(list(itertools.product(range(5), repeat=5)))
        pattern, noise = np.exp(observer._pattern_log(times)), np.exp(observer._noise_log(times))
        exact = np.maximum(pattern, noise).sum() / 2
        returns = play(task, observer, seed=0)
        assert 0.8 < exact < 0.99
        assert abs(returns.mean() - exact) < 4 * returns.std() / np.sqrt(4000)
