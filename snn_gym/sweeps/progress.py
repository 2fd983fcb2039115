"""Progress of a sweep: a line for each run that ended, and on a terminal the runs under way."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from snn_gym._base.folders import make_writable
from snn_gym.leaderboard.plan import Job, read_plan
from snn_gym.sweeps.runs import Ended, missing, sweep, sweep_on_cluster

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
