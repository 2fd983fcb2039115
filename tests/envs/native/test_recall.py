"""Tests of recall: an episode by hand, starts, silence, and scripted policies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import snn_gym  # noqa: F401 - registers the ids
from references import play, scripted_policy
from snn_gym.envs.native.recall import NEW, OLD, Recall
from snn_gym.envs.native.scenes import ACCENT, FAINT, GOOD, INK
from snn_gym.envs.registry import load_environment_spec
from tests.envs.native.starts import begin_with

IDS = load_environment_spec("snn/Recall-v0").registers
# Channels in the order 3, 1, 0, 2, 4, 5: items 3 and 1, other channels 0, 2, 4, 5. Old probes in the
# order 1, 3. Probe 0 is old and probe 1 is new. The second of three delays.
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
        assert spikes[0].sum() == len(expected)
        assert np.flatnonzero(spikes[0].any(axis=0)).tolist() == expected
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


def test_the_time_step_of_a_spike_is_the_noise_scaled():
    task, _ = started(time_steps=8)
    spikes = np.empty((1, 48), np.bool_)
    for byte, time in [(0, 0), (31, 0), (32, 1), (255, 7)]:
        task._emit(slice(None), np.full((1, 48), byte, np.uint8), spikes)
        assert np.argwhere(spikes.reshape(8, 6)).tolist() == [[time, 3]]


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
        counts = spikes.sum(axis=1)
        expected = np.eye(channels)[shown[:, step]] if step < items else 0
        assert (counts == expected).all()
        spikes = task.advance(np.zeros(8, np.int64))[0]


def test_half_of_the_probes_are_old_and_channels_are_uniform():
    task = Recall(20_000)
    _, info = task.reset(seed=0)
    old = (info["probes"][:, :, np.newaxis] == info["items"][:, np.newaxis]).any(axis=2)
    assert old.mean() == pytest.approx(0.5, abs=0.01)
    for wanted in (info["items"], info["probes"], info["probes"][old], info["probes"][~old]):
        shares = np.bincount(wanted.ravel(), minlength=16) / wanted.size
        assert shares == pytest.approx(1 / 16, abs=0.005)


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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"probes": 5}, "probes must be at most 4, for 4 items of 16 channels: .*; got 5$"),
        ({"items": 14}, "probes must be at most 2, for 14 items of 16 channels: .*; got 4$"),
        ({"items": 16, "probes": 1}, "probes must be at most 0, for 16 items of 16 channels"),
    ],
)
def test_probes_must_fit_the_items_and_the_other_channels(settings, message):
    with pytest.raises(ValueError, match=message):
        Recall(1, **settings)


def test_the_scene_shows_items_and_probes():
    # a grid of 3 x 3 cells of 74.7 pixels; channel 3 is the first of the second row
    task, _ = started(render_mode="rgb_array")
    corners = {channel: (22 + 75 * (channel // 3), 22 + 75 * (channel % 3)) for channel in range(6)}
    centre = (53, 128)

    def colours():
        image = task._scene(0)
        seen = {channel: tuple(image[place].tolist()) for channel, place in corners.items()}
        return seen, tuple(image[centre].tolist())

    def expected(**changes):
        return {**dict.fromkeys(range(6), FAINT), **{int(k[1:]): v for k, v in changes.items()}}

    seen = []
    for _ in range(6):
        seen.append(colours())
        task.advance(np.array([OLD]))
    both = expected(c3=INK, c1=INK)
    assert seen == [
        (expected(c3=ACCENT), FAINT),
        (expected(c3=INK, c1=ACCENT), ACCENT),
        (both, INK),
        (both, INK),
        (both, GOOD),
        (both, INK),
    ]
