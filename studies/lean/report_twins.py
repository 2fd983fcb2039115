"""Section of the lean study: ANN twins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from studies.lean.outcome import Outcome
from studies.lean.plan import LEAN, TASKS, Task
from studies.lean.tables import Outcomes, bound_cells, pairs, return_digits
from studies.lean.twins import TWIN, twin_of
from studies.tables import spread, table

_TEXT = (
    "`python -m studies.lean twins` trains the ANN twin that the zoo names for a task's agent, "
    "with the same seeds and environment steps. The operations of a twin are multiply-accumulates "
    "and neuron updates; no multiply-accumulate is skipped. Ratio: median operations of `lean` "
    "over those of the twin. Lower bound: of the difference in return to the twin, with its margin "
    "in brackets. The last column holds the SynOps of the input's spikes, where a task has them: "
    "the medians of `lean` and of the twin.\n"
)
_HEAD = (
    *("task", "twin", "seeds", "return, lean", "return, twin", "lower bound", "not inferior"),
    *("operations, lean", "operations, twin", "ratio", "SynOps of the input"),
)


def twin_section(outcomes: Outcomes) -> str:
    """Return the table of lean and ANN twins, of tasks with at least two seeds of both."""
    rows = [
        _row(task, both)
        for task in TASKS.values()
        if len(both := pairs(outcomes, task, LEAN, TWIN)) >= 2
    ]
    return f"## Beside the ANN twin\n\n{_TEXT}\n{table(_HEAD, rows)}"


def _row(task: Task, both: Sequence[tuple[Outcome, Outcome]]) -> list[str]:
    lean, twin = zip(*both, strict=True)
    operations = [[x.operations for x in arm] for arm in (lean, twin)]
    inputs = [np.median([x.input_synops for x in arm]) for arm in (lean, twin)]
    digits = return_digits(task.env_id)
    return [
        task.env_id,
        twin_of(task),
        str(len(both)),
        spread([x.mean for x in lean], digits),
        spread([x.mean for x in twin], digits),
        *bound_cells([a.mean - b.mean for a, b in both], task),
        *(spread(values) for values in operations),
        f"{np.median(operations[0]) / np.median(operations[1]):.2f}",
        f"{inputs[0]:,.0f} / {inputs[1]:,.0f}" if any(inputs) else "",
    ]
