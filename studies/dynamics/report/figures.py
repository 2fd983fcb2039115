"""The report's figures, one function each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

from snn_gym.leaderboard.statistics import interquartile_mean
from snn_gym.plots.style import BLACK, GREY, layer_colours, new_figure, title
from studies.dynamics.groups import Values
from studies.dynamics.plan import CARTPOLE, TEACHER
from studies.dynamics.report import ablation, size, transfer
from studies.dynamics.report.parts import Study, costs
from studies.dynamics.report.seen import PLAIN_PRESETS
from studies.dynamics.settings import (
    HIDDEN_NEURONS,
    NULLS,
    PAPER_PRESET,
    PRESETS_BUDGET,
    SIZE_BUDGET,
    SIZE_HIDDEN_NEURONS,
    TRANSFER_BUDGET,
)

_BLUE, _ORANGE, _GREEN, _PINK, _SKY, _GOLD = list(layer_colours("abcdef").values())[1:]
_ARM_COLOURS = {"dynamics": _ORANGE, "features": _GOLD, "off": _BLUE, "shuffled": _GREEN}
_FAILED = 1.35
"""Where failures are drawn, as a multiple of the budget."""
_NEXT_FAILURE = 1.08
"""How much further out the next failure of a category is drawn, up to eight of them."""
_HALF_WIDTH = 0.28
"""Half of the width over which a category's points spread."""

_KINDS = {
    "agents without dynamics": _BLUE,
    "agents with dynamics": _ORANGE,
    "learners that know no synapses": GREY,
}


def draw_seen(study: Study) -> Figure:
    """Draw the episodes that masks without dynamics and baselines need on CartPole."""
    figure = new_figure(7.0, 3.8)
    axes = figure.subplots()
    names = [*PLAIN_PRESETS, *NULLS]
    values = [costs(study, CARTPOLE, name) for name in names]
    _draw_runs(axes, values, [_kind_colour(name) for name in names], PRESETS_BUDGET.episodes)
    _say_if_empty(axes, values)
    title(axes, "CartPole-v1: episodes until solved")
    axes.set_xlabel("episodes that judged weights")
    _name_rows(axes, names)
    handles = [_dot(colour, kind) for kind, colour in _KINDS.items() if colour != _ORANGE]
    figure.legend(handles=[*handles, *_marks()], loc="outside lower center", ncols=2)
    return figure


def draw_watching(study: Study) -> Figure:
    """Draw every mask with and without dynamics on CartPole and on the Teacher job."""
    figure = new_figure(9.5, 5.6)
    left, right = figure.subplots(1, 2, sharey=True)
    names = [*(x for name in PLAIN_PRESETS for x in (name, f"{name}+dynamics")), *NULLS]
    colours = [_kind_colour(name) for name in names]
    for axes, task, budget in ((left, CARTPOLE, PRESETS_BUDGET.episodes), (right, TEACHER, None)):
        values = [costs(study, task, name) for name in names]
        _draw_runs(axes, values, colours, budget)
        _say_if_empty(axes, values)
    title(left, "CartPole-v1: episodes until solved")
    left.set_xlabel("episodes that judged weights")
    title(right, "Teacher: cross-entropy at the end")
    right.set_xlabel("nat")
    _name_rows(left, names)
    handles = [_dot(colour, kind) for kind, colour in _KINDS.items()]
    figure.legend(handles=[*handles, *_marks()], loc="outside lower center", ncols=5)
    return figure


def draw_ablation(study: Study) -> Figure:
    """Draw dynamics on, off and shuffled, and the nulls."""
    figure = new_figure(7.0, 3.8)
    axes = figure.subplots()
    arms = {arm: study["ablation"][CARTPOLE, arm].episodes for arm in ablation.ARMS}
    values = {f"arm: {arm}": runs for arm, runs in arms.items() if len(runs)}
    colours = [_ARM_COLOURS[arm] for arm, runs in arms.items() if len(runs)]
    for name in (PAPER_PRESET, *NULLS):
        values[name] = costs(study, CARTPOLE, name)
        colours.append(GREY if name in NULLS else _SKY)
    _draw_runs(axes, list(values.values()), colours, PRESETS_BUDGET.episodes)
    _say_if_empty(axes, list(values.values()))
    title(axes, "CartPole-v1: episodes until solved")
    axes.set_xlabel("episodes that judged weights")
    _name_rows(axes, list(values))
    figure.legend(handles=_marks(), loc="outside lower center", ncols=2)
    return figure


