"""Play untrusted weights in a process that limits itself, in a sandbox where possible.

The caller starts ``python -m snn_gym.leaderboard.limited_process``. It writes one request to the
standard input of that process: a JSON line and the bytes of the weights, without a path, module or
code. The process answers by one JSON object on standard output, and ends with its caller. To a
request without episodes it builds the policy and counts its parameters.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import IO, Annotated

from snn_gym._base.config import Config, Count, Length, to_mapping
from snn_gym._base.folders import LOCK_SECONDS
from snn_gym._base.numerics import PORTABLE, Numerics
from snn_gym.leaderboard.manifest import (
    MAX_EPISODES,
    MAX_WEIGHTS_BYTES,
    AgentName,
    CheckedCosts,
    EnvironmentId,
    Lengths,
    Scores,
    SubmissionError,
    parse_strict,
    shorten,
)
from snn_gym.program.costs import Costs
from snn_gym.zoo.recipe import Packages

MAX_REQUEST_BYTES = 64 * 1024
_MAX_OPEN_FILES = 256
_PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>


@dataclass(frozen=True, kw_only=True)
class Limits(Config):
    """Resource limits of the re-run."""

    memory_bytes: Count
    """Address space."""
    cpu_seconds: Count
    """Processor time of all threads."""
    file_bytes: Count
    """Size of each written file, the answer included."""

    def in_words(self) -> str:
        """Return the limits in words."""
        return (
            f"{self.memory_bytes >> 20:,} MiB of memory, {self.cpu_seconds:,} s of processor "
            f"time, files of {self.file_bytes >> 20} MiB"
        )


@dataclass(frozen=True, kw_only=True)
class Request(Config):
    """Agent, environment and seeds of a re-run."""

    agent: AgentName
    environment: EnvironmentId
    seeds: Annotated[tuple[int, ...], Length(0, MAX_EPISODES)]
    """Seed of each episode; none to build the policy alone."""
    numerics: Numerics = "native"
    """Those of the training, by which the policy acts, too."""


@dataclass(frozen=True, kw_only=True)
class Built(Config):
    """Answer to a request without episodes."""

    parameters: Count
    """Numbers in all tensors of the policy, also in those that only training needs."""


@dataclass(frozen=True, kw_only=True)
class Rerun(Config):
    """Result of the re-run."""

    score: Scores
    costs: CheckedCosts
    """Mean costs of a decision."""
    lengths: Lengths
    """Environment steps of each episode."""
    packages: Packages


def main() -> None:
    """Limit this process, then answer the request on standard input by JSON on standard output."""
    limit_process()
    answer = os.dup(sys.stdout.fileno())
    # Output of libraries goes to standard error, so that it cannot pose as the answer.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    line = sys.stdin.buffer.readline(MAX_REQUEST_BYTES)
    request = parse_strict(Request, line, where="request", code="request")
    weights = sys.stdin.buffer.read()
    result = rerun_here(request, weights) if request.seeds else build(request)
    with os.fdopen(answer, "w", encoding="utf-8") as output:
        json.dump(to_mapping(result), output, allow_nan=False)


def limit_process() -> None:
    """Set the limits that the first argument has; end with the parent that a second one names."""
    for parent in sys.argv[2:]:  # none in a sandbox that ends this process itself
        end_with(int(parent))
    apply_limits(parse_strict(Limits, sys.argv[1].encode(), where="limits", code="request"))


def end_with(parent: int) -> None:
    """Let the kernel kill this process when ``parent`` ends or has ended (PR_SET_PDEATHSIG)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this process can't be made to end with its parent")
    if os.getppid() != parent:  # the parent ended before the call
        os.kill(os.getpid(), signal.SIGKILL)


def apply_limits(limits: Limits) -> None:
    """Set hard limits of this process, which it cannot raise again."""
    for resource_id, value in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(resource_id)
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # At the soft limit the kernel sends SIGXCPU, whose status names the reason; at the hard
        # limit a second later it kills.
        grace = 1 if resource_id == resource.RLIMIT_CPU and limit != hard else 0
        resource.setrlimit(resource_id, (limit, limit + grace))


def build(request: Request) -> Built:
    """Build the registered policy and return its number of parameters."""
    from torch import nn

    from snn_gym.policies.raw_observations import RawPolicy
    from snn_gym.zoo import build_policy

    policy = build_policy(request.agent, request.environment)
    inner = policy.inner if isinstance(policy, RawPolicy) else policy
    assert isinstance(inner, nn.Module)  # as policies are
    tensors = inner.state_dict().values()
    return Built(parameters=sum(tensor.numel() for tensor in tensors))


def rerun_here(request: Request, weights: bytes) -> Rerun:
    """Evaluate a weights file's bytes in the registered architecture, in this process."""
    from snn_gym._base.storage import parse_tensors
    from snn_gym.leaderboard.evaluation import evaluate
    from snn_gym.zoo import build_policy
    from snn_gym.zoo.files import package_versions

    tensors, _ = parse_tensors(weights, where="weights")
    policy = build_policy(request.agent, request.environment, tensors)
    policy.load_acting_state_dict(tensors)
    evaluation = evaluate(policy, request.environment, seeds=request.seeds)
    return Rerun(
        score=Scores(iqm=evaluation.iqm, mean=evaluation.mean, returns=evaluation.returns),
        lengths=evaluation.lengths,
        packages=package_versions(),
        costs=Costs(**{x.name: getattr(evaluation, x.name) for x in fields(Costs)}),
    )


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


