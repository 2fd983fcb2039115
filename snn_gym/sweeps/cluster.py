"""Carry out a plan on a Ray cluster: runs anywhere, submissions verified here."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from snn_gym.scoring import verify
from snn_gym.scoring.manifest import MANIFEST_NAME, WEIGHTS_NAME
from snn_gym.scoring.plan import Job
from snn_gym.sweeps.ended import MOST_DEATHS, Ended, ended
from snn_gym.sweeps.worker import train_and_submit

_SECONDS_TO_ANSWER = 10.0


def sweep_on_cluster(
    jobs: Sequence[Job], leaderboard: Path, runs: Path, *, address: str, niceness: int = 0
) -> Iterator[Ended]:
    """Train and submit runs on the nodes of a Ray cluster, one for each core, and verify them here.

    A run whose process or node dies is begun again on another one, and goes on from its last
    checkpoint where that node sees the same folder of runs; elsewhere it begins anew. Either way
    its row is written once, by this process.

    Args:
        jobs: Runs, the first ones first; those that have a row are to be left out.
        leaderboard: Folder of the leaderboard, of this machine.
        runs: Folder of the runs, on every node; best one that all of them share.
        address: Address of the cluster, as ``ray.init`` takes it: ``HOST:PORT`` or ``auto``.
        niceness: What is added to the niceness of the runs' processes.

    Yields:
        What came of each run, in the order in which they end.

    Raises:
        ValueError: Ray is not installed, or no cluster answers.
    """
    ray = _connect(address)
    try:
        task = ray.remote(num_cpus=1, max_retries=MOST_DEATHS - 1)(_submission)
        begun, folders = time.monotonic(), (str(runs.resolve()), str(leaderboard.resolve()))
        waiting = {task.remote(job, *folders, niceness): job for job in jobs}
        while waiting:
            (ready,), _ = ray.wait(list(waiting), num_returns=1)
            job = waiting.pop(ready)
            try:
                problem = _verified(ray.get(ready), job, leaderboard)
            except ray.exceptions.RayError as error:
                problem = _last_line(error)
            yield ended(job, leaderboard, problem, begun)
    finally:
        ray.shutdown()


def _connect(address: str) -> Any:
    try:
        import ray
    except ImportError as error:
        raise ValueError("--ray needs Ray; install ray 2.50 or newer") from error
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"no Ray cluster answers at {address} ({_last_line(error)}); start one with `ray start "
            "--head`, or name its address"
        ) from error
    return ray


def _knock(address: str) -> None:
    """Refuse an address where nobody listens; Ray itself would go on trying for minutes."""
    host, _, port = address.rpartition(":")
    if host and "/" not in host:
        socket.create_connection((host, int(port)), timeout=_SECONDS_TO_ANSWER).close()


def _submission(job: Job, runs: str, leaderboard: str, niceness: int) -> tuple[bytes, bytes] | str:
    """Return a run's submission as bytes, or why there is none; it runs on a node."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.nice(max(0, niceness - os.nice(0)))  # the process may have carried out a run before
    try:
        folder = train_and_submit(job, Path(runs), Path(leaderboard))
    except (ValueError, OSError) as error:
        return " ".join(str(error).split())
    return (folder / MANIFEST_NAME).read_bytes(), (folder / WEIGHTS_NAME).read_bytes()


def _verified(found: tuple[bytes, bytes] | str, job: Job, leaderboard: Path) -> str | None:
    """Verify what came back, and return why there is no row."""
    if isinstance(found, str):
        return found
    with tempfile.TemporaryDirectory(prefix="snn-gym-sweep-") as folder:
        for name, data in zip((MANIFEST_NAME, WEIGHTS_NAME), found, strict=True):
            (Path(folder) / name).write_bytes(data)
        try:
            verify(folder, leaderboard, retrain=job.teacher is not None)
        except ValueError as error:
            return " ".join(str(error).split())
    return None


def _last_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
