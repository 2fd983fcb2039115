"""Tests of event tracking: motion and events by hand, the camera, controllers."""

import gymnasium as gym
import numpy as np
import pytest

from references import RandomActions, play, scripted_policy
from snn_gym.envs.batch import EVERY
from snn_gym.envs.native.event_tracking import VIEW, EventTracking, draw_event_tracking
from snn_gym.envs.registry import load_environment_spec
from snn_gym.envs.rendering import ACCENT, INK, PAPER
from tests.envs.native.starts import begin_with

IDS = load_environment_spec("snn/EventTracking-v0").registers
STRAIGHT = {"turn_px": 0.0, "noise_rate_hz": 0.0}
NO_TURN = np.array([[0, 128, 0, 128]], np.uint8)


def started(numbers, **settings):
    """Return environments whose episodes start with the given uniform numbers."""
    task = EventTracking(len(numbers), **settings)
    begin_with(task, np.array(numbers))
    return task


def moved(task, action, noise=NO_TURN):
    """Make one step of the dynamics; return the first reward and the end flag."""
    actions = np.tile(np.array(action, np.float32), (task.num_envs, 1))
    rewards, terminated = task._move(actions, np.tile(noise, (task.num_envs, 1)))
    task._steps += 1
    return float(rewards[0]), bool(terminated[0])


def test_an_episode_by_hand():
    # light at (32, 16), camera 2 px to the left of it; direction 0 is along x
    task = started([[0.5, 0.25, 0.25, 0.5, 0.0]], episode_steps=3, **STRAIGHT)
    # the camera saw one environment step before the first action
    assert {key: value[0].tolist() for key, value in task._info().items()} == {
        "light": [33.0, 16.0],
        "velocity": [1.0, 0.0],
        "camera": [30.0, 16.0],
    }
    assert moved(task, [1.0, 0.0]) == (pytest.approx((1 - 2 / 8) / 3), False)
    assert moved(task, [0.5, 0.5]) == (pytest.approx((1 - np.sqrt(5) / 8) / 3), False)
    assert task._camera[0].tolist() == [33.0, 17.0]
    # beyond the box counts as its border
    assert moved(task, [-9.0, 1.0]) == (pytest.approx((1 - np.sqrt(34) / 8) / 3), True)
    assert task._camera[0].tolist() == [31.0, 19.0]


@pytest.mark.parametrize(
    ("number", "velocity"),
    [(0.0, (1, 0)), (0.25, (0, 1)), (0.5, (-1, 0)), (0.75, (0, -1)), (0.999, (1, -np.pi / 128))],
)
def test_directions_go_around_the_whole_circle(number, velocity):
    task = started([[0.5, 0.5, 0.5, 0.5, number]], **STRAIGHT)
    assert task._velocity[0] == pytest.approx(velocity, abs=1e-3)


def test_distant_camera_earns_no_reward():
    task = started([[0.5, 0.5, 0.0, 0.5, 0.0]], start_offset_px=10.0, **STRAIGHT)
    assert moved(task, [0.0, 0.0])[0] == 0.0


def test_the_border_reflects_the_light_and_stops_the_camera():
    task = started([[0.5, 0.5, 0.5, 0.5, 0.0]], **STRAIGHT)
    task._light[0], task._camera[0] = [63.7, 0.3], [63.5, 0.5]
    task._velocity[0] = [0.6, -0.8]
    moved(task, [1.0, -1.0])
    assert task._light[0] == pytest.approx([63.7, 0.5])
    assert task._velocity[0] == pytest.approx([-0.6, 0.8])
    assert task._camera[0].tolist() == [64.0, 0.0]


@pytest.mark.parametrize(("word", "share"), [(0, -1.0), (65535, 65535 / 32768 - 1), (49152, 0.5)])
def test_noise_turns_the_velocity_and_keeps_the_speed(word, share):
    task = started([[0.5, 0.5, 0.5, 0.5, 0.0]], turn_px=0.8)
    noise = np.array([[32768, word]], "<u2").view(np.uint8)
    moved(task, [0.0, 0.0], noise)
    wanted = np.array([1.0, 0.8 * share])
    assert task._velocity[0] == pytest.approx(wanted / np.hypot(*wanted))


def test_noise_that_cancels_the_velocity_is_ignored():
    task = started([[0.5, 0.5, 0.5, 0.5, 0.5]], turn_px=1.0, target_speed_px=1.0)
    task._velocity[0] = [1.0, 0.0]
    moved(task, [0.0, 0.0], np.array([[0, 32768]], "<u2").view(np.uint8))
    assert task._velocity[0].tolist() == [1.0, 0.0]


