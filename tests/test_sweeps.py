"""Tests of sweeps: one row for each run, with killed processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from snn_gym import sweeps
from snn_gym._base.storage import load_tensors
from snn_gym.leaderboard import check_board
from snn_gym.leaderboard.plan import PlannedRun
from snn_gym.leaderboard.results import list_rows
from snn_gym.sweeps import MOST_DEATHS, missing, sweep
from snn_gym.training import train
from snn_gym.zoo.files import WEIGHTS

pytestmark = pytest.mark.slow
JOBS = [PlannedRun("ppo-mlp", "CartPole-v1", seed, 600) for seed in (0, 1, 2)]


def sweep_words(folder, **group):
    """Write a plan of one group, and return the command that sweeps it."""
    group = {"agents": ["ppo-mlp"], "environments": ["CartPole-v1"], "seeds": "0", **group}
    lines = [f"{key} = {json.dumps(value)}" for key, value in group.items()]
    (folder / "plan.toml").write_text("\n".join(["[[groups]]", *lines]))
    places = ["--leaderboard", str(folder / "board"), "--runs", str(folder / "runs")]
    return [str(folder / "plan.toml"), *places]


@dataclass(frozen=True)
class Swept:
    """Sweep whose first job failed."""

    board: Path
    runs: Path
    ended: tuple[tuple[PlannedRun, str | None], ...]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    root = tmp_path_factory.mktemp("swept")
    board, runs = root / "board", root / "runs"
    folder = JOBS[0].folder(runs)
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    return Swept(board, runs, tuple(sweep(JOBS, board, runs, workers=2)))


def test_rows_equal_train_submit_and_verify(swept, tmp_path):
    assert {job.seed for job, problem in swept.ended if problem is None} == {1, 2}
    assert {row.seed for row in list_rows(swept.board)} == {1, 2}
    assert check_board(swept.board) == ()
    assert missing(JOBS, swept.board) == JOBS[:1]
    alone = tmp_path / "alone"
    train("ppo-mlp", "CartPole-v1", out=alone, seed=1, steps=600)
    of_sweep, _ = load_tensors(JOBS[1].folder(swept.runs) / WEIGHTS, max_bytes=1 << 20)
    by_hand, _ = load_tensors(alone / WEIGHTS, max_bytes=1 << 20)
    assert all((of_sweep[name] == x).all() for name, x in by_hand.items())


def test_failed_runs_are_named_and_other_runs_continue(swept):
    ((failed, problem),) = [x for x in swept.ended if x[1] is not None]
    assert failed == JOBS[0]
    assert "holds no training run" in problem
    assert (JOBS[0].folder(swept.runs) / "notes.txt").read_text() == "mine"


def workers():
    """Return the process ids of workers that this process has started."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                line = (folder / "cmdline").read_bytes()
            except (OSError, IndexError):  # it ended meanwhile
                continue
            if parent == os.getpid() and b"snn_gym.sweeps" in line:
                found.append(int(folder.name))
    return found


def kill_workers(monkeypatch, wanted):
    """Kill workers at each poll while ``wanted`` says so; return their process ids."""
    killed, sleep = [], time.sleep

    def kill(seconds):
        sleep(seconds)
        for worker in workers():
            if wanted(killed):
                os.kill(worker, signal.SIGKILL)
                killed.append(worker)

    monkeypatch.setattr("snn_gym.sweeps.time.sleep", kill)
    return killed


def test_killed_workers_restart_and_add_one_row(tmp_path, monkeypatch):
    board, runs = tmp_path / "board", tmp_path / "runs"
    killed = kill_workers(
        monkeypatch, lambda killed: not killed and (JOBS[0].folder(runs) / "run.json").exists()
    )
    assert list(sweep(JOBS[:1], board, runs, workers=1)) == [(JOBS[0], None)]
    assert len(killed) == 1
    assert len(list_rows(board)) == 1


def test_repeatedly_killed_runs_are_abandoned(tmp_path, monkeypatch):
    killed = kill_workers(monkeypatch, lambda _: True)
    ((_, problem),) = sweep(JOBS[:1], tmp_path / "board", tmp_path / "runs", workers=1)
    assert problem == "was killed 3 times by signal 9"
    assert len(set(killed)) == MOST_DEATHS


def test_workers_end_with_the_sweep(tmp_path):
    words = sweep_words(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "snn_gym.sweeps", *words],
        stdout=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
    )
    run = tmp_path / "runs" / "ppo-mlp" / "CartPole-v1" / "0" / "run.json"
    deadline = time.monotonic() + 120
    while not run.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 1
    process.kill()
    process.wait()
    while Path(f"/proc/{children[0]}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{children[0]}").exists()


def test_each_run_is_reported(tmp_path, capsys):
    words = sweep_words(tmp_path, agents=["ppo-lif"], steps=256)
    assert sweeps.main([*words, "--workers", "1"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1 of 1 runs have no row yet; 1 at a time",
        "1 of 1: ppo-lif CartPole-v1 seed 0: has its row",
    ]
    assert sweeps.main(words) == 0
    assert capsys.readouterr().out.startswith("0 of 1 runs have no row yet; ")

    (tmp_path / "board" / "results").rename(tmp_path / "gone")
    (tmp_path / "runs" / "ppo-lif" / "CartPole-v1" / "0" / "run.json").write_text(json.dumps({}))
    assert sweeps.main(words) == 1
    assert "1 runs have no row; see the lines above" in capsys.readouterr().out


def test_folders_that_cannot_be_written_are_refused_before_any_run(tmp_path, capsys):
    (tmp_path / "board").write_text("a file")
    for words, named in (
        (sweep_words(tmp_path), "is a file; expected a folder"),
        (["absent.toml"], "absent.toml"),
    ):
        with pytest.raises(SystemExit, match="2"):
            sweeps.main(words)
        (said,) = capsys.readouterr().err.splitlines()
        assert named in said
    assert not (tmp_path / "runs").exists()
