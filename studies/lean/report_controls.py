"""Page of the lean study: controls of the shedding, and shedding to a given number of SynOps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from studies.lean.outcome import Outcome
from studies.lean.plan import (
    ARMS,
    FIXED,
    LEAN,
    OFF,
    PRUNE,
    SECOND_TASKS,
    SMALL,
    STRENGTHS,
    TASKS,
    TUNING_SEEDS,
    Task,
)
from studies.lean.tables import Outcomes, bound_cells, pairs, return_digits
from studies.statistics import holm_by_name, sign_flip_p
from studies.tables import spread, table

_FEWEST_BUDGETED = 5
"""Seeds without which a number of SynOps has no row; every seed has one in the last table."""


_BUDGETS = tuple(arm for arm in ARMS if arm.startswith("synops-"))


_ALL_TASKS = (*TASKS.values(), *SECOND_TASKS.values())


_SIGNIFICANT = 0.05
_DIFFERENCE: Mapping[str, str] = MappingProxyType(
    {
        "shuffled": "each neuron receives the cost gradient of another neuron of its layer",
        "uniform": "each neuron receives the mean cost gradient of its layer",
        "scale": "one threshold per layer rises by that mean; weights stay",
        "blind": "weights and biases decay; spikes have no cost",
        FIXED: "the strength of the cost is constant (in brackets)",
        PRUNE: "spikes have no cost; the weakest synapses into each layer become zero",
        SMALL: (
            "the frozen policy is taught to networks of 8-8, 16-16 and 32-32 neurons; the smallest "
            "within the bound counts, else the whole network"
        ),
    }
)
_DIFFERENCES = [(f"`{control}`", text) for control, text in _DIFFERENCE.items()]
_TITLE = "# Lean study: controls\n"
_CONTROLS_TEXT = (
    "Each control sheds with the last inner bound of `lean`, and differs from `lean` in one "
    "respect.\n\n"
    f"{table(('control', 'difference from `lean`'), _DIFFERENCES)}\n"
    f"The strength of `{FIXED}` is the best of five from {STRENGTHS[0]:g} to {STRENGTHS[-1]:g} "
    f"(`python -m studies.lean choose`, seeds {TUNING_SEEDS[0]} to {TUNING_SEEDS[-1]} of the "
    "task): the strength with the fewest SynOps whose mean return was within the margin. An "
    "earlier range, 0.3 to 10, ended too low: its largest strength was best on four of four tasks. "
    "The largest of the present five is the best again. "
    f"`{PRUNE}` also pruned synapses from analogue observations, which no spike passes. That "
    "made it worse on all tasks except snn/CartPole-v1 and snn/CueAccumulation-v0; with those "
    "synapses [spared](shedding.md#synapses-too) it is close to `lean`.\n\n"
    "| column | meaning |\n| --- | --- |\n"
    "| fewer than `lean` | seeds on which the control needs fewer operations in all |\n"
    "| SynOps factor | geometric mean over seeds of the control's SynOps over those of `lean`; a "
    "seed that lost return counts with the SynOps of `off`, in both arms |\n"
    "| p | one-sided paired permutation test of that ratio over seeds |\n"
    "| p, Holm | p adjusted for all tests of the task |\n\n"
    "The control closest to `lean` comes first.\n"
)


def controls_page(outcomes: Outcomes) -> str:
    """Return the page of the controls, and of shedding to a number of SynOps."""
    return "\n".join([_TITLE, _control_section(outcomes), _budget_section(outcomes)])


def _log_synops_or_off(outcome: Outcome, off: Outcome, task: Task) -> float:
    """Return the logarithm of an arm's SynOps, those of ``off`` where return was lost."""
    kept = outcome.mean >= off.mean - task.allowed_loss
    return (outcome if kept else off).log_synops


def _with_choice(control: str, outcomes: Iterable[Outcome]) -> str:
    """Return a control's name with its chosen settings: a strength, or sizes by their seeds."""
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


@dataclass(frozen=True)
class _Compared:
    """A control against `lean` on the seeds of a task."""

    control: str
    pairs: Sequence[tuple[Outcome, Outcome]]
    """Of each seed the outcomes of `lean` and of the control."""
    factor: float
    """Geometric mean of the control's SynOps over those of `lean`."""
    lost: int
    """Seeds on which the control lost return."""
    p: float
    p_holm: float
    """``p`` adjusted for all controls of the task."""

    @property
    def cheaper(self) -> int:
        """Seeds on which the control needs fewer operations than `lean`."""
        return sum(other.operations < lean.operations for lean, other in self.pairs)


