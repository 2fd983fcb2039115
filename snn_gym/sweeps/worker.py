"""Worker process of one run of a sweep: ``python -m snn_gym.sweeps.worker``.

It gets its job as JSON, goes on from the run's last checkpoint and ends with its parent. A problem
is one line on standard error.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from snn_gym._base.config import from_mapping
from snn_gym.leaderboard.plan import Job
from snn_gym.leaderboard.worker import end_with


def train_and_submit(job: Job, runs: Path, leaderboard: Path) -> Path:
    """Train a run, from its last checkpoint if it has one, and return its submission's folder.

    A job with a teacher is made lean from the teacher's row in the leaderboard, each time anew.

    Raises:
        ValueError: A step refuses the run, or its teacher has no row.
    """
    from snn_gym.leaderboard import submit
    from snn_gym.leaderboard.pretrained import find_trained
    from snn_gym.leaderboard.verification import make_lean_of
    from snn_gym.training import train
    from snn_gym.zoo import save_agent

    folder = job.folder(runs)
    if job.teacher is None:
        train(
            job.agent,
            job.environment,
            out=folder,
            resume=True,
            seed=job.seed,
            steps=job.steps,
            eval_every=job.eval_every,
        )
    else:
        teacher = find_trained(job.teacher, job.environment, leaderboard).row(job.seed)
        lean = make_lean_of(leaderboard, teacher, job.agent, steps=job.steps, seed=job.seed)
        save_agent(lean, folder)
    return submit(folder)


def main() -> None:
    """Train, submit and verify the job on the command line; exit with one line after a failure."""
    errand = json.loads(sys.argv[1])
    end_with(errand["parent"])
    os.nice(errand["niceness"])
    from snn_gym.leaderboard import verify

    job, leaderboard = from_mapping(Job, errand["job"], "job"), Path(errand["leaderboard"])
    try:
        submission = train_and_submit(job, Path(errand["runs"]), leaderboard)
        verify(submission, leaderboard, retrain=job.teacher is not None)
    except (ValueError, OSError) as error:
        sys.exit(" ".join(str(error).split()))


if __name__ == "__main__":
    main()
