"""Delayed match to sample: the sample beside what is shown now, and the time of the trial."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snn_gym.tasks.native import canvas

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
    image = canvas.blank()
    _panel(image, _LEFT, sample, canvas.ACCENT if is_sample else canvas.INK)
    _panel(image, _RIGHT, None if is_sample else shown, canvas.GOOD if is_test else canvas.ACCENT)
    length = canvas.WIDTH - 2 * _LEFT
    canvas.rectangle(image, _BAR_TOP, _LEFT, 12, length, canvas.FAINT)
    canvas.rectangle(
        image, _BAR_TOP, _LEFT, 12, length * progress, canvas.GOOD if is_test else canvas.INK
    )
    if is_test:
        canvas.rectangle(
            image, canvas.HEIGHT * 0.02, _RIGHT, canvas.HEIGHT * 0.03, _WIDTH, canvas.GOOD
        )
    return image


def _panel(
    image: NDArray[np.uint8], left: int, pattern: NDArray[np.bool_] | None, colour: canvas.Colour
) -> None:
    canvas.rectangle(image, _TOP, left, _HEIGHT, _WIDTH, canvas.FAINT)
    if pattern is None:
        return
    times, neurons = pattern.shape
    width, height = _WIDTH / times, _HEIGHT / neurons
    for time, neuron in np.argwhere(pattern):
        canvas.rectangle(
            image, _TOP + neuron * height, left + time * width, height - 1, width - 1, colour
        )
