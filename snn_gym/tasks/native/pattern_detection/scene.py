"""The present window of pattern detection, enlarged, and what all windows so far held."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snn_gym.tasks.native import canvas

_MARGIN = 16.0
_WINDOW_HEIGHT = 176.0
_STRIP_TOP, _STRIP_HEIGHT = 216.0, 24.0


def draw_scene(
    spikes: NDArray[np.int8], present: list[bool], windows: int, pattern_channels: int
) -> NDArray[np.uint8]:
    """Draw the window above a strip of the windows so far.

    Args:
        spikes: The window (T, N).
        present: Whether each window so far, this one included, held the pattern.
        windows: Windows of the episode.
        pattern_channels: Channels that take part in the pattern, the upper ones.

    Returns:
        Image (256, 256, 3), uint8. Time runs to the right, channels downwards. Spikes of the
        pattern are red, all others blue; in the strip, windows with the pattern are green and those
        without are pale. The frame stands on the present one.
    """
    image = canvas.blank()
    time_steps, channels = spikes.shape
    width = canvas.WIDTH - 2 * _MARGIN
    column, row = width / time_steps, _WINDOW_HEIGHT / channels
    for step in range(time_steps + 1):
        canvas.rectangle(image, _MARGIN, _MARGIN + step * column, _WINDOW_HEIGHT, 1, canvas.FAINT)
    for step, channel in np.argwhere(spikes):
        is_pattern = present[-1] and channel < pattern_channels
        top, left = _MARGIN + channel * row, _MARGIN + step * column
        colour = canvas.ACCENT if is_pattern else canvas.INK
        canvas.rectangle(image, top, left + 2, max(row - 1, 1), column - 3, colour)
    cell = width / windows
    last = len(present) - 1
    canvas.rectangle(
        image, _STRIP_TOP - 4, _MARGIN + last * cell, _STRIP_HEIGHT + 8, cell, canvas.INK
    )
    for window in range(windows):
        colour = canvas.GOOD if window <= last and present[window] else canvas.FAINT
        height = _STRIP_HEIGHT if window <= last else 2
        left = _MARGIN + window * cell + 2
        canvas.rectangle(
            image, _STRIP_TOP + (_STRIP_HEIGHT - height) / 2, left, height, cell - 4, colour
        )
    return image
