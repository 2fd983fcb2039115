"""The workspace of cursor decoding: cursor, target, and where the user wants to go."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snn_gym.tasks.native import canvas

_MARGIN = 12.0
_CURSOR_RADIUS = 6.0
_ARROW_LENGTH = 36.0

Point = tuple[float, float]


def pixel(place: Point) -> Point:
    """Return (row, column) of a place (x, y) in the workspace [-1, 1] x [-1, 1], y upwards."""
    x, y = place
    half_height, half_width = canvas.HEIGHT / 2, canvas.WIDTH / 2
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
    image = canvas.blank()
    for edge in (_MARGIN, canvas.HEIGHT - _MARGIN - 1):
        canvas.rectangle(image, edge, _MARGIN, 1, canvas.WIDTH - 2 * _MARGIN, canvas.FAINT)
        canvas.rectangle(image, _MARGIN, edge, canvas.HEIGHT - 2 * _MARGIN, 1, canvas.FAINT)
    canvas.disc(image, canvas.HEIGHT / 2, canvas.WIDTH / 2, 2.0, canvas.FAINT)
    size = radius * (canvas.HEIGHT / 2 - _MARGIN)
    canvas.disc(image, *pixel(target), size, canvas.GOOD)
    canvas.disc(image, *pixel(target), size - 3.0, canvas.PAPER)
    if held > 0:
        canvas.disc(image, *pixel(target), (size - 3.0) * held, canvas.GOOD)
    row, column = pixel(cursor)
    canvas.line(image, pixel(before), (row, column), canvas.FAINT, 8.0)
    tip = (row - intention[1] * _ARROW_LENGTH, column + intention[0] * _ARROW_LENGTH)
    canvas.line(image, (row, column), tip, canvas.ACCENT, 3.0)
    canvas.disc(image, row, column, _CURSOR_RADIUS, canvas.INK)
    return image
