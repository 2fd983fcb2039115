"""Carry out a plan, in worker processes or on a Ray cluster, and tell its progress."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from snn_gym._base.config import to_mapping
from snn_gym._base.folders import make_writable
from snn_gym.leaderboard import verify
from snn_gym.leaderboard.manifest import MANIFEST_NAME, WEIGHTS_NAME
from snn_gym.leaderboard.plan import Job, read_plan
from snn_gym.leaderboard.results import Row, find_row, list_rows
from snn_gym.sweeps.worker import train_and_submit

# ---- results -------------------------------------------------------------------------------------
MOST_DEATHS = 3
"""Times that a run's process may be killed from outside before the run is given up."""


@dataclass(frozen=True)
class Ended:
    """A run that ended."""

    job: Job
    """The run."""
    row: Row | None
    """Its row; None after a failure."""
    problem: str | None
    """Reason of a failure, in one line."""
    seconds: float
    """Wall-clock time since its process, or the sweep on a cluster, began."""


def _ended(job: Job, leaderboard: Path, problem: str | None, begun: float) -> Ended:
    """Return the outcome of a run: its row if there is one, else the problem of its process."""
    seconds = time.monotonic() - begun
    row = find_row(list_rows(leaderboard), job.agent, job.environment, job.seed)
    if row is None:
        return Ended(job, None, problem or "ended without a row", seconds)
    return Ended(job, row, None, seconds)


def missing(jobs: Sequence[Job], leaderboard: Path) -> list[Job]:
    """Return the runs that have no row yet.

    Args:
        jobs: Runs.
        leaderboard: Folder of the leaderboard.
    """
    stored = {(row.agent, row.environment, row.seed) for row in list_rows(leaderboard)}
    return [job for job in jobs if (job.agent, job.environment, job.seed) not in stored]


# ---- this machine --------------------------------------------------------------------------------
_POLL_SECONDS = 0.2


@dataclass
class _Worker:
    """Process of a run."""

    job: Job
    process: subprocess.Popen[bytes]
    log: Path
    """Its standard error."""
    begun: float
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
    jobs: Sequence[Job],
    leaderboard: Path,
    runs: Path,
    *,
    workers: int,
    niceness: int = 0,
    started: Callable[[Job], None] | None = None,
) -> Iterator[Ended]:
    """Train, submit and verify runs in worker processes.

    A killed process is started again, up to twice, and goes on from its last checkpoint; so does a
    later sweep if this one was stopped. Rows are written as runs end, each once.

    Args:
        jobs: Runs without a row, in the order of their start.
        leaderboard: Folder of the leaderboard.
        runs: Folder of the runs.
        workers: Processes at a time, at least 1.
        niceness: Increment of their niceness; 19 lets everything else go first.
        started: Called with each run whose process starts, again where it is started again.

    Yields:
        Each run, in the order in which they end.
    """
    waiting = deque((job, 0) for job in jobs)
    running: list[_Worker] = []
    with tempfile.TemporaryDirectory(prefix="snn-gym-sweep-") as logs:
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    job, deaths = waiting.popleft()
                    running.append(_start(job, deaths, leaderboard, runs, niceness, Path(logs)))
                    if started is not None:
                        started(job)
                time.sleep(_POLL_SECONDS)
                for worker in [x for x in running if x.process.poll() is not None]:
                    running.remove(worker)
                    if worker.process.returncode < 0 and worker.deaths + 1 < MOST_DEATHS:
                        waiting.appendleft((worker.job, worker.deaths + 1))
                    else:
                        yield _ended(worker.job, leaderboard, worker.problem(), worker.begun)
        finally:  # also where the caller stops
            for worker in running:
                worker.process.kill()
                worker.process.wait()


def _start(
    job: Job, deaths: int, leaderboard: Path, runs: Path, niceness: int, logs: Path
) -> _Worker:
    errand = {
        "job": to_mapping(job),
        "runs": str(runs),
        "leaderboard": str(leaderboard),
        "niceness": niceness,
        "parent": os.getpid(),
    }
    path = logs / f"{job.name.replace('/', '_')}.log"
    with path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "snn_gym.sweeps.worker", json.dumps(errand)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            # One thread each: networks this small lose time to thread hand-overs.
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    return _Worker(job, process, path, time.monotonic(), deaths)


# ---- cluster -------------------------------------------------------------------------------------
_SECONDS_TO_ANSWER = 10.0


def sweep_on_cluster(
    jobs: Sequence[Job], leaderboard: Path, runs: Path, *, address: str, niceness: int = 0
) -> Iterator[Ended]:
    """Train and submit runs on the nodes of a Ray cluster, one for each core, and verify them here.

    A run whose process or node dies is begun again on another node. It goes on from its last
    checkpoint where that node sees the same folder of runs, and begins anew elsewhere. This process
    writes its row, once. The address is as for ``ray.init``: ``HOST:PORT`` or ``auto``.

    Raises:
        ValueError: Ray is not installed, or no cluster answers.
    """
    ray = _connect(address)
    try:
        task = ray.remote(num_cpus=1, max_retries=MOST_DEATHS - 1)(_submission)
        start_s, folders = time.monotonic(), (str(runs.resolve()), str(leaderboard.resolve()))
        waiting = {task.remote(job, *folders, niceness): job for job in jobs}
        while waiting:
            (ready,), _ = ray.wait(list(waiting), num_returns=1)
            job = waiting.pop(ready)
            try:
                problem = _verify(ray.get(ready), job, leaderboard)
            except ray.exceptions.RayError as error:
                problem = _last_line(error)
            yield _ended(job, leaderboard, problem, start_s)
    finally:
        ray.shutdown()


