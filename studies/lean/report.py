"""Write what the study found, from the files of its arms."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snn_gym.registry import load_environment_spec
from snn_gym.storage import write_text_atomic
from studies.lean.figure_front import write_figure
from studies.lean.outcome import Outcome
from studies.lean.plan import ARMS, LEAN, OFF, TASKS, Task
from studies.lean.report_front import front_section
from studies.lean.report_twins import twin_section
from studies.lean.rescue import ARMS as RESCUES
from studies.lean.rescue import STARTS
from studies.lean.statistics import holm, lower_bound, permutation_p
from studies.lean.tables import Found as _Found
from studies.lean.tables import pairs as _pairs
from studies.lean.tables import read_found
from studies.lean.tables import return_digits as _digits
from studies.lean.tables import spread as _spread
from studies.lean.tables import table as _table

CONTROLS = ("shuffled", "uniform")
BUDGETS = tuple(arm for arm in ARMS if arm.startswith("synops-"))

_HEAD = """# Fewest spikes at full return, and rescue of networks that start dead

Written by `python -m studies.lean report` from `studies/lean/results`; `python -m studies.lean
run` and `python -m studies.lean rescue` train what is missing. An arm's `off` goes on learning
to the end of the budget; all other arms branch from its last checkpoint before learning is
found to be over, with the same seed, and shed spikes in the environment steps that are left.
Settings were chosen on CartPole-v1 and Pendulum-v1, seeds from 1000 on, and were frozen before
the seeds below were run. When learning is over was made stricter after one pilot on
snn/CartPole-v1 (seed 1000: frozen too early, 295); pilots of one seed ran on Acrobot-v1,
MountainCar-v0 and snn/CueAccumulation-v0 too, so that of all tasks LunarLander-v3 alone is
untouched.

Returns are means of 100 evaluation episodes; operations are those of a decision, SynOps of
hidden spikes alone (those of input spikes are the same for all arms). Cells are medians over
seeds, with the smallest and the largest.

Seeds 100 and 101 are not quite fresh: an early version of the environments and of `ppo-lif` was
tried on them, long before there was anything to shed.
"""


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
        _lean_section(found),
        _control_section(found),
        _budget_section(found),
        twin_section(found),
        front_section(found),
        _rescue_section(found),
        _seed_section(found),
    ]
    write_figure(found, docs / "images")
    path = docs / "lean-study.md"
    write_text_atomic(path, "\n".join(parts))
    return path


def _lean_section(found: _Found) -> str:
    rows = []
    for task in TASKS.values():
        pairs = _pairs(found, task, LEAN, OFF)
        if len(pairs) < 2:
            continue
        lean, off = zip(*pairs, strict=True)
        bound = lower_bound([a.mean - b.mean for a, b in pairs])
        ratio = np.exp(np.mean([np.log(b.hidden_synops / a.hidden_synops) for a, b in pairs]))
        digits = _digits(task.env_id)
        rows.append(
            [
                task.env_id,
                str(len(pairs)),
                _spread([x.mean for x in off], digits),
                _spread([x.mean for x in lean], digits),
                f"{bound:.{max(1, digits)}f} ({-task.allowed_loss:.{max(1, digits)}f})",
                "yes" if bound >= -task.allowed_loss else "**no**",
                _spread([x.hidden_synops for x in off]),
                _spread([x.hidden_synops for x in lean]),
                f"{ratio:.1f}",
                f"{np.median([x.operations for x in lean]):,.0f}",
            ]
        )
    text = (
        "Lower bound: one-sided 95 % bound, by Student's t over seeds, of the difference in "
        "return to `off`; it must not be below the number in brackets, 5 % of the range from "
        "random play to `solved` (2 % on Pendulum-v1). Factor: geometric mean over seeds of "
        "the SynOps of `off` over those of `lean`. Operations: SynOps, multiply-accumulates "
        "and neuron updates of `lean`.\n"
    )
    head = [
        *("task", "seeds", "return, off", "return, lean", "lower bound", "no loss"),
        *("SynOps, off", "SynOps, lean", "factor", "operations"),
    ]
    return f"## Lean against off\n\n{text}\n{_table(head, rows)}"


def _log_synops(outcome: Outcome, off: Outcome, task: Task) -> float:
    """Return the logarithm of an arm's SynOps, those of ``off`` where return was lost."""
    kept = outcome.mean >= off.mean - task.allowed_loss
    return float(np.log((outcome if kept else off).hidden_synops))


