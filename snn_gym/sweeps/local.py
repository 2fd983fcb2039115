"""Carry out a plan on this machine: one process for each run, so many at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from snn_gym.config import to_mapping
from snn_gym.scoring.plan import Job
from snn_gym.sweeps.ended import MOST_DEATHS, Ended, ended

_WORKER = "snn_gym.sweeps.worker"
_POLL_SECONDS = 0.2


@dataclass
class _Process:
    """A run's process."""

    job: Job
    process: subprocess.Popen[bytes]
    log: Path
    begun: float
    deaths: int


def sweep(
    jobs: Sequence[Job],
    leaderboard: Path,
    runs: Path,
    *,
    workers: int,
    niceness: int = 0,
    started: Callable[[Job], None] | None = None,
) -> Iterator[Ended]:
    """Train, submit and verify runs, so many at a time.

    A process that is killed is started again and goes on from its last checkpoint; so does a later
    sweep where this one was stopped. Rows are written as runs end, each once.

    Args:
        jobs: Runs, the first ones first; those that have a row are to be left out.
        leaderboard: Folder of the leaderboard.
        runs: Folder of the runs.
        workers: Processes at a time, at least 1.
        niceness: What is added to their niceness; 19 lets everything else go first.
        started: Called with each run whose process starts, again where it is started again.

    Yields:
        What came of each run, in the order in which they end.
    """
    waiting = deque((job, 0) for job in jobs)
    running: list[_Process] = []
    with tempfile.TemporaryDirectory(prefix="snn-gym-sweep-") as logs:
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    job, deaths = waiting.popleft()
                    errand = _errand(job, leaderboard, runs, niceness)
                    running.append(_start(job, deaths, errand, Path(logs)))
                    if started is not None:
                        started(job)
                time.sleep(_POLL_SECONDS)
                for one in [one for one in running if one.process.poll() is not None]:
                    running.remove(one)
                    if one.process.returncode < 0 and one.deaths + 1 < MOST_DEATHS:
                        waiting.appendleft((one.job, one.deaths + 1))
                    else:
                        yield _ended(one, leaderboard)
        finally:  # also where the caller stops
            for one in running:
                one.process.kill()
                one.process.wait()


def _errand(job: Job, leaderboard: Path, runs: Path, niceness: int) -> str:
    errand = {
        "job": to_mapping(job),
        "runs": str(runs),
        "leaderboard": str(leaderboard),
        "niceness": niceness,
        "parent": os.getpid(),
    }
    return json.dumps(errand)


def _start(job: Job, deaths: int, errand: str, logs: Path) -> _Process:
    path = logs / f"{job.name.replace('/', '_')}.log"
    with path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", _WORKER, errand],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            # One thread each: networks this small lose time to thread hand-overs.
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    return _Process(job, process, path, time.monotonic(), deaths)


def _ended(one: _Process, leaderboard: Path) -> Ended:
    status = one.process.returncode
    lines = one.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    problem = lines[-1] if lines else f"ended with status {status}"
    if status < 0:
        problem = f"was killed {MOST_DEATHS} times by signal {-status}"
    return ended(one.job, leaderboard, problem, one.begun)
