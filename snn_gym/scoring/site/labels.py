"""Names beside points, where they cover neither a point nor another name."""

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
# Above and below; so far that a point beside, at the same height, stays clear; level.
_SHIFTS = (-6, 16, -11, 19, 5)


@dataclass(frozen=True)
class Box:
    """A rectangle within a figure (pixels from the left and from above)."""

    left: float
    """Left end."""
    top: float
    """Upper end."""
    right: float
    """Right end."""
    bottom: float
    """Lower end."""

    def meets(self, other: Box) -> bool:
        """Return whether the two share space."""
        beside = self.left < other.right and other.left < self.right
        return beside and self.top < other.bottom and other.top < self.bottom

    def holds(self, other: Box) -> bool:
        """Return whether another lies within this one."""
        across = self.left <= other.left and other.right <= self.right
        return across and self.top <= other.top and other.bottom <= self.bottom


def point_box(x: float, y: float) -> Box:
    """Return the space of a point at a place (pixels)."""
    return Box(x - POINT_RADIUS, y - POINT_RADIUS, x + POINT_RADIUS, y + POINT_RADIUS)


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
    def box(self) -> Box:
        """The space that it takes."""
        left = self.x - LETTER_WIDTH * len(self.text) * self.to_the_left
        below = self.y + _DESCENT
        return Box(left, below - HEIGHT, left + LETTER_WIDTH * len(self.text), below)


def places(text: str, x: float, y: float) -> list[Label]:
    """Return the labels that a point may have, the best first: above, below, level, at both sides.

    Args:
        text: What they say.
        x: Of the point (pixels).
        y: Of the point (pixels from above).
    """
    return [
        Label(text, x + side, y + shift, side < 0) for shift in _SHIFTS for side in (_GAP, -_GAP)
    ]


def placed(
    points: Sequence[tuple[str, float, float]], within: Box, taken: Sequence[Box]
) -> list[tuple[Label, bool]]:
    """Return a label for each point, and whether it may always be shown.

    Args:
        points: Text, x and y (pixels) of each, the most important first.
        within: Where labels may be.
        taken: What they must not cover beside the points and each other.

    Returns:
        Labels; those that may always be shown lie within their bounds and cover nothing.
    """
    covered = [*taken, *(point_box(x, y) for _, x, y in points)]
    chosen: list[tuple[Label, bool]] = []
    for text, x, y in points:
        candidates = places(text, x, y)
        inside = [one for one in candidates if within.holds(one.box)]
        clear = [one for one in inside if not any(map(one.box.meets, covered))]
        covered += [one.box for one in clear[:1]]
        chosen.append(([*clear, *inside, *candidates][0], bool(clear)))
    return chosen
