"""Score against operations: a figure with a point for each agent, and the front of the best."""

from __future__ import annotations

import math
from collections.abc import Sequence

from snn_gym.scoring.site.axes import Plot, grid
from snn_gym.scoring.site.columns import kind, operations
from snn_gym.scoring.site.elements import Markup, element, joined
from snn_gym.scoring.site.labels import Label, placed
from snn_gym.scoring.site.layout import agent_page
from snn_gym.scoring.site.marks import Scale, score_scale
from snn_gym.scoring.site.tables import scrolling
from snn_gym.scoring.table import TableRow

PLOT = Plot(width=720, height=380, left=64, right=680, top=28, bottom=332)
"""Where the figure's axes lie; it shrinks with the screen."""
_FEWEST_POINTS = 2
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
    across = PLOT.across(axis[0], axis[-1])
    scores = score_scale(rows)
    upright = PLOT.upright(scores.low, scores.high)
    places = [
        (across(math.log10(cost)), upright(row.mean))
        for cost, row in zip(costs, known, strict=True)
    ]
    best = front([(cost, row.mean) for cost, row in zip(costs, known, strict=True)])
    on_front = [(cost, row.mean) in best for cost, row in zip(costs, known, strict=True)]
    steps = [(across(math.log10(cost)), upright(score)) for cost, score in best]
    numbered = [(across(power), f"{10.0**power:,.10g}") for power in axis]
    title = f"Score against operations, {name}"
    drawing = element(
        "svg",
        *grid(PLOT, numbered, upright, rows[0], "operations of a decision"),
        element("path", d=_stepped(steps), class_="front"),
        *_points(known, places, on_front, upright, up),
        viewBox=PLOT.view_box,
        role="group",
        aria_label=title,
        class_="score-against-operations",
    )
    left_out = len(rows) - len(known)
    more = f" Of {left_out} more, operations are not known." if left_out else ""
    return element("figure", scrolling(title, drawing), element("figcaption", _CAPTION + more))


def _stepped(steps: Sequence[tuple[float, float]]) -> str:
    """Return the path of the front: level until the next point, then up to it."""
    (x, y), *others = steps
    path = f"M{x:.1f} {y:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in others)
    return f"{path}H{PLOT.right}"


def _points(
    rows: Sequence[TableRow],
    places: Sequence[tuple[float, float]],
    on_front: Sequence[bool],
    upright: Scale,
    up: str,
) -> list[Markup]:
    """Return the points, first those that are named: those of the front, where there is space."""
    order = sorted(range(len(rows)), key=lambda k: not on_front[k])
    labels = placed([(rows[k].name, *places[k]) for k in order], PLOT.width)
    return [
        _point(rows[k], places[k], upright, label, on_front[k] and is_free, up)
        for k, (label, is_free) in zip(order, labels, strict=True)
    ]


def _point(
    row: TableRow, place: tuple[float, float], upright: Scale, label: Label, named: bool, up: str
) -> Markup:
    x, y = place
    spent = f"{operations(row):,.0f} operations"
    words = f"{row.name}: {row.score(row.mean)} at {spent}, {kind(row)}"
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
