"""Section of the local study: ablations of the local regulation terms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snn_gym.leaderboard.statistics import probability_of_improvement
from studies.local.dynamics import (
    AGENT,
    ALL_STARTS,
    ARMS,
    SEEDS,
    STARTS,
    STEPS,
    TASKS,
    DynamicsRun,
)
from studies.local.learning import EVALUATION_EPISODES
from studies.local.report_adaptation import median
from studies.runs import Runs
from studies.statistics import SIGNIFICANT, equal_to, holm_by_name, rank_sum_p
from studies.tables import table, wrapped

RunsByArm = Mapping[tuple[str, str], Sequence[DynamicsRun]]
Comparison = tuple[str, str, str, str]
"""Start, arm, the arm it is compared with, and a key of `MEASURES`."""


@dataclass(frozen=True)
class Measure:
    """Quantity by which runs are compared."""

    of: Callable[[DynamicsRun], float]
    """Of a run; infinite where it failed."""
    lower: str
    """Words for an arm that has less of it."""
    higher: str
    """Words for an arm that has more of it."""


MEASURES: Mapping[str, Measure] = {
    "episodes": Measure(lambda run: run.solved_after or np.inf, "quicker", "slower"),
    "return": Measure(lambda run: run.final, "earns less", "earns more"),
    "synops": Measure(lambda run: run.synops, "fewer operations", "more operations"),
    "silent": Measure(lambda run: run.silent, "fewer silent neurons", "more silent neurons"),
}


def dynamics_section(stored: Runs) -> str:
    """Return the section; empty where nothing has run."""
    by_arm = _runs_by_arm(STARTS, stored)
    if not by_arm:
        return ""
    p_values = corrected(by_arm)
    parts = [_head(), _table(by_arm, p_values), _answers(by_arm, p_values), _elsewhere(stored)]
    return "\n".join(part for part in parts if part)


def _runs_by_arm(starts: Iterable[str], stored: Runs) -> RunsByArm:
    return {
        (start, arm): runs
        for start in starts
        for arm in ARMS
        if (runs := stored.read(DynamicsRun, f"dynamics/{start}/{arm}/"))
    }


def corrected(
    by_arm: RunsByArm, measures: Sequence[str] = tuple(MEASURES)
) -> dict[Comparison, float]:
    """Return p-values of all comparisons, corrected by Holm."""
    pairs = [
        (start, arm, other)
        for start, arm in by_arm
        for other in _beside(arm)
        if (start, other) in by_arm
    ]
    return holm_by_name(
        {
            (*pair, name): rank_sum_p([_samples(by_arm, (*pair, name))])
            for pair in pairs
            for name in measures
        }
    )


def _beside(arm: str) -> list[str]:
    """Return the arms that an arm is compared with: nothing, and its own control."""
    others = ["off", f"{arm}-shuffled"]
    return [other for other in others if other in ARMS and other != arm]


def _samples(by_arm: RunsByArm, comparison: Comparison) -> tuple[list[float], list[float]]:
    start, arm, other, name = comparison
    of = MEASURES[name].of
    return [of(run) for run in by_arm[start, arm]], [of(run) for run in by_arm[start, other]]


def _head() -> str:
    terms = (
        ("homeostasis", "moves a neuron's threshold until its slow firing rate is in a range"),
        ("synaptic scaling", "scales all weights of a neuron until its slow rate is in a range"),
        ("revival", "raises the bias of a neuron that has long been silent"),
        (
            "lean cost",
            "lowers weights by the cost of the neuron's spikes, times their effect on its rate, "
            "once the mean return is stationary",
        ),
        ("of the wrong neurons", "control: the same term, with the signal of another neuron"),
    )
    return "\n".join(
        [
            wrapped(
                "## Regulation by local terms, ablated",
                f"`python -m studies.local run --only dynamics` trains `{AGENT}` with none "
                "of its regulation "
                f"terms, with each of them, and with all, for {STEPS:,} environment steps on seeds "
                f"{SEEDS[0]} to {SEEDS[-1]}. Nothing was tuned on these seeds.",
            ),
            table(("term", "effect"), terms),
            wrapped(
                "Hidden weights start as usual, four times smaller or four times larger (10 seeds "
                "each, the other starts 20). A fourth start has biases so low that hardly any "
                "neuron fires. It was chosen on seeds from 1000 on, where the task is not solved "
                "in time without regulation. A run is solved by the criterion above and goes on to "
                "its last step.",
                "A silent neuron is active in less than 1 % of the time steps. Return, "
                "synaptic operations of a decision, firing rate and silent neurons are those of "
                f"the final agent in {EVALUATION_EPISODES} fresh episodes without exploration, as "
                "means over seeds. Bold cells differ significantly from `off` at the same start.",
            ),
        ]
    )


def _table(by_arm: RunsByArm, p_values: Mapping[Comparison, float]) -> str:
    heading = (
        "start", "regulation", "solved", "episodes, median", "mean return", "worst",
        "SynOps", "rate (Hz)", "silent (%)",
    )  # fmt: skip
    rows = [_row(start, arm, runs, p_values) for (start, arm), runs in by_arm.items()]
    return table(heading, rows) + "\n"


def _row(
    start: str, arm: str, runs: Sequence[DynamicsRun], p_values: Mapping[Comparison, float]
) -> tuple[str, ...]:
    def shown(name: str, text: str) -> str:
        p = p_values.get((start, arm, "off", name), 1.0)
        return f"**{text}**" if p <= SIGNIFICANT else text

    episodes = median([run.solved_after for run in runs])
    solved = sum(run.solved_after is not None for run in runs)
    return (
        ALL_STARTS[start].says,
        ARMS[arm].says,
        f"{solved} of {len(runs)}",
        shown("episodes", "–" if episodes is None else f"{episodes:.1f}"),
        shown("return", f"{np.mean([run.final for run in runs]):.1f}"),
        f"{min(run.final for run in runs):.1f}",
        shown("synops", f"{np.mean([run.synops for run in runs]):.0f}"),
        f"{np.mean([run.rate_hz for run in runs]):.0f}",
        shown("silent", f"{100 * np.mean([run.silent for run in runs]):.0f}"),
    )


def _answers(by_arm: RunsByArm, p_values: Mapping[Comparison, float]) -> str:
    arms = [arm for arm in ARMS if arm != "off" and any(key[1] == arm for key in by_arm)]
    compared = [(arm, "off", "none") for arm in arms if not ARMS[arm].shuffled]
    compared += [
        (arm, f"{arm}-shuffled", "its control") for arm in arms if f"{arm}-shuffled" in arms
    ]
    rows = [
        (ARMS[arm].says, beside, *cells)
        for arm, other, beside in compared
        for cells in _differences(arm, other, by_arm, p_values)
    ]
    lines = [
        table(("regulation", "compared with", "start", "significant differences"), rows),
        wrapped(
            "P-values are from two-sided exact permutation tests of ranks, with failures last, and "
            f"corrected by Holm for all {len(p_values)} tests. All neurons of the one hidden layer "
            "have the same price, so the lean cost distinguishes them only by their firing rate "
            "and by the effect of their weights on it."
        ),
    ]
    return "\n".join(line for line in lines if line)


def _differences(
    arm: str, other: str, by_arm: RunsByArm, p_values: Mapping[Comparison, float]
) -> list[tuple[str, str]]:
    """Return for each start the significant differences between two arms."""
    rows = []
    for start in dict.fromkeys(start for start, _ in by_arm):
        words = [
            f"{word} ({equal_to(p_values[comparison])})"
            for comparison in p_values
            if comparison[:3] == (start, arm, other)
            and (word := verdict(comparison, by_arm, p_values))
        ]
        if (start, arm) in by_arm and (start, other) in by_arm:
            rows.append((ALL_STARTS[start].says, ", ".join(words) or "none"))
    return rows


def verdict(
    comparison: Comparison, by_arm: RunsByArm, p_values: Mapping[Comparison, float]
) -> str | None:
    """Return the words for a significant difference between two arms, None without one."""
    if p_values[comparison] > SIGNIFICANT:
        return None
    measure, (own, others) = MEASURES[comparison[3]], _samples(by_arm, comparison)
    return measure.higher if probability_of_improvement(own, others) > 0.5 else measure.lower


def _elsewhere(stored: Runs) -> str:
    """Return the section on all terms together on other tasks; empty without runs."""
    by_arm = _runs_by_arm(TASKS, stored)
    if not by_arm:
        return ""
    p_values = corrected(by_arm, ("return", "synops", "silent"))
    heading = (
        "task", "regulation", "seeds", "mean return", "worst", "SynOps", "rate (Hz)", "silent (%)",
    )  # fmt: skip
    rows = []
    for (task, arm), runs in by_arm.items():
        says, regulation, _, _, *rest = _row(task, arm, runs, p_values)
        rows.append((says, regulation, str(len(runs)), *rest))
    return "\n".join(
        [
            wrapped(
                f"Other tasks, also with {STEPS:,} environment steps and nothing tuned there, all "
                "four terms against none:"
            ),
            table(heading, rows),
            table(
                ("task", "significant differences of all four from none"),
                _differences("all", "off", by_arm, p_values),
            ),
            wrapped(f"P-values as above, corrected for these {len(p_values)} tests."),
        ]
    )
