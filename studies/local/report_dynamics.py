"""The part of docs/local-study.md on regulation by local terms: a table and what its tests tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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
    read_runs,
)
from studies.local.report_adaptation import median
from studies.local.runs import EVALUATION_EPISODES, RESULTS
from studies.statistics import SIGNIFICANT, equal_to, holm_by_name, rank_sum_p
from studies.tables import table, wrapped

Found = Mapping[tuple[str, str], Sequence[DynamicsRun]]
Comparison = tuple[str, str, str, str]
"""Start, arm, the arm beside it, and the name of what is compared."""


@dataclass(frozen=True)
class Measure:
    """What runs are compared by."""

    of: Callable[[DynamicsRun], float]
    """Of a run; infinite where it failed."""
    lower: str
    """What to say where the arm has less of it."""
    higher: str
    """What to say where it has more."""


MEASURES: Mapping[str, Measure] = {
    "episodes": Measure(lambda run: run.solved_after or np.inf, "quicker", "slower"),
    "return": Measure(lambda run: run.final, "earns less", "earns more"),
    "synops": Measure(lambda run: run.synops, "fewer operations", "more operations"),
    "silent": Measure(lambda run: run.silent, "fewer silent neurons", "more silent neurons"),
}


def dynamics_section(results: Path = RESULTS) -> str:
    """Return the section; empty where nothing has run.

    Args:
        results: Folder of the runs.
    """
    found = _found(STARTS, results)
    if not found:
        return ""
    p_values = corrected(found)
    parts = [_head(), _table(found, p_values), _answers(found, p_values), _elsewhere(results)]
    return "\n".join(part for part in parts if part)


def _found(starts: Iterable[str], results: Path) -> Found:
    return {
        (start, arm): runs
        for start in starts
        for arm in ARMS
        if (runs := read_runs(start, arm, results))
    }


def corrected(found: Found, measures: Sequence[str] = tuple(MEASURES)) -> dict[Comparison, float]:
    """Return p-values of all comparisons, corrected by Holm.

    Args:
        found: The runs, by start and arm.
        measures: Keys of ``MEASURES``.
    """
    pairs = [
        (start, arm, other)
        for start, arm in found
        for other in _beside(arm)
        if (start, other) in found
    ]
    return holm_by_name(
        {
            (*pair, name): rank_sum_p([_samples(found, (*pair, name))])
            for pair in pairs
            for name in measures
        }
    )


def _beside(arm: str) -> list[str]:
    """Return the arms that an arm is compared with: nothing, and its own control."""
    others = ["off", f"{arm}-shuffled"]
    return [other for other in others if other in ARMS and other != arm]


def _samples(found: Found, comparison: Comparison) -> tuple[list[float], list[float]]:
    start, arm, other, name = comparison
    of = MEASURES[name].of
    return [of(run) for run in found[start, arm]], [of(run) for run in found[start, other]]


def _head() -> str:
    return wrapped(
        "## Regulation by local terms, ablated",
        f"`python -m studies.local dynamics` trains `{AGENT}` with each of its terms alone, with "
        f"all of them and with none, {STEPS:,} environment steps and seeds {SEEDS[0]} to "
        f"{SEEDS[-1]}, on which nothing was tuned. Homeostasis moves a neuron's threshold and "
        "synaptic scaling all of its weights until its slow firing rate is in a range; revival "
        "raises the bias of a neuron that has long been silent; the lean cost takes from the "
        "weights what the neuron's spikes cost, times how much they raise its rate, once the mean "
        "return neither rises nor falls. A control has the same term and strength, but every "
        "neuron is told what another one does. Hidden weights and biases begin as usual, four "
        "times as small or as large, or with biases so low that hardly any neuron fires, a start "
        "that was found on seeds from 1000 on as one from which the task is not solved in time "
        "without regulation. Weights that are too small or too large have 10 seeds, the others "
        "20. A run is solved by the criterion above, and goes on to "
        "its last step.",
        f"Return, synaptic operations of a decision, firing rate and silent neurons (fewer than "
        f"1 % of the time steps) are those of the final agent in {EVALUATION_EPISODES} fresh "
        "episodes without exploration, means over seeds. Bold is what differs from `off` at the "
        "same start.",
    )


def _table(found: Found, p_values: Mapping[Comparison, float]) -> str:
    heading = (
        "start", "regulation", "solved", "episodes, median", "mean return", "worst",
        "SynOps", "rate (Hz)", "silent (%)",
    )  # fmt: skip
    rows = [_row(start, arm, runs, p_values) for (start, arm), runs in found.items()]
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


def _answers(found: Found, p_values: Mapping[Comparison, float]) -> str:
    arms = [arm for arm in ARMS if arm != "off" and any(key[1] == arm for key in found)]
    lines = [
        wrapped(f"**{ARMS[arm].says}**, beside none. Start {_told_of(arm, 'off', found, p_values)}")
        for arm in arms
        if not ARMS[arm].shuffled
    ]
    lines += [
        wrapped(
            f"**{ARMS[arm].says}**, beside its control. Start "
            f"{_told_of(arm, f'{arm}-shuffled', found, p_values)}"
        )
        for arm in arms
        if f"{arm}-shuffled" in arms
    ]
    lines += [_summary(arms, found, p_values), _untold(arms, found, p_values)]
    lines.append(
        wrapped(
            "P-values are of two-sided exact permutation tests of ranks, runs that failed last, "
            f"corrected by Holm for all {len(p_values)} of them. One hidden layer has one price, "
            "so that what the lean cost tells neurons apart by is how much each fires and what "
            "its weights do to that."
        )
    )
    return "\n".join(lines)


def _told_of(arm: str, other: str, found: Found, p_values: Mapping[Comparison, float]) -> str:
    """Say by start what differs between two arms."""
    parts = []
    for start in dict.fromkeys(start for start, _ in found):
        told = [
            f"{word} ({equal_to(p_values[comparison])})"
            for comparison in p_values
            if comparison[:3] == (start, arm, other)
            and (word := verdict(comparison, found, p_values))
        ]
        if (start, arm) in found and (start, other) in found:
            parts.append(f"{ALL_STARTS[start].says}: {', '.join(told) or 'no difference is told'}")
    return f"{'; '.join(parts)}."


def verdict(
    comparison: Comparison, found: Found, p_values: Mapping[Comparison, float]
) -> str | None:
    """Return what an arm does more or less than the one beside it; None where nothing is told.

    Args:
        comparison: The two arms, and what is compared.
        found: The runs.
        p_values: Corrected.
    """
    if p_values[comparison] > SIGNIFICANT:
        return None
    measure, (own, others) = MEASURES[comparison[3]], _samples(found, comparison)
    return measure.higher if probability_of_improvement(own, others) > 0.5 else measure.lower


def _summary(arms: Sequence[str], found: Found, p_values: Mapping[Comparison, float]) -> str:
    """Say which terms hasten or slow learning anywhere, which is what they might be wanted for."""
    parts = []
    for name, does in (
        ("quicker", "solve it in fewer episodes"),
        ("slower", "need more episodes"),
        ("fewer operations", "end with fewer operations"),
        ("earns less", "earn less"),
    ):
        which = [
            ARMS[arm].says
            for arm in arms
            if not ARMS[arm].shuffled
            and any(
                verdict(comparison, found, p_values) == name
                for comparison in p_values
                if comparison[1:3] == (arm, "off")
            )
        ]
        parts.append(f"{does}: {', '.join(which) or 'none'}")
    return wrapped(f"**From any start beside none, told by these data, {'; '.join(parts)}.**")


def _untold(arms: Sequence[str], found: Found, p_values: Mapping[Comparison, float]) -> str:
    """List where fewer runs solve the task than without regulation, whatever the tests say."""
    parts = []
    for start, arm in found:
        if arm not in arms or ARMS[arm].shuffled or (start, "off") not in found:
            continue
        own, off = found[start, arm], found[start, "off"]
        solved, without = (sum(run.solved_after is not None for run in runs) for runs in (own, off))
        if solved * len(off) < without * len(own) and (
            verdict((start, arm, "off", "episodes"), found, p_values) is None
        ):
            counts = f"{solved} of {len(own)} for {without} of {len(off)}"
            parts.append(f"{ARMS[arm].says} ({ALL_STARTS[start].says}: {counts})")
    if not parts:
        return ""
    return wrapped(
        f"Fewer runs are solved in time than without, though no test tells it: {', '.join(parts)}."
    )


def _elsewhere(results: Path) -> str:
    """Return what all terms together do on other tasks; empty where nothing has run."""
    found = _found(TASKS, results)
    if not found:
        return ""
    p_values = corrected(found, ("return", "synops", "silent"))
    heading = (
        "task", "regulation", "seeds", "mean return", "worst", "SynOps", "rate (Hz)", "silent (%)",
    )  # fmt: skip
    rows = []
    for (task, arm), runs in found.items():
        says, regulation, _, _, *rest = _row(task, arm, runs, p_values)
        rows.append((says, regulation, str(len(runs)), *rest))
    return "\n".join(
        [
            wrapped(
                f"On other tasks, with {STEPS:,} environment steps too and nothing tuned there, "
                "all four beside none:"
            ),
            table(heading, rows),
            wrapped(
                f"{_told_of('all', 'off', found, p_values)} P-values as above, corrected for these "
                f"{len(p_values)}."
            ),
        ]
    )
