"""Figure of score against a price, with a point for each agent and the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from snn_gym._base.markup import Markup, element, joined
from snn_gym.leaderboard.headings import FEWEST_SEEDS, LEAN_MARK, REFERENCES, references
from snn_gym.leaderboard.site.elements import scrolling
from snn_gym.leaderboard.site.layout import agent_page
from snn_gym.leaderboard.site.marks import Scale, kind, score_scale, seeds_in_words
from snn_gym.leaderboard.table import TableRow
from snn_gym.program.prices import known_price

# ---- axes ----------------------------------------------------------------------------------------
SCORE_TITLE = "mean return"
_TICKS = 5
_TITLE_X = 13


@dataclass(frozen=True)
class Plot:
    """Size of a figure, and the box of its axes (pixels from the left and from above)."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int

    @property
    def view_box(self) -> str:
        """The attribute ``viewBox`` of the figure."""
        return f"0 0 {self.width} {self.height}"

    def across(self, low: float, high: float) -> Scale:
        """Return the horizontal axis, ``low`` to the left."""
        return Scale(low, high, self.left, self.right)

    def upright(self, low: float, high: float) -> Scale:
        """Return the vertical axis, ``low`` at the bottom."""
        return Scale(low, high, self.bottom, self.top)


def ticks(low: float, high: float) -> list[float]:
    """Return about five multiples of 1, 2 or 5 times 10**n in a range; of an empty one its end."""
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
    """Return axes with labels, vertical lines at (x, text) and reference scores as horizontals."""
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
        line = {"x1": plot.left, "x2": plot.right, "y1": y, "y2": y}
        parts.append(element("line", title, **line, class_=f"reference {key}"))
    middle, height = (plot.left + plot.right) / 2, (plot.top + plot.bottom) / 2
    turned = f"translate({_TITLE_X} {height:.0f}) rotate(-90)"
    return [
        *parts,
        element("text", label, x=middle, y=plot.height - 8, class_="middle"),
        element("text", SCORE_TITLE, transform=turned, class_="middle"),
    ]


# ---- click areas ---------------------------------------------------------------------------------
Place = tuple[float, float]
"""Pixels from the left and from above."""

_CORNERS = 8


def target(point: Place, others: Iterable[Place], radius: float) -> list[Place]:
    """Return the corners of an octagon's part that is nearer to its centre than to other points."""
    x, y = point
    turns = [math.tau * (k + 0.5) / _CORNERS for k in range(_CORNERS)]
    corners = [(x + radius * math.cos(turn), y + radius * math.sin(turn)) for turn in turns]
    for other in others:
        if other != point:
            corners = _nearer(corners, point, other)
    return corners


def _nearer(corners: Sequence[Place], point: Place, other: Place) -> list[Place]:
    """Return the part of a convex shape that is nearer to the first of two points."""
    inside = []
    for start, end in zip(corners, [*corners[1:], *corners[:1]], strict=True):
        first, second = _excess(start, point, other), _excess(end, point, other)
        if first <= 0:
            inside.append(start)
        if first * second < 0:
            share = first / (first - second)
            inside.append(
                (start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1]))
            )
    return inside


def _excess(place: Place, point: Place, other: Place) -> float:
    """Return the difference of squared distances to two points, which is linear in the place."""
    return math.dist(place, point) ** 2 - math.dist(place, other) ** 2


# ---- labels --------------------------------------------------------------------------------------
LETTER_WIDTH = 7.5
"""Upper bound of the mean width of a letter (pixels)."""
HEIGHT = 16
"""Height of a line of text (pixels)."""
POINT_RADIUS = 7
"""Radius of a point with the space around it (pixels)."""
_DESCENT = 4
_GAP = 10
# Above and below, farther above and below to clear a neighbouring point, level.
_SHIFTS = (-6, 16, -11, 19, 5)


@dataclass(frozen=True)
class Box:
    """Rectangle in a figure (pixels from the left and from above)."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Return whether two boxes overlap."""
        beside = self.left < other.right and other.left < self.right
        return beside and self.top < other.bottom and other.top < self.bottom

    def holds(self, other: Box) -> bool:
        """Return whether another box lies within this box."""
        across = self.left <= other.left and other.right <= self.right
        return across and self.top <= other.top and other.bottom <= self.bottom


def point_box(x: float, y: float) -> Box:
    """Return the box of a point."""
    return Box(x - POINT_RADIUS, y - POINT_RADIUS, x + POINT_RADIUS, y + POINT_RADIUS)


@dataclass(frozen=True)
class Label:
    """Text beside a point: the beginning (or, to the left, the end) of its base line (pixels)."""

    text: str
    x: float
    y: float
    to_the_left: bool

    @property
    def box(self) -> Box:
        """Box of the text."""
        left = self.x - LETTER_WIDTH * len(self.text) * self.to_the_left
        below = self.y + _DESCENT
        return Box(left, below - HEIGHT, left + LETTER_WIDTH * len(self.text), below)


def places(text: str, x: float, y: float) -> list[Label]:
    """Return labels at possible places beside a point, the preferred first."""
    return [
        Label(text, x + side, y + shift, side < 0) for shift in _SHIFTS for side in (_GAP, -_GAP)
    ]


def placed(
    points: Sequence[tuple[str, float, float]], within: Box, taken: Sequence[Box]
) -> list[tuple[Label, bool]]:
    """Return a label for each (text, x, y), and whether it is clear.

    A clear label lies within a box and meets no point, no taken box and no earlier clear label.
    """
    covered = [*taken, *(point_box(x, y) for _, x, y in points)]
    chosen: list[tuple[Label, bool]] = []
    for text, x, y in points:
        candidates = places(text, x, y)
        inside = [label for label in candidates if within.holds(label.box)]
        clear = [label for label in inside if not any(map(label.box.meets, covered))]
        covered += [label.box for label in clear[:1]]
        chosen.append(([*clear, *inside, *candidates][0], bool(clear)))
    return chosen


