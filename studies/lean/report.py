"""Write what the study found, from the files of its arms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from snn_gym._base.storage import write_text_atomic
from studies.lean.figure_front import write_figure
from studies.lean.outcome import Outcome
from studies.lean.plan import (
    ARMS,
    FIXED,
    LEAN,
    OFF,
    OTHER_AGENTS,
    PRUNE,
    SECOND,
    SECOND_TASKS,
    SMALL,
    STRENGTHS,
    TASKS,
    TENTH,
    TENTH_SEED,
    TENTH_TASKS,
    TUNING_SEEDS,
    WORST_TENTH,
    Task,
)
from studies.lean.report_disturbed import disturbed_section
from studies.lean.report_front import front_section
from studies.lean.report_rescue import rescue_section
from studies.lean.report_seeds import seed_section
from studies.lean.report_synapses import synapse_section
from studies.lean.report_twins import twin_section
from studies.lean.tables import Found, bound_cells, pairs, read_found, return_digits, spread, table
from studies.statistics import holm_by_name, sign_flip_p

CONTROLS = ("shuffled", "uniform", "scale", "blind", FIXED, PRUNE, SMALL)
_FEWEST_BUDGETED = 5
"""Seeds without which a number of SynOps has no row; every seed has one in the last table."""
BUDGETS = tuple(arm for arm in ARMS if arm.startswith("synops-"))
_ALL_TASKS = (*TASKS.values(), *SECOND_TASKS.values())

_HEAD = """# Fewest spikes at full return, and rescue of networks that start dead

