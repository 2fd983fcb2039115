"""Tests of film frames: pixels of given spikes."""

import numpy as np
import pytest
from PIL import ImageColor

from snn_gym.plots.frames import (
    SHOWN_DECISIONS,
    WIDTH,
    Frame,
    LayerSpikes,
    draw_frame,
    draw_spikes,
    fitted,
    shown_steps,
)
from snn_gym.plots.style import layer_colours

RED, RED_RGB = "#ff0000", (255, 0, 0)
# Of 4 time steps a decision: a column of 4 pixels for each; of few neurons, rows of 6.
COLUMN, ROW = 4, 6
LABELS = 118
"""Pixels left of the rasters."""


def is_colour(image, colour):
    return (image == np.array(colour)).all(axis=2)


def spikes_at(places, steps=8, neurons=3):
    spikes = np.zeros((steps, neurons), np.bool_)
    for place in places:
        spikes[place] = True
    return spikes


def test_spikes_are_blocks_at_time_step_and_neuron():
    image = draw_spikes(spikes_at([(0, 2), (5, 0), (7, 1)]), 4, RED)
    steps = shown_steps(4)
    assert image.shape == (3 * ROW, steps * COLUMN, 3)
    expected = np.zeros(image.shape[:2], np.bool_)
    for step, neuron in ((0, 2), (5, 0), (7, 1)):
        column = (steps - 8 + step) * COLUMN
        expected[neuron * ROW : (neuron + 1) * ROW, column : column + COLUMN] = True
    assert np.array_equal(is_colour(image, RED_RGB), expected)


def test_latest_decision_is_highlighted_and_lines_separate_decisions():
    row = draw_spikes(spikes_at([]), 4, RED)[0]
    decision = 4 * COLUMN
    latest = {tuple(x) for x in row[-decision + 1 :].tolist()}
    before = {tuple(x) for x in row[-2 * decision + 1 : -decision].tolist()}
    assert len(latest) == len(before) == 1
    assert latest != before
    lines = {tuple(x) for x in row[::decision].tolist()}
    assert len(lines) == 1
    assert not lines & (latest | before)


def test_old_spikes_scroll_out_on_the_left():
    steps = shown_steps(4)
    spikes = spikes_at([(0, 0), (1, 0), (steps, 2)], steps + 1)
    lit = is_colour(draw_spikes(spikes, 4, RED), RED_RGB)
    assert lit[: 1 * ROW, :COLUMN].all()  # of step 1, which is the oldest shown
    assert lit[2 * ROW :, -COLUMN:].all()
    assert lit.sum() == 2 * ROW * COLUMN


@pytest.mark.parametrize("time_steps", [1, 3, 4, 8, 16, 50])
def test_up_to_forty_decisions_are_shown(time_steps):
    steps = shown_steps(time_steps)
    assert steps % time_steps == 0
    assert 12 <= steps // time_steps <= SHOWN_DECISIONS
    assert draw_spikes(spikes_at([], time_steps), time_steps, RED).shape[1] <= WIDTH - LABELS


def test_shared_rows_show_spikes_of_any_neuron():
    spikes = np.zeros((4, 400), np.bool_)
    spikes[3, [1, 399]] = True  # 3 a row: rows 0 and 133, of one pixel
    lit = is_colour(draw_spikes(spikes, 4, RED), RED_RGB)
    assert lit.shape[0] == 134
    assert np.flatnonzero(lit[:, -1]).tolist() == [0, 133]


def frame(*layers, picture=None, time_steps=4):
    picture = np.full((40, 60, 3), (1, 2, 3), np.uint8) if picture is None else picture
    return Frame(picture, layers, time_steps, "agent on task", "decision 1")


def test_task_is_at_the_top_and_input_at_the_bottom():
    names = ("input", "hidden_1", "hidden_2")
    layers = [LayerSpikes(name, np.ones((4, 5), np.bool_)) for name in names]
    image = draw_frame(frame(*layers))
    assert image.shape[1] == WIDTH
    assert image.shape[0] % 2 == 0
    places = np.argwhere(is_colour(image, (1, 2, 3)))
    assert len(places) == 40 * 60
    colours = {name: ImageColor.getrgb(text) for name, text in layer_colours(names).items()}
    rasters = {
        name: np.argwhere(is_colour(image[:-30, LABELS:], colours[name]))[:, 0] for name in names
    }
    for rows in rasters.values():
        assert len(rows) == 5 * 4 * ROW * COLUMN
    assert places[:, 0].max() < rasters["hidden_2"].min()
    assert rasters["hidden_2"].max() < rasters["hidden_1"].min()
    assert rasters["hidden_1"].max() < rasters["input"].min()


def test_frame_size_is_constant():
    sizes = {
        draw_frame(frame(LayerSpikes("hidden_1", np.ones((steps, 7), np.bool_)))).shape
        for steps in (4, 40, 160)
    }
    assert len(sizes) == 1


@pytest.mark.parametrize("shape", [(400, 984, 3), (1200, 300, 3), (5000, 1, 3)])
def test_large_pictures_are_scaled_with_their_aspect_ratio(shape):
    picture = fitted(np.full(shape, 7, np.uint8))
    assert picture.shape[0] <= 300
    assert picture.shape[1] <= WIDTH
    assert (picture == 7).all()
    assert draw_frame(frame(picture=np.full(shape, 7, np.uint8))).shape[1] == WIDTH
