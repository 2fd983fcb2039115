"""Tests of recall: an episode by hand, starts, silence, and scripted policies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import snn_gym  # noqa: F401 - registers the ids
from references import play, scripted_policy
from references.recall import Latches, latching_program
from snn_gym.envs.native.recall import NEW, OLD, Recall
from snn_gym.envs.registry import load_environment_spec
from snn_gym.program.costs import costs_of
from snn_gym.program.interpreter import decide
from tests.envs.native.starts import begin_with

IDS = load_environment_spec("snn/Recall-v0").registers
# Channels in the order 3, 1, 0, 2, 4, 5: items 3 and 1, other channels 0, 2, 4, 5. Old probes in
# the order 1, 3. Probe 0 is old and probe 1 is new. The second of three delays.
NUMBERS = [[0.3, 0.2, 0.4, 0.1, 0.5, 0.6], [0.9, 0.8], [0.49, 0.5], [0.5]]
SMALL = {"channels": 6, "items": 2, "probes": 2, "delay_steps": 1, "delay_jitter_steps": 2}
PROBES = [1, 2]
PHASES = [[3], [1], [], [], *([probe] for probe in PROBES)]


def started(**settings):
    """Return the task of the episode by hand, and its first spikes."""
    task = Recall(1, **{**SMALL, **settings})
    return task, begin_with(task, np.array([np.concatenate(NUMBERS)]))


def test_an_episode_by_hand():
    task, spikes = started()
    info = {key: np.asarray(value)[0].tolist() for key, value in task._info().items()}
    assert info == {"items": [3, 1], "probes": PROBES, "probe_step": 4}
    rewards, ends = [], []
    for expected, action in zip(PHASES, [OLD, OLD, OLD, OLD, OLD, OLD], strict=True):
        assert spikes[0].tolist() == [[int(x in expected) for x in range(6)]] * 8
        spikes, reward, terminated, truncated, _ = task.advance(np.array([action]))
        rewards.append(float(reward[0]))
        ends.append(bool(terminated[0]))
        assert not truncated[0]
    # only the first probe is old
    assert rewards == [0.0, 0.0, 0.0, 0.0, 0.5, 0.0]
    assert ends == [False] * 5 + [True]


@pytest.mark.parametrize(
    ("answers", "score"),
    [([OLD, NEW], 1.0), ([OLD, OLD], 0.5), ([NEW, NEW], 0.5), ([NEW, OLD], 0.0)],
)
def test_the_return_is_the_share_of_right_answers(answers, score):
    task, _ = started()
    rewards = [float(task.advance(np.array([x]))[1][0]) for x in (OLD, NEW, OLD, NEW, *answers)]
    assert rewards[:4] == [0.0] * 4
    assert sum(rewards) == score


@given(
    channels=st.integers(2, 40),
    share=st.floats(0.01, 0.99),
    delay=st.integers(0, 12),
    jitter=st.integers(0, 12),
    seed=st.integers(0, 1000),
    data=st.data(),
)
def test_starts_and_silence(channels, share, delay, jitter, seed, data):
    items = min(max(1, int(share * channels)), channels - 1)
    probes = data.draw(st.integers(1, min(items, channels - items)))
    task = Recall(
        8, channels=channels, items=items, probes=probes, delay_steps=delay,
        delay_jitter_steps=jitter,
    )  # fmt: skip
    spikes, info = task.reset(seed=seed)
    shown, probed, first = (info[key].copy() for key in ("items", "probes", "probe_step"))
    assert ((first >= items + delay) & (first <= items + delay + jitter)).all()
    for row in (*shown, *probed):
        assert len(set(row.tolist())) == len(row)
    for step in range(items + delay):
        expected = np.eye(channels)[shown[:, step]][:, np.newaxis] if step < items else 0
        assert (spikes == expected).all()
        spikes = task.advance(np.zeros(8, np.int64))[0]


def test_half_of_the_probes_are_old_and_channels_are_uniform():
    task = Recall(5_000)
    _, info = task.reset(seed=0)
    old = (info["probes"][:, :, np.newaxis] == info["items"][:, np.newaxis]).any(axis=2)
    assert old.mean() == pytest.approx(0.5, abs=0.02)
    for wanted in (info["items"], info["probes"], info["probes"][old], info["probes"][~old]):
        shares = np.bincount(wanted.ravel(), minlength=16) / wanted.size
        assert shares == pytest.approx(1 / 16, abs=0.01)


@pytest.mark.parametrize("env_id", IDS)
def test_latches_are_perfect_and_four_channels_are_not(env_id):
    arguments = load_environment_spec(env_id).task.arguments
    task = Recall(1000, **arguments)
    assert (play(task, scripted_policy(task, "oracle"), seed=0) == 1.0).all()
    # of the four latest channels at probe j, 4 - j are items
    k, probes = arguments["items"], arguments["probes"]
    expected = 0.5 + 0.5 * sum(max(0, 4 - j) / k for j in range(probes)) / probes
    returns = play(task, scripted_policy(task, "latest_channels"), seed=0)
    assert returns.mean() == pytest.approx(expected, abs=4 * returns.std() / 1000**0.5)


@pytest.mark.parametrize("env_id", IDS[:2])
def test_the_latching_program_equals_the_script(env_id):
    task = Recall(200, **load_environment_spec(env_id).task.arguments)
    program, script = latching_program(task.channels, task.time_steps), Latches(task)
    spikes, info = task.reset(seed=5)
    state, starts, synops = None, np.ones(200, bool), []
    for _ in range(int(info["probe_step"].min()) + task.settings.probes):
        decision = decide(program, spikes, state)
        assert np.array_equal(decision.actions, script.act(spikes, starts))
        costs = costs_of(program, decision.entered, decision.layers, state)
        # One synapse for each input spike; a neuron that fires has one to the readout.
        fired = decision.actions.mean()
        assert costs.total("synops_per_decision") == pytest.approx(spikes.sum() / 200 + fired)
        synops.append(costs.total("synops_per_decision"))
        state, starts = decision.state, np.zeros(200, bool)
        spikes = task.advance(decision.actions)[0]
    assert max(synops) <= 9.0
