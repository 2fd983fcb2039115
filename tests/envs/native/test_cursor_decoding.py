"""Tests of cursor decoding: tuning, closed loop, rewards, decoders."""

import numpy as np
import pytest

import snn_gym  # noqa: F401 - registers the ids
from references import play, scripted_policy
from references.cursor_decoding import linear_map
from snn_gym.envs.native.cursor_decoding import (
    MAX_SPEED,
    NEURONS,
    SLOWING_DISTANCE,
    CursorDecoding,
    preferred_directions,
)
from snn_gym.envs.registry import load_environment_spec

IDS = ("snn/CursorDecoding-v0", "snn/CursorDecoding-medium-v0", "snn/CursorDecoding-hard-v0")


def level(env_id, num_envs):
    return CursorDecoding(num_envs, **load_environment_spec(env_id).task.arguments)


def numbers_for(task, turn=0.5, targets=(), channels=()):
    """Return the start numbers of one environment; targets as (angle share, distance share)."""
    numbers = np.full((1, task.settings.start_size), 0.5)
    numbers[0, 0] = turn
    numbers[0, 1 : 1 + NEURONS] = np.linspace(0.1, 0.9, NEURONS)
    numbers[0, 1 + np.array(channels, int)] = 0.0
    flat = np.ravel(targets)
    numbers[0, 1 + NEURONS : 1 + NEURONS + len(flat)] = flat
    return numbers


def started(task, **start):
    task.reset(seed=0)
    task._begin(slice(None), numbers_for(task, **start))
    return task


def test_a_walk_to_the_first_target_and_on():
    task = started(CursorDecoding(1, episode_steps=10), targets=[(0.0, 0.0), (0.5, 1.0)])
    assert task.target[0] == pytest.approx((0.45, 0.0))
    rewards = []
    for action in ([1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 1.0]):
        _, reward, terminated, _, info = task.advance(np.array([action], np.float32))
        rewards.append(reward[0] * 10)
        assert not terminated[0]
        if len(rewards) == 2:
            # Inside (0.15 from the centre, radius 0.2), not yet held.
            assert info["cursor"][0] == pytest.approx((0.30, 0.0))
            assert info["acquired"][0] == 0
        if len(rewards) == 3:
            # The turn between targets is 75 + 0.5 * 210 = 180 degrees.
            assert info["acquired"][0] == 1
            assert info["target"][0] == pytest.approx((-0.8, 0.0))
    before, after = 1.1, np.hypot(1.1, 0.15)
    assert rewards == pytest.approx([1.0, 1.0, 1.0, (before - after) / MAX_SPEED])


def test_leaving_a_target_costs_the_return_reward_and_resets_the_hold():
    task = started(CursorDecoding(1, episode_steps=10), targets=[(0.0, 0.0)])
    acquired, rewards = [], []
    for x in (1.0, 1.0, -1.0, 1.0, 0.0):
        _, reward, _, _, info = task.advance(np.array([[x, 0.0]], np.float32))
        rewards.append(reward[0] * 10)
        acquired.append(int(info["acquired"][0]))
    assert rewards == pytest.approx([1.0, 1.0, -1.0, 1.0, 1.0])
    assert acquired == [0, 0, 0, 0, 1]


def test_speed_is_limited_in_every_direction_and_walls_hold():
    task = started(CursorDecoding(1))
    task.advance(np.array([[1.0, 1.0]], np.float32))
    assert task.cursor[0] == pytest.approx(np.full(2, MAX_SPEED / 2**0.5))
    for _ in range(12):
        task.advance(np.array([[5.0, 0.0]], np.float32))
    assert task.cursor[0, 0] == 1.0
    task.advance(np.array([[0.0, -0.5]], np.float32))
    assert task.cursor[0, 1] == pytest.approx(MAX_SPEED / 2**0.5 - MAX_SPEED / 2)


def test_preferred_directions_are_spread_and_fixed_by_the_seed():
    directions = preferred_directions(0)
    assert np.allclose((directions**2).sum(axis=1), 1.0)
    angles = np.sort(np.arctan2(directions[:, 1], directions[:, 0]))
    assert np.diff(angles).max() < 2 * 2 * np.pi / NEURONS
    assert np.array_equal(directions, preferred_directions(0))
    assert not np.allclose(directions, preferred_directions(1))
    one, other = CursorDecoding(1), CursorDecoding(1, tuning_seed=1)
    assert not np.array_equal(one.reset(seed=0)[0], other.reset(seed=0)[0])
    assert np.array_equal(one.target, other.target)


def test_rates_are_cosines_of_the_intention():
    task = started(CursorDecoding(1, drift_deg=0.0), targets=[(0.25, 0.0)])
    # The intention points up with full strength.
    expected = np.round((90 + 90 * preferred_directions(0)[:, 1]) * 0.256)
    assert np.abs(task._thresholds(slice(None))[0] - expected).max() <= 1
    task._cursor[:] = task.target - [0.0, 0.5 * SLOWING_DISTANCE]
    assert task.intention(slice(None))[0] == pytest.approx((0.0, 0.5))
    expected = np.round((90 + 45 * preferred_directions(0)[:, 1]) * 0.256)
    assert np.abs(task._thresholds(slice(None))[0] - expected).max() <= 1


