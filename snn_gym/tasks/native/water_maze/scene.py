"""The pool from above: the platform, the other candidate places, and the way of the animal."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from snn_gym.tasks.native import canvas

_MARGIN = 14
_POOL = canvas.WIDTH - 2 * _MARGIN


def draw_scene(
    trail: list[list[float]],
    sites: list[list[float]],
    platform: list[float],
    radius: float,
    on_platform: bool,
) -> NDArray[np.uint8]:
    """Draw the pool; x goes to the right, y up.

    Args:
        trail: Places (x, y) since the last start, latest last, at least one; in pool sides.
        sites: Places where the platform may be.
        platform: Where it is.
        radius: Its radius, in pool sides.
        on_platform: Whether the animal stands on it.

    Returns:
        Image (256, 256, 3), uint8. The platform is green, the other candidates are white, the
        animal is blue, or red on the platform.
    """
    image = canvas.blank()
    canvas.rectangle(image, _MARGIN - 3, _MARGIN - 3, _POOL + 6, _POOL + 6, canvas.INK)
    canvas.rectangle(image, _MARGIN, _MARGIN, _POOL, _POOL, canvas.FAINT)
    for site in sites:
        row, column = _pixel(site)
        canvas.disc(image, row, column, radius * _POOL, canvas.PAPER)
        canvas.disc(image, row, column, radius * _POOL - 2, canvas.FAINT)
    canvas.disc(image, *_pixel(platform), radius * _POOL, canvas.GOOD)
    points = [_pixel(place) for place in trail]
    for start, end in pairwise(points):
        canvas.line(image, start, end, canvas.INK, width=2.0)
    for row, column in points[:-1]:
        canvas.disc(image, row, column, 3.0, canvas.INK)
    canvas.disc(image, *points[-1], 9.0, canvas.PAPER)
    canvas.disc(image, *points[-1], 7.0, canvas.ACCENT if on_platform else canvas.INK)
    return image


def _pixel(place: list[float]) -> tuple[float, float]:
    """Return row and column of a place; row 0 is the top of the image."""
    x, y = place
    return canvas.HEIGHT - 1 - _MARGIN - y * (_POOL - 1), _MARGIN + x * (_POOL - 1)
