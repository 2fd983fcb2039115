"""Tests of the water maze: the session by hand, place cells, memory."""

import gymnasium as gym
import numpy as np
import pytest

from references import RandomActions, play, scripted_policy
from references.water_maze import TOURS, Decoder
from snn_gym.envs.batch import EVERY
from snn_gym.envs.native.water_maze import PLATFORM_CHANNELS, WaterMaze, WaterMazeSettings
from snn_gym.envs.registry import load_environment_spec
from tests.envs.native.starts import begin_with

IDS = load_environment_spec("snn/WaterMaze-v0").registers
EAST, NORTH, WEST, SOUTH = 0, 2, 4, 6
# Bytes of the dynamics: x = 128 / 256, y = 64 / 256, no deviation of the heading.
NOISE = np.array([[0, 128, 0, 64, 128]], np.uint8)


def started(numbers, **settings):
    """Return environments whose sessions start with the given uniform numbers."""
    task = WaterMaze(len(numbers), **settings)
    begin_with(task, np.array(numbers))
    return task


def moved(task, action, noise=NOISE):
    """Make one environment step of the dynamics; return reward, end and place."""
    rewards, terminated = task._move(np.full(task.num_envs, action), noise)
    task._steps += 1
    return rewards[0], terminated[0], task._place[0].tolist()


def test_a_session_by_hand():
    # site 3 of 0..3 is the upper right one, at (0.75, 0.75)
    task = started([[0.99, 0.5, 0.75]], episode_steps=5, full_visits=4)
    assert task._info()["platform"].tolist() == [[0.75, 0.75]]
    assert moved(task, EAST) == (0.25, False, [0.625, 0.75])
    # on the platform the action does nothing; the new place comes from the noise
    assert moved(task, WEST) == (0.0, False, [0.5, 0.25])
    assert moved(task, SOUTH)[:2] == (0.0, False)
    assert task._place[0] == pytest.approx([0.5, 0.125])
    assert moved(task, SOUTH)[:2] == (0.0, False)
    reward, over, place = moved(task, SOUTH)
    assert (reward, over) == (0.0, True)
    assert place == pytest.approx([0.5, 0.0])
    assert task._info()["reached"].tolist() == [1]


@pytest.mark.parametrize(("action", "wall"), [(EAST, 0), (NORTH, 1), (WEST, 0), (SOUTH, 1)])
def test_walls_clip(action, wall):
    task = started([[0.0, 0.5, 0.5]])
    for _ in range(6):
        moved(task, action)
    assert task._place[0, wall] == (1.0 if action in (EAST, NORTH) else 0.0)
    assert task._place[0, 1 - wall] == pytest.approx(0.5)


def test_starts_on_the_platform_are_shifted_by_half_a_pool():
    task = started([[0.0, 0.25, 0.2], [0.0, 0.25, 0.45]])
    assert task._place.tolist() == [[0.75, 0.7], [0.25, 0.45]]
    # and so are new places: (0.25, 0.25) is on the platform
    task._place[:] = 0.25
    task._on_platform[:] = True
    noise = np.tile(np.array([0, 64, 0, 64, 0], np.uint8), (2, 1))
    moved(task, EAST, noise)
    assert task._place.tolist() == [[0.75, 0.75]] * 2


@pytest.mark.parametrize(("byte", "deviation"), [(0, -90.0), (255, 90.0), (51, -54.0)])
def test_a_noise_byte_turns_the_heading(byte, deviation):
    task = started([[0.0, 0.5, 0.5]], heading_noise_deg=90.0)
    noise = NOISE.copy()
    noise[0, 4] = byte
    moved(task, EAST, noise)
    angle = np.deg2rad(deviation)
    assert task._place[0] == pytest.approx([0.5 + np.cos(angle) / 8, 0.5 + np.sin(angle) / 8])


def test_rates_are_gaussian_fields_and_the_platform():
    settings = {"peak_rate_hz": 500.0, "background_rate_hz": 62.5}
    task = started([[0.0, 0.4, 0.8]] * 4000, **settings)
    task._on_platform[2000:] = True
    noise = np.random.default_rng(0).integers(0, 256, (4000, 352)).astype(np.uint8)
    spikes = np.empty((4000, 352), np.bool_)
    task._emit(EVERY, noise, spikes)
    rates = spikes.reshape(4000, 8, 44).mean(axis=1)
    place = rates[:, :-PLATFORM_CHANNELS].mean(axis=0).reshape(6, 6)
    assert np.unravel_index(place.argmax(), (6, 6)) == (4, 2)  # row: y, column: x
    line = np.linspace(0.0, 1.0, 6)
    away = (line[np.newaxis] - 0.4) ** 2 + (line[:, np.newaxis] - 0.8) ** 2
    expected = 0.0625 + 0.5 * np.exp(-away / (2 * 0.12**2))
    assert place == pytest.approx(expected, abs=0.015)
    assert rates[:2000, -PLATFORM_CHANNELS:].mean() == pytest.approx(0.0625, abs=0.005)
    assert rates[2000:, -PLATFORM_CHANNELS:].mean() == pytest.approx(0.5625, abs=0.005)


@pytest.mark.parametrize("env_id", IDS)
def test_spikes_off_the_platform_do_not_reveal_its_place(env_id):
    task = gym.make_vec(env_id, 50)
    task.reset(seed=0)
    size = task.time_steps * task.channels
    noise = np.random.default_rng(0).integers(0, 256, (50, size)).astype(np.uint8)
    seen = []
    for site in (0, -1):
        task._platform[:] = task._sites[site]
        seen.append(np.empty((50, size), np.bool_))
        task._emit(EVERY, noise, seen[-1])
    assert np.array_equal(*seen)


@pytest.mark.parametrize("env_id", [*IDS[:-1], pytest.param(IDS[-1], marks=pytest.mark.slow)])
def test_memory_increases_the_score(env_id):
    task = gym.make_vec(env_id, 150)
    kinds = ("memoryless", "searcher", "privileged")
    policies = [RandomActions(task), *(scripted_policy(task, kind) for kind in kinds)]
    scores = [play(task, policy, seed=0).mean() for policy in policies]
    random, memoryless, searcher, privileged = scores
    assert random < memoryless < searcher - 0.3 * (searcher - random)
    assert searcher == pytest.approx(load_environment_spec(env_id).reference.oracle, abs=0.06)
    assert searcher < privileged == pytest.approx(1.0, abs=0.06)


def test_the_decoder_finds_the_place():
    task = WaterMaze(500)
    spikes, infos = task.reset(seed=0)
    mean, variance = Decoder(task.settings)(spikes, np.zeros((500, 2)), np.zeros(500))
    error = mean - infos["place"]
    assert np.sqrt((error**2).mean()) < 0.09
    assert variance.mean() == pytest.approx((error**2).mean(), rel=0.3)
    sharp, _ = Decoder(task.settings)(spikes, infos["place"], np.full(500, 1e4))
    assert np.abs(sharp - infos["place"]).max() < 0.05


@pytest.mark.parametrize("side", [2, 3, 4])
def test_tours_visit_every_site_once_by_short_ways(side):
    tour = TOURS[side]
    assert sorted(tour) == list(range(side**2))
    corners = WaterMazeSettings(sites_per_side=side).sites[list(tour)]
    ways = np.abs(np.roll(corners, -1, axis=0) - corners).max(axis=1)
    assert ways == pytest.approx(1 / side)


def test_no_tour_for_larger_grids():
    with pytest.raises(ValueError, match="tours are known for 1 to 4 sites to a side, got 5"):
        scripted_policy(WaterMaze(1, sites_per_side=5), "memoryless")
