"""Section of the lean study: the front of return against operations."""

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
from studies.lean.tables import Outcomes, return_digits
from studies.tables import table

FIGURE = "lean-front"
"""Name of the figure among the images."""

_TEXT = (
    "`python -m studies.lean front` trains networks of several sizes by reward:\n\n"
    "| family | hidden layers | time steps | arms |\n| --- | --- | --- | --- |\n"
    "| spiking | two of 64, 32, 16 or 8 neurons | 8, 4 or 2 | `off`, `lean` |\n"
    "| ANN, tanh or ReLU | two of 64, 32, 16, 8 or 4 units | – | – |\n"
    "| ANN, GRU (snn/EventTracking-v0) | two of 64 to 4 units | – | – |\n\n"
    "64-64-T8 and 64-64-tanh are arms of the pages before, where the zoo's twin has that size. The "
    "critic, which only training needs, has the sizes of the actor. Hyper-parameters are those of "
    "the agent and of its twin, which were chosen for 64 neurons. Multiplications by ReLU units "
    "that are zero are skipped and do not count as operations. Numbers are means over "
    f"{SEEDS} seeds, because the median of three hides the one that failed.\n\n"
    "snn/EventTracking-v0 is played by `recurrent-ppo-lsnn` with the 4 time steps of its "
    "observations. Its ANNs are GRUs, and `ppo-mlp` without memory with the same hyper-parameters. "
    "On its seeds 100 to 102 almost nothing was shed: recurrent spikes put behaviour beyond the "
    "bound for any weights, and lean needed 3.49 times the operations of the cheapest off. A bound "
    "out of reach now begins anew at a larger value, chosen on seed 1000 with 16-16-T4. Spiking "
    "networks have seeds 110 to 112 since, ANNs seeds 100 to 102.\n\n"
    "| column | meaning |\n| --- | --- |\n"
    "| best (at least) | highest return of all spiking networks; in brackets that return less the "
    "margin, the least return that counts as equal |\n"
    "| cheapest off, lean, ANN | the network with the fewest operations at that return, among "
    f"networks with all {SEEDS} seeds |\n"
    "| SynOps of the input | SynOps of the observation's spikes, which depend on the size of the "
    "first layer |\n"
)
_CHEAPEST = "**No network of this front is the cheapest known.**"
_RIVALS = (
    f"{_CHEAPEST} Its ANNs learned by reward, with settings "
    "chosen for 64 units. Small ANNs that a row of `ppo-lif` taught by DAgger keep the return with "
    "a small part of the operations: a linear policy on CartPole-v1, Acrobot-v1 and "
    "LunarLander-v3, 8-8 units on MountainCar-v0, Pendulum-v1, LunarLanderContinuous-v3 and "
    "InvertedDoublePendulum-v5. Their teaching took the environment steps of the table's agents "
    "made lean (◊). They were measured in a pilot on the table's 100 evaluation seeds and are not "
    "yet rows of the table. An ANN of this front that needs more operations shows how it was "
    "trained, not how many operations an ANN needs.\n"
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
_NOTHING = "No network of it has run yet."


def front_section(outcomes: Outcomes) -> str:
    """Return the section on the front, with its figure where a network of it has run."""
    points, verdicts = _judged(outcomes)
    if not points:
        return f"## The front\n\n{_TEXT}\n{_NOTHING}\n"
    parts = [
        f"## The front\n\n{_TEXT}",
        f"![Return against operations](../images/{FIGURE}.png)\n",
        table(_HEAD, _rows(points, verdicts)),
        f"{_sentence(points, verdicts)}\n{_RIVALS}",
        *(_points(FRONT_TASKS[name], points[name], verdicts[name]) for name in points),
    ]
    return "\n".join(parts)


def front_summary(outcomes: Outcomes) -> str:
    """Return the front's table with the cheapest network of each family, and its figure."""
    points, verdicts = _judged(outcomes)
    if not points:
        return f"{_NOTHING}\n"
    shown = [0, *range(2, len(_HEAD))]
    rows = [[row[i] for i in shown] for row in _rows(points, verdicts)]
    parts = [
        f"{_sentence(points, verdicts)}\n{_CHEAPEST}\n",
        table([_HEAD[i] for i in shown], rows),
        f"![Return against operations](images/{FIGURE}.png)\n",
    ]
    return "\n".join(parts)


def _judged(
    outcomes: Outcomes,
) -> tuple[dict[str, list[Point]], dict[str, Verdict | None]]:
    """Return the points of each task that has any, and the verdict on them."""
    points = {name: front_points(outcomes, task) for name, task in FRONT_TASKS.items()}
    points = {name: of_task for name, of_task in points.items() if of_task}
    return points, {name: verdict(of_task, FRONT_TASKS[name]) for name, of_task in points.items()}


def _rows(
    points: Mapping[str, Sequence[Point]], verdicts: Mapping[str, Verdict | None]
) -> list[list[str]]:
    return [_row(FRONT_TASKS[name], points[name], verdicts[name]) for name in points]


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
    """Return on how many tasks the cheapest lean network is cheap, and cheaper than ANNs."""
    ratios = [x.ratio for x in verdicts.values() if x is not None and x.ratio is not None]
    halves, quarters = (sum(ratio <= most for ratio in ratios) for most in (0.5, 0.25))
    tasks = [name for name in points if anns_are_whole(points[name], FRONT_TASKS[name])]
    judged = [x for name in tasks if (x := verdicts[name]) is not None]
    ahead = sum(x.beats_anns for x in judged)
    return (
        f"At equal return the cheapest lean network needs at most half of the operations of the "
        f"cheapest off network on {halves} of {len(ratios)} tasks, and at most a quarter on "
        f"{quarters}. On {ahead} of {len(judged)} tasks no ANN of the front reaches that return "
        "with as few operations.\n"
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
