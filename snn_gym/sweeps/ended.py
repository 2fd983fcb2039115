"""What came of a run of a sweep."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from snn_gym.scoring.manifest import MAX_ROW_BYTES
from snn_gym.scoring.plan import Job
from snn_gym.scoring.results import Row, read_row, row_path
from snn_gym.storage import read_regular_file

MOST_DEATHS = 3
"""Times that a run's process may be killed from outside before the run is given up."""


@dataclass(frozen=True)
class Ended:
    """A run that ended."""

    job: Job
    """The run."""
    row: Row | None
    """Its row; None where there is none."""
    problem: str | None
    """Why there is none, in one line."""
    seconds: float
    """Wall-clock time since its process, or the sweep on a cluster, began."""


def ended(job: Job, leaderboard: Path, problem: str | None, begun: float) -> Ended:
    """Return what came of a run: its row if there is one, whatever was said.

    Args:
        job: The run.
        leaderboard: Folder of the leaderboard.
        problem: Why there should be none.
        begun: When its process began, by ``time.monotonic``.
    """
    path, seconds = row_file(job, leaderboard), time.monotonic() - begun
    if not path.exists():
        return Ended(job, None, problem or "ended without a row", seconds)
    data = read_regular_file(path, max_bytes=MAX_ROW_BYTES)
    return Ended(job, read_row(leaderboard, path, data), None, seconds)


def missing(jobs: Sequence[Job], leaderboard: Path) -> list[Job]:
    """Return the runs that have no row yet.

    Args:
        jobs: Runs.
        leaderboard: Folder of the leaderboard.
    """
    return [job for job in jobs if not row_file(job, leaderboard).exists()]


def row_file(job: Job, leaderboard: Path) -> Path:
    """Return where a run's row is written.

    Args:
        job: The run.
        leaderboard: Folder of the leaderboard.
    """
    return row_path(leaderboard, job.agent, job.environment, job.seed)
