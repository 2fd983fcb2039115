"""Outcomes of the study by task, arm and seed, and the cells that compare them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from snn_gym.envs.registry import load_environment_spec
from snn_gym.leaderboard.statistics import mean_interval
from studies.lean.outcome import Outcome, read_outcome
from studies.lean.plan import Task

CONFIDENCE = 0.95
"""Of the lower one-sided bound."""
Outcomes = Mapping[tuple[str, str], Mapping[int, Outcome]]
"""Outcomes by seed, by task and arm."""


def read_outcomes(results: Path) -> Outcomes:
    """Read all outcomes below a folder."""
    outcomes: dict[tuple[str, str], dict[int, Outcome]] = {}
    for path in sorted(results.glob("*/*/*.json")):
        outcome = read_outcome(path)
        outcomes.setdefault((outcome.task, outcome.arm), {})[outcome.seed] = outcome
    return outcomes


def pairs(
    outcomes: Outcomes, task: Task, first_arm: str, second_arm: str
) -> list[tuple[Outcome, Outcome]]:
    """Return the outcomes of two arms on the seeds that both have."""
    first, second = (
        outcomes.get((task.env_id, task.label(arm)), {}) for arm in (first_arm, second_arm)
    )
    return [(first[seed], second[seed]) for seed in sorted(first.keys() & second.keys())]


def return_digits(env_id: str) -> int:
    """Return the decimals with which returns of a task are shown."""
    reference = load_environment_spec(env_id).reference
    return 2 if abs(reference.solved - reference.random) < 10 else 0


def bound_cells(differences: Sequence[float], task: Task) -> list[str]:
    """Return the lower bound of differences in return with the margin, and a yes or no."""
    bound, _ = mean_interval(differences, 2 * CONFIDENCE - 1)
    digits = return_digits(task.env_id) + 1
    within = "yes" if bound >= -task.allowed_loss else "**no**"
    return [f"{bound:.{digits}f} ({-task.allowed_loss:.{digits}f})", within]
