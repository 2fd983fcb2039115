"""Start the worker that builds a policy or re-runs a submission, and read its answer."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from snn_gym._base.config import to_mapping
from snn_gym._base.folders import LOCK_SECONDS
from snn_gym.leaderboard.evaluation import OFFICIAL_EPISODES, evaluation_seeds
from snn_gym.leaderboard.manifest import MAX_WEIGHTS_BYTES, SubmissionError, parse_strict, shorten
from snn_gym.leaderboard.worker import Built, Limits, Request, Rerun

# ---- sandbox -------------------------------------------------------------------------------------
# What keeps a re-run from the network and the disk, as far as the system allows it.
#
# A sandbox is a program that starts the re-run in namespaces of its own
# (https://man7.org/linux/man-pages/man7/namespaces.7.html). Whether one may be made depends on
# kernel, container and distribution, so each is tried before it is used.
_TRIAL_SECONDS = 10.0
_PRIVATE_FOLDER = "/dev/shm"


@dataclass(frozen=True)
class Sandbox:
    """A way to start a program apart from the rest of the system."""

    description: str
    """Active restrictions, in words."""
    command: tuple[str, ...] = ()
    """Words before those of the program."""
    waits: bool = False
    """Whether it stays the program's parent, ends it when its own parent ends, and answers a signal
    that killed it with 128 and more."""


NONE = Sandbox("with network, as no namespace can be made here")
SANDBOXES = (
    Sandbox(
        "without network, with a read-only disk and processes of its own (bubblewrap)",
        (
            *("bwrap", "--unshare-net", "--unshare-pid", "--unshare-ipc", "--die-with-parent"),
            *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
            # The one place to write, which ends with it; Numba compiles afresh there (30 s).
            *("--setenv", "TMPDIR", _PRIVATE_FOLDER, "--setenv", "NUMBA_CACHE_DIR"),
            *(_PRIVATE_FOLDER, "--"),
        ),
        waits=True,
    ),
    Sandbox(
        "without network (namespace)",
        ("unshare", "--user", "--map-current-user", "--net", "--"),
    ),
)
"""Sandboxes, from the one that takes most away: https://github.com/containers/bubblewrap, and
unshare(1) of util-linux."""


@functools.cache
def find_sandbox() -> Sandbox:
    """Return the first sandbox that can be made here; `NONE` if none can."""
    return next(filter(is_allowed, SANDBOXES), NONE)


def is_allowed(sandbox: Sandbox) -> bool:
    """Try whether a sandbox can be made here.

    Args:
        sandbox: The sandbox.
    """
    if not sandbox.command or shutil.which(sandbox.command[0]) is None:
        return False
    try:
        trial = subprocess.run(
            [*sandbox.command, sys.executable, "-I", "-S", "-c", ""],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TRIAL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return trial.returncode == 0


# ---- worker --------------------------------------------------------------------------------------
MAX_PARAMETERS = MAX_WEIGHTS_BYTES // 4
"""Most numbers in the tensors of a submitted agent's policy: a full file of float32 weights."""

_WORKER = "snn_gym.leaderboard.worker"
_MAX_ANSWER_BYTES = 1 << 20
_MAX_LOG_BYTES = 8192
# The worker's environment: nothing of the caller's but where programs and caches are.
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "NUMBA_CACHE_DIR")


@dataclass(frozen=True)
class VerificationSettings:
    """How a submission is re-run."""

    seeds: tuple[int, ...] = evaluation_seeds(OFFICIAL_EPISODES)
    """Seed of each episode; the table's rows use the public seeds."""
    wall_seconds: float = 3600.0
    """Time after which the re-run is killed."""
    cpu_seconds: int = 3600
    """Processor time after which the kernel kills it."""
    memory_bytes: int = 8 << 30
    """Address space of the re-run. PyTorch for the CPU maps about 1 GiB before it does anything,
    its builds for GPUs several times as much."""
    file_bytes: int = 32 << 20
    """Size of any file that the re-run writes."""
    lock_seconds: float = LOCK_SECONDS
    """How long the row waits for another process that holds the leaderboard."""

    def describe(self) -> str:
        """Say what keeps the re-run apart here."""
        return (
            f"{find_sandbox().description}, in a session of its own, {self.memory_bytes >> 20:,} "
            f"MiB of memory, {self.cpu_seconds:,} s of processor time, {self.wall_seconds:,.0f} s "
            f"in all, files of {self.file_bytes >> 20} MiB"
        )


