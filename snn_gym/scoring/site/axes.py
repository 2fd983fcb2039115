"""Axes of figures: where they lie, their numbers, and reference scores as level lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from snn_gym.scoring.site.elements import Markup, element
from snn_gym.scoring.site.marks import REFERENCES, Scale, references
from snn_gym.scoring.table import TableRow

SCORE_TITLE = "mean return"
"""What axes of scores are of."""
_TICKS = 5
_TITLE_X = 13


@dataclass(frozen=True)
class Plot:
    """Where the axes of a figure lie (pixels of its own)."""

    width: int
    """Width of the figure."""
    height: int
    """Height of the figure."""
    left: int
    """Place of the axis of scores."""
    right: int
    """Right end of the other axis."""
    top: int
    """Upper end of the axis of scores."""
    bottom: int
    """Place of the other axis, from above."""

    @property
    def view_box(self) -> str:
        """The attribute ``viewBox`` of the figure."""
        return f"0 0 {self.width} {self.height}"

    def across(self, low: float, high: float) -> Scale:
        """Return the axis from left to right."""
        return Scale(low, high, self.left, self.right)

    def upright(self, low: float, high: float) -> Scale:
        """Return the axis of scores."""
        return Scale(low, high, self.bottom, self.top)


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers within a range, about five: multiples of 1, 2 or 5 times a power of 10.

    Args:
        low: Lower end.
        high: Upper end; that alone is returned if it is not above.
    """
    if high <= low:
        return [high]
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(x * power for x in (1, 2, 5, 10) if x * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def grid(
    plot: Plot, across: Sequence[tuple[float, str]], upright: Scale, row: TableRow, label: str
) -> list[Markup]:
    """Return the axes with their numbers, and the reference scores as level lines.

    Args:
        plot: Where the axes lie.
        across: Places (pixels) and texts of the numbers on the axis from left to right.
        upright: Axis of scores.
        row: One of the rows that are drawn, which has their reference scores.
        label: What the axis from left to right is of.
    """
    parts = []
    for x, text in across:
        parts += [
            element("line", x1=x, x2=x, y1=plot.top, y2=plot.bottom, class_="grid"),
            element("text", text, x=x, y=plot.bottom + 18, class_="middle"),
        ]
    for value in ticks(upright.low, upright.high):
        y = upright(value)
        parts += [
            element("line", x1=plot.left, x2=plot.right, y1=y, y2=y, class_="grid"),
            element("text", row.score(value), x=plot.left - 8, y=y + 4, class_="end"),
        ]
    for key, value in references(row.reference).items():
        y = upright(value)
        title = element("title", f"{REFERENCES[key]}: {row.score(value)}")
        css_class = f"reference {key}"
        parts.append(
            element("line", title, x1=plot.left, x2=plot.right, y1=y, y2=y, class_=css_class)
        )
    return [*parts, *_titles(plot, label)]


def _titles(plot: Plot, label: str) -> list[Markup]:
    """Return what the axes are of: below, and upright at the left."""
    middle, height = (plot.left + plot.right) / 2, (plot.top + plot.bottom) / 2
    turned = f"translate({_TITLE_X} {height:.0f}) rotate(-90)"
    return [
        element("text", label, x=middle, y=plot.height - 8, class_="middle"),
        element("text", SCORE_TITLE, transform=turned, class_="middle"),
    ]
