"""Where points are reached by a pointer: around each, as far as no other point is nearer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

Place = tuple[float, float]
"""From the left and from above (pixels)."""

_CORNERS = 8


def target(point: Place, others: Iterable[Place], radius: float) -> list[Place]:
    """Return the corners of an octagon around a point, cut off where another point is nearer.

    Points at the very same place have the same target.

    Args:
        point: The point.
        others: The other points, the point itself maybe among them.
        radius: From the point to the octagon's corners (pixels).
    """
    x, y = point
    turns = [math.tau * (k + 0.5) / _CORNERS for k in range(_CORNERS)]
    corners = [(x + radius * math.cos(turn), y + radius * math.sin(turn)) for turn in turns]
    for other in others:
        if other != point:
            corners = _nearer(corners, point, other)
    return corners


def _nearer(corners: Sequence[Place], point: Place, other: Place) -> list[Place]:
    """Cut a convex shape at the line between two points, keeping the side of the first."""
    kept = []
    for start, end in zip(corners, [*corners[1:], *corners[:1]], strict=True):
        first, second = _excess(start, point, other), _excess(end, point, other)
        if first <= 0:
            kept.append(start)
        if first * second < 0:
            share = first / (first - second)
            kept.append(
                (start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1]))
            )
    return kept


def _excess(place: Place, point: Place, other: Place) -> float:
    """Return by how much a place is farther from a point than from another, as squares.

    The squares of the place itself cancel, so that this is linear in it.
    """
    return math.dist(place, point) ** 2 - math.dist(place, other) ** 2
