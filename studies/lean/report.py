"""Page of the lean study, from the runs that there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.stats import fisher_exact

from snn_gym.envs.registry import load_environment_spec
from snn_gym.leaderboard.statistics import mean_interval
from studies.lean.outcome import Outcome, Outcomes, read_outcomes
from studies.lean.rescue import ARMS, STARTS, BadStart
from studies.lean.rescue import SEEDS as RESCUE_SEEDS
from studies.lean.tasks import (
    FIXED,
    LEAN,
    OFF,
    PRUNE,
    SECOND_TASKS,
    SMALL,
    SPIKES,
    SYNAPSE_SEED,
    SYNAPSE_TASKS,
    TASKS,
    Task,
)
from studies.runs import Runs
from studies.statistics import SIGNIFICANT, holm_by_name, p_value, sign_flip_p
from studies.tables import return_digits, spread, table

CONFIDENCE = 0.95
"""Of the lower one-sided bound."""
RESCUED_LOSS = 0.1
"""Share of the range from random play to ``solved`` by which a return is as good as another."""
_BROUGHT_BACK = "off", "rescue", "eps"
"""Arms whose seeds that were brought back are counted."""
_NONE = "–"
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
_HEAD = """# Lean study: fewest spikes at full return

Does an agent need all of its spikes? `lean` trains an agent until learning is over. For the rest
of the training it sheds spikes, under a bound on the divergence from its own frozen policy. `off`
learns on instead, from the same checkpoint with the same seed. Settings were chosen on seeds from
1000 on and frozen before the reported seeds ran ([how](lean/settings.md)).

