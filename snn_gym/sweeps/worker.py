"""The process of one run of a sweep: ``python -m snn_gym.sweeps.worker``.

It trains, submits and verifies one job, which it gets as JSON. It goes on from the run's last
checkpoint, ends with its parent, and says in one line what is wrong.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from snn_gym.config import Config, Natural, from_mapping
from snn_gym.scoring.worker import end_with
from snn_gym.sweeps.plan import Job


@dataclass(frozen=True, kw_only=True)
class Errand(Config):
    """A job and what to do it with."""

    job: Job
    """The run."""
    runs: str
    """Folder of all runs."""
    leaderboard: str
    """Folder of the leaderboard."""
    niceness: Natural
    """What is added to the process's niceness."""
    parent: Natural
    """Process id of the sweep."""


def train_and_submit(job: Job, runs: Path) -> Path:
    """Train a run, from its last checkpoint if it has one, and submit it.

    Args:
        job: The run.
        runs: Folder of all runs.

    Returns:
        The submission.

    Raises:
        ValueError: A step refuses it.
    """
    from snn_gym.scoring import submit
    from snn_gym.training import train

    folder = job.folder(runs)
    train(
        job.agent,
        job.environment,
        out=folder,
        resume=True,
        seed=job.seed,
        steps=job.steps,
    )
    return submit(folder)


def main() -> None:
    """Carry out the one errand on the command line."""
    errand = from_mapping(Errand, json.loads(sys.argv[1]), "errand")
    end_with(errand.parent)
    os.nice(errand.niceness)
    from snn_gym.scoring import verify

    try:
        verify(train_and_submit(errand.job, Path(errand.runs)), errand.leaderboard)
    except (ValueError, OSError) as error:
        sys.exit(" ".join(str(error).split()))


if __name__ == "__main__":
    main()
