"""The report's figures, one function each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

from snn_gym.learners.settings import PRESET_NAMES
from snn_gym.plotting.style import BLACK, GREY, layer_colours, new_figure, title
from studies.dynamics.groups import Groups, Values
from studies.dynamics.plan import CARTPOLE, TEACHER
from studies.dynamics.report import ablation, presets, size
from studies.dynamics.settings import (
    HIDDEN_NEURONS,
    NULLS,
    PRESETS_BUDGET,
    SIZE_BUDGET,
    SIZE_HIDDEN_NEURONS,
)
from studies.dynamics.statistics import Estimate, iqm

_BLUE, _ORANGE, _GREEN, _PINK, _SKY, _GOLD = list(layer_colours("abcdef").values())[1:]
_ARM_COLOURS = {"dynamics": _ORANGE, "off": _BLUE, "shuffled": _GREEN}
_FAILED = 1.35
"""Where failures are drawn, as a multiple of the budget."""
_NEXT_FAILURE = 1.08
"""How much further out the next failure of a category is drawn, up to eight of them."""
_HALF_WIDTH = 0.28
"""Half of what the points of a category spread over."""

_KINDS = {
    "agents without dynamics": _BLUE,
    "agents with dynamics": _ORANGE,
    "learners that know no synapses": GREY,
}


def draw_presets(groups: Groups) -> Figure:
    """Draw what every preset and null needs on CartPole and reaches on the Teacher job."""
    figure = new_figure(9.5, 5.6)
    left, right = figure.subplots(1, 2, sharey=True)
    plain = [name for name in PRESET_NAMES if "dynamics" not in name]
    names = [*(x for name in plain for x in (name, f"{name}+dynamics")), *NULLS]
    colours = [_kind_colour(name) for name in names]
    values = [presets.costs(groups, CARTPOLE, name) for name in names]
    _draw_runs(left, values, colours, PRESETS_BUDGET.episodes)
    _say_if_empty(left, values)
    title(left, "CartPole-v1: episodes until solved")
    left.set_xlabel("episodes that judged weights")
    values_right = [presets.costs(groups, TEACHER, name) for name in names]
    _draw_runs(right, values_right, colours)
    _say_if_empty(right, values_right)
    title(right, "Teacher: cross-entropy at the end")
    right.set_xlabel("nat")
    _name_rows(left, names)
    handles = [_dot(colour, kind) for kind, colour in _KINDS.items()]
    figure.legend(handles=[*handles, *_marks()], loc="outside lower center", ncols=5)
    return figure


def draw_hidden(groups: Groups) -> Figure:
    """Draw the return of DQSN against its hidden neurons."""
    figure = new_figure(6.5, 3.8)
    axes = figure.subplots()
    axes.set_xscale("log", base=2)
    have = [hidden_ for hidden_ in HIDDEN_NEURONS if groups[(str(hidden_),)].results]
    middles = [iqm(groups[(str(hidden_),)].scores) for hidden_ in have]
    for neurons in have:
        means = groups[(str(neurons),)].means
        places = neurons * 2.0 ** (0.22 * _spread(len(means)))
        axes.plot(places, means, "o", color=_BLUE, markersize=4, alpha=0.6, markeredgewidth=0)
    _error_bars(axes, np.array(have, float), middles, BLACK, line="-")
    title(axes, "DQSN on CartPole-v1 by its hidden neurons")
    axes.set_xlabel("hidden neurons")
    axes.set_ylabel("return of 100 episodes")
    axes.xaxis.set_major_locator(FixedLocator(HIDDEN_NEURONS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.0f}"))
    axes.set_ylim(0, 520)
    handles = [
        _dot(_BLUE, "mean of a run"),
        Line2D([], [], color=BLACK, marker="s", label="IQM of all runs, 95 % interval"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def draw_size(groups: Groups) -> Figure:
    """Draw the episodes until solved against the number of synapses."""
    figure = new_figure(7.5, 4.4)
    axes = figure.subplots()
    axes.set_xscale("log")
    styles = dict(
        zip(
            size.LEARNERS,
            zip((_ORANGE, _BLUE, BLACK, _GREEN, _PINK), "osDv^", strict=True),
            strict=True,
        )
    )
    for place, (name, (colour, marker)) in enumerate(styles.items()):
        shift = 1.045 ** (place - 2)
        have = [h for h in SIZE_HIDDEN_NEURONS if groups[name, str(h)].results]
        x = np.array([size.synapses(h) for h in have]) * shift
        runs = [groups[name, str(h)].episodes for h in have]
        for at, values in zip(x, runs, strict=True):
            _points(axes, np.full(len(values), at), values, colour, SIZE_BUDGET.episodes, marker)
        middles = np.array([np.median(values) for values in runs])
        axes.plot(x, _shown(middles, SIZE_BUDGET.episodes), color=colour, linewidth=1.6)
    _failure_axis(axes, SIZE_BUDGET.episodes, "y")
    _count_axis(axes.xaxis)
    title(axes, "CartPole-v1: episodes until solved, by the size of the network")
    axes.set_xlabel("synapses")
    axes.set_ylabel("episodes that judged weights")
    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=4, label=name)
        for name, (colour, marker) in styles.items()
    ]
    marks = [_dot(GREY, "a run"), Line2D([], [], color=GREY, label="median"), _marks()[-1]]
    figure.legend(handles=[*handles, *marks], loc="outside lower center", ncols=4)
    return figure


def draw_ablation(groups: Groups) -> Figure:
    """Draw dynamics on, off and shuffled."""
    figure = new_figure(9.5, 3.2)
    first, *others = figure.subplots(1, 3)
    arms = ablation.ARMS
    colours = [_ARM_COLOURS[arm] for arm in arms]
    values = [groups[CARTPOLE, arm].episodes for arm in arms]
    _draw_runs(first, values, colours, PRESETS_BUDGET.episodes)
    _say_if_empty(first, values)
    title(first, "CartPole-v1")
    first.set_xlabel("episodes until solved")
    _name_rows(first, arms)
    for axes, task in zip(others, ablation.OTHER_TASKS, strict=True):
        for row, arm in enumerate(arms):
            group = groups[task, arm]
            if not group.results:
                continue
            places = row + _HALF_WIDTH * _spread(len(group.results))
            axes.plot(
                group.means,
                places,
                "o",
                color=_ARM_COLOURS[arm],
                markersize=4,
                alpha=0.6,
                markeredgewidth=0,
            )
            _error_bars(axes, np.array([row]), [iqm(group.scores)], BLACK, upright=False)
        _say_if_empty(axes, [groups[task, arm].means for arm in arms])
        title(axes, task)
        axes.set_xlabel("return at the end")
        _name_rows(axes, arms)
    handles = [*_marks(), Line2D([], [], color=BLACK, marker="s", label="IQM, 95 % interval")]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


FIGURES: dict[str, Callable[[Groups], Figure]] = {
    "presets": draw_presets,
    "hidden": draw_hidden,
    "size": draw_size,
    "ablation": draw_ablation,
}
"""What draws the figure of each part."""


def _say_if_empty(axes: Axes, values: Sequence[Values]) -> None:
    """Say in a panel that it has no runs to show."""
    if not any(len(runs) for runs in values):
        axes.text(0.5, 0.5, "no runs yet", transform=axes.transAxes, ha="center", color=GREY)
        axes.tick_params(axis="x", which="both", bottom=False, labelbottom=False)


def _draw_runs(
    axes: Axes, samples: Sequence[Values], colours: Sequence[str], budget: float | None = None
) -> None:
    """Draw runs row by row on a logarithmic axis, with their medians."""
    axes.set_xscale("log")
    for row, (values, colour) in enumerate(zip(samples, colours, strict=True)):
        if not len(values):
            continue
        places = row + _HALF_WIDTH * _spread(len(values))
        _points(axes, values, places, colour, budget)
        middle = _shown(np.array([np.median(values)]), budget)[0]
        axes.plot([middle] * 2, [row - 0.4, row + 0.4], color=BLACK, linewidth=1.8, zorder=3)
    if budget is not None:
        _failure_axis(axes, budget, "x")
    else:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))


def _points(
    axes: Axes, x: Values, y: Values, colour: str, budget: float | None, marker: str = "o"
) -> None:
    """Draw runs, crosses for those that failed."""
    fine = np.isfinite(x) & np.isfinite(y)
    if budget is not None:  # failures side by side, and not one upon the other
        x, y = (np.where(np.isinf(z), _failures(z, budget), z) for z in (x, y))
    axes.plot(x[fine], y[fine], marker, color=colour, markersize=3.8, alpha=0.65, markeredgewidth=0)
    axes.plot(x[~fine], y[~fine], "x", color=colour, markersize=4.5, markeredgewidth=1.2)


def _failures(values: Values, budget: float) -> Values:
    """Return where the failures among values (runs,) are drawn."""
    place = (np.cumsum(np.isinf(values)) - 1) % 8
    result: Values = _FAILED * budget * _NEXT_FAILURE**place
    return result


def _shown(values: Values, budget: float | None) -> Values:
    """Return values with failures where they are drawn."""
    return values if budget is None else np.where(np.isinf(values), _FAILED * budget, values)


def _failure_axis(axes: Axes, budget: float, which: str) -> None:
    """Mark the end of the budget, beyond which failures are drawn."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    line = axes.axvline if which == "x" else axes.axhline
    line(budget, color=GREY, linewidth=0.8, linestyle=":")
    if which == "y":
        axes.set_yscale("log")
    _count_axis(axis)
    limits = axes.set_xlim if which == "x" else axes.set_ylim
    limits(None, 2.6 * budget)


