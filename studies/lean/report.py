"""Pages of the lean study: a summary of two screens, its tables, and a file of all seeds."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from snn_gym._base.storage import write_text_atomic
from studies.lean.figure_front import write_figure
from studies.lean.plan import LEAN, OFF, TASKS
from studies.lean.report_controls import control_summary, controls_page
from studies.lean.report_disturbed import disturbed_section
from studies.lean.report_front import front_section, front_summary
from studies.lean.report_rescue import rescue_section, rescue_summary
from studies.lean.report_settings import settings_page
from studies.lean.report_shedding import operations_factor, shedding_page, synops_factor
from studies.lean.report_twins import twin_section
from studies.lean.tables import Outcomes, bound_cells, pairs, read_outcomes, return_digits
from studies.tables import spread, table

FOLDER = "lean"
"""Folder of the pages behind the summary, in the folder of the documents."""

_HEAD = """# Lean study: fewest spikes at full return

Does an agent need all of its spikes? `lean` trains an agent until learning is over. For the rest
of the training it sheds spikes, under a bound on the divergence from its own frozen policy. `off`
learns on instead, from the same checkpoint with the same seed. Settings were chosen on seeds from
1000 on and frozen before the reported seeds ran ([how](lean/settings.md)).
"""

_TABLE = (
    "Returns are means of 100 evaluation episodes; cells are medians over seeds, with the smallest "
    "and the largest. Operations are those of a decision: SynOps of hidden spikes, "
    "multiply-accumulates and neuron updates. No loss: the one-sided 95 % bound of the difference "
    "in return is within 5 % of the range from random play to `solved` (2 % on Pendulum-v1).\n"
)

_CHEAPER = (
    "Factors against `off`, a network of 64-64 neurons and eight time steps, measure the shedding. "
    "They do not show that a shedding network is cheap. Smaller spiking networks that shed nothing "
    "and small ANNs need fewer operations on most tasks.\n"
)

_PAGES = (
    (
        "[Shedding](lean/shedding.md)",
        "`lean` against `off` and against its frozen policy; other bounds, algorithms; synapses",
    ),
    (
        "[Controls](lean/controls.md)",
        "other cost gradients, weight decay, fixed strength, pruning, smaller networks; shedding "
        "to a number of SynOps",
    ),
    (
        "[Rivals](lean/rivals.md)",
        "ANN twins; the front of return against operations, every network",
    ),
    (
        "[Robustness](lean/robustness.md)",
        "environments that differ from training; networks that start dead",
    ),
    ("[Settings](lean/settings.md)", "how settings were found; earlier results"),
    ("[Every seed](lean/seeds.csv)", "a CSV file"),
)
_COMMANDS = (
    "`python -m studies.lean report` writes these pages from `studies/lean/results`. The commands "
    "`run`, `twins`, `front`, `disturbed` and `rescue` train whatever is missing.\n"
)


def write_report(results: Path, docs: Path) -> list[Path]:
    """Write the summary, its pages, the file of seeds and the figure."""
    outcomes = read_outcomes(results)
    rivals = ["# Lean study: rivals\n", twin_section(outcomes), front_section(outcomes)]
    robustness = [
        "# Lean study: robustness\n",
        disturbed_section(outcomes),
        rescue_section(outcomes),
    ]
    pages = {
        "lean-study.md": _summary(outcomes),
        f"{FOLDER}/shedding.md": shedding_page(outcomes),
        f"{FOLDER}/controls.md": controls_page(outcomes),
        f"{FOLDER}/rivals.md": "\n".join(rivals),
        f"{FOLDER}/robustness.md": "\n".join(robustness),
        f"{FOLDER}/settings.md": settings_page(),
        f"{FOLDER}/seeds.csv": _seeds(outcomes),
    }
    write_figure(outcomes, docs / "images")
    (docs / FOLDER).mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        write_text_atomic(docs / name, text)
    return [docs / name for name in pages]


def _summary(outcomes: Outcomes) -> str:
    parts = (
        *(_HEAD, _in_short(outcomes), f"{_TABLE}\n{_lean_summary(outcomes)}"),
        f"## Is it the neuron's own signal?\n\n{control_summary(outcomes)}",
        f"## What is cheaper\n\n{_CHEAPER}\n{front_summary(outcomes)}",
        f"## Networks that start dead\n\n{rescue_summary(outcomes)}",
        f"## All tables\n\n{table(('page', 'contents'), _PAGES)}\n{_COMMANDS}",
    )
    return "\n".join(part for part in parts if part)


def _lean_summary(outcomes: Outcomes) -> str:
    """Return the table of `lean` and `off` with the columns that matter most."""
    rows = []
    for task in TASKS.values():
        both = pairs(outcomes, task, LEAN, OFF)
        if len(both) < 2:
            continue
        lean, off = zip(*both, strict=True)
        digits = return_digits(task.env_id)
        rows.append(
            [
                *(task.env_id, str(len(both))),
                *(spread([x.mean for x in arm], digits) for arm in (off, lean)),
                bound_cells([a.mean - b.mean for a, b in both], task)[1],
                *(f"{np.median([x.operations for x in arm]):,.0f}" for arm in (off, lean)),
                *(f"{factor(both):.1f}" for factor in (operations_factor, synops_factor)),
            ]
        )
    head = [
        *("task", "seeds", "return, off", "return, lean", "no loss"),
        *("operations, off", "operations, lean", "fewer operations", "fewer SynOps"),
    ]
    return table(head, rows)


def _in_short(outcomes: Outcomes) -> str:
    """Return the savings of `lean`, and the tasks with and without a loss."""
    tasks: dict[bool, list[str]] = {True: [], False: []}
    factors = list[list[float]]()
    for task in TASKS.values():
        both = pairs(outcomes, task, LEAN, OFF)
        if len(both) >= 2:
            _, verdict = bound_cells([a.mean - b.mean for a, b in both], task)
            tasks[verdict == "yes"].append(task.env_id)
            if verdict == "yes":
                factors.append([operations_factor(both), synops_factor(both)])
    if not factors:
        return ""
    lost = f" A loss is not excluded on {', '.join(tasks[False])}." if tasks[False] else ""
    low, high = np.min(factors, axis=0), np.max(factors, axis=0)
    return (
        f"**In short**: `lean` spends {low[0]:.1f} to {high[0]:.1f} times fewer operations than "
        f"`off` ({low[1]:.1f} to {high[1]:.1f} times fewer SynOps) at no loss of return on "
        f"{', '.join(tasks[True])}.{lost}\n"
    )


def _seeds(outcomes: Outcomes) -> str:
    """Return every seed of every arm as CSV."""
    rows = [
        [
            *(task, arm, seed, f"{x.mean:.2f}", f"{x.hidden_synops:.0f}"),
            "" if x.begun_at is None else f"{x.begun_at:.2f}",
            "" if x.last_bound is None else f"{x.last_bound:.3g}",
            f"{x.seconds:.0f}",
        ]
        for (task, arm), by_seed in sorted(outcomes.items())
        for seed, x in sorted(by_seed.items())
    ]
    head = ["task", "arm", "seed", "return", "synops", "learning_over_at", "last_bound", "cpu_s"]
    with io.StringIO() as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows])
        return file.getvalue()