def _connect(address: str) -> Any:
    try:
        import ray
    except ImportError as error:
        raise ValueError("--ray needs Ray; install ray 2.50 or newer") from error
    host, _, port = address.rpartition(":")
    try:
        if host and "/" not in host:
            # Where nobody listens, Ray itself would go on trying for minutes.
            socket.create_connection((host, int(port)), timeout=_SECONDS_TO_ANSWER).close()
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"no Ray cluster answers at {address} ({_last_line(error)}); start one with `ray start "
            "--head`, or name its address"
        ) from error
    return ray


def _submission(job: Job, runs: str, leaderboard: str, niceness: int) -> tuple[bytes, bytes] | str:
    """Return a run's submission as bytes, or the reason of its failure; it runs on a node."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.nice(max(0, niceness - os.nice(0)))  # the process may have carried out a run before
    try:
        folder = train_and_submit(job, Path(runs), Path(leaderboard))
    except (ValueError, OSError) as error:
        return " ".join(str(error).split())
    return (folder / MANIFEST_NAME).read_bytes(), (folder / WEIGHTS_NAME).read_bytes()


def _verify(submission: tuple[bytes, bytes] | str, job: Job, leaderboard: Path) -> str | None:
    """Verify a node's submission here; return the reason of a failure, else None."""
    if isinstance(submission, str):
        return submission
    with tempfile.TemporaryDirectory(prefix="snn-gym-sweep-") as folder:
        for name, data in zip((MANIFEST_NAME, WEIGHTS_NAME), submission, strict=True):
            (Path(folder) / name).write_bytes(data)
        try:
            verify(folder, leaderboard, retrain=job.teacher is not None)
        except ValueError as error:
            return " ".join(str(error).split())
    return None


def _last_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[-1]


# ---- progress ------------------------------------------------------------------------------------
_NAMED = 2
"""Runs under way that a terminal names; it counts the rest."""


def carry_out_plan(
    path: Path,
    leaderboard: Path,
    runs: Path,
    *,
    workers: int | None = None,
    niceness: int = 0,
    ray: str | None = None,
) -> Iterator[str]:
    """Carry out the runs of a plan that have no row yet, with a bar on a terminal.

    Without a number of workers there is one for each core. ``ray`` is the address of a cluster,
    which then carries them out. Yields lines to print: the number of runs, then one for each run
    that ended.

    Raises:
        ValueError: The plan is wrong, a folder cannot be written, or, after the last line, a run
            ended without a row.
    """
    jobs = read_plan(path).jobs()
    pending = missing(jobs, leaderboard)
    for folder in (leaderboard, runs):  # before hours of work
        make_writable(folder)
    total = sum(job.steps for job in pending)
    with _Bar(total) as bar:
        if ray is None:
            workers = workers or len(os.sched_getaffinity(0))
            place = f"{workers} at a time"
            results = sweep(
                pending, leaderboard, runs, workers=workers, niceness=niceness, started=bar.started
            )
        else:
            place = f"on the cluster at {ray}"
            results = sweep_on_cluster(pending, leaderboard, runs, address=ray, niceness=niceness)
        yield f"{len(pending)} of {len(jobs)} runs have no row yet; {place}"
        failures, start_s = 0, time.monotonic()
        for number, ended in enumerate(results, 1):
            failures += ended.row is None
            bar.ended(ended.job)
            left = time_left(time.monotonic() - start_s, bar.done, total)
            yield f"{describe(ended)}; {number} of {len(pending)}, {left} left"
    if failures:
        raise ValueError(f"{failures} runs have no row; see the lines above, and run it again")


class _Bar(Progress):
    """Bar of a sweep that names the runs under way; shown on a terminal only."""

    def __init__(self, total: int) -> None:
        console = Console(stderr=True)
        super().__init__(console=console, disable=not console.is_terminal)
        self.done = 0
        self._running: list[str] = []
        self._task = self.add_task("environment steps", total=total)

    def started(self, job: Job) -> None:
        """Name a run from now on."""
        if job.name not in self._running:  # else it was killed, and starts again
            self._running.append(job.name)
        self._show()

    def ended(self, job: Job) -> None:
        """Count a run's steps, and name it no more."""
        self.done += job.steps
        if job.name in self._running:
            self._running.remove(job.name)
        self._show()

    def _show(self) -> None:
        more = len(self._running) - _NAMED
        names = ", ".join(self._running[:_NAMED]) + (f" and {more} more" if more > 0 else "")
        self.update(self._task, completed=self.done, description=names or "environment steps")


def describe(ended: Ended) -> str:
    """Return a line about a run that ended: its score, or the reason of its failure."""
    if ended.row is None:
        return f"{ended.job.name}: {ended.problem}"
    return (
        f"{ended.job.name}: mean return {ended.row.score.mean:.2f}, {ended.row.costs.in_words()}, "
        f"{duration(ended.seconds)}"
    )


def time_left(seconds: float, done: int, total: int) -> str:
    """Return the time left in words, after ``done`` of ``total`` steps in so many seconds."""
    return f"about {duration(seconds * (total - done) / done)}"


def duration(seconds: float) -> str:
    """Return a duration in words, in two units at most."""
    total_s = round(seconds)
    if total_s < 60:
        return f"{total_s} s"
    if total_s < 3600:
        return f"{total_s // 60} min {total_s % 60} s"
    return f"{total_s // 3600} h {total_s % 3600 // 60} min"