Written by `python -m studies.lean report` from `studies/lean/results`; `python -m studies.lean
run` and `python -m studies.lean rescue` train what is missing. An arm's `off` goes on learning
to the end of the budget; all other arms branch from its last checkpoint before learning is
found to be over, with the same seed, and shed spikes in the environment steps that are left.
Settings were chosen on seeds from 1000 on and were frozen before the seeds below were run
([how](#how-settings-were-found)).

Returns are means of 100 evaluation episodes. Operations are those of a decision: SynOps of hidden
spikes (those of input spikes are the same for all arms), multiply-accumulates and neuron updates.
SynOps alone stand beside; on CartPole-v1 and Acrobot-v1 they are a tenth of what is left, or less.
Cells are medians over seeds, with the smallest and the largest.

`off` is a network of 64-64 neurons and eight time steps. Factors against it say what shedding takes
away, not that a network which sheds is the cheapest one: smaller networks that shed nothing stand
among the [controls](#controls) (`small`) and in [the front](#the-front), with the cheapest rivals
known, small ANNs.
"""


_CONTROLS_TEXT = (
    "The same inner bound as `lean` had in the end, but the whole gradient of the cost goes to "
    "another neuron of the layer (`shuffled`), is the layer's mean (`uniform`), is that mean for "
    "thresholds alone (`scale`: one of each layer is raised), or is the decay of weights and "
    "biases, to which spikes are nothing (`blind`). Or neurons are told what they are in `lean`, "
    f"at a fixed strength (`{FIXED}`, in brackets): of five the one of the fewest SynOps whose "
    f"mean return was within the margin, on seeds {TUNING_SEEDS[0]} to {TUNING_SEEDS[-1]} of the "
    f"task (`python -m studies.lean choose`), from {STRENGTHS[0]:g} to {STRENGTHS[-1]:g}: of 0.3 "
    "to 10, tried first, the largest was best on four tasks of four, and so is the largest of "
    "these. Or no spike costs anything, and the weakest synapses "
    f"into each layer of neurons are zero (`{PRUNE}`), more of them while behaviour is within the "
    "bound: these do not count as SynOps; those of the readout stay, and those from analogue "
    "observations did not, which no spike passes: it was the worse for that but on snn/CartPole-v1 "
    "and snn/CueAccumulation-v0 ([spared](#synapses-too) it is close). Or the policy that "
    "`lean` froze is taught to networks of 8-8, "
    f"16-16 and 32-32 (`{SMALL}`), each in the environment steps that are left and at no cost of "
    "spikes, and the smallest one within the bound stands for it, else the whole network. "
    "Fewer than `lean`: seeds on which the control needs fewer operations in all. SynOps factor: "
    "geometric mean of the control's SynOps over those of `lean`, a seed that lost return "
    "counting with those of `off`, for both; p: one-sided paired permutation test of that over "
    "seeds, and adjusted by Holm for all tests of the task. The closest control comes first.\n"
)


def write_report(results: Path, docs: Path) -> Path:
    """Write the report and its figure from the arms there are.

    Args:
        results: Folder of all results.
        docs: Folder to write into; the figure goes to its folder images.

    Returns:
        The document.
    """
    found = read_found(results)
    parts = [
        _HEAD,
        _in_short(found),
        _lean_section(found),
        _frozen_section(found),
        _tenth_section(found),
        synapse_section(found),
        _others_section(found),
        _control_section(found),
        _budget_section(found),
        twin_section(found),
        front_section(found),
        disturbed_section(found),
        rescue_section(found),
        seed_section(found),
    ]
    write_figure(found, docs / "images")
    path = docs / "lean-study.md"
    write_text_atomic(path, "\n".join(parts))
    return path


def _in_short(found: Found) -> str:
    """Return in one sentence what `lean` saves, and on which tasks at no loss."""
    tasks: dict[bool, list[str]] = {True: [], False: []}
    factors = list[list[float]]()
    for task in TASKS.values():
        both = pairs(found, task, LEAN, OFF)
        if len(both) >= 2:
            _, verdict = bound_cells([a.mean - b.mean for a, b in both], task)
            tasks[verdict == "yes"].append(task.env_id)
            if verdict == "yes":
                factors.append([_operations_factor(both), _synops_factor(both)])
    if not factors:
        return ""
    lost = f"; a loss is not excluded on {', '.join(tasks[False])}" if tasks[False] else ""
    low, high = np.min(factors, axis=0), np.max(factors, axis=0)
    return (
        f"**In short**: `lean` spends {low[0]:.1f} to {high[0]:.1f} times fewer operations than "
        f"`off` ({low[1]:.1f} to {high[1]:.1f} times fewer SynOps) at no loss of return on "
        f"{', '.join(tasks[True])}{lost}.\n"
    )


def _operations_factor(both: Sequence[tuple[Outcome, Outcome]]) -> float:
    """Return the geometric mean over seeds of the second arm's operations over the first's."""
    return float(np.exp(np.mean([np.log(b.operations / a.operations) for a, b in both])))


def _synops_factor(both: Sequence[tuple[Outcome, Outcome]]) -> float:
    """Return the same of SynOps."""
    return float(np.exp(np.mean([b.log_synops - a.log_synops for a, b in both])))


def _lean_section(found: Found) -> str:
    text = (
        "Lower bound: one-sided 95 % bound, by Student's t over seeds, of the difference in "
        "return to `off`; it must not be below the number in brackets, 5 % of the range from "
        "random play to `solved` (2 % on Pendulum-v1). Factor: geometric mean over seeds of "
        "the operations of `off` over those of `lean`; SynOps factor: the same of SynOps, none "
        "counting as one. Time: CPU time of a training with "
        "`lean` over that of `off`, the largest of all seeds in brackets.\n"
    )
    second = (
        f"Once more, with other seeds (`--task MountainCar-v0@{SECOND}`); the arms of these tasks "
        "below that are named so branch from this `off`. snn/CueAccumulation-v0 and MountainCar-v0 "
        "ran on a processor of another maker, where the same seed gives other weights. "
        f"LunarLander-v3 has ten seeds here and all controls but `{FIXED}`, because of five seeds "
        "nothing can be significant after Holm's correction. They were judged after eight first, "
        "where `small` had p 0.051 and all others 0.047.\n"
    )
    parts = ["## Lean against off\n", text, _lean_table(found, TASKS.values(), "task")]
    if any((task.env_id, task.label(LEAN)) in found for task in SECOND_TASKS.values()):
        parts += [second, _lean_table(found, SECOND_TASKS.values(), "task")]
    return "\n".join(parts)


def _others_section(found: Found) -> str:
    text = (
        "The same with agents that learn in other ways, at the same settings: "
        + ", ".join(
            f"`{task.agent}` on {task.env_id} ({task.steps:,} environment steps)"
            for task in OTHER_AGENTS.values()
        )
        + ".\n"
    )
    table = _lean_table(found, OTHER_AGENTS.values(), "agent")
    why = (
        "A value of an action is near 100 on CartPole-v1, the sum of rewards to come, and is made "
        "of spikes: nearly half of the neurons of `dqsn` fire at every time step, with potentials "
        "of 2 to 3 thresholds, where the surrogate gradient is next to nothing. Neurons that fire "
        "in 95 % of the time steps and more are folded into the biases of what they drive, at the "
        "first update; chosen on seeds 1000 and 1001, where 711 and 1,882 SynOps were left without "
        "and 2.4 and 468 with it, at returns of 500. Without it seeds 110 to 114 went from 2,711 "
        "to 2,505 SynOps at no loss. The other tables were made before. Their agents have hardly "
        "any such neurons: of the results table's `ppo-lif`, `sac-lif` and `a2c-lif`, one agent of "
        "a task, those of LunarLander-v3 have one of 128 and the others none.\n"
    )
    return f"## Other algorithms\n\n{text}\n{table}\n{why}"


def _tenth_section(found: Found) -> str:
    settings = ", ".join(f"`{name}` {value:g}" for name, value in WORST_TENTH.items())
    text = (
        "A mean over all states is too wide a bound where few states decide, and too tight where "
        "each matters a little. Here the bound is for the tenth of the states in which behaviour "
        f"is farthest off ({settings}; chosen on seeds 1000 to 1003 of all tasks but "
        "LunarLander-v3, after the tables above), on seeds from "
        f"{TENTH_SEED} on: `python -m studies.lean run --task CartPole-v1@{TENTH} --arms "
        "off,lean`. First against `off`, then against what it froze.\n"
    )
    tasks = TENTH_TASKS.values()
    parts = _lean_table(found, tasks, "task"), _frozen_table(found, tasks)
    return f"## A bound for the worst tenth of the states\n\n{text}\n" + "\n".join(parts)


def _lean_table(found: Found, tasks: Iterable[Task], kind: str) -> str:
    """Return the table of ``lean`` beside ``off``, a row for a task or for an agent."""
    rows = []
    for task in tasks:
        both = pairs(found, task, LEAN, OFF)
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
                f"{_operations_factor(both):.1f}",
                spread([x.hidden_synops for x in off]),
                spread([x.hidden_synops for x in lean]),
                f"{_synops_factor(both):.1f}",
                _time_cell(both, task),
            ]
        )
    head = [
        *(kind, "seeds", "return, off", "return, lean", "lower bound", "no loss"),
        *("operations, off", "operations, lean", "factor"),
        *("SynOps, off", "SynOps, lean", "SynOps factor", "time"),
    ]
    return table(head, rows)


def _time_cell(both: Sequence[tuple[Outcome, Outcome]], task: Task) -> str:
    """Return the CPU time of a whole training with ``lean`` over that with ``off``.

    ``lean`` was trained from a checkpoint, up to which its training was that of ``off``.
    """
    ratios = [
        (a.seconds + b.seconds * a.branched_at / task.steps) / b.seconds
        for a, b in both
        if b.branched_at == 0
    ]
    return f"{np.median(ratios):.2f} ({max(ratios):.2f})" if ratios else ""


def _frozen_section(found: Found) -> str:
    text = (
        "`off` goes on learning where `lean` stops, so that a loss may come of either: of "
        "learning that was not over, or of spikes that were needed. Here `lean` beside its own "
        "policy at the moment when learning was found to be over, in the same evaluation "
        "episodes; bound and margin as above.\n"
    )
    return f"## Lean against what it froze\n\n{text}\n{_frozen_table(found, TASKS.values())}"


def _frozen_table(found: Found, tasks: Iterable[Task]) -> str:
    """Return the table of ``lean`` beside the policies that it froze."""
    rows = []
    for task in tasks:
        outcomes = found.get((task.env_id, task.label(LEAN)), {}).values()
        frozen = [(x.mean, x.frozen_mean) for x in outcomes if x.frozen_mean is not None]
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


def _log_synops(outcome: Outcome, off: Outcome, task: Task) -> float:
    """Return the logarithm of an arm's SynOps, those of ``off`` where return was lost."""
    kept = outcome.mean >= off.mean - task.allowed_loss
    return (outcome if kept else off).log_synops


def _with_choice(control: str, outcomes: Iterable[Outcome]) -> str:
    """Return a control's name, with what was chosen for it: a strength, or sizes by their seeds."""
    if control == FIXED:
        chosen = sorted({x.settings["first_strength"] for x in outcomes})
        return f"{control} ({', '.join(f'{x:g}' for x in chosen)})"
    if control == SMALL:
        sizes = Counter(_sizes(x) for x in outcomes)
        return f"{control} ({', '.join(f'{count} × {x}' for x, count in sorted(sizes.items()))})"
    return control


def _sizes(outcome: Outcome) -> str:
    sizes = outcome.network.get("hidden_sizes")
    return "whole" if sizes is None else "-".join(str(x) for x in sizes)


def _control_section(found: Found) -> str:
    rows = []
    for task in _ALL_TASKS:
        p_values, shown = {}, {}
        off = found.get((task.env_id, task.label(OFF)), {})
        for control in CONTROLS:
            both = pairs(found, task, LEAN, control)
            both = [(a, b) for a, b in both if a.seed in off]
            if len(both) < 2:
                continue
            differences = [
                _log_synops(a, off[a.seed], task) - _log_synops(b, off[b.seed], task)
                for a, b in both
            ]
            p_values[control] = sign_flip_p(differences)
            lost = sum(b.mean < off[b.seed].mean - task.allowed_loss for _, b in both)
            shown[control] = (
                f"{np.median([b.operations for _, b in both]):,.0f}",
                f"{sum(b.operations < a.operations for a, b in both)} of {len(both)}",
                spread([b.hidden_synops for _, b in both]),
                f"{np.exp(-np.mean(differences)):.2f}",
                f"{lost} of {len(both)}",
            )
        adjusted = holm_by_name(p_values)
        for control in sorted(shown, key=lambda name: float(shown[name][3])):
            name = _with_choice(control, found[task.env_id, task.label(control)].values())
            p = f"{p_values[control]:.3f}", f"{adjusted[control]:.3f}", str(len(p_values))
            rows.append([task.name, name, *shown[control], *p])
    head = [
        *("task", "control", "operations", "fewer than `lean`", "SynOps", "SynOps factor"),
        *("seeds that lost return", "p", "p, Holm", "tests"),
    ]
    return f"## Controls\n\n{_CONTROLS_TEXT}\n{table(head, rows)}"


def _budget_section(found: Found) -> str:
    rows = []
    for task in _ALL_TASKS:
        for arm in BUDGETS:
            both = pairs(found, task, arm, OFF)
            if len(both) < _FEWEST_BUDGETED:
                continue
            most = float(arm.removeprefix("synops-"))
            over = sum(a.hidden_synops > most for a, _ in both)
            rows.append(
                [
                    task.name,
                    f"{most:,.0f}",
                    spread([a.hidden_synops for a, _ in both]),
                    f"{over} of {len(both)}",
                    spread([a.mean for a, _ in both], return_digits(task.env_id)),
                    bound_cells([a.mean - b.mean for a, b in both], task)[1],
                ]
            )
    head = ["task", "max_synops", "SynOps", "seeds above", "return", "no loss"]
    text = (
        f"Here are numbers that {_FEWEST_BUDGETED} seeds or more were given; the last table has "
        "all, also those of two seeds of LunarLander-v3, one of which spends 1,503 where 250 are "
        "allowed.\n"
    )
    return f"## Best return within a number of SynOps\n\n{text}\n{table(head, rows)}"
