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
from snn_gym.sweeps.plan import CHECKPOINT_INTERVAL, Job


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


def carry_out(errand: Errand) -> Path:
    """Train, submit and verify a run.

    Args:
        errand: What to do.

    Returns:
        Path of its row.

    Raises:
        ValueError: A step refuses it.
    """
    from snn_gym.scoring import submit, verify
    from snn_gym.training import train

    job, folder = errand.job, errand.job.folder(Path(errand.runs))
    train(
        job.agent,
        job.environment,
        out=folder,
        resume=True,
        seed=job.seed,
        steps=job.steps,
        checkpoint_interval=CHECKPOINT_INTERVAL,
    )
    return verify(submit(folder), errand.leaderboard)


def main() -> None:
    """Carry out the one errand on the command line."""
    errand = from_mapping(Errand, json.loads(sys.argv[1]), "errand")
    end_with(errand.parent)
    os.nice(errand.niceness)
    try:
        carry_out(errand)
    except (ValueError, OSError) as error:
        sys.exit(" ".join(str(error).split()))


if __name__ == "__main__":
    main()