def log_intensity(away, settings):
    """Return the log intensities (VIEW, VIEW) for the light so far from the middle of the view."""
    axis = np.arange(VIEW) - (VIEW - 1) / 2
    square = (axis[np.newaxis] - away[0]) ** 2 + (axis[:, np.newaxis] - away[1]) ** 2
    return np.log(settings.background + np.exp(-square / (2 * settings.light_radius_px**2)))


@pytest.mark.parametrize("threshold", [0.15, 0.25, 0.5])
def test_events_follow_log_intensities(threshold):
    task = started([[0.5, 0.5, 0.3, 0.6, 0.1]], contrast_threshold=threshold, **STRAIGHT)
    settings, velocity = task.settings, task._velocity[0]
    away = task._light[0] - velocity - task._camera[0]
    reference = log_intensity(away, settings)
    pans = [[0.0, 0.0], *np.random.default_rng(0).uniform(-1, 1, (12, 2))]
    differing = total = 0
    for number, pan in enumerate(pans):
        if number:
            moved(task, pan)
        for step in range(4):
            away = away + (velocity - 2.0 * np.float32(pan).astype(float)) / 4
            change = log_intensity(away, settings) - reference
            events = np.stack([change >= threshold, change <= -threshold])
            reference += threshold * (events[0].astype(float) - events[1])
            differing += int((events != task._events[0, step]).sum())
            total += int(events.sum())
    assert total > 100
    # float32 may decide otherwise where a change is at the threshold
    assert differing <= 0.005 * total


def test_perfect_tracking_gives_no_events():
    task = started([[0.4, 0.4, 0.5, 0.5, 0.0]], **STRAIGHT)
    assert task._events.any()
    for _ in range(3):
        moved(task, [0.5, 0.0])
    assert not task._events.any()


def test_the_first_spikes_show_on_before_and_off_behind():
    task = started([[0.4, 0.4, 0.5, 0.5, 0.0]], **STRAIGHT)
    counts = task._events[0].sum(axis=(0, 2))  # by polarity and column; the light moves right
    middle = (counts @ np.arange(VIEW)) / counts.sum(axis=1)
    assert middle[0] > 8.5 > 7.0 > middle[1]


def test_noise_and_hot_pixels_are_added_to_events():
    start = [0.5, 0.5, 0.5, 0.5, 0.0, 17.5 / 256, 255.5 / 256]
    settings = {"hot_pixels": 2, "hot_rate_hz": 500.0, "noise_rate_hz": 31.25, "turn_px": 0.0}
    task = started([start] * 1000, **settings)
    noise = np.random.default_rng(0).integers(0, 256, (1000, 2048)).astype(np.uint8)
    spikes = np.empty((1000, 2048), np.bool_)
    task._emit(EVERY, noise, spikes)
    spikes = spikes.reshape(1000, 4, 512)
    events = task._events[0].reshape(4, 512)
    assert events.any()
    assert spikes[:, events].all()
    rates = spikes.mean(axis=(0, 1))
    quiet = ~events.any(axis=0)
    assert quiet[[17, 255]].all()
    assert rates[[17, 255]] == pytest.approx(0.5, abs=0.04)
    quiet[[17, 255]] = False
    assert rates[quiet].mean() == pytest.approx(8 / 256, abs=0.001)


@pytest.mark.parametrize("env_id", IDS)
def test_controller_scores_are_ordered(env_id):
    reference, task = load_environment_spec(env_id).reference, gym.make_vec(env_id, 60)
    kinds = ("memoryless", "tracker", "oracle")
    policies = [RandomActions(task), *(scripted_policy(task, kind) for kind in kinds)]
    scores = [play(task, policy, seed=0).mean() for policy in policies]
    random, memoryless, tracker, oracle = scores
    assert random < 0.15
    assert reference.random < memoryless < oracle <= 1.0
    assert reference.random < tracker
    assert oracle == pytest.approx(reference.oracle, abs=0.01)
    if env_id == IDS[0]:
        # learnable: a controller linear in the events is well past the middle
        assert random + 0.7 * (oracle - random) < memoryless < tracker


def test_the_scene_shows_light_view_and_events():
    events = np.zeros((2, VIEW, VIEW), np.bool_)
    events[0, 0, 0] = events[1, 15, 15] = True  # ON, lower left; OFF, upper right
    image = draw_event_tracking([60.0, 32.0], [20.0, 20.0], 64.0, 2.0, events)
    places = (-4.0, 30.0), (40.0, 20.0), (12.5, 12.5), (27.5, 27.5), (20.0, 11.6)
    rows_columns = [(round((72 - y) * 3.2), round((x + 8) * 3.2)) for x, y in places]
    colours = [tuple(image[place].tolist()) for place in rows_columns]
    assert colours == [INK, (18, 24, 38), ACCENT, (90, 150, 240), PAPER]
    glow = image[120:136, 217, 0]  # above and below the light, 28 px to the right of the middle
    assert glow.max() > 240
    assert np.array_equal(glow, glow[::-1])
