"""Page of the lean study: shedding networks against networks that shed nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from studies.lean.outcome import Outcome
from studies.lean.plan import (
    FIXED,
    LEAN,
    OFF,
    OTHER_AGENTS,
    PRUNE,
    SECOND,
    SECOND_TASKS,
    SPIKES,
    SYNAPSE_SEED,
    SYNAPSE_TASKS,
    SYNAPSES,
    TASKS,
    TENTH,
    TENTH_SEED,
    TENTH_TASKS,
    WORST_TENTH,
    Task,
)
from studies.lean.tables import Outcomes, bound_cells, pairs, return_digits
from studies.tables import spread, table

_TITLE = "# Lean study: shedding against learning on\n"
_SYNAPSES = (
    "The tables above were run with `pruning` 0, which sheds spikes and keeps all synapses. The "
    "agents' present setting, `lean` here, sheds both. A spike costs the number of synapses that "
    "are left. The weakest synapses between spikes and a layer of neurons become zero, within the "
    "same bound on behaviour; it was chosen on seed 1000 of seven tasks. Two ablations stand "
    f"beside it: `{SPIKES}` sheds spikes alone, and `{PRUNE}` prunes synapses within the last "
    f"bound of `lean`. Seeds begin at {SYNAPSE_SEED}; `python -m studies.lean run --task "
    f"Pendulum-v1@{SYNAPSES} --arms off,lean,{SPIKES},{PRUNE}` runs one task. SynOps and "
    "operations include the spikes of the input. Factors and bounds are defined as above.\n"
)
_SYNAPSE_HEAD = (
    *("task", "arm", "seeds", "return, off", "return", "lower bound", "no loss"),
    *("operations, off", "operations", "factor", "SynOps, off", "SynOps", "SynOps factor"),
)


def shedding_page(outcomes: Outcomes) -> str:
    """Return the page of shedding against learning on."""
    sections = (_lean_section, _frozen_section, _tenth_section, _synapse_section, _others_section)
    return "\n".join([_TITLE, *(section(outcomes) for section in sections)])


def operations_factor(both: Sequence[tuple[Outcome, Outcome]]) -> float:
    """Return the geometric mean over seeds of the second arm's operations over the first's."""
    return float(np.exp(np.mean([np.log(b.operations / a.operations) for a, b in both])))


def synops_factor(both: Sequence[tuple[Outcome, Outcome]]) -> float:
    """Return the same of SynOps."""
    return float(np.exp(np.mean([b.log_synops - a.log_synops for a, b in both])))


def _lean_section(outcomes: Outcomes) -> str:
    text = (
        "`off` learns to the end of the budget. `lean` sheds spikes in the environment steps that "
        "are left after learning is over.\n\n"
        "| column | meaning |\n| --- | --- |\n"
        "| lower bound | one-sided 95 % bound of the difference in return to `off`, by Student's t "
        "over seeds; in brackets the margin, 5 % of the range from random play to `solved` (2 % on "
        "Pendulum-v1) |\n"
        "| no loss | yes where the lower bound is above the margin |\n"
        "| factor | geometric mean over seeds of the operations of `off` over those of `lean` |\n"
        "| SynOps factor | the same ratio of SynOps; 0 SynOps count as 1 |\n"
        "| time | CPU time of a training with `lean` over that of `off`; in brackets the largest "
        "of all seeds |\n"
    )
    second = (
        "The following table repeats three tasks with other seeds (`--task "
        f"MountainCar-v0@{SECOND}`). Arms of these tasks on the page of controls branch from this "
        "`off`. Two tasks, snn/CueAccumulation-v0 and MountainCar-v0, ran on a processor of "
        "another maker, where the same seed gives other weights. LunarLander-v3 has ten seeds here "
        f"and all controls except `{FIXED}`: with five seeds no difference can be significant "
        "after Holm's correction. Its controls were first judged after eight seeds, with p 0.051 "
        "for `small` and 0.047 for all others.\n"
    )
    parts = ["## Lean against off\n", text, _lean_table(outcomes, TASKS.values(), "task")]
    if any((task.env_id, task.label(LEAN)) in outcomes for task in SECOND_TASKS.values()):
        parts += [second, _lean_table(outcomes, SECOND_TASKS.values(), "task")]
    return "\n".join(parts)


def _frozen_section(outcomes: Outcomes) -> str:
    text = (
        "`off` learns on where `lean` stops. A loss against `off` may therefore come from learning "
        "that was not over, or from spikes that were needed. This table compares `lean` with its "
        "own frozen policy, the policy at the moment when learning was over, in the same "
        "evaluation episodes. Bound and margin are defined as above.\n"
    )
    return f"## Lean against its frozen policy\n\n{text}\n{_frozen_table(outcomes, TASKS.values())}"


def _tenth_section(outcomes: Outcomes) -> str:
    settings = ", ".join(f"`{name}` {value:g}" for name, value in WORST_TENTH.items())
    text = (
        "A bound on the mean over all states is too wide where few states decide, and too tight "
        "where each state matters a little. Here the bound applies to the tenth of the states with "
        f"the largest divergence ({settings}). These settings were chosen on seeds 1000 to 1003 of "
        "all tasks except LunarLander-v3, after the tables above were known. Seeds begin at "
        f"{TENTH_SEED}; `python -m studies.lean run --task CartPole-v1@{TENTH} --arms off,lean` "
        "runs one task. The first table compares with `off`, the second with the frozen policy.\n"
    )
    tasks = TENTH_TASKS.values()
    parts = _lean_table(outcomes, tasks, "task"), _frozen_table(outcomes, tasks)
    return f"## A bound for the worst tenth of the states\n\n{text}\n" + "\n".join(parts)


def _others_section(outcomes: Outcomes) -> str:
    text = (
        "The same settings with agents of other algorithms: "
        + ", ".join(
            f"`{task.agent}` on {task.env_id} ({task.steps:,} environment steps)"
            for task in OTHER_AGENTS.values()
        )
        + ".\n"
    )
    table = _lean_table(outcomes, OTHER_AGENTS.values(), "agent")
    why = (
        "`dqsn` needed a special treatment. The value of an action on CartPole-v1 is near 100, the "
        "sum of future rewards, and is made of spikes. Nearly half of its neurons therefore fire "
        "at every time step, with potentials of 2 to 3 thresholds, where the surrogate gradient is "
        "almost zero. Neurons that fire in at least 95 % of the time steps are folded into the "
        "biases of the next layer at the first update. This was chosen on two seeds:\n\n"
        "| seed | SynOps without folding | SynOps with folding |\n| --- | --- | --- |\n"
        "| 1000 | 711 | 2.4 |\n| 1001 | 1,882 | 468 |\n\n"
        "All four returns were 500. Without folding, seeds 110 to 114 fell from 2,711 to 2,505 "
        "SynOps at no loss. The other tables of this page were made before folding existed. Their "
        "agents have hardly any such neurons: one of 128 on LunarLander-v3, none elsewhere, in one "
        "agent per task of the results table's `ppo-lif`, `sac-lif` and `a2c-lif`.\n"
    )
    return f"## Other algorithms\n\n{text}\n{table}\n{why}"


def _lean_table(outcomes: Outcomes, tasks: Iterable[Task], kind: str) -> str:
    """Return the table of ``lean`` beside ``off``, a row for a task or for an agent."""
    rows = []
    for task in tasks:
        both = pairs(outcomes, task, LEAN, OFF)
        if len(both) < 2:
            continue
        lean, off = zip(*both, strict=True)
        digits = return_digits(task.env_id)
        rows.append(
            [
                task.agent if kind == "agent" else task.env_id,
                str(len(both)),
                spread([x.mean for x in off], digits),
                spread([x.mean for x in lean], digits),
                *bound_cells([a.mean - b.mean for a, b in both], task),
                f"{np.median([x.operations for x in off]):,.0f}",
                f"{np.median([x.operations for x in lean]):,.0f}",
                f"{operations_factor(both):.1f}",
                spread([x.hidden_synops for x in off]),
                spread([x.hidden_synops for x in lean]),
                f"{synops_factor(both):.1f}",
                time_cell(both, task),
            ]
        )
    head = [
        *(kind, "seeds", "return, off", "return, lean", "lower bound", "no loss"),
        *("operations, off", "operations, lean", "factor"),
        *("SynOps, off", "SynOps, lean", "SynOps factor", "time"),
    ]
    return table(head, rows)


def time_cell(both: Sequence[tuple[Outcome, Outcome]], task: Task) -> str:
    """Return the CPU time of a whole training with ``lean`` over that with ``off``.

    ``lean`` was trained from a checkpoint, up to which its training was that of ``off``.
    """
    ratios = [
        (a.seconds + b.seconds * a.branched_at / task.steps) / b.seconds
        for a, b in both
        if b.branched_at == 0
    ]
    return f"{np.median(ratios):.2f} ({max(ratios):.2f})" if ratios else ""


def _frozen_table(outcomes: Outcomes, tasks: Iterable[Task]) -> str:
    """Return the table of ``lean`` beside the policies that it froze."""
    rows = []
    for task in tasks:
        by_seed = outcomes.get((task.env_id, task.label(LEAN)), {}).values()
        frozen = [(x.mean, x.frozen_mean) for x in by_seed if x.frozen_mean is not None]
        if len(frozen) < 2:
            continue
        digits = return_digits(task.env_id)
        rows.append(
            [
                task.env_id,
                str(len(frozen)),
                spread([before for _, before in frozen], digits),
                spread([mean for mean, _ in frozen], digits),
                *bound_cells([mean - before for mean, before in frozen], task),
            ]
        )
    head = ["task", "seeds", "return, frozen", "return, lean", "lower bound", "no loss"]
    return table(head, rows)


def _synapse_section(outcomes: Outcomes) -> str:
    """Return the table of tasks and arms with at least two seeds."""
    rows = [
        _synapse_row(task, arm, both)
        for task in SYNAPSE_TASKS.values()
        for arm in (LEAN, SPIKES, PRUNE)
        if len(both := pairs(outcomes, task, arm, OFF)) >= 2
    ]
    return f"## Synapses too\n\n{_SYNAPSES}\n{table(_SYNAPSE_HEAD, rows)}"


def _synapse_row(task: Task, arm: str, both: Sequence[tuple[Outcome, Outcome]]) -> list[str]:
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
