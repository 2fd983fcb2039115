"""Tests of delayed match to sample: the trial by hand, patterns, chance, the ideal observer."""

from dataclasses import asdict, replace
from itertools import product

import numpy as np
import pytest
from scipy.stats import binom

from references import play, scripted_policy
from snn_gym.envs.batch import byte_rate
from snn_gym.envs.native.delayed_match_to_sample import (
    MATCH,
    NON_MATCH,
    DelayedMatchToSample,
    DelayedMatchToSampleEnv,
    DelayedMatchToSampleSettings,
    make_patterns,
)
from snn_gym.envs.registry import load_environment_spec
from snn_gym.envs.rendering import ACCENT, FAINT, GOOD, INK
from tests.envs.native.starts import begin_with

IDS = load_environment_spec("snn/DelayedMatchToSample-v0").registers
NEVER_SILENT = {"pattern_rate_hz": 996.0, "background_rate_hz": 0.0}
NEURONS = [1, 2, 3, 11, 13, 15, 18, 20, 21, 25]
ONSETS = [4, 2, 1, 3, 3, 2, 4, 0, 1, 1]
TALL = DelayedMatchToSampleSettings(
    patterns=5, sample_steps=2, delay_steps=5, delay_jitter_steps=3, distractors=2
)


def started(numbers, **settings):
    """Return one environment whose episode starts with the given uniform numbers."""
    task = DelayedMatchToSample(1, **settings)
    begin_with(task, np.array([numbers]))
    return task


def shown(task):
    return int(task._shown(np.array([0]))[0])


@pytest.mark.parametrize(
    ("match", "other", "test"), [(0.49, 0.9, 1), (0.5, 0.0, 2), (0.5, 0.49, 3), (0.9, 0.99, 0)]
)
@pytest.mark.parametrize("jitter", [0, 1, 3])
def test_a_trial_by_hand(match, other, test, jitter):
    # sample 1 of 5 by 0.2 <= 0.39 < 0.4; the others are then 2, 3, 4, 0
    numbers = [0.39, match, other, (jitter + 0.5) / 4, 0.99, 0.61]
    task = started(numbers, **asdict(TALL))
    info = task._info()
    go_step = 2 + 5 + jitter
    assert {key: int(value[0]) for key, value in info.items()} == {
        "sample": 1,
        "test": test,
        "go_step": go_step,
    }
    # distractors 4 and 3 stand at places 5 // 3 and 10 // 3 of the delay; 5 is nothing
    delay = [5, 4, 5, 3, 5] + [5] * jitter
    for row in [1, 1, *delay]:
        assert shown(task) == row
        _, rewards, terminated, truncated, _ = task.advance(np.array([MATCH]))
        assert (rewards[0], terminated[0], truncated[0]) == (0.0, False, False)
    # row 6 + k: pattern k with the go signal
    assert shown(task) == 6 + test
    right = MATCH if test == 1 else NON_MATCH
    _, rewards, terminated, _, _ = task.advance(np.array([right]))
    assert (rewards[0], terminated[0]) == (1.0, True)


@pytest.mark.parametrize("action", [NON_MATCH, MATCH])
@pytest.mark.parametrize("match", [0.1, 0.9])
def test_only_the_action_at_the_test_is_rewarded(action, match):
    task = started([0.0, match, 0.0, 0.0])
    rewards = []
    for step in range(5):
        # the opposite before the test
        taken = action if step == 4 else 1 - action
        _, reward, terminated, _, _ = task.advance(np.array([taken]))
        rewards.append(reward[0])
        assert terminated[0] == (step == 4)
    assert rewards[:4] == [0.0] * 4
    assert rewards[4] == float((action == MATCH) == (match < 0.5))


def test_neurons_fire_only_in_their_bursts():
    task = DelayedMatchToSample(200, **NEVER_SILENT)
    spikes, infos = task.reset(seed=3)
    patterns = task.patterns
    for step in range(4):
        if step < 2:
            shows = patterns[infos["sample"]]
            assert not spikes[:, :, :30][~shows].any()
            assert spikes[:, :, :30][shows].mean() > 0.99
            assert not spikes[:, :, 30:].any()
        else:
            assert not spikes.any()
        spikes, *_, infos = task.advance(np.zeros(200, int))
    shows = patterns[infos["test"]]
    assert not spikes[:, :, :30][~shows].any()
    assert spikes[:, :, :30][shows].mean() > 0.99
    assert spikes[:, :, 30:].mean() > 0.99


def test_firing_rates_equal_the_settings():
    task = DelayedMatchToSample(2000, pattern_rate_hz=250.0, background_rate_hz=50.0)
    spikes, infos = task.reset(seed=0)
    shows = task.patterns[infos["sample"]]
    stimulus = spikes[:, :, :30]
    assert stimulus[shows].mean() == pytest.approx(64 / 256, abs=0.005)
    assert stimulus[~shows].mean() == pytest.approx(13 / 256, abs=0.003)
    assert spikes[:, :, 30:].mean() == pytest.approx(13 / 256, abs=0.003)


