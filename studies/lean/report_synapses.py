"""What the report says about synapses that are shed with the spikes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from studies.lean.outcome import Outcome
from studies.lean.plan import LEAN, OFF, PRUNE, SPIKES, SYNAPSE_SEED, SYNAPSE_TASKS, SYNAPSES, Task
from studies.lean.tables import Found, bound_cells, pairs, return_digits, spread, table

_TEXT = (
    "All above was run with `pruning` 0. Since then a spike costs the synapses that are left, and "
    "the weakest of those that spikes pass into a layer of neurons are zero: 3 for each that is "
    "left, times the strength of the cost, which the same bound holds down (`lean` here, the "
    "agents' setting; chosen on seed 1000 of seven tasks). Beside it what each does alone: "
    f"`{SPIKES}` is `lean` as above, `{PRUNE}` prunes within the last bound of `lean` and no spike "
    f"costs anything. Seeds from {SYNAPSE_SEED} on; `python -m studies.lean run --task "
    f"Pendulum-v1@{SYNAPSES} --arms off,lean,{SPIKES},{PRUNE}`. SynOps are all, those of the "
    "input's spikes too, and so are operations. Factor: geometric mean over seeds of the "
    "operations of `off` over the arm's; SynOps factor: the same of SynOps. Lower bound of the "
    "difference in return to `off`, and what it must not be below: as above.\n"
)
_HEAD = (
    *("task", "arm", "seeds", "return, off", "return", "lower bound", "no loss"),
    *("operations, off", "operations", "factor", "SynOps, off", "SynOps", "SynOps factor"),
)


def synapse_section(found: Found) -> str:
    """Return the section, with the tasks and arms of which there are at least two seeds."""
    rows = [
        _row(task, arm, both)
        for task in SYNAPSE_TASKS.values()
        for arm in (LEAN, SPIKES, PRUNE)
        if len(both := pairs(found, task, arm, OFF)) >= 2
    ]
    return f"## Synapses too\n\n{_TEXT}\n{table(_HEAD, rows)}"


def _row(task: Task, arm: str, both: Sequence[tuple[Outcome, Outcome]]) -> list[str]:
    ours, off = zip(*both, strict=True)
    synops = np.array([[sum(x.synops.values()) for x in pair] for pair in both])
    whole = np.array([[x.operations + x.input_synops for x in pair] for pair in both])
    factors = [np.exp(np.mean(np.diff(np.log(np.maximum(1.0, x))))) for x in (whole, synops)]
    middle = np.median(whole, axis=0)
    digits = return_digits(task.env_id)
    return [
        task.env_id,
        arm,
        str(len(both)),
        spread([x.mean for x in off], digits),
        spread([x.mean for x in ours], digits),
        *bound_cells([a.mean - b.mean for a, b in both], task),
        *(f"{middle[1]:,.0f}", f"{middle[0]:,.0f}", f"{factors[0]:.1f}"),
        spread(synops[:, 1].tolist()),
        spread(synops[:, 0].tolist()),
        f"{factors[1]:.1f}",
    ]