def test_rates_are_clipped_at_zero():
    task = started(
        CursorDecoding(1, drift_deg=0.0, baseline_hz=20.0, modulation_hz=100.0),
        targets=[(0.25, 0.0)],
    )
    low = preferred_directions(0)[:, 1] < -0.25
    assert low.any()
    assert (task._thresholds(slice(None))[0, low] == 0).all()


def test_the_tuning_turns_with_the_session_and_grows():
    task = started(
        CursorDecoding(1, drift_deg=40.0, drift_growth=2.0), turn=1.0, targets=[(0.0, 0.0)]
    )
    assert np.rad2deg(task.turn(slice(None))[0]) == pytest.approx(40.0)
    # The whole tuning turned forwards: a neuron at 40 degrees now fires as one at 0 would.
    angles = np.arctan2(*preferred_directions(0).T[::-1]) + np.deg2rad(40.0)
    expected = np.round((90 + 90 * np.cos(angles)) * 0.256)
    assert np.abs(task._thresholds(slice(None))[0] - expected).max() <= 1
    task._steps[:] = 16
    assert np.rad2deg(task.turn(slice(None))[0]) == pytest.approx(60.0)
    assert np.rad2deg(started(task, turn=0.0).turn(np.array([0]))[0]) == pytest.approx(-40.0)


def test_lost_channels_are_silent_for_the_session():
    task = started(CursorDecoding(1, lost_channels=3, baseline_hz=110.0), channels=[4, 17, 30])
    assert np.flatnonzero(~task.alive(slice(None))[0]).tolist() == [4, 17, 30]
    spikes = np.concatenate([task.advance(np.zeros((1, 2)))[0][0] for _ in range(30)])
    assert np.flatnonzero(spikes.sum(axis=0) == 0).tolist() == [4, 17, 30]
    lost = level(IDS[2], 200)
    lost.reset(seed=0)
    assert set((~lost.alive(slice(None))).sum(axis=1)) == {12}
    assert (~lost.alive(slice(None))).any(axis=0).all()


def test_successive_targets_are_apart_and_inside_the_workspace():
    task = CursorDecoding(300)
    task.reset(seed=0)
    targets = task._targets
    assert np.abs(targets).max() <= 0.8
    steps = np.linalg.norm(np.diff(targets, axis=1), axis=2)
    assert steps.min() >= 2 * 0.45 * np.sin(np.deg2rad(37.5)) - 1e-9
    assert np.abs(targets[:, 0].mean(axis=0)).max() < 0.1


def test_the_linear_map_is_the_least_squares_fit_of_a_large_sample():
    settings = CursorDecoding(1).settings
    generator = np.random.default_rng(0)
    angles = generator.uniform(0, 2 * np.pi, 40_000)
    meant = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    chance = 0.09 + 0.09 * meant @ preferred_directions(0).T
    counts = generator.binomial(8, chance)
    design = np.hstack([counts, np.ones((len(counts), 1))])
    fitted = np.linalg.lstsq(design, meant, rcond=None)[0]
    weights, offset = linear_map(settings)
    assert np.abs(fitted[:-1] - weights).max() < 0.02
    assert np.abs(fitted[-1] - offset).max() < 0.05


@pytest.mark.parametrize(("env_id", "gain"), [(IDS[0], 0.0), (IDS[1], 0.1), (IDS[2], 0.1)])
def test_filtering_helps_where_spikes_are_few(env_id, gain):
    task = level(env_id, 200)
    decoder, memoryless = (
        play(task, scripted_policy(task, kind), seed=0).mean() for kind in ("decoder", "memoryless")
    )
    assert decoder > memoryless + gain


@pytest.mark.parametrize(
    ("rate_hz", "living", "spread"), [(90, 40, 0.25), (40, 32, 0.43), (20, 28, 0.66)]
)
def test_the_population_vector_has_the_spread_that_the_card_gives(rate_hz, living, spread):
    counts = np.random.default_rng(0).binomial(8, rate_hz / 1000, (4000, living))
    vectors = counts @ preferred_directions(0)[:living] * 2 / (8 * rate_hz / 1000 * living)
    # Mean over both axes: the living channels' directions are not spread quite evenly.
    assert np.sqrt(vectors.var(axis=0).mean()) == pytest.approx(spread, rel=0.03)


def test_perpendicular_decoding_scores_near_zero():
    task = level(IDS[0], 300)
    assert play(task, scripted_policy(task, "rotated"), seed=0).mean() < 0.1
    assert play(task, scripted_policy(task, "oracle"), seed=0) == pytest.approx(1.0, abs=1e-6)