# ---- front ---------------------------------------------------------------------------------------
PLOT = Plot(width=720, height=380, left=80, right=680, top=28, bottom=332)
"""Axes of the figure, which shrinks with the screen."""
_FEWEST_POINTS = 2
_TARGET_RADIUS = 14
_CAPTION = (
    "Mean return and its 95 % confidence interval against {}, on a logarithmic axis. Circles are "
    "spiking agents, squares are not. Each point links to its agent. Names without clear space "
    "appear when the pointer is on the point."
)
_HOLLOW_TEXT = (
    f" Hollow points do not rank: they have fewer than {FEWEST_SEEDS} seeds, were made from other "
    f"rows ({LEAN_MARK}), have spikes that reach no output, or none of their seeds was trained "
    "again."
)
_FRONT_TEXT = (
    " The stepped line is the Pareto front of filled points: no point that costs as little has a "
    "higher score."
)


@dataclass(frozen=True)
class _Point:
    """Point of a row in the figure, at its price and score."""

    row: TableRow
    cost: float
    place: Place
    ranks: bool
    on_front: bool

    @property
    def words(self) -> str:
        """Description in words."""
        row = self.row
        unit = known_price(row.priced_by).unit
        score = f"{row.score(row.mean)} at {self.cost:,.0f} {unit}"
        return f"{row.name}: {score}, {kind(row)}, {seeds_in_words(row)}"


def front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the Pareto front of (price, score), from the lowest price to the highest."""
    best: list[tuple[float, float]] = []
    for cost, score in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or score > best[-1][1]:
            best.append((cost, score))
    return best


def decades(costs: Sequence[float]) -> range:
    """Return the exponents of 10 on the axis of prices, at least two."""
    low, high = math.floor(math.log10(min(costs))), math.ceil(math.log10(max(costs)))
    return range(low, max(high, low + 1) + 1)


def ranks(row: TableRow) -> bool:
    """Return whether a row may be on the front: enough seeds, ranked costs, not lean, heard."""
    proven = row.costs_rank and len(row.seeds) >= FEWEST_SEEDS
    return proven and not row.derived and not row.unheard


def front_figure(rows: Sequence[TableRow], name: str, *, up: str) -> Markup:
    """Return the figure of rows, nothing if fewer than two have a price."""
    known = {row: cost for row in rows if (cost := row.price)}
    if len(known) < _FEWEST_POINTS:
        return Markup()
    axis = decades(list(known.values()))
    across = PLOT.across(axis[0], axis[-1])
    scores = score_scale(rows)
    upright = PLOT.upright(scores.low, scores.high)
    points = _points(known, across, upright)
    numbered = [(across(power), f"{10.0**power:,.10g}") for power in axis]
    label = known_price(rows[0].priced_by).axis
    title = f"Score against {label}, {name}"
    drawing = element(
        "svg",
        *grid(PLOT, numbered, upright, rows[0], label),
        _stepped(sorted({point.place for point in points if point.on_front})),
        *_drawn(points, upright, up),
        viewBox=PLOT.view_box,
        role="group",
        aria_label=title,
        class_="score-against-operations",
    )
    caption = _caption(points, len(rows) - len(known), label)
    return element("figure", scrolling(title, drawing), element("figcaption", caption))


def _points(known: Mapping[TableRow, float], across: Scale, upright: Scale) -> list[_Point]:
    ranked = [(cost, row.mean) for row, cost in known.items() if ranks(row)]
    best = front(ranked) if len(ranked) >= _FEWEST_POINTS else []
    points = []
    for row, cost in known.items():
        place = (across(math.log10(cost)), upright(row.mean))
        on_front = ranks(row) and (cost, row.mean) in best
        points.append(_Point(row, cost, place, ranks(row), on_front))
    return points


def _caption(points: Sequence[_Point], unknown: int, label: str) -> str:
    parts = {
        _CAPTION.format(label): True,
        _HOLLOW_TEXT: not all(point.ranks for point in points),
        _FRONT_TEXT: any(point.on_front for point in points),
        f" Costs of {unknown} more agents are unknown.": unknown > 0,
    }
    return "".join(text for text, holds in parts.items() if holds)


def _stepped(steps: Sequence[Place]) -> Markup:
    """Return the line of the front: horizontal to the next point, then up."""
    if not steps:
        return Markup()
    (x, y), *others = steps
    path = f"M{x:.1f} {y:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in others)
    return element("path", d=f"{path}H{PLOT.right}", class_="front")


def _drawn(points: Sequence[_Point], upright: Scale, up: str) -> list[Markup]:
    # Points on the front are labelled first, hollow points last.
    order = sorted(points, key=lambda point: (not point.on_front, not point.ranks))
    intervals = []
    for point in points:
        if point.row.interval is not None:
            low, high = map(upright, point.row.interval)
            around = point_box(*point.place)
            intervals.append(Box(around.left, high, around.right, low))
    within = Box(PLOT.left, 0, PLOT.width, PLOT.bottom)
    labels = placed([(point.row.name, *point.place) for point in order], within, intervals)
    places = [point.place for point in points]
    return [
        _linked(point, target(point.place, places, _TARGET_RADIUS), upright, label, named, up)
        for point, (label, named) in zip(order, labels, strict=True)
    ]


def _linked(
    point: _Point, corners: Sequence[Place], upright: Scale, label: Label, named: bool, up: str
) -> Markup:
    """Return a point as a link to its agent."""
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
