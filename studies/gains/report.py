"""Tables of deep networks and step sizes, which `studies.claims` writes into their pages."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from snn_gym.envs.registry import load_environment_spec
from studies.gains.training import DEPTHS, STARTS, STEP_ARMS, STEPS, Run, agents_of, read
from studies.statistics import holm
from studies.tables import table


def _solving(runs: Sequence[Run]) -> int:
    solved = load_environment_spec("CartPole-v1").reference.solved
    return sum(run.mean_return >= solved for run in runs)


def _until(runs: Sequence[Run]) -> list[float]:
    """Return the least, the middle and the largest of the steps until learned; NaN for no runs."""
    if not runs:
        return [math.nan] * 3
    steps = sorted(math.inf if x.steps_until is None else x.steps_until for x in runs)
    return [steps[0], steps[len(steps) // 2], steps[-1]]


def _cell(runs: Sequence[Run]) -> str:
    """Return the median of steps until learned, and their range, in thousands."""
    if not runs:
        return "–"
    cells = ["never" if math.isinf(x) else f"{x / 1000:.0f}" for x in _until(runs)]
    return cells[1] if cells[0] == cells[2] else f"{cells[1]} ({cells[0]} to {cells[2]})"


def depth_part() -> str:
    """Return the table of depths and starts, and of the tests at 16 layers."""
    rows = []
    for depth in sorted(DEPTHS):
        for start in STARTS:
            if made := read(f"depth/{depth}/{start}/"):
                returns = ", ".join(f"{x.mean_return:.0f}" for x in made)
                solving = f"{_solving(made)} of {len(made)}"
                rows.append((str(depth), start, solving, returns, _cell(made)))
    head = (
        "Layers", "Start", "Seeds that solve it", "Returns of the seeds",
        "Thousand steps until learned",
    )  # fmt: skip
    return table(head, rows) + "\n" + _tests()


def _tests() -> str:
    """Return Fisher's tests of relays against the rivals that were trained, at 16 layers."""
    runs = {start: read(f"depth/16/{start}/") for start in STARTS}
    runs = {start: x for start, x in runs.items() if x}
    counts = {start: (_solving(x), len(x) - _solving(x)) for start, x in runs.items()}
    own = counts.pop("relay")
    ps = holm([float(stats.fisher_exact([own, other]).pvalue) for other in counts.values()])
    rows = [
        (start, f"{own[0]} of {sum(own)}", f"{other[0]} of {sum(other)}", f"{p:.2g}")
        for (start, other), p in zip(counts.items(), ps, strict=True)
    ]
    return table(("Against, 16 layers", "Relay", "The other", "p (Fisher, Holm)"), rows)


def _arms(task: str) -> list[list[Run]]:
    """Return the runs of a task's arms: of the spiking agent, then of the twin."""
    return [read(f"steps/{task}/{agent}/{arm}/") for agent in agents_of(task) for arm in STEP_ARMS]


def steps_part() -> str:
    """Return the tables of step sizes: steps until learned of every arm, and their ratios."""
    cells, ratios = [], []
    for task in STEPS:
        arms = _arms(task)
        if not any(arms):
            continue
        cells.append((task, "/".join(str(len(x)) for x in arms), *map(_cell, arms)))
        plain, larger, held, twin, twin_larger, twin_held = (_until(x)[1] for x in arms)
        shares = (
            plain / twin,
            larger / twin,
            held / twin,
            held / plain,
            # The last is NaN, and so shown as none, until all arms are made.
            np.min([plain, larger, held]) / np.min([twin, twin_larger, twin_held]),
        )
        ratios.append((task, *(f"{x:.2f}" if 0 < x < math.inf else "–" for x in shares)))
    first = (
        "Task", "Seeds", "Spiking", "Spiking × 3", "Spiking, held", "Twin", "Twin × 3",
        "Twin, held",
    )  # fmt: skip
    second = (
        "Task", "Spiking / twin", "Spiking × 3 / twin", "Spiking, held / twin",
        "Spiking, held / spiking", "Best spiking / best twin",
    )  # fmt: skip
    return table(first, cells) + "\n" + table(second, ratios)


def divergences_part() -> str:
    """Return the table of the divergence of updates, medians over seeds."""
    rows = []
    for task in STEPS:
        found = [[x.divergence for x in runs if x.divergence is not None] for runs in _arms(task)]
        if any(found):
            rows.append((task, *(f"{np.median(x):.2g}" if x else "–" for x in found)))
    head = ("Task", "Spiking", "Spiking × 3", "Spiking, held", "Twin", "Twin × 3", "Twin, held")
    return table(head, rows)
