"""Score against operations: a figure with a point for each agent, and the front of the best."""

from __future__ import annotations

import math
from collections.abc import Sequence

from snn_gym.scoring.site.columns import kind, operations
from snn_gym.scoring.site.elements import Markup, element, joined
from snn_gym.scoring.site.labels import Label, placed
from snn_gym.scoring.site.layout import agent_page
from snn_gym.scoring.site.marks import REFERENCES, Scale, references, score_scale
from snn_gym.scoring.site.tables import scrolling
from snn_gym.scoring.table import DERIVED, TableRow

WIDTH = 720
"""Width of the figure (pixels of its own; it shrinks with the screen)."""
HEIGHT = 380
"""Height of the figure (likewise)."""
LEFT = 64
"""Place of the axis of scores (pixels)."""
RIGHT = WIDTH - 40
"""Right end of the axis of operations (pixels)."""
TOP = 28
"""Upper end of the axis of scores (pixels)."""
BOTTOM = HEIGHT - 48
"""Place of the axis of operations (pixels from above)."""
_FEWEST_POINTS = 2
_TICKS = 5
_CAPTION = (
    "Mean return and its 95 % interval against operations of a decision (SynOps and MACs), on a "
    "logarithmic axis. Circles spike, squares do not. The stepped line is the front: no agent on "
    "it is beaten by one of as few operations. Each point leads to its agent."
)


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


def decades(costs: Sequence[float]) -> range:
    """Return the powers of 10 that an axis of operations runs over, at least two of them.

    Args:
        costs: Operations, above 0.
    """
    low, high = math.floor(math.log10(min(costs))), math.ceil(math.log10(max(costs)))
    return range(low, max(high, low + 1) + 1)


def front_figure(rows: Sequence[TableRow], name: str, *, up: str) -> Markup:
    """Return the figure of some rows; nothing where fewer than two have operations.

    Args:
        rows: Of one environment, version and budget class.
        name: What they are.
        up: From the page's folder to the site's.
    """
    known = [row for row in rows if operations(row)]
    if len(known) < _FEWEST_POINTS:
        return Markup()
    costs = [operations(row) or 0.0 for row in known]
    axis = decades(costs)
    across = Scale(axis[0], axis[-1], LEFT, RIGHT)
    scores = score_scale(rows)
    upright = Scale(scores.low, scores.high, BOTTOM, TOP)
    places = [
        (across(math.log10(cost)), upright(row.mean))
        for cost, row in zip(costs, known, strict=True)
    ]
    best = front([(cost, row.mean) for cost, row in zip(costs, known, strict=True)])
    on_front = [(cost, row.mean) in best for cost, row in zip(costs, known, strict=True)]
    steps = [(across(math.log10(cost)), upright(score)) for cost, score in best]
    title = f"Score against operations, {name}"
    drawing = element(
        "svg",
        *_grid(rows[0], axis, across, upright),
        element("path", d=_stepped(steps), class_="front"),
        *_points(known, places, on_front, upright, up),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="group",
        aria_label=title,
        class_="score-against-operations",
    )
    left_out = len(rows) - len(known)
    more = f" Of {left_out} more, operations are not known." if left_out else ""
    return element("figure", scrolling(title, drawing), element("figcaption", _CAPTION + more))


def _grid(row: TableRow, axis: range, across: Scale, upright: Scale) -> list[Markup]:
    """Return the axes with their numbers, and the reference scores as level lines."""
    parts = []
    for power in axis:
        x = across(power)
        parts += [
            element("line", x1=x, x2=x, y1=TOP, y2=BOTTOM, class_="grid"),
            element("text", f"{10.0**power:,.10g}", x=x, y=BOTTOM + 18, class_="middle"),
        ]
    for value in ticks(upright.low, upright.high):
        y = upright(value)
        parts += [
            element("line", x1=LEFT, x2=RIGHT, y1=y, y2=y, class_="grid"),
            element("text", row.score(value), x=LEFT - 8, y=y + 4, class_="end"),
        ]
    for key, value in references(row.reference).items():
        y = upright(value)
        title = element("title", f"{REFERENCES[key]}: {row.score(value)}")
        css_class = f"reference {key}"
        parts.append(element("line", title, x1=LEFT, x2=RIGHT, y1=y, y2=y, class_=css_class))
    middle = (LEFT + RIGHT) / 2
    parts.append(
        element("text", "operations of a decision", x=middle, y=HEIGHT - 8, class_="middle")
    )
    return parts


def _stepped(steps: Sequence[tuple[float, float]]) -> str:
    """Return the path of the front: level until the next point, then up to it."""
    (x, y), *others = steps
    path = f"M{x:.1f} {y:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in others)
    return f"{path}H{RIGHT}"


def _points(
    rows: Sequence[TableRow],
    places: Sequence[tuple[float, float]],
    on_front: Sequence[bool],
    upright: Scale,
    up: str,
) -> list[Markup]:
    """Return the points, first those that are named: those of the front, where there is space."""
    order = sorted(range(len(rows)), key=lambda k: not on_front[k])
    labels = placed([(_name(rows[k]), *places[k]) for k in order], WIDTH)
    return [
        _point(rows[k], places[k], upright, label, on_front[k] and is_free, up)
        for k, (label, is_free) in zip(order, labels, strict=True)
    ]


def _name(row: TableRow) -> str:
    return row.agent + (f" {DERIVED}" if row.derived else "")


def _point(
    row: TableRow, place: tuple[float, float], upright: Scale, label: Label, named: bool, up: str
) -> Markup:
    x, y = place
    words = f"{_name(row)}: {row.score(row.mean)} at {operations(row):,.0f} operations, {kind(row)}"
    shape = (
        element("circle", cx=x, cy=y, r=6, class_="dot")
        if row.spiking
        else element("rect", x=x - 5.5, y=y - 5.5, width=11, height=11, class_="dot")
    )
    parts = [element("title", words), element("circle", cx=x, cy=y, r=14, class_="target")]
    if row.interval is not None:
        low, high = map(upright, row.interval)
        parts.append(element("line", x1=x, x2=x, y1=low, y2=high, class_="interval"))
    text_class = "label end" if label.to_the_left else "label"
    parts += [shape, element("text", label.text, x=label.x, y=label.y, class_=text_class)]
    classes = [*(["spiking"] if row.spiking else []), *(["named"] if named else [])]
    return element(
        "a",
        joined(parts),
        href=up + agent_page(row.agent),
        aria_label=words,
        class_=" ".join(classes) or None,
    )
