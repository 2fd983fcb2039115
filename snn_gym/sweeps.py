"""Train, submit and verify the runs of a plan that have no row yet: ``python -m snn_gym.sweeps``.

Each run has a process. A killed process starts again, and a stopped sweep goes on where it was,
both from the run's last checkpoint; every row is written once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snn_gym._base.config import from_mapping, to_mapping
from snn_gym._base.folders import make_writable
from snn_gym.leaderboard import submit, verify
from snn_gym.leaderboard.limited_process import end_with
from snn_gym.leaderboard.plan import Job, read_plan
from snn_gym.leaderboard.pretrained import find_trained
from snn_gym.leaderboard.results import list_rows
from snn_gym.leaderboard.retraining import make_lean_of

MOST_DEATHS = 3
"""Times that a run's process may be killed from outside before the run is given up."""
_POLL_SECONDS = 0.2
_WORKER = "from snn_gym.sweeps import work; work()"


def missing(jobs: Sequence[Job], leaderboard: Path) -> list[Job]:
    """Return the runs that have no row in a leaderboard's folder."""
    stored = {(row.agent, row.environment, row.seed) for row in list_rows(leaderboard)}
    return [job for job in jobs if (job.agent, job.environment, job.seed) not in stored]


@dataclass
class _Worker:
    """Process of a run."""

    job: Job
    process: subprocess.Popen[bytes]
    log: Path
    """Its standard error."""
    deaths: int
    """Times that earlier processes of the run were killed."""

    def problem(self) -> str:
        """Return the last line of the ended process's log, or how the process ended."""
        status = self.process.returncode
        if status < 0:
            return f"was killed {MOST_DEATHS} times by signal {-status}"
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else f"ended with status {status}"


def sweep(
    jobs: Sequence[Job], leaderboard: Path, runs: Path, *, workers: int, niceness: int = 0
) -> Iterator[tuple[Job, str | None]]:
    """Train, submit and verify runs in worker processes.

    Args:
        jobs: Runs without a row, in the order of their start.
        leaderboard: Folder of the leaderboard.
        runs: Folder of the runs.
        workers: Processes at a time, at least 1.
        niceness: Increment of their niceness; 19 lets everything else go first.

    Yields:
        Each run as it ends, with the reason in one line if it has no row, else None.
    """
    waiting = deque((job, 0) for job in jobs)
    running: list[_Worker] = []
    with tempfile.TemporaryDirectory(prefix="snn-gym-sweep-") as logs:
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    errand = {"runs": str(runs), "leaderboard": str(leaderboard), "nice": niceness}
                    running.append(_start(*waiting.popleft(), errand, Path(logs)))
                time.sleep(_POLL_SECONDS)
                for worker in [x for x in running if x.process.poll() is not None]:
                    running.remove(worker)
                    if worker.process.returncode < 0 and worker.deaths + 1 < MOST_DEATHS:
                        waiting.appendleft((worker.job, worker.deaths + 1))
                    else:
                        left = missing([worker.job], leaderboard)
                        yield worker.job, worker.problem() if left else None
        finally:  # also where the caller stops
            for worker in running:
                worker.process.kill()
                worker.process.wait()


def _start(job: Job, deaths: int, errand: Mapping[str, Any], logs: Path) -> _Worker:
    words = json.dumps({**errand, "job": to_mapping(job), "parent": os.getpid()})
    path = logs / f"{job.name.replace('/', '_')}.log"
    with path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _WORKER, words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            # One thread each: networks this small lose time to thread hand-overs.
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    return _Worker(job, process, path, deaths)


def work() -> None:
    """Carry out the run on this process's command line; exit with one line after a failure."""
    errand = json.loads(sys.argv[1])
    end_with(errand["parent"])
    os.nice(errand["nice"])
    job, leaderboard = from_mapping(Job, errand["job"], "job"), Path(errand["leaderboard"])
    try:
        submission = train_and_submit(job, Path(errand["runs"]), leaderboard)
        verify(submission, leaderboard, retrain=job.teacher is not None)
    except (ValueError, OSError) as error:
        sys.exit(" ".join(str(error).split()))


def train_and_submit(job: Job, runs: Path, leaderboard: Path) -> Path:
    """Train a run, from its last checkpoint if it has one, and return its submission's folder.

    A job with a teacher is made lean from the teacher's row in the leaderboard, each time anew.

    Raises:
        ValueError: A step refuses the run, or its teacher has no row.
    """
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


def main(words: Sequence[str] | None = None) -> int:
    """Carry out a plan, with a line for each run; return 1 if some run ended without a row."""
    parser = argparse.ArgumentParser(prog="python -m snn_gym.sweeps", description=main.__doc__)
    parser.add_argument("plan", type=Path, help="TOML file with groups of runs")
    parser.add_argument("--leaderboard", type=Path, default=Path("leaderboard"))
    parser.add_argument("--runs", type=Path, default=Path("runs/results"))
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--nice", type=int, default=0, help="niceness to add")
    given = parser.parse_args(words)
    try:
        jobs = read_plan(given.plan).jobs()
        pending = missing(jobs, given.leaderboard)
        for folder in (given.leaderboard, given.runs):  # before hours of work
            make_writable(folder)
    except (ValueError, OSError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    print(f"{len(pending)} of {len(jobs)} runs have no row yet; {given.workers} at a time")
    failures = 0
    ended = sweep(
        pending, given.leaderboard, given.runs, workers=given.workers, niceness=given.nice
    )
    for number, (job, problem) in enumerate(ended, 1):
        failures += problem is not None
        print(f"{number} of {len(pending)}: {job.name}: {problem or 'has its row'}", flush=True)
    if failures:
        print(f"{failures} runs have no row; see the lines above, and run it again")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