def _control_section(found: _Found) -> str:
    rows = []
    for task in TASKS.values():
        p_values, shown = {}, {}
        off = found.get((task.env_id, OFF), {})
        for control in CONTROLS:
            pairs = _pairs(found, task, LEAN, control)
            pairs = [(a, b) for a, b in pairs if a.seed in off]
            if len(pairs) < 2:
                continue
            differences = [
                _log_synops(a, off[a.seed], task) - _log_synops(b, off[b.seed], task)
                for a, b in pairs
            ]
            p_values[control] = permutation_p(differences)
            lost = sum(b.mean < off[b.seed].mean - task.allowed_loss for _, b in pairs)
            shown[control] = (
                _spread([b.hidden_synops for _, b in pairs]),
                f"{np.exp(-np.mean(differences)):.2f}",
                f"{lost} of {len(pairs)}",
            )
        adjusted = holm(p_values)
        for control in sorted(shown, key=lambda name: float(shown[name][1])):
            rows.append([task.env_id, control, *shown[control], f"{adjusted[control]:.3f}"])
    text = (
        "The same inner bound as `lean` had in the end, but the whole gradient of the cost "
        "goes to another neuron of the layer (`shuffled`) or is the layer's mean (`uniform`). "
        "Factor: geometric mean of the control's SynOps over those of `lean`, a seed that "
        "lost return counting with those of `off`, for both; p: one-sided paired permutation "
        "test over seeds, adjusted by Holm within a task. The closest control comes first.\n"
    )
    head = ["task", "control", "SynOps", "factor", "seeds that lost return", "p"]
    return f"## Controls\n\n{text}\n{_table(head, rows)}"


def _budget_section(found: _Found) -> str:
    rows = []
    for task in TASKS.values():
        for arm in BUDGETS:
            pairs = _pairs(found, task, arm, OFF)
            if len(pairs) < 2:
                continue
            most = float(arm.removeprefix("synops-"))
            over = sum(a.hidden_synops > most for a, _ in pairs)
            bound = lower_bound([a.mean - b.mean for a, b in pairs])
            digits = _digits(task.env_id)
            rows.append(
                [
                    task.env_id,
                    f"{most:,.0f}",
                    _spread([a.hidden_synops for a, _ in pairs]),
                    f"{over} of {len(pairs)}",
                    _spread([a.mean for a, _ in pairs], digits),
                    "yes" if bound >= -task.allowed_loss else "**no**",
                ]
            )
    head = ["task", "max_synops", "SynOps", "seeds above", "return", "no loss"]
    return f"## Best return within a number of SynOps\n\n{_table(head, rows)}"


def _rescue_section(found: _Found) -> str:
    rows = []
    for name, start in STARTS.items():
        for arm in RESCUES:
            outcomes = found.get((start.env_id, f"{name}-{arm}"), {})
            if not outcomes:
                continue
            solved = load_environment_spec(start.env_id).reference.solved
            returns = [x.mean for x in outcomes.values()]
            rows.append(
                [
                    name,
                    start.env_id,
                    f"{start.steps:,}",
                    arm,
                    _spread(returns),
                    f"{sum(x >= solved for x in returns)} of {len(returns)}",
                ]
            )
    text = (
        "`dead`: weights times 0.5, 85 % of the biases −1, the others 3; `dead-pendulum` and "
        "`dead-acrobot`: weights times 0.3, 92 % of the biases −1.5, the others 3; "
        "`dead-deep`: six layers with PyTorch's default initialisation. `shuffled`: every neuron "
        "is told what another one of its layer does; `kick`: each layer's mean bias is put back; "
        "`good`: the start of `ppo-lif`, no control.\n"
    )
    head = ["start", "task", "steps", "arm", "return", "solved"]
    return f"## Rescue\n\n{text}\n{_table(head, rows)}"


def _seed_section(found: _Found) -> str:
    rows = [
        [
            task, arm, str(seed), f"{x.mean:.2f}", f"{x.hidden_synops:,.0f}",
            "" if x.begun_at is None else f"{x.begun_at:.2f}",
            "" if x.last_bound is None else f"{x.last_bound:.3g}", f"{x.seconds:.0f}",
        ]
        for (task, arm), outcomes in sorted(found.items())
        for seed, x in sorted(outcomes.items())
    ]  # fmt: skip
    text = (
        "Over: share of the training after which learning was found to be over. Seconds: CPU "
        "time of the training since the checkpoint that the arm branched from.\n"
    )
    head = ["task", "arm", "seed", "return", "SynOps", "over", "last bound", "seconds"]
    return f"## Every seed\n\n{text}\n{_table(head, rows)}"
