"""Tests of cue accumulation: the trial by hand, chance, short memory, the ideal observer."""

from itertools import product

import gymnasium as gym
import numpy as np
import pytest
from scipy.special import comb
from scipy.stats import binom

from references import Scripted, play, scripted_policy
from snn_gym.envs.batch import byte_rate
from snn_gym.envs.native.cue_accumulation import LEFT, RIGHT, CueAccumulation
from snn_gym.envs.registry import load_environment_spec
from tests.envs.native.starts import begin_with

IDS = load_environment_spec("snn/CueAccumulation-v0").registers
CLEAR = {"cue_rate_hz": 996.0, "background_rate_hz": 0.0}
GO, NOTHING = 2, 3


def started(numbers, **settings):
    """Return environments whose episodes start with the given uniform numbers, and their spikes."""
    task = CueAccumulation(len(numbers), **settings)
    return task, begin_with(task, np.array(numbers))


def firing(spikes):
    """Return the groups of neurons that fire in an environment without noise."""
    counts = spikes.reshape(-1, 4, 10).sum(axis=(0, 2))
    assert not ((counts > 0) & (counts < 60)).any()
    return np.flatnonzero(counts).tolist()


@pytest.mark.parametrize("gap", [0, 1, 2])
@pytest.mark.parametrize("jitter", [0, 1, 2])
@pytest.mark.parametrize("sides", [(LEFT, RIGHT, RIGHT), (RIGHT, LEFT, LEFT), (LEFT,) * 3])
def test_a_trial_by_hand(gap, jitter, sides):
    # below 1/2: right; a jitter of 0, 1 or 2 by thirds
    numbers = [0.49 if side == RIGHT else 0.5 for side in sides]
    task, spikes = started(
        [[*numbers, (jitter + 0.5) / 3]], gap_steps=gap, delay_jitter_steps=2, **CLEAR
    )
    majority = RIGHT if sides.count(RIGHT) > 1 else LEFT
    info = {key: int(value[0]) for key, value in task._info().items()}
    assert info == {"majority": majority, "go_step": 3 * (1 + gap) + 2 + jitter}
    phases = [group for side in sides for group in [[side], *[[]] * gap]]
    for expected in [*phases, *[[]] * (2 + jitter)]:
        assert firing(spikes[0]) == expected
        spikes, rewards, terminated, truncated, _ = task.advance(np.array([majority]))
        assert (rewards[0], terminated[0], truncated[0]) == (0.0, False, False)
    assert firing(spikes[0]) == [GO]
    _, rewards, terminated, truncated, _ = task.advance(np.array([majority]))
    assert (rewards[0], terminated[0], truncated[0]) == (1.0, True, jitter == 2)


@pytest.mark.parametrize("action", [LEFT, RIGHT])
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_only_the_action_at_the_go_signal_is_rewarded(action, count):
    task, _ = started([[*[0.0] * count, *[0.9] * (3 - count), 0.0]])
    rewards = []
    for step in range(9):
        # the other one before the go signal
        taken = action if step == 8 else 1 - action
        rewards.append(float(task.advance(np.array([taken]))[1][0]))
    assert rewards == [0.0] * 8 + [float((action == RIGHT) == (count >= 2))]


@pytest.mark.parametrize("cues", [1, 3, 5, 7])
def test_every_order_of_cues_has_its_majority(cues):
    orders = np.array(list(product([0, 1], repeat=cues)))
    task, _ = started(np.hstack([1 - orders, np.zeros((len(orders), 1))]) * 0.9, cues=cues)
    assert np.array_equal(task._majority, orders.sum(axis=1) > cues / 2)
    # exactly 1/2: half of all orders are on either side
    assert task._majority.mean() == 0.5


def cue_error(settings):
    """Return the probability that an ideal observer mistakes the side of a cue."""
    count = np.arange(10 * settings.time_steps + 1)
    cue, other = (
        binom.pmf(count, len(count) - 1, byte_rate(rate / 1000) / 256)
        for rate in (settings.cue_rate_hz, settings.background_rate_hz)
    )
    return float(cue @ (1 - np.cumsum(other) + other / 2))