def test_patterns_by_hand():
    patterns = make_patterns(DelayedMatchToSampleSettings())
    assert patterns.shape == (2, 8, 30)
    neurons = patterns.any(axis=1)
    # pinned: the patterns are part of the task, whatever the version of numpy
    assert np.flatnonzero(neurons[0]).tolist() == NEURONS
    assert patterns[0][:, NEURONS].argmax(axis=0).tolist() == ONSETS
    assert not (neurons[0] & neurons[1]).any()
    assert (patterns.sum(axis=1) == np.where(neurons, 4, 0)).all()


@pytest.mark.parametrize(("count", "shared"), [(2, 0), (3, 0), (6, 5), (10, 7), (30, 9)])
def test_more_patterns_overlap_more(count, shared):
    settings = DelayedMatchToSampleSettings(patterns=count)
    neurons = make_patterns(settings).any(axis=1)
    assert (neurons.sum(axis=1) == 10).all()
    assert len({tuple(row) for row in neurons.tolist()}) == count
    assert (neurons & np.roll(neurons, 1, axis=0)).sum(axis=1).tolist() == [shared] * count


def test_the_pattern_seed_changes_the_patterns_and_the_seed_does_not():
    base = DelayedMatchToSampleSettings()
    assert not np.array_equal(make_patterns(base), make_patterns(replace(base, pattern_seed=1)))
    env = DelayedMatchToSampleEnv(**NEVER_SILENT)
    seen = {}
    for seed in range(20):
        spikes, info = env.reset(seed=seed)
        seen.setdefault(info["sample"], set()).add(tuple(np.flatnonzero(spikes.any(axis=0))))
    assert {number: len(neurons) for number, neurons in seen.items()} == {0: 1, 1: 1}


@pytest.mark.parametrize("count", [2, 3, 6, 10])
def test_the_test_stimulus_alone_is_uninformative(count):
    # every start on a grid that each draw divides evenly: exact shares
    samples = (np.arange(count) + 0.5) / count
    others = (np.arange(count - 1) + 0.5) / (count - 1)
    numbers = np.array([[*one, 0.5] for one in product(samples, [0.25, 0.75], others)])
    task = DelayedMatchToSample(len(numbers), patterns=count)
    task.reset(seed=0)
    task._begin(slice(None), numbers)
    match = task._sample == task._test
    for test in range(count):
        assert match[task._test == test].mean() == 0.5
    assert np.bincount(task._test).tolist() == [2 * (count - 1)] * count


def test_distractors_are_independent_of_sample_and_test():
    task = DelayedMatchToSample(5000, **asdict(TALL))
    task.reset(seed=1)
    last = task._scripts[:, 2]
    for match in (True, False):
        rows = (task._sample == task._test) == match
        assert (last == task._test)[rows].mean() == pytest.approx(0.2, abs=0.033)


def closed_form(settings):
    """Return the ideal observer's score with two patterns: two comparisons of binomial counts."""
    cells = int((make_patterns(settings)[0] & ~make_patterns(settings)[1]).sum())
    high, low = (
        byte_rate(rate / 1000) / 256
        for rate in (settings.pattern_rate_hz, settings.background_rate_hz)
    )

    def right(steps):
        count = np.arange(cells * steps + 1)
        more, fewer = (binom.pmf(count, cells * steps, chance) for chance in (high, low))
        below = np.cumsum(fewer)
        return float(more @ (below - fewer / 2))

    sample, test = right(settings.sample_steps), right(1)
    return sample * test + (1 - sample) * (1 - test)


@pytest.mark.parametrize(("high", "low"), [(400.0, 10.0), (80.0, 25.0), (60.0, 30.0)])
def test_oracle_score_equals_closed_form_for_two_patterns(high, low):
    task = DelayedMatchToSample(4000, pattern_rate_hz=high, background_rate_hz=low)
    expected = closed_form(task.settings)
    error = np.sqrt(expected * (1 - expected) / 4000)
    score = play(task, scripted_policy(task, "oracle"), seed=0).mean()
    assert score == pytest.approx(expected, abs=max(4 * error, 1e-3))
    if high == 80.0:
        assert 0.7 < expected < 0.95


def test_the_oracle_remembers_the_sample_through_distractors():
    task = DelayedMatchToSample(500, **{**asdict(TALL), **NEVER_SILENT})
    assert play(task, scripted_policy(task, "oracle"), seed=5).mean() == 1.0


def test_the_scene_shows_sample_test_and_time():
    task = started([0.0, 0.1, 0.0, 0.0], burst_steps=8)
    row = 22 + 6 * int(np.flatnonzero(task.patterns[0][0])[0])
    pixels = []
    for _ in range(5):
        image = task._scene(0)
        places = (row, 25), (row, 145), (226, 60), (226, 230)
        pixels.append([tuple(image[place].tolist()) for place in places])
        task._steps += 1
    # The sample, the pattern now, time passed, time to come.
    assert pixels[0] == [ACCENT, FAINT, INK, FAINT]
    assert pixels[2] == [INK, FAINT, INK, FAINT]
    assert pixels[4] == [INK, GOOD, GOOD, GOOD]
