"""What the parts of the report share: the outcomes there are, numbers and tables."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from snn_gym.envs.registry import load_environment_spec
from snn_gym.leaderboard.statistics import mean_interval
from studies.lean.outcome import Outcome, read_outcome
from studies.lean.plan import Task

CONFIDENCE = 0.95
"""Of the lower one-sided bound."""
Found = Mapping[tuple[str, str], Mapping[int, Outcome]]
"""Outcomes by seed, by task and arm."""


def read_found(results: Path) -> Found:
    """Read all outcomes.

    Args:
        results: Folder of all results.

    Raises:
        ValueError: A file is not one of ours.
    """
    found: dict[tuple[str, str], dict[int, Outcome]] = {}
    for path in sorted(results.glob("*/*/*.json")):
        outcome = read_outcome(path)
        found.setdefault((outcome.task, outcome.arm), {})[outcome.seed] = outcome
    return found


def pairs(found: Found, task: Task, arm: str, other: str) -> list[tuple[Outcome, Outcome]]:
    """Return the outcomes of two arms on the seeds that both have."""
    one, two = (found.get((task.env_id, task.label(x)), {}) for x in (arm, other))
    return [(one[seed], two[seed]) for seed in sorted(one.keys() & two.keys())]


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Return the median of values, and the smallest and the largest."""
    low, middle, high = np.min(values), np.median(values), np.max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def return_digits(env_id: str) -> int:
    """Return the decimals with which returns of a task are shown."""
    reference = load_environment_spec(env_id).reference
    return 2 if abs(reference.solved - reference.random) < 10 else 0


def bound_cells(differences: Sequence[float], task: Task) -> list[str]:
    """Return the lower bound of differences in return, with the margin, and whether it is within.

    Args:
        differences: One of each seed, at least 2.
        task: Its margin counts.
    """
    bound, _ = mean_interval(differences, 2 * CONFIDENCE - 1)
    digits = return_digits(task.env_id) + 1
    within = "yes" if bound >= -task.allowed_loss else "**no**"
    return [f"{bound:.{digits}f} ({-task.allowed_loss:.{digits}f})", within]


def wrapped(*paragraphs: str) -> str:
    """Return paragraphs of text, their lines broken anew."""
    filled = [
        textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)
        for text in paragraphs
    ]
    return "\n\n".join(filled) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"
