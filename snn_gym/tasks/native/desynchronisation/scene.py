"""The population's activity over the latest environment steps, and the stimulation below it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from snn_gym.tasks.native import canvas

MARGIN = 12.0
BASE_ROW = 176.0
"""Where the bars of activity stand (pixels)."""
STIMULATION_ROW = 218.0
"""Where the bars of stimulation start, up or down (pixels)."""
_FULL_COUNT = 32.0
_ACTIVITY_HEIGHT = BASE_ROW - MARGIN
_STIMULATION_HEIGHT = 26.0


def draw_scene(
    counts: Sequence[float], amplitudes: Sequence[float], healthy: float, length: int
) -> NDArray[np.uint8]:
    """Draw the latest environment steps, newest at the right.

    Args:
        counts: Spikes of the 32 excitatory neurons in each environment step.
        amplitudes: Stimulation in each, in [-1, 1].
        healthy: Number of spikes that counts as calm.
        length: Environment steps that the picture has room for.

    Returns:
        Image (256, 256, 3), uint8. The green band is where calm is above one half; bars of activity
        within it are green too, others blue. Bars of stimulation are red.
    """
    image = canvas.blank()
    width = (canvas.WIDTH - 2 * MARGIN) / length
    half = healthy * 0.5**0.5
    scale = _ACTIVITY_HEIGHT / _FULL_COUNT
    top = BASE_ROW - (healthy + half) * scale
    canvas.rectangle(image, top, MARGIN, 2 * half * scale, canvas.WIDTH - 2 * MARGIN, canvas.FAINT)
    for place, (count, amplitude) in enumerate(zip(counts, amplitudes, strict=True)):
        left = canvas.WIDTH - MARGIN - (len(counts) - place) * width
        height = min(count, _FULL_COUNT) * scale
        colour = canvas.GOOD if abs(count - healthy) <= half else canvas.INK
        canvas.rectangle(image, BASE_ROW - height, left + 1, height, width - 1, colour)
        size = abs(amplitude) * _STIMULATION_HEIGHT
        up = STIMULATION_ROW - size if amplitude > 0 else STIMULATION_ROW
        canvas.rectangle(image, up, left + 1, size, width - 1, canvas.ACCENT)
    row = BASE_ROW - healthy * scale
    canvas.rectangle(image, row, MARGIN, 1, canvas.WIDTH - 2 * MARGIN, canvas.GOOD)
    for line in (BASE_ROW, STIMULATION_ROW):
        canvas.rectangle(image, line, MARGIN, 1, canvas.WIDTH - 2 * MARGIN, canvas.INK)
    return image
