"""The small file of plain data that a run of the study leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snn_gym.leaderboard.statistics import interquartile_mean
from studies.files import read_run, write_run

CURVE_POINTS = 60
"""Most points of a learning curve that are kept."""


@dataclass(frozen=True)
class Outcome:
    """Course and result of a run."""

    scores: tuple[float, ...]
    """Scores of the final policy: returns of the public episodes, or minus the cross-entropy."""
    episodes: int
    """Episodes of the training, or networks judged where there are no episodes."""
    steps: int
    """Environment steps of the training, or samples seen."""
    curve: tuple[tuple[int, float], ...]
    """(steps, mean score of training since the point before), at most ``CURVE_POINTS``."""
    solved_episodes: int | None = None
    """Episodes when the part's criterion was met; None if it was not, or if there is none."""
    solved_steps: int | None = None
    """Environment steps when it was met."""
    measurements: int = 0
    """Times that it was measured whether the task is solved."""
    spikes_per_decision: float | None = None
    """Mean spikes of all layers in a decision of the final policy."""
    synops_per_decision: float | None = None
    """Mean synaptic operations in a decision of the final policy."""


@dataclass(frozen=True)
class Result:
    """A run of the study with its outcome, as its file holds it."""

    part: str
    """Part of the study."""
    case: tuple[str, ...]
    """Names of the run, from the general to the special."""
    seed: int
    """Seed of everything random."""
    version: str
    """Version of the package."""
    settings: dict[str, Any]
    """Everything that was chosen for this case."""
    mean: float
    """Mean of the scores."""
    iqm: float
    """Interquartile mean of the scores."""
    outcome: Outcome
    """How it went."""


def make_result(
    part: str,
    case: Sequence[str],
    seed: int,
    version: str,
    settings: dict[str, Any],
    outcome: Outcome,
) -> Result:
    """Return a run with its outcome; see ``Result`` for the arguments."""
    mean, iqm = float(np.mean(outcome.scores)), interquartile_mean(outcome.scores)
    return Result(part, tuple(case), seed, version, settings, mean, iqm, outcome)


def reduced_curve(
    rows: Sequence[tuple[int, float]], points: int = CURVE_POINTS
) -> tuple[tuple[int, float], ...]:
    """Return a learning curve as at most ``points`` means over runs of rows of equal length."""
    if not rows:
        return ()
    parts = np.array_split(np.arange(len(rows)), min(points, len(rows)))
    values = np.array([value for _, value in rows])
    return tuple((int(rows[k[-1]][0]), round(float(values[k].mean()), 4)) for k in parts)


def result_path(folder: Path, part: str, case: Sequence[str], seed: int) -> Path:
    """Return where the file of a run is."""
    return folder.joinpath(part, *case, f"{seed}.json")


def write_result(folder: Path, result: Result) -> Path:
    """Write a run's file, atomically: a file that exists is whole."""
    return write_run(result_path(folder, result.part, result.case, result.seed), result)


def read_result(path: Path) -> Result:
    """Read a run's file."""
    return read_run(Result, path)
