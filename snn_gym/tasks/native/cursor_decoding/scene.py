"""The workspace of cursor decoding: cursor, target, and where the user wants to go."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snn_gym.tasks.native.canvas import (
    ACCENT,
    FAINT,
    GOOD,
    HEIGHT,
    INK,
    PAPER,
    WIDTH,
    blank,
    disc,
    line,
    rectangle,
)

_MARGIN = 12.0
_CURSOR_RADIUS = 6.0
_ARROW_LENGTH = 36.0

Point = tuple[float, float]


def pixel(place: Point) -> Point:
    """Return (row, column) of a place (x, y) in the workspace [-1, 1] x [-1, 1], y upwards."""
    x, y = place
    half_height, half_width = HEIGHT / 2, WIDTH / 2
    return (
        half_height - y * (half_height - _MARGIN),
        half_width + x * (half_width - _MARGIN),
    )


def draw_scene(
    cursor: Point, before: Point, target: Point, intention: Point, radius: float, held: float
) -> NDArray[np.uint8]:
    """Draw the workspace.

    Args:
        cursor: Place of the cursor.
        before: Where it was one environment step ago.
        target: Centre of the target.
        intention: Direction and strength in which the user wants to move, length at most 1.
        radius: Of the target.
        held: Share of the holding time that the cursor has been inside.

    Returns:
        Image (256, 256, 3), uint8. The target is a green ring that fills while it is held, the
        cursor blue with its last way behind it; the red line is the intention.
    """
    image = blank()
    for edge in (_MARGIN, HEIGHT - _MARGIN - 1):
        rectangle(image, edge, _MARGIN, 1, WIDTH - 2 * _MARGIN, FAINT)
        rectangle(image, _MARGIN, edge, HEIGHT - 2 * _MARGIN, 1, FAINT)
    disc(image, HEIGHT / 2, WIDTH / 2, 2.0, FAINT)
    size = radius * (HEIGHT / 2 - _MARGIN)
    disc(image, *pixel(target), size, GOOD)
    disc(image, *pixel(target), size - 3.0, PAPER)
    if held > 0:
        disc(image, *pixel(target), (size - 3.0) * held, GOOD)
    row, column = pixel(cursor)
    line(image, pixel(before), (row, column), FAINT, 8.0)
    tip = (row - intention[1] * _ARROW_LENGTH, column + intention[0] * _ARROW_LENGTH)
    line(image, (row, column), tip, ACCENT, 3.0)
    disc(image, row, column, _CURSOR_RADIUS, INK)
    return image