def _compared(outcomes: Outcomes, task: Task) -> list[_Compared]:
    """Return the controls of a task, the one closest to `lean` first."""
    off = outcomes.get((task.env_id, task.label(OFF)), {})
    arms, log_ratios = {}, {}
    for control in _DIFFERENCE:
        both = pairs(outcomes, task, LEAN, control)
        both = [(lean, other) for lean, other in both if lean.seed in off]
        if len(both) < 2:
            continue
        arms[control] = both
        log_ratios[control] = [
            _log_synops_or_off(lean, off[lean.seed], task)
            - _log_synops_or_off(other, off[other.seed], task)
            for lean, other in both
        ]
    p_values = {control: sign_flip_p(ratios) for control, ratios in log_ratios.items()}
    adjusted = holm_by_name(p_values)
    compared = [
        _Compared(
            control,
            both,
            factor=float(np.exp(-np.mean(log_ratios[control]))),
            lost=sum(b.mean < off[b.seed].mean - task.allowed_loss for _, b in both),
            p=p_values[control],
            p_holm=adjusted[control],
        )
        for control, both in arms.items()
    ]
    return sorted(compared, key=lambda control: control.factor)


def _control_section(outcomes: Outcomes) -> str:
    rows = []
    for task in _ALL_TASKS:
        compared = _compared(outcomes, task)
        for x in compared:
            others = [other for _, other in x.pairs]
            rows.append(
                [
                    task.name,
                    _with_choice(x.control, others),
                    f"{np.median([other.operations for other in others]):,.0f}",
                    f"{x.cheaper} of {len(others)}",
                    spread([other.hidden_synops for other in others]),
                    f"{x.factor:.2f}",
                    f"{x.lost} of {len(others)}",
                    *(f"{x.p:.3f}", f"{x.p_holm:.3f}", str(len(compared))),
                ]
            )
    head = [
        *("task", "control", "operations", "fewer than `lean`", "SynOps", "SynOps factor"),
        *("seeds that lost return", "p", "p, Holm", "tests"),
    ]
    return f"## Controls\n\n{_CONTROLS_TEXT}\n{table(head, rows)}"


def control_summary(outcomes: Outcomes) -> str:
    """Return one line per control: on how many tasks it needs more SynOps, and seeds it lost."""
    by_control: dict[str, list[_Compared]] = {}
    for task in _ALL_TASKS:
        for compared in _compared(outcomes, task):
            by_control.setdefault(compared.control, []).append(compared)
    rows = [
        [
            f"`{control}`",
            _DIFFERENCE[control],
            str(len(tasks)),
            str(sum(x.factor > 1 and x.p_holm <= _SIGNIFICANT for x in tasks)),
            f"{min(x.factor for x in tasks):.2f} to {max(x.factor for x in tasks):.2f}",
            f"{sum(x.cheaper for x in tasks)} of {sum(len(x.pairs) for x in tasks)}",
            f"{sum(x.lost for x in tasks)}",
        ]
        for control, tasks in by_control.items()
    ]
    head = [
        *("control", "difference from `lean`", "tasks", "significantly more SynOps on"),
        *("SynOps over those of `lean`", "seeds with fewer operations", "seeds that lost return"),
    ]
    text = (
        "Every control sheds under the same bound. Significant: p at most "
        f"{_SIGNIFICANT:g} after Holm's correction over the controls of a task. Tasks that ran "
        "twice with other seeds count twice.\n"
    )
    return f"{text}\n{table(head, rows)}"


def _budget_section(outcomes: Outcomes) -> str:
    rows = []
    for task in _ALL_TASKS:
        for arm in _BUDGETS:
            both = pairs(outcomes, task, arm, OFF)
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
        f"`max_synops` bounds the SynOps of a decision. Rows have at least {_FEWEST_BUDGETED} "
        "seeds; [the file of all seeds](seeds.csv) also lists numbers with fewer seeds. Two seeds "
        "of LunarLander-v3 ran with 250 allowed SynOps, and one of them spends 1,503.\n"
    )
    return f"## Best return within a number of SynOps\n\n{text}\n{table(head, rows)}"
