"""Delayed match to sample: the sample beside what is shown now, and the time of the trial."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snn_gym.tasks.native.canvas import (
    ACCENT,
    FAINT,
    GOOD,
    HEIGHT,
    INK,
    WIDTH,
    Colour,
    blank,
    rectangle,
)

_TOP, _LEFT, _RIGHT = 20, 20, 140
_HEIGHT, _WIDTH = 180, 96
"""Places and size of the two panels (pixels)."""

_BAR_TOP = 220


def draw_scene(
    sample: NDArray[np.bool_],
    shown: NDArray[np.bool_] | None,
    *,
    is_sample: bool,
    is_test: bool,
    progress: float,
) -> NDArray[np.uint8]:
    """Draw the sample on the left, what is shown now on the right, the time below.

    Args:
        sample: Where neurons burst (T, C); time runs to the right, neurons downwards.
        shown: The same of the pattern that is shown now; None: nothing.
        is_sample: The sample is shown now: red on the left, nothing on the right.
        is_test: The test is shown now, with the go signal: green.
        progress: Share of the trial that has passed.

    Returns:
        Image (256, 256, 3), uint8.
    """
    image = blank()
    _panel(image, _LEFT, sample, ACCENT if is_sample else INK)
    _panel(image, _RIGHT, None if is_sample else shown, GOOD if is_test else ACCENT)
    length = WIDTH - 2 * _LEFT
    rectangle(image, _BAR_TOP, _LEFT, 12, length, FAINT)
    rectangle(image, _BAR_TOP, _LEFT, 12, length * progress, GOOD if is_test else INK)
    if is_test:
        rectangle(image, HEIGHT * 0.02, _RIGHT, HEIGHT * 0.03, _WIDTH, GOOD)
    return image


def _panel(
    image: NDArray[np.uint8], left: int, pattern: NDArray[np.bool_] | None, colour: Colour
) -> None:
    rectangle(image, _TOP, left, _HEIGHT, _WIDTH, FAINT)
    if pattern is None:
        return
    times, neurons = pattern.shape
    width, height = _WIDTH / times, _HEIGHT / neurons
    for time, neuron in np.argwhere(pattern):
        rectangle(image, _TOP + neuron * height, left + time * width, height - 1, width - 1, colour)
