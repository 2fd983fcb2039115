"""Tables of the study's pages."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from snn_gym._base.storage import write_text_atomic
from studies.gains.training import ARMS, TASKS, Run, read
from studies.rows import ROOT
from studies.statistics import holm
from studies.tables import table

DEEP, EFFICIENCY = ROOT / "docs" / "deep-networks.md", ROOT / "docs" / "learning-efficiency.md"
SOLVED = 475.0
COMPARED = "relay, 16 layers"
RIVALS = ("plain, 16 layers", "flat surrogate, 16 layers", "tanh, 16 layers")


def _solving(runs: Sequence[Run]) -> int:
    return sum(run.mean_return >= SOLVED for run in runs)


def _until(runs: Sequence[Run]) -> str:
    """Return the median of steps until learned, and the smallest and largest, in thousands."""
    cells = ["never" if math.isinf(x) else f"{x / 1000:.0f}" for x in _quantiles(runs)]
    return cells[1] if cells[0] == cells[2] else f"{cells[1]} ({cells[0]} to {cells[2]})"


def _quantiles(runs: Sequence[Run]) -> list[float]:
    ordered = sorted(run.steps_until for run in runs)
    return [ordered[0], ordered[len(ordered) // 2], ordered[-1]]


def _by_arm(question: str) -> dict[tuple[str, str], list[Run]]:
    found: dict[tuple[str, str], list[Run]] = {}
    for run in read():
        if run.question == question:
            found.setdefault((run.arm, run.task), []).append(run)
    return found


def depth_table() -> str:
    """Return the table of depths and starts, and of the tests at 16 layers."""
    runs = {arm: x for (arm, _), x in _by_arm("depth").items()}
    rows = []
    for arm in sorted({x.name for x in ARMS["depth"]} & runs.keys(), key=_order):
        start, layers = arm.removesuffix(" layers").rsplit(", ", 1)
        made = runs[arm]
        returns = ", ".join(f"{x.mean_return:.0f}" for x in sorted(made, key=lambda x: x.seed))
        rows.append((layers, start, f"{_solving(made)} of {len(made)}", returns, _until(made)))
    head = (
        "Layers", "Start", "Seeds that solve it", "Returns of the seeds",
        "Thousand steps until learned",
    )  # fmt: skip
    return table(head, rows) + "\n" + _tests(runs)


def _order(arm: str) -> tuple[int, int]:
    start, layers = arm.removesuffix(" layers").rsplit(", ", 1)
    return int(layers), ["relay", "plain", "flat surrogate", "tanh"].index(start)


def _tests(runs: dict[str, list[Run]]) -> str:
    pairs = [(x, runs[COMPARED], runs[x]) for x in RIVALS if x in runs and COMPARED in runs]
    counts = [
        [[_solving(y), len(y) - _solving(y)] for y in (one, other)] for _, one, other in pairs
    ]
    ps = holm([float(stats.fisher_exact(x).pvalue) for x in counts])
    rows = [
        (name, f"{_solving(one)} of {len(one)}", f"{_solving(other)} of {len(other)}", f"{p:.2g}")
        for (name, one, other), p in zip(pairs, ps, strict=True)
    ]
    return table(("Against", "Relay", "The other", "p (Fisher, Holm)"), rows)


def steps_table() -> str:
    """Return the table of step sizes: thousand steps until learned, and ratios of medians."""
    found, rows = _by_arm("steps"), []
    for task in TASKS:
        arms = [arm.name for arm in ARMS["steps"] if arm.task == task]
        made = [found.get((arm, task), []) for arm in arms]
        if not all(made):
            continue
        middle = [_quantiles(x)[1] for x in made]
        ratios = (middle[1] / middle[2], middle[1] / min(middle[2:]))
        cells = ["–" if not np.isfinite(x) else f"{x:.2f}" for x in ratios]
        rows.append((task, str(min(map(len, made))), *map(_until, made), *cells))
    head = (
        "Task", "Seeds", "Spiking", "Spiking, step size × 3", "Twin", "Twin, step size × 3",
        "Spiking × 3 / twin", "Spiking × 3 / better twin",
    )  # fmt: skip
    return table(head, rows)


def _write(page: Path, name: str, text: str) -> None:
    part = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    before = page.read_text(encoding="utf-8")
    write_text_atomic(page, part.sub(lambda x: f"{x[1]}{text}{x[2]}", before))


def write() -> None:
    """Write the marked parts of both pages."""
    _write(DEEP, "depth", depth_table())
    _write(EFFICIENCY, "step sizes", steps_table())
