"""The figure of the front: return against operations, a panel for each task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from snn_gym.plots.style import GREY, agent_colours, new_figure, save, style, title
from studies.lean.front import FRONT_TASKS
from studies.lean.front_points import ANN_SERIES, Point, front_points, verdict
from studies.lean.plan import LEAN, OFF
from studies.lean.report_front import FIGURE
from studies.lean.rivals import rival_of
from studies.lean.tables import Outcomes

_SERIES = (LEAN, OFF, *ANN_SERIES.values())
_COLOURS = agent_colours({series: series in (LEAN, OFF) for series in _SERIES})
_MARKERS = dict(zip(_SERIES, "osD^v", strict=True))
_RIVAL = "small ANN taught by ppo-lif that keeps the return (pilot)"
_COLUMNS = 3
_FORMATS = ("png", "svg")


def write_figure(outcomes: Outcomes, images: Path) -> list[Path]:
    """Draw the front of the tasks that have any of it."""
    points = {name: front_points(outcomes, task) for name, task in FRONT_TASKS.items()}
    points = {name: of_task for name, of_task in points.items() if of_task}
    if not points:
        return []
    images.mkdir(parents=True, exist_ok=True)
    with style():
        return save(_draw(points), images / FIGURE, _FORMATS)


def _draw(points: Mapping[str, Sequence[Point]]) -> Figure:
    columns = min(_COLUMNS, len(points))
    rows = math.ceil(len(points) / columns)
    figure = new_figure(3.3 * columns, 2.6 * rows + 0.8)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, (name, of_task) in zip(panels, points.items(), strict=False):
        _panel(axes, name, of_task)
    for axes in panels[len(points) :]:
        axes.set_visible(False)
    shown = {point.series for of_task in points.values() for point in of_task}
    handles = [
        Line2D([], [], color=_COLOURS[x], marker=_MARKERS[x], linestyle="", markersize=5, label=x)
        for x in _SERIES
        if x in shown
    ]
    margin = Line2D([], [], color=GREY, linestyle=":", label="best spiking return − margin")
    handles = [*handles, margin]
    if any(rival_of(FRONT_TASKS[name].env_id) for name in points):
        handles.append(Line2D([], [], color=GREY, linestyle="--", label=_RIVAL))
    figure.legend(handles=handles, loc="outside lower center", ncols=math.ceil(len(handles) / 2))
    return figure


def _panel(axes: Axes, name: str, points: Sequence[Point]) -> None:
    """Draw a mark for the mean of every network, and a faint one for each of its seeds."""
    axes.set_xscale("log")
    for point in points:
        marker, colour = _MARKERS[point.series], _COLOURS[point.series]
        seeds = [x.operations for x in point.outcomes]
        axes.plot(seeds, point.returns, marker, color=colour, markersize=2.5, alpha=0.35,
                  markeredgewidth=0)  # fmt: skip
        axes.plot(point.operations, point.mean_return, marker, color=colour, markersize=5.5,
                  markeredgewidth=0.5, markeredgecolor="white")  # fmt: skip
    judged = verdict(points, FRONT_TASKS[name])
    if judged is not None:
        axes.axhline(judged.least, color=GREY, linewidth=0.8, linestyle=":")
    if (rival := rival_of(FRONT_TASKS[name].env_id)) is not None:
        axes.axvline(rival.operations, color=GREY, linewidth=0.8, linestyle="--")
    axes.xaxis.set_major_locator(LogLocator(10.0))
    axes.xaxis.set_minor_locator(LogLocator(10.0, subs=range(2, 10)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    title(axes, name)
    axes.set_xlabel("operations of a decision")
    axes.set_ylabel("return")
