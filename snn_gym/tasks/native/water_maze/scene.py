"""The pool from above: the platform, the other candidate places, and the way of the animal."""

from __future__ import annotations

from itertools import pairwise

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

_MARGIN = 14
_POOL = WIDTH - 2 * _MARGIN


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
    image = blank()
    rectangle(image, _MARGIN - 3, _MARGIN - 3, _POOL + 6, _POOL + 6, INK)
    rectangle(image, _MARGIN, _MARGIN, _POOL, _POOL, FAINT)
    for site in sites:
        row, column = _pixel(site)
        disc(image, row, column, radius * _POOL, PAPER)
        disc(image, row, column, radius * _POOL - 2, FAINT)
    disc(image, *_pixel(platform), radius * _POOL, GOOD)
    points = [_pixel(place) for place in trail]
    for start, end in pairwise(points):
        line(image, start, end, INK, width=2.0)
    for row, column in points[:-1]:
        disc(image, row, column, 3.0, INK)
    disc(image, *points[-1], 9.0, PAPER)
    disc(image, *points[-1], 7.0, ACCENT if on_platform else INK)
    return image


def _pixel(place: list[float]) -> tuple[float, float]:
    """Return row and column of a place; row 0 is the top of the image."""
    x, y = place
    return HEIGHT - 1 - _MARGIN - y * (_POOL - 1), _MARGIN + x * (_POOL - 1)
