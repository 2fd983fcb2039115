"""The arena with the light and the camera's view, and the events seen last."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snn_gym.tasks.native import canvas

_DARK = (18, 24, 38)
_LIGHT = (255, 236, 170)
_OFF = (90, 150, 240)
_MARGIN = 8  # pixels of the arena shown beyond its border, where the view can reach


def draw_scene(
    light: list[float],
    camera: list[float],
    arena: float,
    radius: float,
    events: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """Draw the arena; x goes to the right, y up.

    Args:
        light: Place (x, y) of the light (px).
        camera: Place of the middle of the view (px).
        arena: Side of the arena (px).
        radius: Standard deviation of the light (px).
        events: Latest ON and OFF events, (2, 16, 16), bool.

    Returns:
        Image (256, 256, 3), uint8: the light yellow, the view framed, ON events red and OFF events
        blue at their pixels.
    """
    scale = canvas.HEIGHT / (arena + 2 * _MARGIN)
    image = canvas.blank(canvas.INK)
    edge, side = _MARGIN * scale, arena * scale
    canvas.rectangle(image, edge, edge, side, side, _DARK)
    rows, columns = np.ogrid[: canvas.HEIGHT, : canvas.WIDTH]
    x = (columns + 0.5) / scale - _MARGIN
    y = arena + _MARGIN - (rows + 0.5) / scale
    away = (x - light[0]) ** 2 + (y - light[1]) ** 2
    glow = np.exp(-away / (2.0 * radius**2))[..., np.newaxis]
    image = (image + glow * (np.array(_LIGHT) - image)).astype(np.uint8)
    size = events.shape[1]
    left = (camera[0] - size / 2 + _MARGIN) * scale
    bottom = (arena + _MARGIN - camera[1] + size / 2) * scale
    for polarity, colour in enumerate((canvas.ACCENT, _OFF)):
        for row, column in np.argwhere(events[polarity]):
            corner = bottom - (row + 1) * scale + 0.2 * scale, left + (column + 0.2) * scale
            canvas.rectangle(image, *corner, 0.6 * scale, 0.6 * scale, colour)
    side = size * scale
    for top, start, height, width in (
        (bottom - side - 2, left - 2, 2, side + 4),
        (bottom, left - 2, 2, side + 4),
        (bottom - side, left - 2, side, 2),
        (bottom - side, left + side, side, 2),
    ):
        canvas.rectangle(image, top, start, height, width, canvas.PAPER)
    return image
