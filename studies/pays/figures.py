"""Figures of the page: the front of each task, and the map of tasks."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from snn_gym.leaderboard.comparison import MARGIN
from snn_gym.leaderboard.cost_answers import LESS, MORE, SIMILAR, UNKNOWN
from snn_gym.leaderboard.statistics import front
from snn_gym.leaderboard.table import mean_known
from snn_gym.plots.style import GREY, agent_colours, new_figure, save, style, title
from snn_gym.program.prices import known_price
from studies.pays.contenders import Contender, Field
from studies.pays.question import OTHER
from studies.pays.tables import Judged
from studies.pays.verdicts import keeping

Fill = Literal["full", "none"]
DRAWN = ("operations", "loihi", "cortex-m4")
"""Prices of the panels."""
MAP = "pays-map"
_SPIKING, _ANN = agent_colours({"spiking": True, "ANN": False}).values()
_WORD_COLOURS = {LESS: _SPIKING, MORE: _ANN, SIMILAR: GREY, UNKNOWN: "white"}
_FORMATS = ("png",)
_SHOWN_LOSS = 5 * MARGIN
"""Share of the range from random play to solved that a front shows below the best."""
_VERSION = re.compile(r"-v\d$")
_PREFIX = re.compile("^(recurrent-)?ppo-")


def figure_name(task: str) -> str:
    """Return the name of a task's figure among the images."""
    return f"pays-{task.removeprefix('snn/')}"


def write_figures(judged: Judged, images: Path) -> list[Path]:
    """Draw the front of every task that has agents, and the map."""
    images.mkdir(parents=True, exist_ok=True)
    paths = []
    with style():
        for task, field in judged.fields.items():
            if field.contenders:
                figure = draw_front(judged, field)
                paths += save(figure, images / figure_name(task), _FORMATS)
        paths += save(draw_map(judged), images / MAP, _FORMATS)
    return paths


