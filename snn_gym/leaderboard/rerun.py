"""Re-runs of submissions in a limited worker process, in a sandbox where possible."""

from __future__ import annotations

import functools
import importlib.util
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
# A sandbox starts the re-run in new namespaces, without network or writable disk
# (https://man7.org/linux/man-pages/man7/namespaces.7.html). Kernel, container and distribution
# decide which sandbox is possible, so each is tried before use.
_TRIAL_SECONDS = 10.0
_PRIVATE_FOLDER = "/dev/shm"


@dataclass(frozen=True)
class Sandbox:
    """Command that isolates a program from the rest of the system."""

    description: str
    """Active restrictions in words."""
    command: tuple[str, ...] = ()
    """Prefix of the program's command."""
    waits: bool = False
    """Whether it stays the parent, ends the program with itself, and reports signals as 128 + n."""


NO_SANDBOX = Sandbox("with network, as no namespace can be made here")
SANDBOXES = (
    Sandbox(
        "without network, with a read-only disk and processes of its own (bubblewrap)",
        (
            *("bwrap", "--unshare-net", "--unshare-pid", "--unshare-ipc", "--die-with-parent"),
            *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
            # The only writable place, which ends with it; Numba compiles again there (30 s).
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
"""Sandboxes, the strictest first: https://github.com/containers/bubblewrap, and unshare(1)."""


@functools.cache
def find_sandbox() -> Sandbox:
    """Return the strictest possible sandbox; `NO_SANDBOX` if none is possible."""
    return next(filter(is_allowed, SANDBOXES), NO_SANDBOX)


def is_allowed(sandbox: Sandbox) -> bool:
    """Return whether a trial run in a sandbox succeeds."""
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
"""Largest number of parameters of a submitted policy: a full file of float32 weights."""

_WORKER = "snn_gym.leaderboard.worker"
_MAX_ANSWER_BYTES = 1 << 20
_MAX_LOG_BYTES = 8192
# Of the caller's environment the worker gets only the places of programs and caches.
_INHERITED_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "NUMBA_CACHE_DIR")


@dataclass(frozen=True)
class VerificationSettings:
    """Seeds and limits of a re-run."""

    seeds: tuple[int, ...] = evaluation_seeds(OFFICIAL_EPISODES)
    """Seed of each episode; the official table uses the public seeds."""
    wall_seconds: float = 3600.0
    """Time limit of the re-run."""
    cpu_seconds: int = 3600
    """Limit on processor time."""
    memory_bytes: int = 8 << 30
    """Limit on address space. PyTorch maps about 1 GiB, its GPU builds several times as much."""
    file_bytes: int = 32 << 20
    """Limit on each written file."""
    lock_seconds: float = LOCK_SECONDS
    """Longest wait for another writer of the leaderboard."""

    def describe(self) -> str:
        """Return sandbox and limits in words."""
        return (
            f"{find_sandbox().description}, in a session of its own, {self.memory_bytes >> 20:,} "
            f"MiB of memory, {self.cpu_seconds:,} s of processor time, {self.wall_seconds:,.0f} s "
            f"in all, files of {self.file_bytes >> 20} MiB"
        )


def rerun_in_worker(request: Request, weights: bytes, settings: VerificationSettings) -> Rerun:
    """Evaluate weights in a limited process, in a sandbox if possible; refuse them if it fails."""
    status, data, message = _ask(request, weights, settings)
    if status is None or status == -signal.SIGXCPU:
        raise SubmissionError(
            "time-limit",
            f"the re-run did not end within {settings.wall_seconds:g} s (processor time "
            f"{settings.cpu_seconds} s); expected {len(settings.seeds)} episodes in that time",
        )
    if status != 0:
        raise SubmissionError(
            "rerun-failed",
            f"the re-run ended with status {status}: {message}; expected it to play "
            f"{len(settings.seeds)} episodes",
        )
    return parse_strict(Rerun, data, where="the re-run's answer", code="rerun")


def check_architecture(agent: str, env_id: str) -> None:
    """Refuse an agent whose policy is too large or cannot be built in a limited process.

    The agent's file may come from a pull request that nobody has read.
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
    status, data, message = _ask(request, b"", settings)
    if status != 0:
        ended = "its time was up" if status is None else f"status {status}: {message}"
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
    """Run the worker; return exit status (None after the time limit), answer and last log line."""
    limits = Limits(
        memory_bytes=settings.memory_bytes,
        cpu_seconds=settings.cpu_seconds,
        file_bytes=settings.file_bytes,
    )
    question = json.dumps(to_mapping(request)).encode() + b"\n" + weights
    status, data, message = ask_limited(_WORKER, question, limits, settings.wall_seconds)
    return status, data[:_MAX_ANSWER_BYTES], message


def ask_limited(
    module: str, question: bytes, limits: Limits, wall_seconds: float
) -> tuple[int | None, bytes, str]:
    """Run a module as a limited process on untrusted bytes, in a sandbox where possible.

    Args:
        module: Module to run as ``python -m``. Its ``main`` calls ``limit_process`` first, reads
            standard input, and writes standard output.
        question: Bytes of its standard input.
        limits: Its limits. An answer is at most ``file_bytes`` long.
        wall_seconds: Its time.

    Returns:
        Exit status (None after the time limit), answer, and last line of its standard error.
    """
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as answer,
        tempfile.TemporaryFile() as log,
    ):
        given.write(question)
        given.seek(0)
        sandbox = find_sandbox()
        worker = [sys.executable, "-P", "-m", module, json.dumps(to_mapping(limits))]
        parent = [] if sandbox.waits else [str(os.getpid())]
        command = [*sandbox.command, *worker, *parent]
        status = _run(command, wall_seconds, given, answer, log, worker_environment(module))
        answer.seek(0)
        return status, answer.read(limits.file_bytes), _last_line(log)


def _run(
    command: list[str],
    wall_seconds: float,
    question: IO[bytes],
    answer: IO[bytes],
    log: IO[bytes],
    environment: dict[str, str],
) -> int | None:
    """Run the worker and return its exit status, -n for signal n, None after the time limit."""
    # Files instead of pipes: their size is limited, and no writer waits for a reader.
    process = subprocess.Popen(
        command,
        stdin=question,
        stdout=answer,
        stderr=log,
        cwd="/",
        env=environment,
        start_new_session=True,
    )
    try:
        status = process.wait(timeout=wall_seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:  # only then the group surely still belongs to the worker
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return 128 - status if status > 128 else status  # a sandbox reports signal n as 128 + n


def worker_environment(module: str = _WORKER) -> dict[str, str]:
    """Return the environment variables of a process that reads untrusted files by a module."""
    found = importlib.util.find_spec(module.partition(".")[0])
    assert found is not None  # the caller has imported it
    assert found.origin is not None
    roots = {Path(__file__).resolve().parents[2], Path(found.origin).resolve().parents[1]}
    inherited = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}
    return {
        **inherited,
        # -P removes the current folder from the path; the packages themselves must stay on it.
        "PYTHONPATH": os.pathsep.join(map(str, roots)),
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
