"""Tables of deep networks and step sizes, which `studies.claims` writes into their pages."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy import stats

from snn_gym.envs.registry import load_environment_spec
from studies.gains.training import DEPTHS, FACTORS, STARTS, STEPS, Run, agents_of, read
from studies.statistics import holm
from studies.tables import table


def _solving(runs: Sequence[Run]) -> int:
    solved = load_environment_spec("CartPole-v1").reference.solved
    return sum(run.mean_return >= solved for run in runs)


def _until(runs: Sequence[Run]) -> list[float]:
    """Return the least, the middle and the largest of the steps until learned."""
    steps = sorted(math.inf if x.steps_until is None else x.steps_until for x in runs)
    return [steps[0], steps[len(steps) // 2], steps[-1]]


def _cell(runs: Sequence[Run]) -> str:
    """Return the median of steps until learned, and their range, in thousands."""
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


def steps_part() -> str:
    """Return the table of step sizes: thousand steps until learned, and ratios of medians."""
    rows = []
    for task in STEPS:
        arms = [f"{agent}/{factor}" for agent in agents_of(task) for factor in FACTORS]
        made = [read(f"steps/{task}/{arm}/") for arm in arms]
        if not all(made):
            continue
        middle = [_until(x)[1] for x in made]
        ratios = (middle[1] / middle[2], middle[1] / min(middle[2:]))
        cells = [f"{x:.2f}" if math.isfinite(x) else "–" for x in ratios]
        rows.append((task, str(min(map(len, made))), *map(_cell, made), *cells))
    head = (
        "Task", "Seeds", "Spiking", "Spiking, step size × 3", "Twin", "Twin, step size × 3",
        "Spiking × 3 / twin", "Spiking × 3 / better twin",
    )  # fmt: skip
    return table(head, rows)