def draw_front(judged: Judged, field: Field) -> Figure:
    """Draw return against each price, with the front of all agents."""
    figure = new_figure(9.0, 3.3)
    panels = figure.subplots(1, len(DRAWN), sharey=True, squeeze=False)[0]
    for axes, price in zip(panels, DRAWN, strict=True):
        _panel(axes, judged, field, price)
    panels[0].set_ylabel("mean return")
    title(panels[0], field.task)
    marks: dict[str, tuple[str, str, Fill]] = {
        "spiking": ("o", _SPIKING, "full"),
        "ANN": ("s", _ANN, "full"),
        "not shown to keep the return": ("o", GREY, "none"),
        "of another family": ("x", GREY, "full"),
    }
    handles = [
        Line2D([], [], marker=marker, color=colour, fillstyle=fill, linestyle="", label=label)
        for label, (marker, colour, fill) in marks.items()
    ]
    handles.append(Line2D([], [], color=GREY, linewidth=0.8, label="front"))
    handles.append(Line2D([], [], color=GREY, linestyle=":", label="best − margin"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _panel(axes: Axes, judged: Judged, field: Field, price: str) -> None:
    axes.set_xscale("log")
    axes.set_xlabel(known_price(price).heading)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.10g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    known = [x for x in field.contenders if price in x.prices]
    best = field.best
    if not known or best is None or best.row.reference is None:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=GREY)
        axes.set_xticks([])
        return
    loss, top = best.row.reference.loss, best.row.mean
    axes.axhline(top - loss(judged.question.margin), color=GREY, linewidth=0.8, linestyle=":")
    steps = front([(x.price(price), x.row.mean) for x in known])
    last = max(x.price(price) for x in known), steps[-1][1]
    costs, returns = zip(*steps, last, strict=True)
    axes.set_ylim(top - loss(_SHOWN_LOSS), max(top, last[1]) + loss(MARGIN))
    axes.step(costs, returns, where="post", color=GREY, linewidth=0.8, zorder=0)
    verdict = judged.verdicts[field.task, price]
    axes.set_xlim(costs[0] / 1.5, costs[-1] * 1.5)
    keepers = keeping(field, judged.question.margin)
    for x in known:
        at = x.price(price), x.row.mean
        level = steps.index(at) % 2 if at in steps else 0
        named = at in steps or x in (verdict.spiking, verdict.ann)
        _mark(axes, x, price, keeps=x in keepers, level=level if named else None)


def _mark(axes: Axes, contender: Contender, price: str, *, keeps: bool, level: int | None) -> None:
    """Draw an agent with the interval of its mean, and its name at a level; None for no name."""
    row, x = contender.row, contender.price(price)
    colour, marker = (_SPIKING, "o") if row.spiking else (_ANN, "s")
    if contender.family == OTHER:
        colour, marker, keeps = GREY, "x", True
    elif row.interval is not None:
        axes.plot([x, x], row.interval, color=colour, linewidth=0.7, alpha=0.5)
    fill: Fill = "full" if keeps else "none"
    axes.plot(x, row.mean, marker, color=colour, fillstyle=fill, markersize=5)
    if level is not None:
        left, right = axes.get_xlim()
        is_right = x * x > left * right  # of the middle of a logarithmic axis
        axes.annotate(
            _PREFIX.sub("", row.agent),
            (x, row.mean),
            xytext=(-4 if is_right else 4, -10 - 8 * level if row.spiking else 4 + 8 * level),
            textcoords="offset points",
            fontsize=7,
            ha="right" if is_right else "left",
            clip_on=True,
            color=colour,
        )


PLACES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "CartPole-v1": (0, 4),
        "Acrobot-v1": (0, 6),
        "MountainCar-v0": (0, 2),
        "Pendulum-v1": (0, 3),
        "LunarLander-v3": (0, 8),
        "LunarLanderContinuous-v3": (0, 8),
        "snn/CueAccumulation-v0": (8, 40),
        "snn/DelayedMatchToSample-v0": (4, 40),
        "snn/IntervalTiming-v0": (6, 40),
        "snn/WaterMaze-v0": (48, 44),
        "snn/CueAccumulation-silent-v0": (206, 40),
        "snn/DelayedMatchToSample-silent-v0": (202, 40),
        "snn/IntervalTiming-silent-v0": (200, 40),
        "snn/Recall-v0": (15, 16),
    }
)
"""Of every task: decisions from the first input that counts to the one that needs it, at most; and
values or channels of an observation."""


def events(field: Field) -> float | None:
    """Return the input events of a decision: spikes, or all values of an analogue observation.

    None while no ANN's row has counted the spikes.
    """
    memory, width = PLACES[field.task]
    # Of an ANN only the input spikes.
    counted = [x.row.spikes_per_decision for x in field.contenders if not x.row.spiking]
    return mean_known(counted) if memory else float(width)


def draw_map(judged: Judged) -> Figure:
    """Draw the tasks by memory and input events, with their verdicts in operations."""
    figure = new_figure(7.0, 3.8)
    axes = figure.subplots()
    axes.set_xscale("symlog", linthresh=1)
    axes.set_yscale("log")
    axes.set_ylim(0.05, 50)
    axes.set_xlim(-0.3, 1000)
    names = defaultdict[tuple[int, float], list[str]](list)
    for task, field in judged.fields.items():
        if (count := events(field)) is None:
            continue
        memory, width = PLACES[task]
        names[memory, count].append(_VERSION.sub("", task.removeprefix("snn/")))
        colour = _WORD_COLOURS[judged.verdicts[task, DRAWN[0]].kind]
        axes.scatter(memory, count, s=6 * width, color=colour, edgecolors=GREY, alpha=0.8)
    for at, tasks in names.items():
        axes.annotate(", ".join(tasks), at, xytext=(7, 4), textcoords="offset points", fontsize=7)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.10g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("memory: decisions from the first input that counts to the last")
    axes.set_ylabel("input events a decision")
    handles = [
        Line2D([], [], marker="o", color=colour, markeredgecolor=GREY, linestyle="", label=words)
        for words, colour in _WORD_COLOURS.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure
