"""Names beside points, where they cover no other name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LETTER_WIDTH = 7.5
"""Of a letter, at most as wide as this in the mean (pixels)."""
HEIGHT = 16
"""Of a line of text (pixels)."""
POINT_RADIUS = 7
"""Of a point, with the space around it (pixels)."""
_DESCENT = 4
_GAP = 10
_RAISE = 6
_LOWER = 16


@dataclass(frozen=True)
class Label:
    """A text beside a point."""

    text: str
    """What it says."""
    x: float
    """Where it begins or, to the left of its point, ends (pixels)."""
    y: float
    """Its base line (pixels from above)."""
    to_the_left: bool
    """Whether it ends at `x`."""

    @property
    def span(self) -> tuple[float, float]:
        """Left and right end (pixels)."""
        width = LETTER_WIDTH * len(self.text)
        return (self.x - width, self.x) if self.to_the_left else (self.x, self.x + width)

    def covers(self, other: Label) -> bool:
        """Return whether two labels share space."""
        (left, right), (other_left, other_right) = self.span, other.span
        return left < other_right and other_left < right and abs(self.y - other.y) < HEIGHT

    def covers_point(self, x: float, y: float) -> bool:
        """Return whether it stands upon a point at a place (pixels)."""
        left, right = self.span
        above, below = self.y - HEIGHT + _DESCENT, self.y + _DESCENT
        beside = left < x + POINT_RADIUS and x - POINT_RADIUS < right
        return beside and above < y + POINT_RADIUS and y - POINT_RADIUS < below


def places(text: str, x: float, y: float, width: float) -> list[Label]:
    """Return the labels that a point may have within a figure: above or below, at either side.

    Args:
        text: What they say.
        x: Of the point (pixels).
        y: Of the point (pixels from above).
        width: Of the figure (pixels).

    Returns:
        The best first; of a text wider than the figure, one at its right.
    """
    found = [
        Label(text, x + side, y + shift, side < 0)
        for shift in (-_RAISE, _LOWER)
        for side in (_GAP, -_GAP)
    ]
    return [one for one in found if one.span[0] >= 0 and one.span[1] <= width] or found[:1]


def placed(points: Sequence[tuple[str, float, float]], width: float) -> list[tuple[Label, bool]]:
    """Return a label for each point, and whether it covers none of the labels before it.

    Args:
        points: Text, x and y (pixels) of each, the most important first.
        width: Of the figure (pixels).

    Returns:
        Labels that cover no other point where there is such a place.
    """
    chosen: list[tuple[Label, bool]] = []
    for k, (text, x, y) in enumerate(points):
        others = [place for _, *place in (*points[:k], *points[k + 1 :]) if place != [x, y]]
        candidates = places(text, x, y, width)
        shown = [label for label, free in chosen if free]
        free = [one for one in candidates if not any(map(one.covers, shown))]
        clear = [one for one in free if not any(one.covers_point(*place) for place in others)]
        best = [*clear, *free, *candidates][0]
        chosen.append((best, bool(free)))
    return chosen
