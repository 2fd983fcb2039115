"""Score against operations: a figure with a point for each agent, and the front of the best."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from snn_gym.leaderboard.headings import DERIVED, FEWEST_SEEDS
from snn_gym.leaderboard.site.elements import Markup, element, joined, scrolling
from snn_gym.leaderboard.site.layout import agent_page
from snn_gym.leaderboard.site.marks import (
    REFERENCES,
    Scale,
    kind,
    references,
    score_scale,
    seeds_in_words,
)
from snn_gym.leaderboard.table import TableRow

# ---- axes ----------------------------------------------------------------------------------------
SCORE_TITLE = "mean return"
"""Label of score axes."""
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


# ---- targets -------------------------------------------------------------------------------------
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


# ---- labels --------------------------------------------------------------------------------------
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
    """Its text."""
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


# ---- front ---------------------------------------------------------------------------------------
PLOT = Plot(width=720, height=380, left=80, right=680, top=28, bottom=332)
"""Where the figure's axes lie; it shrinks with the screen."""
_FEWEST_POINTS = 2
_TARGET_RADIUS = 14
_CAPTION = (
    "Mean return and its 95 % interval against operations of a decision (SynOps, MACs and neuron "
    "updates), on a logarithmic axis. Circles spike, squares do not. Each point leads to its "
    "agent; a name that has no clear space is shown when its point is pointed at."
)
_HOLLOW_TEXT = (
    f" Hollow points do not rank: they have fewer than {FEWEST_SEEDS} seeds, were made from other "
    f"rows ({DERIVED}), have spikes that reach no output, or none of their seeds was trained again."
)
_FRONT_TEXT = (
    " The stepped line is the front of the filled points: none on it is beaten by one of as few "
    "operations."
)


@dataclass(frozen=True)
class _Point:
    """A row in the figure."""

    row: TableRow
    cost: float
    """Operations of a decision."""
    place: Place
    ranks: bool
    on_front: bool

    @property
    def words(self) -> str:
        """Description in words."""
        row = self.row
        score = f"{row.score(row.mean)} at {self.cost:,.0f} operations"
        return f"{row.name}: {score}, {kind(row)}, {seeds_in_words(row)}"


def front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points that none beats at as few operations, from few operations to many.

    Args:
        points: Operations and score of each.
    """
    best: list[tuple[float, float]] = []
    for cost, score in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or score > best[-1][1]:
            best.append((cost, score))
    return best


def decades(costs: Sequence[float]) -> range:
    """Return the powers of 10 that an axis of operations runs over, at least two of them.

    Args:
        costs: Operations, above 0.
    """
    low, high = math.floor(math.log10(min(costs))), math.ceil(math.log10(max(costs)))
    return range(low, max(high, low + 1) + 1)


def ranks(row: TableRow) -> bool:
    """Return whether a row may be on the front: trained, heard, proven, and with enough seeds."""
    proven = row.costs_rank and len(row.seeds) >= FEWEST_SEEDS
    return proven and not row.derived and not row.unheard


def front_figure(rows: Sequence[TableRow], name: str, *, up: str) -> Markup:
    """Return the figure of some rows; nothing where fewer than two have operations.

    Args:
        rows: Of one environment, version and budget class.
        name: What they are.
        up: From the page's folder to the site's.
    """
    known = {row: cost for row in rows if (cost := row.operations_per_decision)}
    if len(known) < _FEWEST_POINTS:
        return Markup()
    axis = decades(list(known.values()))
    across = PLOT.across(axis[0], axis[-1])
    scores = score_scale(rows)
    upright = PLOT.upright(scores.low, scores.high)
    points = _points(known, across, upright)
    numbered = [(across(power), f"{10.0**power:,.10g}") for power in axis]
    title = f"Score against operations, {name}"
    drawing = element(
        "svg",
        *grid(PLOT, numbered, upright, rows[0], "operations of a decision"),
        _stepped(sorted({point.place for point in points if point.on_front})),
        *_drawn(points, upright, up),
        viewBox=PLOT.view_box,
        role="group",
        aria_label=title,
        class_="score-against-operations",
    )
    caption = _caption(points, len(rows) - len(known))
    return element("figure", scrolling(title, drawing), element("figcaption", caption))


def _points(known: Mapping[TableRow, float], across: Scale, upright: Scale) -> list[_Point]:
    """Return the points of rows, with their operations, on the figure's axes."""
    ranked = [(cost, row.mean) for row, cost in known.items() if ranks(row)]
    best = front(ranked) if len(ranked) >= _FEWEST_POINTS else []
    return [
        _Point(
            row,
            cost,
            (across(math.log10(cost)), upright(row.mean)),
            ranks(row),
            ranks(row) and (cost, row.mean) in best,
        )
        for row, cost in known.items()
    ]


def _caption(points: Sequence[_Point], unknown: int) -> str:
    """Return what is said below the figure of some points.

    Args:
        points: Those that are drawn.
        unknown: How many rows are not, for want of operations.
    """
    parts = {
        _CAPTION: True,
        _HOLLOW_TEXT: not all(point.ranks for point in points),
        _FRONT_TEXT: any(point.on_front for point in points),
        f" Of {unknown} more, operations are not known.": unknown > 0,
    }
    return "".join(text for text, is_said in parts.items() if is_said)


def _stepped(steps: Sequence[Place]) -> Markup:
    """Return the line of the front: level until the next point, then up to it."""
    if not steps:
        return Markup()
    (x, y), *others = steps
    path = f"M{x:.1f} {y:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in others)
    return element("path", d=f"{path}H{PLOT.right}", class_="front")


def _drawn(points: Sequence[_Point], upright: Scale, up: str) -> list[Markup]:
    """Return the points; those of the front are the first to be named, hollow ones the last."""
    order = sorted(points, key=lambda point: (not point.on_front, not point.ranks))
    intervals = []
    for point in points:
        if point.row.interval is not None:
            low, high = map(upright, point.row.interval)
            around = point_box(*point.place)
            intervals.append(Box(around.left, high, around.right, low))
    within = Box(PLOT.left, 0, PLOT.width, PLOT.bottom)
    labels = placed([(one.row.name, *one.place) for one in order], within, intervals)
    places = [point.place for point in points]
    return [
        _linked(point, target(point.place, places, _TARGET_RADIUS), upright, label, named, up)
        for point, (label, named) in zip(order, labels, strict=True)
    ]


def _linked(
    point: _Point, corners: Sequence[Place], upright: Scale, label: Label, named: bool, up: str
) -> Markup:
    """Return a point that leads to its agent."""
    row, (x, y) = point.row, point.place
    outline = " ".join(f"{right:.1f},{down:.1f}" for right, down in corners)
    parts = [element("title", point.words), element("polygon", points=outline, class_="target")]
    if row.interval is not None:
        low, high = map(upright, row.interval)
        parts.append(element("line", x1=x, x2=x, y1=low, y2=high, class_="interval"))
    shape = (
        element("circle", cx=x, cy=y, r=6, class_="dot")
        if row.spiking
        else element("rect", x=x - 5.5, y=y - 5.5, width=11, height=11, class_="dot")
    )
    text_class = "label end" if label.to_the_left else "label"
    parts += [shape, element("text", label.text, x=label.x, y=label.y, class_=text_class)]
    classes = {"spiking": row.spiking, "hollow": not point.ranks, "named": named}
    return element(
        "a",
        joined(parts),
        href=up + agent_page(row.agent),
        aria_label=point.words,
        class_=" ".join(key for key, value in classes.items() if value) or None,
    )
