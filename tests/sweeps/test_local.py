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

from snn_gym._base.storage import load_tensors
from snn_gym.cli import main
from snn_gym.leaderboard import check_board
from snn_gym.leaderboard.results import list_rows
from snn_gym.sweeps import Job, missing, sweep
from snn_gym.sweeps.runs import MOST_DEATHS, Ended, duration, time_left
from snn_gym.training import train
from snn_gym.training.logs import EVALUATIONS_FILE
from snn_gym.zoo.files import WEIGHTS
from tests.terminal import terminal

JOBS = [Job("ppo-mlp", "CartPole-v1", seed, 600, eval_every=300) for seed in (0, 1, 2)]


PROGRAM = "import sys; from snn_gym.cli import main; sys.exit(main(sys.argv[1:]))"


def sweep_words(folder, **group):
    """Write a plan of one group, and return the command that sweeps it."""
    group = {"agents": ["ppo-mlp"], "environments": ["CartPole-v1"], "seeds": "0", **group}
    lines = [f"{key} = {json.dumps(value)}" for key, value in group.items()]
    (folder / "plan.toml").write_text("\n".join(["[[groups]]", *lines]))
    places = ["--leaderboard", str(folder / "board"), "--runs", str(folder / "runs")]
    return ["sweep", str(folder / "plan.toml"), *places]


@dataclass(frozen=True)
class Swept:
    """Sweep whose first job failed."""

    board: Path
    runs: Path
    ended: tuple[Ended, ...]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    root = tmp_path_factory.mktemp("swept")
    board, runs = root / "board", root / "runs"
    folder = JOBS[0].folder(runs)
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    return Swept(board, runs, tuple(sweep(JOBS, board, runs, workers=2)))


def test_rows_equal_train_submit_and_verify(swept, tmp_path):
    ended = [one for one in swept.ended if one.job.seed != 0]
    assert sorted(one.job.seed for one in ended) == [1, 2]
    assert [one.problem for one in ended] == [None] * 2
    assert {one.row.seed: one.row for one in ended if one.row} == {
        row.seed: row for row in list_rows(swept.board)
    }
    assert check_board(swept.board) == ()
    assert missing(JOBS, swept.board) == JOBS[:1]
    # Evaluations leave the training as it is.
    assert (JOBS[1].folder(swept.runs) / EVALUATIONS_FILE).exists()
    alone = tmp_path / "alone"
    train("ppo-mlp", "CartPole-v1", out=alone, seed=1, steps=600)
    of_sweep, _ = load_tensors(JOBS[1].folder(swept.runs) / WEIGHTS, max_bytes=1 << 20)
    by_hand, _ = load_tensors(alone / WEIGHTS, max_bytes=1 << 20)
    assert all((of_sweep[name] == x).all() for name, x in by_hand.items())


def test_failed_runs_are_named_and_other_runs_continue(swept):
    assert len(swept.ended) == 3
    ended = {one.job.seed: one for one in swept.ended}
    assert "holds no training run" in str(ended[0].problem)
    assert ended[0].row is None
    assert all(ended[seed].row is not None for seed in (1, 2))
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
            if parent == os.getpid() and b"snn_gym.sweeps.worker" in line:
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

    monkeypatch.setattr("snn_gym.sweeps.runs.time.sleep", kill)
    return killed


def test_killed_workers_restart_and_add_one_row(tmp_path, monkeypatch):
    board, runs = tmp_path / "board", tmp_path / "runs"
    killed = kill_workers(
        monkeypatch,
        lambda killed: not killed and (JOBS[0].folder(runs) / "run.json").exists(),
    )
    (ended,) = sweep(JOBS[:1], board, runs, workers=1)
    assert len(killed) == 1
    assert ended.row is not None
    assert len(list_rows(board)) == 1


def test_repeatedly_killed_runs_are_abandoned(tmp_path, monkeypatch):
    killed = kill_workers(monkeypatch, lambda _: True)
    (ended,) = sweep(JOBS[:1], tmp_path / "board", tmp_path / "runs", workers=1)
    assert ended.problem == "was killed 3 times by signal 9"
    assert len(set(killed)) == MOST_DEATHS


def test_workers_end_with_the_sweep(tmp_path):
    words = sweep_words(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
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


@pytest.mark.slow
def test_command_reports_each_run(tmp_path, capsys):
    words = sweep_words(tmp_path, agents=["ppo-lif"], steps=256)
    assert main([*words, "--workers", "1"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "1 of 1 runs have no row yet; 1 at a time"
    (row,) = list_rows(tmp_path / "board")
    operations = row.costs.operations_per_decision
    expected = f"mean return {row.score.mean:.2f}, {operations:,.0f} operations a decision ("
    assert second.startswith(f"ppo-lif CartPole-v1 seed 0: {expected}")
    assert second.endswith(" s; 1 of 1, about 0 s left")
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("0 of 1 runs have no row yet; ")

    (tmp_path / "board" / "results").rename(tmp_path / "gone")
    (tmp_path / "runs" / "ppo-lif" / "CartPole-v1" / "0" / "run.json").write_text(json.dumps({}))
    assert main(words) == 2
    assert "1 runs have no row; see the lines above" in capsys.readouterr().err


def test_folders_that_cannot_be_written_are_refused_before_any_run(tmp_path, capsys):
    (tmp_path / "board").write_text("a file")
    words = sweep_words(tmp_path)
    assert main(words) == 2
    assert "is a file; expected a folder" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599.4, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (90_061, "25 h 1 min"),
    ],
)
def test_durations_in_words(seconds, text):
    assert duration(seconds) == text


def test_time_left_follows_environment_steps():
    # A quarter of the steps took a minute, so the other three take three.
    assert time_left(60.0, 25_000, 100_000) == "about 3 min 0 s"
    assert time_left(60.0, 100_000, 100_000) == "about 0 s"


@pytest.mark.slow
def test_a_terminal_names_the_runs_under_way(tmp_path):
    words = sweep_words(tmp_path, seeds="0-3", steps=256)
    for seed in range(4):  # of somebody else, so that each ends at once
        folder = tmp_path / "runs" / "ppo-mlp" / "CartPole-v1" / str(seed)
        folder.mkdir(parents=True)
        (folder / "notes.txt").write_text("mine")
    with terminal() as screen:
        process = subprocess.run(
            [sys.executable, "-c", PROGRAM, *words, "--workers", "3"],
            stdout=subprocess.PIPE, stderr=screen.file, text=True, check=False,
            env={**os.environ, "COLUMNS": "160", "TERM": "xterm"}, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        shown = screen.close()
    assert process.returncode == 2
    assert len(process.stdout.splitlines()) == 5
    assert "ppo-mlp CartPole-v1 seed 0, ppo-mlp CartPole-v1 seed 1 and 1 more" in shown
    assert "4 runs have no row" in shown


def test_a_missing_ray_is_named_before_any_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main([*sweep_words(tmp_path), "--ray", "auto"]) == 2
    assert capsys.readouterr().err == "snn-gym: --ray needs Ray; install ray 2.50 or newer\n"
    assert not list((tmp_path / "runs").iterdir())
