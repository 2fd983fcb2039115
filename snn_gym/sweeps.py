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
from collections.abc import Iterator, Sequence
from pathlib import Path

from snn_gym._base.config import from_mapping, to_mapping
from snn_gym._base.folders import make_writable
from snn_gym._base.numerics import variables_of
from snn_gym.leaderboard import submit, verify
from snn_gym.leaderboard.limited_process import end_with
from snn_gym.leaderboard.plan import PlannedRun, read_plan
from snn_gym.leaderboard.pretrained import find_trained
from snn_gym.leaderboard.results import find_row, list_rows
from snn_gym.leaderboard.retraining import make_lean_of

MOST_DEATHS = 3
"""Times that a run's process may be killed from outside before the run is given up."""
_POLL_SECONDS = 0.2
_WORK = "from snn_gym.sweeps import work; work()"


def missing(runs: Sequence[PlannedRun], leaderboard: Path) -> list[PlannedRun]:
    """Return the runs that have no row in a leaderboard's folder."""
    rows = list_rows(leaderboard)
    return [x for x in runs if find_row(rows, x.agent, x.environment, x.seed) is None]


def sweep(
    planned: Sequence[PlannedRun], leaderboard: Path, runs: Path, *, workers: int
) -> Iterator[tuple[PlannedRun, str | None]]:
    """Train, submit and verify runs in worker processes.

    Args:
        planned: Runs without a row, in the order of their start.
        leaderboard: Folder of the leaderboard.
        runs: Folder of the runs.
        workers: Processes at a time, at least 1.

    Yields:
        Each run as it ends, with the reason in one line if it has no row, else None.
    """
    waiting = deque((run, 0) for run in planned)
    running: dict[subprocess.Popen[bytes], tuple[PlannedRun, int]] = {}
    with tempfile.TemporaryDirectory(prefix="snn-gym-sweep-") as logs:
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    run, deaths = waiting.popleft()
                    log = Path(logs) / str(planned.index(run))
                    running[_start(run, leaderboard, runs, log)] = run, deaths
                time.sleep(_POLL_SECONDS)
                for process in [x for x in running if x.poll() is not None]:
                    run, deaths = running.pop(process)
                    if process.returncode < 0 and deaths + 1 < MOST_DEATHS:
                        waiting.appendleft((run, deaths + 1))
                    else:
                        log = Path(logs) / str(planned.index(run))
                        left = missing([run], leaderboard)
                        yield run, _problem(process.returncode, log) if left else None
        finally:  # also where the caller stops
            for process in running:
                process.kill()
                process.wait()


def _start(run: PlannedRun, leaderboard: Path, runs: Path, log: Path) -> subprocess.Popen[bytes]:
    words = [json.dumps(to_mapping(run)), str(leaderboard), str(runs), str(os.getpid())]
    with log.open("wb") as errors, variables_of("portable"):
        return subprocess.Popen(
            [sys.executable, "-c", _WORK, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            # One thread each: networks this small lose time to thread hand-overs.
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )


def _problem(status: int, log: Path) -> str:
    """Return the last line of an ended process's log, or how the process ended."""
    if status < 0:
        return f"was killed {MOST_DEATHS} times by signal {-status}"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else f"ended with status {status}"


def work() -> None:
    """Carry out the run on this process's command line; exit with one line after a failure."""
    words, leaderboard, runs, parent = sys.argv[1:]
    end_with(int(parent))
    run = from_mapping(PlannedRun, json.loads(words), "run")
    try:
        submission = train_and_submit(run, Path(runs), Path(leaderboard))
        verify(submission, leaderboard, retrain=True)  # without it, no row ranks
    except (ValueError, OSError) as error:
        sys.exit(" ".join(str(error).split()))


def train_and_submit(run: PlannedRun, runs: Path, leaderboard: Path) -> Path:
    """Train a run, from its last checkpoint if it has one, and return its submission's folder.

    A run with a teacher is made lean from the teacher's row in the leaderboard, each time anew.

    Raises:
        ValueError: A step refuses the run, or its teacher has no row.
    """
    from snn_gym.training import train
    from snn_gym.zoo import save_agent

    folder, agent, environment, seed = run.folder(runs), run.agent, run.environment, run.seed
    if run.teacher is None:
        train(agent, environment, out=folder, resume=True, seed=seed, steps=run.steps)
    else:
        teacher = find_trained(run.teacher, environment, leaderboard).row(seed)
        save_agent(make_lean_of(leaderboard, teacher, agent, steps=run.steps, seed=seed), folder)
    return submit(folder)


def main(words: Sequence[str] | None = None) -> int:
    """Carry out a plan, with a line for each run.

    Return 1 if some run ended without a row. A wrong plan ends the process with one line.
    """
    parser = argparse.ArgumentParser(
        prog="python -m snn_gym.sweeps", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("plan", type=Path, help="TOML file with groups of runs")
    parser.add_argument("--leaderboard", type=Path, default=Path("leaderboard"))
    parser.add_argument("--runs", type=Path, default=Path("runs/results"))
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--nice", type=int, default=0, help="niceness to add")
    given = parser.parse_args(words)
    os.nice(given.nice)
    try:
        planned = read_plan(given.plan).runs()
        pending = missing(planned, given.leaderboard)
        for folder in (given.leaderboard, given.runs):  # before hours of work
            make_writable(folder)
    except (ValueError, OSError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    print(f"{len(pending)} of {len(planned)} runs have no row yet; {given.workers} at a time")
    failures = 0
    ended = sweep(pending, given.leaderboard, given.runs, workers=given.workers)
    for number, (run, problem) in enumerate(ended, 1):
        failures += problem is not None
        print(f"{number} of {len(pending)}: {run.name}: {problem or 'has its row'}", flush=True)
    if failures:
        print(f"{failures} runs have no row; see the lines above, and run it again")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