def rerun_in_worker(request: Request, weights: bytes, settings: VerificationSettings) -> Rerun:
    """Re-run a submission in a limited process of its own, in a sandbox if one is allowed.

    Args:
        request: What to re-run.
        weights: Bytes of the weights that were checked; the worker gets no path.
        settings: Limits.

    Raises:
        SubmissionError: ``time-limit`` or ``rerun-failed``.
    """
    status, data, said = _ask(request, weights, settings)
    if status is None or status == -signal.SIGXCPU:
        raise SubmissionError(
            "time-limit",
            f"the re-run did not end within {settings.wall_seconds:g} s (processor time "
            f"{settings.cpu_seconds} s); expected {len(settings.seeds)} episodes in that time",
        )
    if status != 0:
        raise SubmissionError(
            "rerun-failed",
            f"the re-run ended with status {status}: {said}; expected it to play "
            f"{len(settings.seeds)} episodes",
        )
    return parse_strict(Rerun, data, where="the re-run's answer", code="rerun")


def check_architecture(agent: str, env_id: str) -> None:
    """Refuse an agent whose policy is too large, before this process builds it.

    An agent of a pull request has a file that nobody has read yet, so the limited process builds
    its policy first.

    Args:
        agent: Agent of the zoo.
        env_id: One of its environments.

    Raises:
        SubmissionError: ``architecture``: the policy has more than ``MAX_PARAMETERS``, or can't be
            built within the limits of ``VerificationSettings``.
    """
    parameters = _count_parameters(agent, env_id)
    if parameters > MAX_PARAMETERS:
        raise SubmissionError(
            "architecture",
            f"{agent} on {env_id} has {parameters:,} parameters; expected at most "
            f"{MAX_PARAMETERS:,}; make its network smaller",
        )


@functools.lru_cache(maxsize=256)
def _count_parameters(agent: str, env_id: str) -> int:
    settings = VerificationSettings()
    request = Request(agent=agent, environment=env_id, seeds=())
    status, data, said = _ask(request, b"", settings)
    if status != 0:
        ended = "its time was up" if status is None else f"status {status}: {said}"
        raise SubmissionError(
            "architecture",
            f"{agent} on {env_id} can't be built within {settings.memory_bytes >> 20:,} MiB and "
            f"{settings.cpu_seconds:,} s ({ended}); expected at most {MAX_PARAMETERS:,} "
            "parameters; mend its agent.toml",
        )
    return parse_strict(Built, data, where="the build's answer", code="rerun").parameters


def _ask(
    request: Request, weights: bytes, settings: VerificationSettings
) -> tuple[int | None, bytes, str]:
    """Return the worker's exit status, None if its time ran out, its answer and last words."""
    limits = Limits(
        memory_bytes=settings.memory_bytes,
        cpu_seconds=settings.cpu_seconds,
        file_bytes=settings.file_bytes,
    )
    with (
        tempfile.TemporaryFile() as question,
        tempfile.TemporaryFile() as answer,
        tempfile.TemporaryFile() as log,
    ):
        question.write(json.dumps(to_mapping(request)).encode() + b"\n" + weights)
        question.seek(0)
        command = _command(find_sandbox(), limits)
        status = _run(command, settings.wall_seconds, question, answer, log)
        answer.seek(0)
        return status, answer.read(_MAX_ANSWER_BYTES), _last_line(log)


def _command(sandbox: Sandbox, limits: Limits) -> list[str]:
    worker = [sys.executable, "-P", "-m", _WORKER, json.dumps(to_mapping(limits))]
    parent = [] if sandbox.waits else [str(os.getpid())]
    return [*sandbox.command, *worker, *parent]


def _run(
    command: list[str],
    wall_seconds: float,
    question: IO[bytes],
    answer: IO[bytes],
    log: IO[bytes],
) -> int | None:
    """Return the exit status of the worker, None if its time ran out."""
    # Files and not pipes: their size is limited, and no writer waits for a reader.
    process = subprocess.Popen(
        command,
        stdin=question,
        stdout=answer,
        stderr=log,
        cwd="/",
        env=worker_environment(),
        start_new_session=True,
    )
    try:
        status = process.wait(timeout=wall_seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:  # only then is the group surely still the worker's
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return 128 - status if status > 128 else status  # a sandbox's word for a signal


def worker_environment() -> dict[str, str]:
    """Return what a process that reads what others wrote gets for its environment."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {
        **kept,
        # -P keeps the current folder off the path; the package itself has to be found.
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }


def _last_line(log: IO[bytes]) -> str:
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - _MAX_LOG_BYTES))
    lines = log.read().decode("utf-8", "replace").strip().splitlines()
    return shorten(lines[-1]) if lines else "it said nothing"