# ---- caller --------------------------------------------------------------------------------------
MAX_PARAMETERS = MAX_WEIGHTS_BYTES // 4
"""Largest number of parameters of a submitted policy: a full file of float32 weights."""

_MODULE = "snn_gym.leaderboard.limited_process"
_MAX_LOG_BYTES = 8192
# Of the caller's environment the process gets only the places of programs and caches.
_INHERITED_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "NUMBA_CACHE_DIR")


def _official_seeds() -> tuple[int, ...]:
    # Imported here, because processes that limit themselves import this file first.
    from snn_gym.leaderboard.evaluation import OFFICIAL_EPISODES, evaluation_seeds

    return evaluation_seeds(OFFICIAL_EPISODES)


@dataclass(frozen=True)
class VerificationSettings:
    """Seeds and limits of a re-run."""

    seeds: tuple[int, ...] = field(default_factory=_official_seeds)
    """Seed of each episode; the official table uses the public seeds."""
    wall_seconds: float = 3600.0
    """Time limit of the re-run."""
    # PyTorch maps about 1 GiB, its GPU builds several times as much.
    limits: Limits = Limits(memory_bytes=8 << 30, cpu_seconds=3600, file_bytes=32 << 20)
    lock_seconds: float = LOCK_SECONDS
    """Longest wait for another writer of the leaderboard."""

    def describe(self) -> str:
        """Return sandbox and limits in words."""
        return (
            f"{find_sandbox().description}, in a session of its own, {self.limits.in_words()}, "
            f"{self.wall_seconds:,.0f} s in all"
        )


def rerun_limited(request: Request, weights: bytes, settings: VerificationSettings) -> Rerun:
    """Evaluate weights in a limited process, in a sandbox if possible; refuse them if it fails."""
    question = json.dumps(to_mapping(request)).encode() + b"\n" + weights
    seconds = settings.wall_seconds
    status, data, message = ask_limited(
        _MODULE, question, settings.limits, seconds, request.numerics
    )
    if status is None or status == -signal.SIGXCPU:
        raise SubmissionError(
            "time-limit",
            f"the re-run did not end within {seconds:g} s (processor time "
            f"{settings.limits.cpu_seconds} s); expected {len(settings.seeds)} episodes in that "
            "time",
        )
    if status != 0:
        raise SubmissionError(
            "rerun-failed",
            f"the re-run ended with status {status}: {message}; expected it to play "
            f"{len(settings.seeds)} episodes",
        )
    return parse_strict(Rerun, data, where="the re-run's answer", code="rerun")


@functools.lru_cache(maxsize=256)
def check_architecture(agent: str, env_id: str) -> None:
    """Refuse an agent whose policy is too large or cannot be built in a limited process.

    The agent's file may come from a pull request that nobody has read.
    """
    settings = VerificationSettings()
    request = Request(agent=agent, environment=env_id, seeds=())
    question = json.dumps(to_mapping(request)).encode() + b"\n"
    status, data, message = ask_limited(_MODULE, question, settings.limits, settings.wall_seconds)
    problem = f"can't be built with {settings.limits.in_words()} (status {status}: {message})"
    if status == 0:
        parameters = parse_strict(Built, data, where="answer", code="rerun").parameters
        if parameters <= MAX_PARAMETERS:
            return
        problem = f"has {parameters:,} parameters"
    raise SubmissionError(
        "architecture",
        f"{agent} on {env_id} {problem}; expected at most {MAX_PARAMETERS:,} parameters; make its "
        "network smaller",
    )


def ask_limited(
    module: str,
    question: bytes,
    limits: Limits,
    wall_seconds: float,
    numerics: Numerics = "native",
) -> tuple[int | None, bytes, str]:
    """Run a module as a limited process on untrusted bytes, in a sandbox where possible.

    Args:
        module: Module to run as ``python -m``. Its ``main`` calls ``limit_process`` first, reads
            standard input, and writes standard output.
        question: Bytes of its standard input.
        limits: Its limits. An answer is at most ``file_bytes`` long.
        wall_seconds: Its time.
        numerics: Its numerics.

    Returns:
        Exit status (-n for signal n, None after the time limit), answer, and last line of its
        standard error.
    """
    # Files instead of pipes: their size is limited, and no writer waits for a reader.
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as answer,
        tempfile.TemporaryFile() as log,
    ):
        given.write(question)
        given.seek(0)
        sandbox = find_sandbox()
        parent = [] if sandbox.waits else [str(os.getpid())]
        process = subprocess.Popen(
            [
                *(*sandbox.command, sys.executable, "-P", "-m", module),
                *(json.dumps(to_mapping(limits)), *parent),
            ],
            stdin=given,
            stdout=answer,
            stderr=log,
            cwd="/",
            env=_environment(module) | (PORTABLE if numerics == "portable" else {}),
            start_new_session=True,
        )
        status: int | None = None
        with suppress(subprocess.TimeoutExpired):
            status = process.wait(timeout=wall_seconds)
        if process.poll() is None:  # only then the group surely still belongs to the process
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if status is not None and status > 128:
            status = 128 - status  # a sandbox reports signal n as 128 + n
        answer.seek(0)
        return status, answer.read(limits.file_bytes), _last_line(log)


def _environment(module: str) -> dict[str, str]:
    """Return the environment variables of a limited process."""
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


if __name__ == "__main__":
    main()
