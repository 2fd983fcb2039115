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

from snn_gym._base.config import Config, Natural, from_mapping
from snn_gym.leaderboard.plan import Job
from snn_gym.leaderboard.worker import end_with


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
    """Increment of the process's niceness."""
    parent: Natural
    """Process id of the sweep."""


def train_and_submit(job: Job, runs: Path, leaderboard: Path) -> Path:
    """Train a run, from its last checkpoint if it has one, and submit it.

    One with a teacher is made lean from the teacher's row, anew each time.

    Args:
        job: The run.
        runs: Folder of all runs.
        leaderboard: Folder of the leaderboard, which has the row of a job's teacher.

    Returns:
        The submission.

    Raises:
        ValueError: A step refuses it, or its teacher has no row.
    """
    from snn_gym.leaderboard import submit
    from snn_gym.training import train

    folder = job.folder(runs)
    if job.teacher is not None:
        _learn_from(job.teacher, job, folder, leaderboard)
    else:
        train(
            job.agent,
            job.environment,
            out=folder,
            resume=True,
            seed=job.seed,
            steps=job.steps,
        )
    return submit(folder)


def _learn_from(teacher: str, job: Job, folder: Path, leaderboard: Path) -> None:
    from snn_gym.leaderboard.pretrained import find_trained
    from snn_gym.leaderboard.retraining import make_lean_of
    from snn_gym.zoo import save_agent

    parent = find_trained(teacher, job.environment, leaderboard).row(job.seed)
    made = make_lean_of(leaderboard, parent, job.agent, steps=job.steps, seed=job.seed)
    save_agent(made, folder)


def main() -> None:
    """Carry out the one errand on the command line."""
    errand = from_mapping(Errand, json.loads(sys.argv[1]), "errand")
    end_with(errand.parent)
    os.nice(errand.niceness)
    from snn_gym.leaderboard import verify

    try:
        submission = train_and_submit(errand.job, Path(errand.runs), Path(errand.leaderboard))
        verify(submission, errand.leaderboard, retrain=errand.job.teacher is not None)
    except (ValueError, OSError) as error:
        sys.exit(" ".join(str(error).split()))


if __name__ == "__main__":
    main()
