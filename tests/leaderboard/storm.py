"""Commands in separate processes, which tests kill."""

import multiprocessing
import os
import sys
import time
from pathlib import Path

from snn_gym import sweeps
from snn_gym.cli import main
from snn_gym.leaderboard import SubmissionError, verification, verify, write_table
from tests.leaderboard.helpers import SETTINGS, rerun_in_process

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.leaderboard.storm", "snn_gym.training", "snn_gym.sweeps"])
# Long enough for random kills to hit a write.
_DISK_SECONDS = 0.05
LIMIT_S = 600.0


def _carry_out(words):
    sync = os.fsync

    def slow(descriptor):
        time.sleep(_DISK_SECONDS)
        sync(descriptor)

    os.fsync = slow
    with Path(os.devnull).open("w") as nothing:
        sys.stdout = sys.stderr = nothing
        command = sweeps.main(words[1:]) if words[0] == "sweep" else main(list(words))
    sys.exit(command)


def start(*words):
    process = CONTEXT.Process(target=_carry_out, args=([str(word) for word in words],))
    process.start()
    return process


def finish(process):
    process.join(LIMIT_S)
    assert process.exitcode is not None
    return int(process.exitcode)


def kill_after(seconds, process):
    """Send SIGKILL after a delay; return whether the process was still running."""
    process.join(seconds)
    process.kill()
    return finish(process) < 0


def timed(command):
    began = time.monotonic()
    assert finish(command()) == 0
    return time.monotonic() - began


def _verify(folder, board, gate, outcomes):
    verification.rerun_limited = rerun_in_process
    gate.wait()
    try:
        verify(folder, board, SETTINGS)
        write_table(board)  # as somebody who looks at once
        outcomes.put("row")
    except SubmissionError as error:
        outcomes.put(error.code)


def verify_at_once(folders, board):
    """Verify submissions at the same time, each in a process; return the outcomes."""
    gate, outcomes = CONTEXT.Barrier(len(folders)), CONTEXT.Queue()
    processes = [
        CONTEXT.Process(target=_verify, args=(folder, board, gate, outcomes)) for folder in folders
    ]
    for process in processes:
        process.start()
    said = [outcomes.get(timeout=LIMIT_S) for _ in folders]
    assert [finish(process) for process in processes] == [0] * len(folders)
    return said
