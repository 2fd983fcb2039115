"""Picture of two agents side by side: returns, operations and, of runs, learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from snn_gym.leaderboard.comparison import Side
from snn_gym.plots.frames import FloatArray
from snn_gym.plots.run import FORMATS, averaged_episodes, learning_curve, step_axis
from snn_gym.plots.style import agent_colours, new_figure, save, style, title
from snn_gym.program.prices import DEFAULT
from snn_gym.training.evaluations import read_episodes
from snn_gym.training.run import EPISODES_FILE, check_logs

Curves = tuple[tuple[FloatArray, FloatArray], ...]
"""Environment steps and running mean of the training returns of each run, empty without a log."""

QUARTERS = (0.25, 0.5, 0.75, 1.0)
"""Shares of the training at which a table reads the curves."""

_MOST_IN_A_LINE = 70  # letters of both names
_SPREAD = 0.12  # of the dots of a side, in the distance between two sides


def learning_curves(side: Side) -> Curves:
    """Return the learning curve of each run, empty arrays without logged episodes; () for rows."""
    return tuple(map(_curve, side.runs))


def _curve(run: Path) -> tuple[FloatArray, FloatArray]:
    check_logs(run)
    if not (run / EPISODES_FILE).exists():  # saved by `save_agent`
        return np.empty(0), np.empty(0)
    timesteps, returns = read_episodes(run / EPISODES_FILE)
    return learning_curve(timesteps, returns, averaged_episodes(len(returns)))


def at_quarters(side: Side, steps: int) -> list[list[float | None]]:
    """Return a list for each of `QUARTERS` of ``steps``, with each run's learning curve there.

    It is None if no episode had ended yet, or if the run had ended before.
    """
    runs = list(zip(learning_curves(side), side.line.steps[: len(side.runs)], strict=True))
    return [[_value(*run, round(quarter * steps)) for run in runs] for quarter in QUARTERS]


def _value(curve: tuple[FloatArray, FloatArray], trained: int, at: int) -> float | None:
    episodes = int(np.searchsorted(curve[0], at, side="right"))
    return float(curve[1][episodes - 1]) if episodes and at <= trained else None


def save_comparison(sides: Sequence[Side], path: Path) -> Path:
    """Draw two sides in a picture, PNG or SVG by its suffix, whose folder is made if absent."""
    check_picture(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with style():
        figure = draw_comparison(sides, [learning_curves(side) for side in sides])
        save(figure, path, [path.suffix[1:]])
    return path


def check_picture(path: Path) -> None:
    """Raise ``ValueError`` for a file whose suffix is none of the formats."""
    if path.suffix[1:] not in FORMATS:
        raise ValueError(
            f"{path} is no picture's file; expected a name that ends in "
            f"{' or '.join(f'.{x}' for x in FORMATS)}"
        )


def draw_comparison(sides: Sequence[Side], curves: Sequence[Curves]) -> Figure:
    """Draw returns and operations with seeds as dots, and learning curves where there are any.

    Mean returns with intervals stand beside the dots of sides with at least five seeds.
    """
    has_curves = any(len(x) for of_side in curves for x, _ in of_side)
    panels = 3 if has_curves else 2
    figure = new_figure(3.4 * panels, 3.6)
    colours = list(agent_colours({side.name: side.line.spiking for side in sides}).values())
    axes = list(figure.subplots(1, panels))
    _returns(axes[0], sides, colours)
    _operations(axes[1], sides, colours)
    if has_curves:
        _curves(axes[2], curves, colours)
    handles = [
        Line2D([], [], color=colour, marker="o", linestyle="", label=side.name)
        for side, colour in zip(sides, colours, strict=True)
    ]
    figure.suptitle(sides[0].line.environment, x=0.01, ha="left", fontsize=11)
    ncols = 1 if sum(len(side.name) for side in sides) > _MOST_IN_A_LINE else 2
    figure.legend(handles=handles, loc="outside lower center", ncols=ncols)
    return figure


def _returns(axes: Axes, sides: Sequence[Side], colours: Sequence[str]) -> None:
    for place, (side, colour) in enumerate(zip(sides, colours, strict=True)):
        line = side.line
        _dots(axes, place, line.seed_means, colour)
        if side.is_summarised:
            low, high = line.interval or (line.mean, line.mean)
            axes.errorbar(
                place + 2 * _SPREAD, line.mean, [[line.mean - low], [high - line.mean]],
                color=colour, marker="D", markersize=5, capsize=3,
            )  # fmt: skip
    axes.set_xticks(range(len(sides)), [""] * len(sides))
    axes.set_xlim(-0.6, len(sides) - 0.4)
    title(axes, "Return, a dot for each seed")
    axes.set_ylabel("mean return of a seed (reward units)")


def _operations(axes: Axes, sides: Sequence[Side], colours: Sequence[str]) -> None:
    axes.set_yscale("log")
    for k, (side, colour) in enumerate(zip(sides, colours, strict=True)):
        for place, totals in enumerate(side.compared_costs.values()):
            known = [total for total in totals if total]  # zero has no place on a log axis
            _dots(axes, place + 0.36 * (k - 0.5), known, colour, hollow=not side.costs_rank)
    names = [heading.replace(" ", "\n") for heading in sides[0].compared_costs]
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.6, len(names) - 0.4)
    hollow = any(not side.costs_rank for side in sides)
    axes.set_xlabel("hollow: no seed was trained again" if hollow else "")
    priced = sides[0].pricing.name != DEFAULT  # by another unit than the operations beside it
    title(axes, f"{'Costs' if priced else 'Operations'}, a dot for each seed")
    axes.set_ylabel("per decision" if priced else "operations per decision")


def _curves(axes: Axes, curves: Sequence[Curves], colours: Sequence[str]) -> None:
    for of_side, colour in zip(curves, colours, strict=True):
        for timesteps, means in of_side:
            axes.plot(timesteps, means, color=colour, linewidth=1.0, alpha=0.8)
    step_axis(axes, np.concatenate([x for of_side in curves for x, _ in of_side]))
    title(axes, "Training, a line for each seed")
    axes.set_xlabel("environment steps")
    axes.set_ylabel("running mean of returns (reward units)")


def _dots(
    axes: Axes, place: float, values: Sequence[float], colour: str, *, hollow: bool = False
) -> None:
    spread = np.linspace(-_SPREAD, _SPREAD, len(values)) if len(values) > 1 else np.zeros(1)
    if len(values):
        axes.plot(
            place + spread, values, color=colour, linestyle="", marker="o", markersize=4,
            markeredgewidth=float(hollow), markerfacecolor="none" if hollow else colour, alpha=0.7,
        )  # fmt: skip
