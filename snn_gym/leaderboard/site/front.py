"""Figure of score against the cost of a decision: a point for each agent, and the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from snn_gym._base.markup import Markup, element, joined
from snn_gym.leaderboard.headings import FEWEST_SEEDS, REFERENCES, references
from snn_gym.leaderboard.site.layout import Site, agent_page, scrolling
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


def grid(plot: Plot, upright: Scale, row: TableRow) -> list[Markup]:
    """Return the axis of scores, with reference scores as horizontal lines."""
    parts = []
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
    height = (plot.top + plot.bottom) / 2
    turned = f"translate({_TITLE_X} {height:.0f}) rotate(-90)"
    return [*parts, element("text", SCORE_TITLE, transform=turned, class_="middle")]


def columns(plot: Plot, across: Sequence[tuple[float, str]], label: str) -> list[Markup]:
    """Return the horizontal axis, with vertical lines at (x, text)."""
    parts = []
    for x, text in across:
        parts += [
            element("line", x1=x, x2=x, y1=plot.top, y2=plot.bottom, class_="grid"),
            element("text", text, x=x, y=plot.bottom + 18, class_="middle"),
        ]
    middle = (plot.left + plot.right) / 2
    return [*parts, element("text", label, x=middle, y=plot.height - 8, class_="middle")]


Place = tuple[float, float]
"""Pixels from the left and from above."""


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
PANEL = Plot(width=420, height=260, left=72, right=390, top=12, bottom=214)
"""Axes of a small figure without names."""
_TARGET_RADIUS = 12
_OUTSIDE = 999.0
_CAPTION = (
    "Mean return and its 95 % interval against the cost of a decision, on a logarithmic axis. "
    "Circles spike, squares do not. The line is the Pareto front: no agent that costs as little "
    "has a higher return."
)
_HOLLOW_TEXT = (
    f" Hollow points do not rank: fewer than {FEWEST_SEEDS} seeds, no seed trained again, or "
    "spikes that reach no output."
)


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
    """Return whether a row may be on the front: enough seeds, ranked costs, spikes that count."""
    return row.costs_rank and len(row.seeds) >= FEWEST_SEEDS and not row.unheard


def front_rows(site: Site, rows: Sequence[TableRow], price: str) -> list[TableRow]:
    """Return the rows on the front under a price, the cheapest first."""
    known = {(cost, x.mean): x for x in rows if ranks(x) and (cost := site.price(x, price))}
    return [known[point] for point in front(list(known))] if len(known) > 1 else []


def unproven_front(site: Site, rows: Sequence[TableRow], price: str) -> list[TableRow]:
    """Return the rows that would be on the front if one of their seeds were trained again."""
    if_proven = {replace(row, trained_again=max(1, row.trained_again)): row for row in rows}
    best = [if_proven[row] for row in front_rows(site, list(if_proven), price)]
    return [row for row in best if not ranks(row)]


def front_figure(
    site: Site, rows: Sequence[TableRow], name: str, *, up: str, plot: Plot = PLOT
) -> Markup:
    """Return the figure of rows under all prices, nothing if fewer than two have a price.

    The style sheet shows one price: it moves points by their properties of the price's name.
    """
    prices = site.prices(rows)
    if not prices:
        return Markup()
    scores = score_scale(rows)
    upright = plot.upright(scores.low, scores.high)
    axes, places = [], dict[TableRow, dict[str, float]]()
    for price in prices:
        known = {row: cost for row in rows if (cost := site.price(row, price))}
        axis = decades(list(known.values()))
        across = plot.across(axis[0], axis[-1])
        for row, cost in known.items():
            places.setdefault(row, {})[price] = across(math.log10(cost))
        numbered = [(across(power), f"{10.0**power:,.10g}") for power in axis]
        best = [(places[x][price], upright(x.mean)) for x in front_rows(site, rows, price)]
        parts = [*columns(plot, numbered, known_price(price).axis), _stepped(best, plot)]
        if plot is PLOT:
            parts += _names({x: places[x][price] for x in known}, best, upright)
        axes.append(element("g", *parts, class_=f"by {price}"))
    title = f"Score against cost, {name}"
    points = [_point(site, row, places[row], prices, upright, up) for row in places]
    drawing = element(
        "svg",
        *grid(plot, upright, rows[0]),
        *axes,
        *points,
        viewBox=plot.view_box,
        role="group",
        aria_label=title,
        class_="score-against-cost",
    )
    if plot is PANEL:
        return element("figure", drawing)
    caption = _CAPTION + _HOLLOW_TEXT * (not all(map(ranks, places)))
    return element("figure", scrolling(title, drawing), element("figcaption", caption))


def _stepped(steps: Sequence[Place], plot: Plot) -> Markup:
    """Return the line of the front: horizontal to the next point, then up."""
    if not steps:
        return Markup()
    (x, y), *others = steps
    path = f"M{x:.1f} {y:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in others)
    return element("path", d=f"{path}H{plot.right}", class_="front")


def _names(
    places: Mapping[TableRow, float], best: Sequence[Place], upright: Scale
) -> Iterator[Markup]:
    """Yield the names that have clear space, of points on the front first."""
    points = {row: (x, upright(row.mean)) for row, x in places.items()}
    order = sorted(points, key=lambda row: (points[row] not in best, not ranks(row)))
    intervals = []
    for row, place in points.items():
        if row.interval is not None:
            low, high = map(upright, row.interval)
            around = point_box(*place)
            intervals.append(Box(around.left, high, around.right, low))
    within = Box(PLOT.left, 0, PLOT.width, PLOT.bottom)
    for label, clear in placed([(row.name, *points[row]) for row in order], within, intervals):
        if clear:
            text_class = "label end" if label.to_the_left else "label"
            yield element("text", label.text, x=label.x, y=label.y, class_=text_class)


def _point(
    site: Site,
    row: TableRow,
    places: Mapping[str, float],
    prices: Sequence[str],
    upright: Scale,
    up: str,
) -> Markup:
    """Return a point as a link to its agent."""
    y = upright(row.mean)
    costs = [f"{site.price(row, x) or 0:,.0f} {known_price(x).axis}" for x in places]
    words = f"{row.name}: {row.score(row.mean)}, {kind(row)}, {seeds_in_words(row)}; "
    words += ", ".join(costs).replace(" of a decision", "")
    parts = [
        element("title", words),
        element("circle", cx=0, cy=y, r=_TARGET_RADIUS, class_="target"),
    ]
    if row.interval is not None:
        low, high = map(upright, row.interval)
        parts.append(element("line", x1=0, x2=0, y1=low, y2=high, class_="interval"))
    parts.append(
        element("circle", cx=0, cy=y, r=6, class_="dot")
        if row.spiking
        else element("rect", x=-5.5, y=y - 5.5, width=11, height=11, class_="dot")
    )
    classes = {"point": True, "spiking": row.spiking, "hollow": not ranks(row)}
    # Without the price, a point is outside of the figure.
    return element(
        "a",
        joined(parts),
        href=up + agent_page(row.agent) if row.agent in site.agents else None,
        aria_label=words,
        style=";".join(f"--{price}:{places.get(price, -_OUTSIDE):.1f}px" for price in prices),
        class_=" ".join(key for key, value in classes.items() if value),
    )