def _count_axis(axis: Axis) -> None:
    """Name powers of ten in full."""
    axis.set_major_locator(LogLocator(10.0))
    axis.set_minor_locator(LogLocator(10.0, subs=range(2, 10)))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axis.set_minor_formatter(NullFormatter())


def _error_bars(
    axes: Axes, places: Values, estimates: Sequence[Estimate], colour: str,
    *, line: str = "none", upright: bool = True,
) -> None:  # fmt: skip
    values = np.array([item.value for item in estimates])
    bounds = [item.interval or (item.value, item.value) for item in estimates]
    reach = np.abs(np.array(bounds).T - values) if len(values) else np.zeros((2, 0))
    look: Any = {"color": colour, "linestyle": line, "marker": "s", "markersize": 5, "capsize": 4}
    if upright:
        axes.errorbar(places, values, yerr=reach, zorder=3, **look)
    else:
        axes.errorbar(values, places, xerr=reach, zorder=3, **look)


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)


def _spread(count: int) -> Values:
    """Return places in [-1, 1] for points side by side (count,)."""
    return np.linspace(-1.0, 1.0, count) if count > 1 else np.zeros(count)


def _kind_colour(name: str) -> str:
    if name in NULLS:
        return GREY
    return _ORANGE if "dynamics" in name else _BLUE


def _dot(colour: str, label: str) -> Line2D:
    return Line2D([], [], color=colour, marker="o", linestyle="", markersize=4, label=label)


def _marks() -> list[Line2D]:
    return [
        Line2D([], [], color=BLACK, marker="|", linestyle="", markersize=10, label="median"),
        Line2D([], [], color=GREY, marker="x", linestyle="", markersize=5, label="failed run"),
    ]