Versions 0.1.0 to 0.2.1 trained all runs but those with `eps`. They shed in every training. Since
version 2 `lean` sheds only if the return has settled, and its rows save less:
[findings](findings.md#2-a-network-sheds-spikes-that-its-behaviour-does-not-need).
"""
_CELLS = (
    "Returns are means of 100 evaluation episodes; cells are medians over seeds, with the smallest "
    "and the largest. Operations are those of a decision: SynOps of hidden spikes, "
    "multiply-accumulates and neuron updates.\n\n"
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
_CHEAP = (
    "Factors against `off`, a network of 64-64 neurons and eight time steps, measure the shedding. "
    "They do not show that a shedding network is cheap: [Where spikes pay](where-spikes-pay.md) "
    "compares with the cheapest agents.\n"
)
_SECOND = (
    "The following table repeats three tasks with other seeds. Controls of these tasks branch from "
    "this `off`. Two tasks, snn/CueAccumulation-v0 and MountainCar-v0, ran on a processor of "
    "another maker, where the same seed gives other weights. LunarLander-v3 has ten seeds here "
    f"and all controls except `{FIXED}`: with five seeds no difference can be significant "
    "after Holm's correction. Its controls were first judged after eight seeds, with p 0.051 "
    "for `small` and 0.047 for all others.\n"
)
_FROZEN = (
    "`off` learns on where `lean` stops. A loss against `off` may therefore come from learning "
    "that was not over, or from spikes that were needed. This table compares `lean` with its "
    "own frozen policy, the policy at the moment when learning was over, in the same "
    "evaluation episodes. Bound and margin are defined as above.\n"
)
_CONTROLS = (
    "Every control sheds under the same bound. Significant: p at most "
    f"{SIGNIFICANT:g} after Holm's correction over the controls of a task. Tasks that ran "
    "twice with other seeds count twice.\n"
)
_CONTROLS_TEXT = (
    "Each control sheds with the last inner bound of `lean`, and differs from `lean` in one "
    f"respect. The strength of `{FIXED}` is the best of five from 1.7 to 60 on seeds 1002 to 1004 "
    "of the task: the strength with the fewest SynOps whose mean return was within the margin. "
    f"`{PRUNE}` also pruned synapses from analogue observations, which no spike passes. That "
    "made it worse on all tasks except snn/CartPole-v1 and snn/CueAccumulation-v0; with those "
    "synapses [spared](#synapses-too) it is close to `lean`.\n\n"
    "| column | meaning |\n| --- | --- |\n"
    "| fewer than `lean` | seeds on which the control needs fewer operations in all |\n"
    "| SynOps factor | geometric mean over seeds of the control's SynOps over those of `lean`; a "
    "seed that lost return counts with the SynOps of `off`, in both |\n"
    "| p | one-sided paired permutation test of that ratio over seeds |\n"
    "| p, Holm | p adjusted for all tests of the task |\n\n"
    "The control closest to `lean` comes first.\n"
)
_SYNAPSES = (
    "The tables above were run with `pruning` 0, which sheds spikes and keeps all synapses. The "
    "agents' present setting, `lean` here, sheds both. A spike costs the number of synapses that "
    "are left. The weakest synapses between spikes and a layer of neurons become zero, within the "
    "same bound on behaviour; it was chosen on seed 1000 of seven tasks. Two ablations stand "
    f"beside it: `{SPIKES}` sheds spikes alone, and `{PRUNE}` prunes synapses within the last "
    f"bound of `lean`. Seeds begin at {SYNAPSE_SEED}. SynOps and operations include the spikes of "
    "the input. Factors and bounds are defined as above.\n"
)
_RESCUE = (
    "`rescue` moves the gains of silent and saturated neurons towards a range of firing rates "
    "while the network learns. `eps` has no regulation, but Adam with `eps` = 1e-20 in place of "
    "1e-5, the zoo's setting since December 2026 ([why](learning-efficiency.md#adams-eps)). `off` "
    "has neither, `good` the initialisation of `ppo-lif`.\n\n"
    "| start | network |\n| --- | --- |\n"
    "| `dead` | weights times 0.5, 85 % of the biases −1, the others 3 |\n"
    "| `dead-pendulum`, `dead-acrobot` | weights times 0.3, 92 % of the biases −1.5, the others 3 "
    "|\n"
    "| `dead-deep` | six layers with PyTorch's default initialisation |\n\n"
    "Back: seeds that were brought back, which solve the task or, where `good` was trained, have a "
    f"return at most {RESCUED_LOSS:g} of the range from random play to `solved` below its median. "
    "Trainings with `rescue`, `shuffled` and `good`, and `off` of the first start, are of version "
    "0.2.0; the others ran later, on another processor. Registered: had `eps` brought back at "
    "least as many seeds as `rescue` on three of four starts, the smaller number would do. It does "
    "so on two.\n"
)
_COMMANDS = (
    "`python -m studies.lean report` writes this page from `studies/lean/runs.jsonl`, and `run` "
    "trains whatever is missing there.\n"
)


def pages(runs: Runs) -> dict[str, str]:
    """Return the study's page."""
    outcomes = read_outcomes(runs)
    parts = (
        *(_HEAD, _in_short(outcomes), _COMMANDS),
        f"## Lean against off\n\n{_CELLS}\n{_lean_table(outcomes, TASKS)}\n{_CHEAP}",
        f"{_SECOND}\n{_lean_table(outcomes, SECOND_TASKS)}",
        f"## Lean against its frozen policy\n\n{_FROZEN}\n{_frozen_table(outcomes)}",
        f"## Is it the neuron's own signal?\n\n{_CONTROLS}\n{_control_summary(outcomes)}",
        f"## Controls\n\n{_CONTROLS_TEXT}\n{_control_table(outcomes)}",
        f"## Synapses too\n\n{_SYNAPSES}\n{_synapse_table(outcomes)}",
        f"## Networks that start dead\n\n{_RESCUE}\n{_rescue_table(outcomes)}",
    )
    return {"lean-study.md": "\n".join(parts)}


def pairs(
    outcomes: Outcomes, task: Task, first_arm: str, second_arm: str
) -> list[tuple[Outcome, Outcome]]:
    """Return the outcomes of two arms on the seeds that both have; none if it is only one."""
    first, second = (
        outcomes.get((task.env_id, task.label(arm)), {}) for arm in (first_arm, second_arm)
    )
    both = [(first[seed], second[seed]) for seed in sorted(first.keys() & second.keys())]
    return both if len(both) > 1 else []


def bound_cells(differences: Sequence[float], task: Task) -> list[str]:
    """Return the lower bound of differences in return with the margin, and a yes or no."""
    bound, _ = mean_interval(differences, 2 * CONFIDENCE - 1)
    digits = return_digits(task.env_id) + 1
    within = "yes" if bound >= -task.allowed_loss else "**no**"
    return [f"{bound:.{digits}f} ({-task.allowed_loss:.{digits}f})", within]


def operations_factor(both: Sequence[tuple[Outcome, Outcome]]) -> float:
    """Return the geometric mean over seeds of the second arm's operations over the first's."""
    return float(np.exp(np.mean([np.log(b.operations / a.operations) for a, b in both])))


def synops_factor(both: Sequence[tuple[Outcome, Outcome]]) -> float:
    """Return the same of SynOps."""
    return float(np.exp(np.mean([b.log_synops - a.log_synops for a, b in both])))


def _in_short(outcomes: Outcomes) -> str:
    """Return the savings of `lean`, and the tasks with and without a loss."""
    tasks: dict[str, list[str]] = {"yes": [], "**no**": []}
    factors = list[list[float]]()
    for task in TASKS:
        if both := pairs(outcomes, task, LEAN, OFF):
            _, verdict = bound_cells([a.mean - b.mean for a, b in both], task)
            tasks[verdict].append(task.env_id)
            if verdict == "yes":
                factors.append([operations_factor(both), synops_factor(both)])
    if not factors:
        return ""
    lost = f" A loss is not excluded on {', '.join(tasks['**no**'])}." if tasks["**no**"] else ""
    low, high = np.min(factors, axis=0), np.max(factors, axis=0)
    return (
        f"**In short**: `lean` spends {low[0]:.1f} to {high[0]:.1f} times fewer operations than "
        f"`off` ({low[1]:.1f} to {high[1]:.1f} times fewer SynOps) at no loss of return on "
        f"{', '.join(tasks['yes'])}.{lost}\n"
    )


def _lean_table(outcomes: Outcomes, tasks: Iterable[Task]) -> str:
    """Return the table of ``lean`` beside ``off``."""
    rows = []
    for task in tasks:
        both = pairs(outcomes, task, LEAN, OFF)
        if not both:
            continue
        lean, off = zip(*both, strict=True)
        digits = return_digits(task.env_id)
        rows.append(
            [
                *(task.env_id, str(len(both))),
                *(spread([x.mean for x in arm], digits) for arm in (off, lean)),
                *bound_cells([a.mean - b.mean for a, b in both], task),
                *(f"{np.median([x.operations for x in arm]):,.0f}" for arm in (off, lean)),
                f"{operations_factor(both):.1f}",
                *(spread([x.hidden_synops for x in arm]) for arm in (off, lean)),
                f"{synops_factor(both):.1f}",
                time_cell(both, task),
            ]
        )
    head = [
        *("task", "seeds", "return, off", "return, lean", "lower bound", "no loss"),
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


def _frozen_table(outcomes: Outcomes) -> str:
    """Return the table of ``lean`` beside the policies that it froze."""
    rows = []
    for task in TASKS:
        by_seed = outcomes.get((task.env_id, task.label(LEAN)), {}).values()
        frozen = [(x.mean, x.frozen_mean) for x in by_seed if x.frozen_mean is not None]
        if len(frozen) < 2:
            continue
        digits = return_digits(task.env_id)
        rows.append(
            [
                *(task.env_id, str(len(frozen))),
                spread([before for _, before in frozen], digits),
                spread([mean for mean, _ in frozen], digits),
                *bound_cells([mean - before for mean, before in frozen], task),
            ]
        )
    head = ["task", "seeds", "return, frozen", "return, lean", "lower bound", "no loss"]
    return table(head, rows)


@dataclass(frozen=True)
class Compared:
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


def compared_controls(outcomes: Outcomes, task: Task) -> list[Compared]:
    """Return the controls of a task, the one closest to `lean` first."""
    off = outcomes.get((task.env_id, task.label(OFF)), {})

    def kept(outcome: Outcome) -> bool:
        return outcome.mean >= off[outcome.seed].mean - task.allowed_loss

    def log_synops(outcome: Outcome) -> float:
        """Return an arm's logarithm of SynOps, that of ``off`` where return was lost."""
        return (outcome if kept(outcome) else off[outcome.seed]).log_synops

    arms = {control: pairs(outcomes, task, LEAN, control) for control in _DIFFERENCE}
    arms = {control: both for control, both in arms.items() if both and off}
    ratios = {x: [log_synops(a) - log_synops(b) for a, b in both] for x, both in arms.items()}
    p_values = {control: sign_flip_p(values) for control, values in ratios.items()}
    adjusted = holm_by_name(p_values)
    compared = [
        Compared(
            control,
            both,
            factor=float(np.exp(-np.mean(ratios[control]))),
            lost=sum(not kept(other) for _, other in both),
            p=p_values[control],
            p_holm=adjusted[control],
        )
        for control, both in arms.items()
    ]
    return sorted(compared, key=lambda control: control.factor)


def _with_choice(control: str, outcomes: Sequence[Outcome]) -> str:
    """Return a control's name with its chosen settings: a strength, or sizes by their seeds."""
    if control == FIXED:
        chosen = sorted({x.settings["first_strength"] for x in outcomes})
        return f"{control} ({', '.join(f'{x:g}' for x in chosen)})"
    if control == SMALL:
        sizes = Counter("-".join(map(str, x.network.get("hidden_sizes", ()))) for x in outcomes)
        shown = sorted((size or "whole", count) for size, count in sizes.items())
        return f"{control} ({', '.join(f'{count} × {size}' for size, count in shown)})"
    return control


def _control_table(outcomes: Outcomes) -> str:
    rows = []
    for task in (*TASKS, *SECOND_TASKS):
        compared = compared_controls(outcomes, task)
        for x in compared:
            others = [other for _, other in x.pairs]
            rows.append(
                [
                    *(task.name, _with_choice(x.control, others)),
                    f"{np.median([other.operations for other in others]):,.0f}",
                    f"{x.cheaper} of {len(others)}",
                    spread([other.hidden_synops for other in others]),
                    *(f"{x.factor:.2f}", f"{x.lost} of {len(others)}"),
                    *(f"{x.p:.3f}", f"{x.p_holm:.3f}", str(len(compared))),
                ]
            )
    head = [
        *("task", "control", "operations", "fewer than `lean`", "SynOps", "SynOps factor"),
        *("seeds that lost return", "p", "p, Holm", "tests"),
    ]
    return table(head, rows)


def _control_summary(outcomes: Outcomes) -> str:
    """Return one line per control: on how many tasks it needs more SynOps, and seeds it lost."""
    by_control: dict[str, list[Compared]] = {}
    for task in (*TASKS, *SECOND_TASKS):
        for compared in compared_controls(outcomes, task):
            by_control.setdefault(compared.control, []).append(compared)
    rows = [
        [
            f"`{control}`",
            _DIFFERENCE[control],
            str(len(tasks)),
            str(sum(x.factor > 1 and x.p_holm <= SIGNIFICANT for x in tasks)),
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
    return table(head, rows)


def _synapse_table(outcomes: Outcomes) -> str:
    head = (
        *("task", "variant", "seeds", "return, off", "return", "lower bound", "no loss"),
        *("operations, off", "operations", "factor", "SynOps, off", "SynOps", "SynOps factor"),
    )
    rows = [
        _synapse_row(task, arm, both)
        for task in SYNAPSE_TASKS
        for arm in (LEAN, SPIKES, PRUNE)
        if (both := pairs(outcomes, task, arm, OFF))
    ]
    return table(head, rows)


def _synapse_row(task: Task, arm: str, both: Sequence[tuple[Outcome, Outcome]]) -> list[str]:
    ours, off = zip(*both, strict=True)
    synops = np.array([[sum(x.synops.values()) for x in pair] for pair in both])
    whole = np.array([[x.operations + x.input_synops for x in pair] for pair in both])
    factors = [np.exp(np.mean(np.diff(np.log(np.maximum(1.0, x))))) for x in (whole, synops)]
    middle = np.median(whole, axis=0)
    digits = return_digits(task.env_id)
    return [
        *(task.env_id, arm, str(len(both))),
        *(spread([x.mean for x in found], digits) for found in (off, ours)),
        *bound_cells([a.mean - b.mean for a, b in both], task),
        *(f"{middle[1]:,.0f}", f"{middle[0]:,.0f}", f"{factors[0]:.1f}"),
        *(spread(synops[:, column].tolist()) for column in (1, 0)),
        f"{factors[1]:.1f}",
    ]


def _rescue_table(outcomes: Outcomes) -> str:
    """Return for each start the returns of all arms, and the seeds that were brought back."""
    rows: list[list[str]] = []
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for name, start in STARTS.items():
        by_arm = {arm: _rescued(outcomes, name, arm) for arm in ARMS}
        least = _least_back(start, by_arm["good"])
        back = {arm: [x >= least for x in by_arm[arm]] for arm in _BROUGHT_BACK}
        counts |= {(name, arm): (sum(x), len(x) - sum(x)) for arm, x in back.items()}
        rows.append(
            [
                *(name, start.env_id, f"{start.steps:,}"),
                *(spread(returns) if returns else _NONE for returns in by_arm.values()),
                *(f"{sum(x)} of {len(x)}" if x else _NONE for x in back.values()),
            ]
        )
    head = ["start", "task", "steps", *(f"return, {arm}" for arm in ARMS)]
    return table([*head, *(f"back, {arm}" for arm in _BROUGHT_BACK)], rows) + _tests(counts)


def _tests(counts: Mapping[tuple[str, str], tuple[int, int]]) -> str:
    """Return Fisher's tests of ``eps`` against the other arms; an untrained arm counts as p = 1."""
    ps = {
        (name, arm): float(fisher_exact([counts[name, "eps"], counts[name, arm]]).pvalue)
        for name in STARTS
        for arm in ("off", "rescue")
    }
    adjusted = holm_by_name(ps)
    rows = [[name, *(p_value(adjusted[name, arm]) for arm in ("off", "rescue"))] for name in STARTS]
    head = ["start", "p, eps against off", "p, eps against rescue"]
    return f"\nFisher's exact test of seeds that were brought back, Holm of {len(ps)}:\n\n" + table(
        head, rows
    )


def _least_back(start: BadStart, good: Sequence[float]) -> float:
    """Return the least return of a seed that was brought back: solved, or as the good start."""
    reference = load_environment_spec(start.env_id).reference
    if not good:
        return reference.solved
    return float(np.median(good)) - reference.loss(RESCUED_LOSS)


def _rescued(outcomes: Outcomes, name: str, arm: str) -> list[float]:
    by_seed = outcomes.get((STARTS[name].env_id, f"{name}-{arm}"), {})
    return [by_seed[seed].mean for seed in RESCUE_SEEDS if seed in by_seed]
