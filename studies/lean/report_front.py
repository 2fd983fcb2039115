"""What the report says about the front of return against operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from studies.lean.front import FRONT_TASKS, SEEDS
from studies.lean.front_points import (
    Point,
    Verdict,
    anns_are_whole,
    front_points,
    planned_points,
    verdict,
)
from studies.lean.plan import Task
from studies.lean.rivals import rival_of
from studies.lean.tables import Found, return_digits, table

FIGURE = "lean-front"
"""Name of the figure among the images."""

_TEXT = (
    "`python -m studies.lean front` trains two hidden layers of 64, 32, 16 and 8 neurons with 8, 4 "
    "and 2 time steps, each `off` and `lean`, and ANNs of 64 to 4 units. 64-64-T8 and, where the "
    "zoo's twin is of that size, 64-64-tanh are the arms above. The critic, needed in training "
    "only, has the sizes of the actor. Hyper-parameters are those of the agent and of its twin, "
    "which were chosen for 64 neurons. snn/EventTracking-v0 is played by `recurrent-ppo-lsnn`, "
    "with the 4 time steps of its observations; ANNs there are GRUs, and `ppo-mlp` without "
    "memory with the same hyper-parameters. On its seeds 100 to 102 next to nothing was shed, "
    "because recurrent spikes put behaviour beyond the bound whatever the weights do (lean 3.49 "
    "times the operations of the cheapest off); since then a bound out of reach begins anew above, "
    "chosen on seed 1000 with 16-16-T4, and spiking networks have seeds 110 to 112, ANNs those of "
    "before. Products with ReLU units that are zero are skipped, and not counted as operations.\n\n"
    f"Numbers are means over {SEEDS} seeds, since of three a median hides the one that failed. "
    "Best is the highest return of all networks that spike; a network has that return if it is "
    "below by no more than the margin. Cheapest: fewest operations (SynOps of hidden spikes, "
    "multiply-accumulates, neuron updates) with that return, among networks with all "
    f"{SEEDS} seeds. The spikes of an input cost SynOps by the size of the first layer, which "
    "stand beside.\n"
)
_RIVALS = (
    "**No network of this front is the cheapest known.** Its ANNs learned by reward, with settings "
    "chosen for 64 units. Small ANNs that a row of `ppo-lif` taught by DAgger, in the steps of the "
    "table's agents made lean (◊), keep the return with a small part of the operations: a linear "
    "policy on CartPole-v1, Acrobot-v1 and LunarLander-v3, 8-8 units on MountainCar-v0, "
    "Pendulum-v1, LunarLanderContinuous-v3 and InvertedDoublePendulum-v5. They were measured in a "
    "pilot, on the table's 100 evaluation seeds, and are not yet rows of the table. That no ANN of "
    "these is as cheap says how they were trained, not what an ANN needs.\n"
)
_HEAD = (
    *("task", "points", "best (at least)", "cheapest off", "cheapest lean", "lean / off"),
    *("cheapest ANN", "no ANN of these as cheap", "cheapest rival known (pilot)"),
)
_POINT_HEAD = (
    *("network", "arm", "seeds", "return", "operations", "zeros", "SynOps of the input"),
    "with that return",
)
_NONE = "–"


def front_section(found: Found) -> str:
    """Return the section on the front, with its figure where there is anything to show."""
    points = {name: front_points(found, task) for name, task in FRONT_TASKS.items()}
    points = {name: of_task for name, of_task in points.items() if of_task}
    if not points:
        return f"## The front\n\n{_TEXT}\nNothing of it has run yet.\n"
    verdicts = {name: verdict(of_task, FRONT_TASKS[name]) for name, of_task in points.items()}
    rows = [_row(FRONT_TASKS[name], points[name], found_) for name, found_ in verdicts.items()]
    parts = [
        f"## The front\n\n{_TEXT}",
        f"![Return against operations](images/{FIGURE}.png)\n",
        table(_HEAD, rows),
        _sentence(points, verdicts),
        *(_points(FRONT_TASKS[name], points[name], verdicts[name]) for name in points),
    ]
    return "\n".join(parts)


def _row(task: Task, points: Sequence[Point], judged: Verdict | None) -> list[str]:
    whole = sum(point.is_whole for point in points)
    start = [task.env_id, f"{whole} of {planned_points(task)}"]
    if judged is None:
        return [*start, *[_NONE] * 6, _rival(task)]
    digits = max(1, return_digits(task.env_id))
    return [
        *start,
        f"{judged.best:.{digits}f} ({judged.least:.{digits}f})",
        *(_named(point) for point in (judged.off, judged.lean)),
        _NONE if judged.ratio is None else f"{judged.ratio:.2f}",
        _named(judged.ann),
        ("yes" if judged.beats_anns else "**no**") if anns_are_whole(points, task) else _NONE,
        _rival(task),
    ]


def _rival(task: Task) -> str:
    """Return a task's cheapest rival known, which is none of the points."""
    rival = rival_of(task.env_id)
    return _NONE if rival is None else f"{rival.network}: {rival.operations}"


def _named(point: Point | None) -> str:
    if point is None:
        return _NONE
    name = point.configuration.removesuffix("-tanh").removesuffix("-relu").removesuffix("-gru")
    series = f", {point.series.removeprefix('ANN, ')}" if point.series.startswith("ANN") else ""
    return f"{name}{series}: {point.operations:,.0f}"


def _sentence(points: Mapping[str, Sequence[Point]], verdicts: Mapping[str, Verdict | None]) -> str:
    """Say on how many tasks the cheapest lean is as cheap as it shall be."""
    ratios = [x.ratio for x in verdicts.values() if x is not None and x.ratio is not None]
    halves, quarters = (sum(ratio <= most for ratio in ratios) for most in (0.5, 0.25))
    tasks = [name for name in points if anns_are_whole(points[name], FRONT_TASKS[name])]
    judged = [found for name in tasks if (found := verdicts[name]) is not None]
    ahead = sum(found.beats_anns for found in judged)
    return (
        f"At equal return the cheapest lean network needs at most half of the operations of the "
        f"cheapest off network on {halves} of {len(ratios)} tasks, and at most a quarter on "
        f"{quarters}; no ANN of these has that return with as few operations on {ahead} of "
        f"{len(judged)} tasks of which all ANNs have run.\n\n{_RIVALS}"
    )


def _points(task: Task, points: Sequence[Point], judged: Verdict | None) -> str:
    digits = max(1, return_digits(task.env_id))
    rows = [
        [
            point.configuration,
            point.series,
            str(len(point.outcomes)),
            f"{point.mean_return:,.{digits}f} ({min(point.returns):,.{digits}f} to "
            f"{max(point.returns):,.{digits}f})",
            f"{point.operations:,.0f}",
            _zeros(point),
            _input(point),
            "yes" if judged is not None and point.mean_return >= judged.least else "",
        ]
        for point in points
    ]
    return f"### {task.env_id}\n\n{table(_POINT_HEAD, rows)}"


def _zeros(point: Point) -> str:
    shares = [x.zero_share for x in point.outcomes if x.zero_share is not None]
    return f"{100 * np.mean(shares):.0f} %" if shares else ""


def _input(point: Point) -> str:
    synops = float(np.mean([x.input_synops for x in point.outcomes]))
    return f"{synops:,.0f}" if synops else ""
