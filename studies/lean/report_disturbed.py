"""The part of the report about agents where something differs from training."""

from __future__ import annotations

from studies.lean.disturbed import DISTURBANCES, disturbed_label, disturbed_tasks
from studies.lean.plan import LEAN, OFF
from studies.lean.tables import Found, bound_cells, pairs, return_digits, spread, table

_TEXT = (
    "`python -m studies.lean disturbed` evaluates `off` and `lean` where something differs from "
    "training: `noise-0.1` and `noise-0.3` add Gaussian noise to each observation, in units of its "
    "standard deviation in training; or the pole is twice as long, the masses of the pendulum and "
    "of Acrobot's second link are 25 % larger, the car's force is 10 % smaller. Lower bound of the "
    "difference in return, `lean` minus `off`, as above.\n"
)


def disturbed_section(found: Found) -> str:
    """Return the section.

    Args:
        found: All outcomes.
    """
    rows = []
    for task in disturbed_tasks().values():
        for disturbance in DISTURBANCES[task.env_id]:
            labels = (disturbed_label(disturbance, arm) for arm in (LEAN, OFF))
            both = pairs(found, task, *labels)
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
    return f"## Where something differs from training\n\n{_TEXT}\n{table(head, rows)}"