def draw_size(study: Study) -> Figure:
    """Draw the episodes until solved by synapses, and DQSN's return by hidden neurons."""
    figure = new_figure(10.5, 4.4)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2), gridspec_kw={"wspace": 0.08})
    _draw_synapses(left, study)
    _draw_hidden(right, study)
    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=4, label=name)
        for name, (colour, marker) in _SIZE_STYLES.items()
    ]
    marks = [
        _dot(GREY, "a run"),
        Line2D([], [], color=GREY, label="median; DQSN: IQM"),
        _marks()[-1],
    ]
    figure.legend(handles=[*handles, *marks], loc="outside lower center", ncols=4)
    return figure


_SIZE_STYLES = dict(
    zip(
        size.LEARNERS,
        zip((_ORANGE, _BLUE, BLACK, _GREEN, _PINK), "osDv^", strict=True),
        strict=True,
    )
)


def _draw_synapses(axes: Axes, study: Study) -> None:
    axes.set_xscale("log")
    groups = study["size"]
    for place, (name, (colour, marker)) in enumerate(_SIZE_STYLES.items()):
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
    title(axes, "CartPole-v1: episodes until solved")
    axes.set_xlabel("synapses")
    axes.set_ylabel("episodes that judged weights")


def _draw_hidden(axes: Axes, study: Study) -> None:
    groups = {h: study["hidden"][(str(h),)] for h in HIDDEN_NEURONS}
    have = {h: group for h, group in groups.items() if group.results}
    axes.set_xscale("log", base=2)
    for neurons, group in have.items():
        places = neurons * 2.0 ** (0.22 * _spread(len(group.means)))
        axes.plot(places, group.means, "o", color=GREY, markersize=4, markeredgewidth=0)
    axes.plot(list(have), [interquartile_mean(group.scores) for group in have.values()], color=GREY)
    title(axes, "DQSN on CartPole-v1")
    axes.set_xlabel("hidden neurons")
    axes.set_ylabel("return of 100 episodes")
    axes.xaxis.set_major_locator(FixedLocator(HIDDEN_NEURONS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.0f}"))
    axes.set_ylim(0, 520)


def draw_transfer(study: Study) -> Figure:
    """Draw rules on the jobs that they are carried to."""
    figure = new_figure(9.5, 3.4)
    left, right = figure.subplots(1, 2, sharey=True)
    groups = study["transfer"]
    names = [", ".join(labels) for labels in transfer.RULES]
    taught = {"same": (_BLUE, "o"), "relabelled": (_ORANGE, "s"), "32-hidden": (_GREEN, "D")}
    for place, (target, (colour, marker)) in enumerate(taught.items()):
        _draw_rules(left, study, target, (colour, marker), shift=0.2 * (place - 1))
    left.set_xscale("log")
    title(left, "Teacher: cross-entropy at the end")
    left.set_xlabel("nat")
    controls = {
        target: look
        for target, look in {CARTPOLE: (_PINK, "^"), "Acrobot-v1": (_GOLD, "v")}.items()
        if any(len(transfer.costs(groups, target, rule)) for rule in transfer.RULES)
    }
    for target, (colour, marker) in controls.items():
        _draw_rules(right, study, target, (colour, marker), TRANSFER_BUDGET.episodes)
    right.set_xscale("log")
    _failure_axis(right, TRANSFER_BUDGET.episodes, "x")
    title(right, "Control tasks: episodes until solved")
    right.set_xlabel("episodes that judged weights")
    _name_rows(left, names)
    handles = [
        Line2D([], [], color=c, marker=m, linestyle="", markersize=4, label=transfer.TARGETS[x])
        for x, (c, m) in {**taught, **controls}.items()
    ]
    figure.legend(handles=[*handles, _marks()[-1]], loc="outside lower center", ncols=6)
    return figure


def _draw_rules(
    axes: Axes, study: Study, target: str, look: tuple[str, str],
    budget: float | None = None, shift: float = 0.0,
) -> None:  # fmt: skip
    colour, marker = look
    for row, labels in enumerate(transfer.RULES):
        values = transfer.costs(study["transfer"], target, labels)
        places = row + shift + 0.3 * _HALF_WIDTH * _spread(len(values))
        _points(axes, values, places, colour, budget, marker)


FIGURES: dict[str, Callable[[Study], Figure]] = {
    "seen": draw_seen,
    "watching": draw_watching,
    "ablation": draw_ablation,
    "size": draw_size,
    "transfer": draw_transfer,
}
"""Drawing function of each answer's figure."""


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
