"""Tests of verification: limits of re-runs, and atomic rows."""

import dataclasses
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TypeVar

import pytest

from snn_gym._base.storage import parse_tensors
from snn_gym.leaderboard import SubmissionError, verification, verify
from snn_gym.leaderboard.limited_process import Request, rerun_here, rerun_limited
from snn_gym.leaderboard.results import list_rows, verified_weights
from tests.leaderboard.helpers import SETTINGS, fingerprint, limited, verify_at_once

T = TypeVar("T")
REQUEST = Request(agent="ppo-lif", environment="CartPole-v1", seeds=SETTINGS.seeds)


def test_the_row_has_the_results_of_the_re_run(template, tmp_path, in_process):
    row = verify(template.write(tmp_path / "s"), tmp_path / "board", SETTINGS)
    assert list_rows(tmp_path / "board") == (row,)
    assert row.agent == "ppo-lif"
    assert list(row.score.returns) == template.manifest["score"]["returns"]
    assert row.lengths == tuple(int(value) for value in row.score.returns)  # CartPole pays 1 a step
    # Weights and biases of 4-64-64-2; the critic does not act.
    assert row.parameters == (4 * 64 + 64) + (64 * 64 + 64) + (64 * 2 + 2)
    assert row.costs.spikes_per_decision.keys() == {"hidden_1", "hidden_2"}
    assert row.costs.synops_per_decision["hidden_1"] == pytest.approx(
        64 * row.costs.spikes_per_decision["hidden_1"]
    )
    stored, metadata = parse_tensors(verified_weights(tmp_path / "board", row), where="row")
    assert metadata == {}
    assert stored.keys() == template.tensors().keys()


def test_a_manifest_may_have_64_kib(template, tmp_path, in_process):
    folder = template.write(tmp_path / "s")
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.ljust(64 * 1024 + 1))
    with pytest.raises(SubmissionError) as caught:
        verify(folder, tmp_path / "board", SETTINGS)
    assert caught.value.code == "file-too-large"
    (folder / "manifest.json").write_text(text.ljust(64 * 1024))
    assert verify(folder, tmp_path / "board", SETTINGS).seed == 0


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"wall_seconds": 0.2}, "time-limit"),
        ({"cpu_seconds": 1}, "time-limit"),
        ({"memory_bytes": 100 << 20}, "rerun-failed"),
    ],
)
def test_re_runs_beyond_the_limits_add_no_row(limits, code, template, tmp_path):
    board = tmp_path / "board"
    board.mkdir()
    before = fingerprint(board)
    settings = limited(**limits)
    with pytest.raises(SubmissionError) as caught:
        verify(template.write(tmp_path / "s"), board, settings)
    assert caught.value.code == code, str(caught.value)
    assert fingerprint(board) == before


PARENT = """
import sys
from pathlib import Path
from snn_gym.leaderboard.limited_process import VerificationSettings, rerun_limited
from snn_gym.leaderboard.limited_process import Request
request = Request(agent="ppo-lif", environment="CartPole-v1", seeds=tuple(range(1_000)))
rerun_limited(request, Path(sys.argv[1]).read_bytes(), VerificationSettings())
"""


def test_the_worker_ends_with_its_parent(template, tmp_path):
    (tmp_path / "weights").write_bytes(template.weights)
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path / "weights")])
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    # Sandboxes are tried in processes that come and go before it.
    worker = wait_until(lambda: next(filter(is_worker, children.read_text().split()), ""))
    parent.kill()
    assert parent.wait() == -signal.SIGKILL
    wait_until(lambda: not runs(worker), limit_s=5.0)  # the re-run takes longer


def wait_until(condition, limit_s=60.0):
    end = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return value


def is_worker(process):
    """Return whether a process is the worker or its sandbox."""
    try:
        return (
            b"snn_gym.leaderboard.limited_process" in Path(f"/proc/{process}/cmdline").read_bytes()
        )
    except (FileNotFoundError, ProcessLookupError):
        return False


def runs(process):
    """Return whether a process runs and is not a zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_worker_and_this_process_agree_bit_for_bit(template, monkeypatch):
    # Neither the caller's variables nor its folder reach the worker: this one would break it.
    monkeypatch.setenv("PYTHONSTARTUP", "/nonexistent")
    monkeypatch.setenv("PYTHONHOME", "/nonexistent")
    found = rerun_limited(REQUEST, template.weights, SETTINGS)
    assert found == rerun_here(REQUEST, template.weights)


def test_files_changed_after_the_checks_are_not_reread(template, tmp_path, monkeypatch):
    folder = template.write(tmp_path / "s")

    def swap(request, weights, settings):
        for path in folder.iterdir():
            path.write_bytes(b"swapped")
        return rerun_here(request, weights)

    monkeypatch.setattr(verification, "rerun_limited", swap)
    row = verify(folder, tmp_path / "board", SETTINGS)
    stored, _ = parse_tensors(verified_weights(tmp_path / "board", row), where="row")
    assert stored.keys() == template.tensors().keys()


def test_only_one_of_two_simultaneous_submissions_is_accepted(template, tmp_path, monkeypatch):
    """Both pass the first check; the check under the lock decides."""
    barrier = threading.Barrier(2)

    def meet(request, weights, settings):
        result = rerun_here(request, weights)
        barrier.wait(timeout=60)
        return result

    monkeypatch.setattr(verification, "rerun_limited", meet)
    folders = [template.with_manifest(seed=k).write(tmp_path / f"s{k}") for k in (0, 1)]
    outcomes = verify_at_once(folders, tmp_path / "board")
    assert sorted(outcomes) == ["duplicate-weights", "row"]
    assert len(list_rows(tmp_path / "board")) == 1


def test_writers_time_out_while_a_reader_holds_the_lock(template, tmp_path, in_process):
    board, folder = tmp_path / "board", template.write(tmp_path / "s")
    board.mkdir()
    descriptor = os.open(board, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    with pytest.raises(ValueError, match="in use by another process"):
        verify(folder, board, dataclasses.replace(SETTINGS, lock_seconds=0.1))
    os.close(descriptor)
    assert verify(folder, board, SETTINGS).seed == 0
