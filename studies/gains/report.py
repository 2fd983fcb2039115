"""Tables of deep networks and step sizes, which `studies.claims` writes into their pages."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from snn_gym.envs.registry import load_environment_spec
from studies.gains.training import DEPTHS, STARTS, STEP_ARMS, STEPS, Run, agents_of, read
from studies.statistics import holm, rank_sum_p
from studies.tables import table


def _solving(runs: Sequence[Run]) -> int:
    solved = load_environment_spec("CartPole-v1").reference.solved
    return sum(run.mean_return >= solved for run in runs)


def _all_until(runs: Sequence[Run]) -> list[float]:
    """Return the steps until learned of all runs, in their order of size."""
    return sorted(math.inf if x.steps_until is None else x.steps_until for x in runs)


def _until(runs: Sequence[Run]) -> list[float]:
    """Return the least, the middle and the largest of the steps until learned."""
    steps = _all_until(runs)
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


def _arm(task: str, agent: str, arm: str, seeds: range) -> list[Run]:
    names = [f"steps/{task}/{agent}/{arm}/{seed}" for seed in seeds]
    return [run for name in names for run in read(name)]


def steps_part(arm: str, seeds: range) -> str:
    """Return the table of an arm of step sizes beside the zoo's: thousand steps until learned."""
    rows = []
    for task in STEPS:
        made = [_arm(task, x, y, seeds) for x in agents_of(task) for y in ("1", arm.strip("× "))]
        if not all(made):
            continue
        plain, larger, twin, twin_larger = (_until(x)[1] for x in made)
        ratios = plain / twin, larger / plain, larger / twin, larger / min(twin, twin_larger)
        shown = (f"{x:.2f}" if 0 < x < math.inf else "–" for x in ratios)
        rows.append((task, str(min(map(len, made))), *map(_cell, made), *shown))
    head = (
        "Task", "Seeds", "Spiking", f"Spiking, {arm}", "Twin", f"Twin, {arm}", "Spiking / twin",
        f"{arm} / spiking", f"{arm} / twin", f"{arm} / better twin",
    )  # fmt: skip
    return table(head, rows)


def held_part() -> str:
    """Return the table of held step sizes, and the rank tests over all tasks once all are made."""
    arm, seeds = "held", range(51, 56)
    pairs: list[list[tuple[list[float], list[float]]]] = [[], []]
    for task in STEPS:
        spiking, twin = agents_of(task)
        held, plain, other = (
            _all_until(_arm(task, *x, seeds)) for x in ((spiking, arm), (spiking, "1"), (twin, arm))
        )
        if min(map(len, (held, plain, other))) < len(seeds):
            return steps_part(arm, seeds)
        pairs[0].append((held, plain))
        pairs[1].append((held, other))
    against_plain, against_twin = holm([rank_sum_p(x) for x in pairs])
    return (
        f"{steps_part(arm, seeds)}\nRank tests over all tasks, by Holm: held against plain spiking "
        f"agents p = {against_plain:.2g}, held spiking agents against held twins p = "
        f"{against_twin:.2g}.\n"
    )


def divergences_part() -> str:
    """Return the table of the divergence of updates, medians over seeds."""
    rows = []
    for task in STEPS:
        arms = [_arm(task, x, y, range(50, 56)) for x in agents_of(task) for y in STEP_ARMS]
        found = [[x.divergence for x in runs if x.divergence is not None] for runs in arms]
        if any(found):
            rows.append((task, *(f"{np.median(x):.2g}" if x else "–" for x in found)))
    head = ("Task", "Spiking", "Spiking, × 3", "Spiking, held", "Twin", "Twin, × 3", "Twin, held")
    return table(head, rows)