def counting_score(settings):
    """Return the score of an observer that decides cue by cue and counts, in closed form.

    With right decisions of probability 1 - e, the counted majority is the true one if, of the n
    cues, as many of the majority are mistaken as leave more than half.
    """
    error, n = cue_error(settings), settings.cues
    score = 0.0
    for right in range(n + 1):
        # right cues taken rightly + left cues taken wrongly
        taken = np.convolve(
            binom.pmf(np.arange(right + 1), right, 1 - error),
            binom.pmf(np.arange(n - right + 1), n - right, error),
        )
        more = taken[(n + 1) // 2 :].sum()
        score += comb(n, right) / 2**n * (more if 2 * right > n else 1 - more)
    return float(score)


class CueByCue(Scripted):
    """Decide each of the last cues by the larger count, ties at random; act by the majority."""

    def __init__(self, task, cues_used):
        self.settings, self.used = task.settings, cues_used
        self.steps, self.votes = (np.zeros(task.num_envs, np.int64) for _ in range(2))
        self.generator = np.random.default_rng(0)

    def act(self, spikes, starts):
        self.steps[starts] = self.votes[starts] = 0
        counts = spikes.reshape(len(spikes), -1, 4, 10).sum(axis=(1, 3), dtype=np.int64)
        number, place = np.divmod(self.steps, 1 + self.settings.gap_steps)
        ties = self.generator.integers(0, 2, len(spikes)) * 2 - 1
        vote = np.sign(2 * (counts[:, 1] - counts[:, 0]) + ties)
        is_used = (number >= self.settings.cues - self.used) & (number < self.settings.cues)
        self.votes += np.where(is_used & (place == 0), vote, 0)
        self.steps += 1
        return (self.votes > 0).astype(np.int64)


HARD = {"cues": 7, "cue_rate_hz": 80.0, "background_rate_hz": 25.0}
FAINTER = {"cues": 5, "cue_rate_hz": 60.0, "background_rate_hz": 30.0}


@pytest.mark.parametrize("settings", [{}, HARD, FAINTER])
def test_cue_counting_score_equals_closed_form_and_oracle_is_higher(settings):
    task = CueAccumulation(2000, **settings)
    expected = counting_score(task.settings)
    counted = play(task, CueByCue(task, task.settings.cues), seed=0)
    room = 4 * np.sqrt(max(expected * (1 - expected), 1e-3) / 2000)
    assert counted.mean() == pytest.approx(expected, abs=room)
    observed = play(task, scripted_policy(task, "oracle"), seed=0)
    # the same episodes; only the weight of clear cues differs
    assert counted.mean() - 0.005 <= observed.mean() <= expected + 0.04


@pytest.mark.parametrize(("cues", "score"), [(3, 0.75), (5, 0.6875), (7, 0.65625)])
def test_the_last_cue_alone_is_not_enough(cues, score):
    task = CueAccumulation(2000, cues=cues, **CLEAR)
    played = play(task, CueByCue(task, 1), seed=0).mean()
    assert score == 0.5 + comb(cues - 1, (cues - 1) // 2) / 2**cues
    assert played == pytest.approx(score, abs=4 * np.sqrt(score * (1 - score) / 2000))
    assert play(task, CueByCue(task, cues), seed=0).mean() == 1.0


@pytest.mark.parametrize("env_id", IDS)
def test_the_spikes_at_the_go_signal_do_not_depend_on_the_cues(env_id):
    task = gym.make_vec(env_id, 64)
    task.reset(seed=0)
    task._steps[:] = task._go_step
    noise = np.random.default_rng(0).integers(0, 256, (64, 320)).astype(np.uint8)
    seen = []
    for side in (LEFT, RIGHT):
        task._cues[:], task._majority[:] = side, side
        spikes = np.empty((64, 320), np.bool_)
        task._emit(slice(None), noise, spikes)
        seen.append(spikes)
    assert np.array_equal(*seen)


def test_scores_fall_with_difficulty():
    settings = [gym.make(env_id).unwrapped.batch.settings for env_id in IDS]
    bounds = [counting_score(level) for level in settings]
    assert bounds[0] > bounds[1] > bounds[2] + 0.05
    assert [level.episode_steps for level in settings] == [9, 23, 45, 207]


def test_oracle_with_one_cue_compares_two_counts():
    task = CueAccumulation(2000, cues=1, cue_rate_hz=60.0, background_rate_hz=30.0)
    expected = 1 - cue_error(task.settings)
    assert 0.7 < expected < 0.9
    assert counting_score(task.settings) == pytest.approx(expected)
    score = play(task, scripted_policy(task, "oracle"), seed=0).mean()
    assert score == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 2000))
