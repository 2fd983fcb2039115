"""Section of the local study: changes of the task after learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from snn_gym.leaderboard.statistics import probability_of_improvement
from studies.local.adaptation import ARMS, CHANGES, FIRST, SEEDS, STEP_SIZE, Life
from studies.local.learning import EVALUATION_EPISODES, STEPS, WINDOW
from studies.rows import VERSION_1
from studies.runs import Runs
from studies.statistics import SIGNIFICANT, equal_to, holm_by_name, rank_sum_p
from studies.tables import table, wrapped

_TESTS = (("resting", "episodes"), ("new", "episodes"), ("new", "environment steps"))
LivesByArm = Mapping[tuple[str, str], Sequence[Life]]


def adaptation_section(runs: Runs) -> str:
    """Return the section; empty where nothing has run."""
    by_arm = {
        (change, arm): lives
        for change in CHANGES
        for arm in ARMS
        if (lives := runs.read(Life, f"adaptation/{change}/{arm}/"))
    }
    return "\n".join([_head(), _table(by_arm), answers(by_arm)]) if by_arm else ""


def _head() -> str:
    return wrapped(
        "## Changes after learning",
        "`python -m studies.local run --only adaptation` changes the task of agents that "
        "have solved it, by the "
        f"criterion above and on fresh seeds ({SEEDS[0]} to {SEEDS[-1]}). A deployed agent goes on "
        f"learning as `model.online(step_size={STEP_SIZE:g})` does: with half the first step size "
        "of its training, which never falls, because a deployed agent does not know when it ends.",
        "An agent has recovered by the same criterion, counted from the change. So "
        f"{WINDOW} episodes mean that nothing was lost. After {STEPS:,} environment steps it has "
        "failed.",
        "It has three rivals. One is the same agent with learning off. One is a new agent that "
        "learns the changed task from scratch, with the settings of its file and the neurons "
        "that are left. One is `ppo-lif` of version 1's results table (seeds 0 to 9; "
        f"{VERSION_1}), which does not learn or explore.",
        f"First: mean return of the first {FIRST} episodes. Final: mean return of "
        f"{EVALUATION_EPISODES} fresh episodes at the end, without exploration.",
    )


def _table(by_arm: LivesByArm) -> str:
    heading = (
        "change", "agent", "before", "first", "recovered", "episodes, median", "least to most",
        "steps, median", "final", "worst",
    )  # fmt: skip
    rows = [_row(change, arm, lives) for (change, arm), lives in by_arm.items()]
    return table(heading, rows) + "\n"


def _row(change: str, arm: str, lives: Sequence[Life]) -> tuple[str, ...]:
    recovered = [life.solved_after for life in lives]
    finite = sorted(x for x in recovered if x is not None)
    episodes, steps = median(recovered), median([life.recovery_steps for life in lives])
    finals = [life.final for life in lives]
    return (
        CHANGES[change].says,
        ARMS[arm],
        f"{np.mean([life.before for life in lives]):.1f}",
        f"{np.mean([life.first for life in lives]):.1f}",
        f"{len(finite)} of {len(lives)}",
        "–" if episodes is None else f"{episodes:.1f}",
        f"{finite[0]} to {finite[-1]}" if finite else "–",
        "–" if steps is None else f"{steps:,.0f}",
        f"{np.mean(finals):.1f}",
        f"{min(finals):.1f}",
    )


def median(numbers: Sequence[int | None]) -> float | None:
    """Return the median where None is above all numbers; None if it is one of these."""
    middle = float(np.median([np.inf if x is None else x for x in numbers]))
    return middle if np.isfinite(middle) else None


def answers(by_arm: LivesByArm) -> str:
    """Say for each change whether adapting is quicker than learning from scratch."""
    p_values, lines, unproved = corrected(by_arm), [], []
    for change in _compared(by_arm):
        says = CHANGES[change].says
        if not _harms(change, by_arm):
            lines.append(wrapped(f"**{says}**: nothing is lost, even with learning off."))
            continue
        lines.append(wrapped(f"**{says}**: {_verdict(change, by_arm, p_values)}"))
        pair = _pair(by_arm, change, "new", "environment steps")
        if _told(pair, p_values[change, "new", "environment steps"]) != "quicker":
            unproved.append(says)
    if unproved:
        lines.append(
            wrapped(
                "**In environment steps, adapting is not significantly quicker than learning from "
                f"scratch after these changes: {', '.join(unproved)}.** The window of the "
                "criterion alone takes 50,000 steps of a solved task."
            )
        )
    if p_values:
        lines.append(
            wrapped(
                "P-values are from two-sided exact permutation tests of ranks, with failures last, "
                f"and corrected by Holm for all {len(p_values)} tests."
            )
        )
    return "\n".join(lines)


def corrected(by_arm: LivesByArm) -> dict[tuple[str, str, str], float]:
    """Return p-values of how long lives that go on learning and others take to recover."""
    return holm_by_name(
        {
            (change, other, unit): rank_sum_p([_pair(by_arm, change, other, unit)])
            for change in _compared(by_arm)
            if _harms(change, by_arm)
            for other, unit in _TESTS
            if (change, other) in by_arm
        }
    )


def _compared(by_arm: LivesByArm) -> list[str]:
    return [
        change
        for change in CHANGES
        if change != "none" and {(change, "learning"), (change, "new")} <= by_arm.keys()
    ]


def _harms(change: str, by_arm: LivesByArm) -> bool:
    """Return whether something is lost by a change with learning off; true if nobody tried."""
    resting = by_arm.get((change, "resting"), ())
    return not resting or median([life.solved_after for life in resting]) != WINDOW


def _pair(
    by_arm: LivesByArm, change: str, other: str, unit: str
) -> tuple[list[float], list[float]]:
    """Return how long the lives that go on learning take, and the others; infinite if failed."""

    def lengths(lives: Sequence[Life]) -> list[float]:
        numbers = [x.solved_after if unit == "episodes" else x.recovery_steps for x in lives]
        return [np.inf if x is None else float(x) for x in numbers]

    return lengths(by_arm[change, "learning"]), lengths(by_arm[change, other])


def _verdict(
    change: str, by_arm: LivesByArm, p_values: Mapping[tuple[str, str, str], float]
) -> str:
    parts = []
    for unit in ("episodes", "environment steps"):
        pair = _pair(by_arm, change, "new", unit)
        said = ["more than the limit" if np.isinf(x) else f"{x:,.0f}" for x in map(np.median, pair)]
        p = p_values[change, "new", unit]
        parts.append(
            f"Adapting takes a median of {said[0]} {unit}, learning from scratch {said[1]}: "
            f"{_told(pair, p)} ({equal_to(p)})."
        )
    if (change, "resting", "episodes") in p_values:
        p = p_values[change, "resting", "episodes"]
        told = _told(_pair(by_arm, change, "resting", "episodes"), p)
        parts.append(f"Against learning off, adapting is {told} ({equal_to(p)}).")
    return " ".join(parts)


def _told(pair: tuple[Sequence[float], Sequence[float]], p: float) -> str:
    """Return whether adapting is significantly quicker or slower."""
    if p > SIGNIFICANT:
        return "not significantly different"
    return "quicker" if probability_of_improvement(pair[1], pair[0]) > 0.5 else "slower"
