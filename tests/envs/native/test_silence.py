"""Tests of silent levels: nothing spikes in the delay, and a memory by hand is enough."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import snn_gym
from references import Scripted, play
from snn_gym.envs.native.cue_accumulation import GROUP, CueAccumulation
from snn_gym.envs.native.delayed_match_to_sample import DelayedMatchToSample
from snn_gym.envs.native.interval_timing import IntervalTiming
from snn_gym.envs.registry import load_environment_spec

SILENT = [name for name in snn_gym.env_ids() if name.endswith("-silent-v0")]


def activity(task, seed):
    """Return spikes (S, B) of each environment step up to the shortest episode, and the infos."""
    spikes, info = task.reset(seed=seed)
    kept = {key: np.array(value) for key, value in info.items()}
    last = kept["go_step"] if "go_step" in kept else kept["set_step"]
    counts = []
    for _ in range(int(last.min()) + 1):
        counts.append(spikes.sum(axis=(1, 2)))
        spikes = task.advance(np.zeros(task.num_envs, np.int64))[0]
    return np.array(counts), kept


@given(
    cues=st.sampled_from([1, 3, 5]), gap=st.integers(0, 3), delay=st.integers(0, 30),
    jitter=st.integers(0, 30), rate=st.floats(1.0, 990.0), seed=st.integers(0, 1000),
)  # fmt: skip
@settings(max_examples=30)
def test_nothing_spikes_between_cues_and_go(cues, gap, delay, jitter, rate, seed):
    task = CueAccumulation(
        6, cues=cues, gap_steps=gap, delay_steps=delay, delay_jitter_steps=jitter,
        cue_rate_hz=rate, background_rate_hz=0.0,
    )  # fmt: skip
    counts, info = activity(task, seed)
    silent = np.arange(len(counts)) % (1 + gap) != 0
    silent[cues * (1 + gap) :] = True
    assert (counts[:-1][silent[:-1]] == 0).all()
    assert set(info["go_step"] - cues * (1 + gap)) <= set(range(delay, delay + jitter + 1))


@given(
    sample=st.integers(1, 3), delay=st.integers(0, 30), jitter=st.integers(0, 30),
    patterns=st.integers(2, 8), seed=st.integers(0, 1000),
)  # fmt: skip
@settings(max_examples=30)
def test_nothing_spikes_between_sample_and_test(sample, delay, jitter, patterns, seed):
    task = DelayedMatchToSample(
        6, sample_steps=sample, delay_steps=delay, delay_jitter_steps=jitter, patterns=patterns,
        pattern_rate_hz=990.0, background_rate_hz=0.0,
    )  # fmt: skip
    counts, info = activity(task, seed)
    assert (counts[:sample] > 0).all()
    assert (counts[sample:-1] == 0).all()
    assert (counts[-1] > 0).tolist() == (info["go_step"] == info["go_step"].min()).tolist()


@given(interval=st.integers(2, 60), foreperiod=st.integers(0, 5), seed=st.integers(0, 1000))
@settings(max_examples=30)
def test_nothing_spikes_between_the_pulses(interval, foreperiod, seed):
    task = IntervalTiming(
        6, intervals_steps=[interval], response_steps=interval, foreperiod_steps=foreperiod,
        foreperiod_jitter_steps=0, pulse_rate_hz=990.0, background_rate_hz=0.0,
    )  # fmt: skip
    counts, _ = activity(task, seed)
    expected = np.isin(np.arange(len(counts)), [foreperiod, foreperiod + interval])
    assert ((counts > 0) == expected[:, np.newaxis]).all()


@pytest.mark.parametrize("env_id", SILENT)
def test_delays_of_silent_levels_cover_50_to_200(env_id):
    arguments = load_environment_spec(env_id).task.arguments
    assert arguments["background_rate_hz"] == 0.0
    intervals = arguments.get("intervals_steps")
    delays = intervals or [
        arguments["delay_steps"],
        arguments["delay_steps"] + arguments["delay_jitter_steps"],
    ]
    assert (min(delays), max(delays)) == (50, 200)


class Integrator(Scripted):
    """One unit without leak: right spikes minus left spikes."""

    def __init__(self, task):
        self.value = np.zeros(task.num_envs)

    def act(self, spikes, starts):
        self.value[starts] = 0.0
        groups = spikes.reshape(*spikes.shape[:2], -1, GROUP).sum(axis=(1, 3))
        self.value += groups[:, 1].astype(float) - groups[:, 0]
        return (self.value > 0).astype(np.int64)


def test_one_integrator_solves_silent_cue_accumulation():
    task = gym.make_vec("snn/CueAccumulation-silent-v0", 500)
    # A cue has 32 spikes with deviation 4.4: two exceed one by four deviations of the difference.
    assert play(task, Integrator(task), seed=0).mean() == 1.0
