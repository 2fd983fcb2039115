"""Tests of the sandbox of re-runs: no network, no disk, unchanged results."""

import dataclasses
import socket
import subprocess
import sys

import pytest

from snn_gym.leaderboard import SubmissionError, limited_process
from snn_gym.leaderboard.limited_process import (
    NO_SANDBOX,
    SANDBOXES,
    Request,
    Sandbox,
    VerificationSettings,
    find_sandbox,
    is_allowed,
    rerun_limited,
)
from tests.leaderboard.helpers import SETTINGS, limited

REQUEST = Request(agent="ppo-lif", environment="CartPole-v1", seeds=SETTINGS.seeds)


@pytest.fixture(params=[*SANDBOXES, NO_SANDBOX], ids=lambda kind: (*kind.command, "none")[0])
def kind(request, monkeypatch):
    """Use each available sandbox, and none, for re-runs."""
    chosen = request.param
    if chosen is not NO_SANDBOX and not is_allowed(chosen):
        pytest.skip(f"{chosen.command[0]} is not installed or not allowed here")
    monkeypatch.setattr(limited_process, "find_sandbox", lambda: chosen)
    return chosen


def test_the_re_run_reaches_no_port_of_this_machine(kind, monkeypatch):
    monkeypatch.setattr(limited_process, "_MODULE", "tests.leaderboard.curious_worker")
    with socket.create_server(("127.0.0.1", 0)) as server:
        request = dataclasses.replace(REQUEST, seeds=(server.getsockname()[1],))
        with pytest.raises(SubmissionError, match=r"status 1: (not )?reached") as caught:
            rerun_limited(request, b"", SETTINGS)
    assert ("not reached" in str(caught.value)) is (kind is not NO_SANDBOX), str(caught.value)
    said = VerificationSettings().describe().partition(" network")[0]
    assert said == ("with" if kind is NO_SANDBOX else "without")


def test_limits_apply_in_every_sandbox(kind, template):
    with pytest.raises(SubmissionError) as caught:
        rerun_limited(REQUEST, template.weights, limited(cpu_seconds=1))
    assert caught.value.code == "time-limit", str(caught.value)


def test_read_only_disk_refuses_files(kind, tmp_path):
    target = tmp_path / "file"
    program = f"open({str(target)!r}, 'w').close()"
    done = subprocess.run(
        [*kind.command, sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert target.exists() is ("read-only" not in kind.description)
    assert ("Read-only file system" in done.stderr) is ("read-only" in kind.description)


@pytest.mark.parametrize("command", [(), ("no-such-program",), ("false",)])
def test_sandboxes_that_fail_are_not_used(command, monkeypatch):
    monkeypatch.setattr(limited_process, "SANDBOXES", (Sandbox("a dream", command),))
    find_sandbox.cache_clear()
    assert find_sandbox() is NO_SANDBOX
    monkeypatch.setattr(
        limited_process, "SANDBOXES", (Sandbox("a dream", command), Sandbox("", ("env",)))
    )
    find_sandbox.cache_clear()
    assert find_sandbox().command == ("env",)
    find_sandbox.cache_clear()
