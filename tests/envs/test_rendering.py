"""Tests of images: the canvas, rasters beside tasks, and windows."""

import gymnasium as gym
import numpy as np
import pytest

from snn_gym.envs.rendering import (
    INK,
    PAPER,
    SHOWN_ENVIRONMENT_STEPS,
    SpikeRenderer,
    blank,
    disc,
    draw_raster,
    line,
    rectangle,
)
from tests.envs.variants import SPIKING
from tests.envs.windows import assert_window_opens_and_closes
from tests.opengl import skip_where_it_cannot_be_drawn

SHOWN = ("snn/CartPole-v1", "snn/LunarLander-v3", "snn/Hopper-v5")
"""A task of each renderer."""
shown = pytest.mark.parametrize(
    "env_id", [pytest.param(x, marks=[] if x in SHOWN else pytest.mark.slow) for x in SPIKING]
)


@shown
def test_base_picture_is_next_to_the_raster(env_id, monkeypatch):
    skip_where_it_cannot_be_drawn(env_id)
    env = gym.make(env_id, render_mode="rgb_array")
    env.reset(seed=0)
    env.action_space.seed(0)
    blank = env.render()
    env.step(env.action_space.sample())
    # Box2D's tasks draw sparks and beams that move from one drawing to the next.
    base = env.unwrapped.base.render()
    monkeypatch.setattr(env.unwrapped.base, "render", lambda: base)
    picture = env.render()
    height, width, _ = base.shape
    assert picture.dtype == np.uint8
    assert picture.shape[0] == height
    assert picture.shape[1] > width
    assert np.array_equal(picture[:, :width], base)
    assert not np.array_equal(picture[:, width:], blank[:, width:])
    env.close()


@shown
def test_a_window_opens_and_closes(env_id):
    skip_where_it_cannot_be_drawn(env_id)
    assert_window_opens_and_closes(gym.make(env_id, render_mode="human"))


def colours(image):
    return {tuple(colour) for colour in image.reshape(-1, 3).tolist()}


def test_raster_pixels_by_hand():
    # 2 channels x 2 time steps for each environment step, one pixel per time step and channel
    older = np.array([[1, 0], [0, 0]], np.int8)
    latest = np.array([[0, 0], [0, 1]], np.int8)
    image = draw_raster([older, latest], 1, 2, 2 * SHOWN_ENVIRONMENT_STEPS)
    assert image.shape == (2, 2 * SHOWN_ENVIRONMENT_STEPS, 3)
    # the first column of each environment step is its grid line; spikes show beside it
    spike_columns = image[:, 1::2]
    latest_spike = tuple(spike_columns[1, 1])
    rest = np.delete(spike_columns.reshape(-1, 3), SHOWN_ENVIRONMENT_STEPS + 1, axis=0)
    assert latest_spike not in colours(rest)
    wide = draw_raster([older, latest], 1, 20, 20 * SHOWN_ENVIRONMENT_STEPS)
    old_spike = tuple(wide[5, 5])
    assert old_spike not in {latest_spike, tuple(wide[5, 15]), tuple(wide[15, 5])}
    assert tuple(wide[15, 35]) == latest_spike
    assert tuple(wide[5, 35]) != latest_spike


def test_only_the_latest_steps_are_shown_and_a_reset_clears():
    frame = np.zeros((60, 80, 3), np.uint8)
    renderer = SpikeRenderer(channels_per_value=1)
    empty = renderer.draw(frame)
    renderer.add(np.ones((2, 3), np.int8))
    for _ in range(SHOWN_ENVIRONMENT_STEPS):
        renderer.add(np.zeros((2, 3), np.int8))
    silent = SpikeRenderer(channels_per_value=1)
    for _ in range(SHOWN_ENVIRONMENT_STEPS):
        silent.add(np.zeros((2, 3), np.int8))
    assert np.array_equal(renderer.draw(frame), silent.draw(frame))
    renderer.clear()
    assert np.array_equal(renderer.draw(frame), empty)


# ---- canvas --------------------------------------------------------------------------------------
def drawn(draw, *arguments, **options):
    image = blank()
    draw(image, *arguments, INK, **options)
    assert {tuple(pixel) for pixel in image.reshape(-1, 3).tolist()} <= {PAPER, INK}
    return {tuple(place) for place in np.argwhere((image == INK).all(axis=2)).tolist()}


def block(rows, columns):
    return {(row, column) for row in rows for column in columns}


def test_lines_cover_pixels_within_half_their_width():
    # Two pixels wide: one row to each side, and one pixel beyond each end.
    across = block((9, 10, 11), range(20, 25)) | {(10, 19), (10, 25)}
    assert drawn(line, (10.0, 20.0), (10.0, 24.0)) == across
    assert drawn(line, (10.0, 24.0), (10.0, 20.0)) == across
    down = {(column, row) for row, column in across}
    assert drawn(line, (20.0, 10.0), (24.0, 10.0)) == down
    diagonal = {(30 + i, 40 + i) for i in range(4)}
    assert drawn(line, (30.0, 40.0), (33.0, 43.0), width=1.0) == diagonal
    assert drawn(line, (5.0, 5.0), (5.0, 5.0)) == {(5, 5), (4, 5), (6, 5), (5, 4), (5, 6)}


def test_discs_cover_pixels_within_their_radius():
    around = block((9, 10, 11), (19, 20, 21)) | {(8, 20), (12, 20), (10, 18), (10, 22)}
    assert drawn(disc, 10.0, 20.0, 2.0) == around
    assert drawn(disc, 0.0, 255.0, 1.0) == {(0, 255), (1, 255), (0, 254)}


def test_a_rectangle_is_clipped_to_the_image():
    assert drawn(rectangle, 3, 4, 2, 3) == block((3, 4), (4, 5, 6))
    assert drawn(rectangle, -2, 254, 3, 9) == block((0,), (254, 255))
    assert drawn(rectangle, -5, 0, 3, 3) == set()
