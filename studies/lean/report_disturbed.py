"""Section of the lean study: environments that differ from training."""

from __future__ import annotations

from studies.lean.disturbed import DISTURBANCES, disturbed_label, disturbed_tasks
from studies.lean.plan import LEAN, OFF
from studies.lean.tables import Outcomes, bound_cells, pairs, return_digits
from studies.tables import spread, table

_TEXT = (
    "`python -m studies.lean disturbed` evaluates `off` and `lean` in environments that differ "
    "from training. Lower bound: of the difference in return, `lean` minus `off`, with its margin "
    "in brackets.\n\n"
    "| disturbance | change |\n| --- | --- |\n"
    "| `noise-0.1`, `noise-0.3` | Gaussian noise on each observation, in units of its standard "
    "deviation in training |\n"
    "| `longer-pole` | the pole is twice as long |\n"
    "| `heavier`, `heavier-link` | the mass of the pendulum, or of Acrobot's second link, is 25 % "
    "larger |\n"
    "| `weaker-motor` | the car's force is 10 % smaller |\n"
)


def disturbed_section(outcomes: Outcomes) -> str:
    """Return the table of disturbances."""
    rows = []
    for task in disturbed_tasks().values():
        for disturbance in DISTURBANCES[task.env_id]:
            labels = (disturbed_label(disturbance, arm) for arm in (LEAN, OFF))
            both = pairs(outcomes, task, *labels)
            if len(both) < 2:
                continue
            lean, off = zip(*both, strict=True)
            digits = return_digits(task.env_id)
            rows.append(
                [
                    task.env_id,
                    disturbance.name,
                    str(len(both)),
                    spread([x.mean for x in off], digits),
                    spread([x.mean for x in lean], digits),
                    *bound_cells([a.mean - b.mean for a, b in both], task),
                ]
            )
    head = [
        *("task", "disturbance", "seeds", "return, off", "return, lean"),
        *("lower bound", "no loss"),
    ]
    return f"## Environments that differ from training\n\n{_TEXT}\n{table(head, rows)}"
