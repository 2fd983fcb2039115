"""Process that re-runs a submission: `python -m snn_gym.leaderboard.worker`.

It limits itself, reads one request from standard input, and writes one JSON object to standard
output. The request is a JSON line and the bytes of the weights, without a path, module or code. A
request without episodes builds the policy and counts its parameters. The process ends with its
parent.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from dataclasses import dataclass, fields
from typing import Annotated

from snn_gym._base.config import Config, Count, Length, to_mapping
from snn_gym.leaderboard.manifest import (
    MAX_EPISODES,
    AgentName,
    CheckedCosts,
    EnvironmentId,
    Lengths,
    Scores,
    parse_strict,
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


@dataclass(frozen=True, kw_only=True)
class Request(Config):
    """Agent, environment and seeds of a re-run."""

    agent: AgentName
    environment: EnvironmentId
    seeds: Annotated[tuple[int, ...], Length(0, MAX_EPISODES)]
    """Seed of each episode; none to build the policy alone."""


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
    request = parse_strict(Request, line, where="request", code="worker")
    weights = sys.stdin.buffer.read()
    result = rerun(request, weights) if request.seeds else build(request)
    with os.fdopen(answer, "w", encoding="utf-8") as output:
        json.dump(to_mapping(result), output, allow_nan=False)


def limit_process() -> None:
    """Set the limits that the first argument has; end with the parent that a second one names."""
    for parent in sys.argv[2:]:  # none in a sandbox that ends this process itself
        end_with(int(parent))
    apply_limits(parse_strict(Limits, sys.argv[1].encode(), where="limits", code="worker"))


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


def rerun(request: Request, weights: bytes) -> Rerun:
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


if __name__ == "__main__":
    main()
