"""Environment steps per second of SAC and TD3, fused and in Stable-Baselines3's loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import snn_gym
from benchmarks.measurement import Effort, Experiment, Measurement, Readings, faster
from benchmarks.timing import Run, per_step, race
from snn_gym import learners, policies

_ENV_ID = "HalfCheetah-v5"
_STEPS = 20
"""Environment steps of one measured stretch, with as many gradient steps."""
_COLLECTED = 1000
"""Environment steps in the replay buffer."""
AFTER, BEFORE = "fused", "Stable-Baselines3's loop"


@dataclass(frozen=True)
class _Case:
    algorithm: str
    spiking: bool

    @property
    def name(self) -> str:
        return f"{self.algorithm.lower()}-{'spiking' if self.spiking else 'ann'}"


_CASES = tuple(_Case(name, spiking) for name in ("TD3", "SAC") for spiking in (False, True))


def _learner(case: _Case, *, fused: bool) -> Run:
    """Return a function that learns for a stretch, on a filled replay buffer."""
    kind: Any = getattr(learners, case.algorithm)
    policy = getattr(policies, f"Spiking{case.algorithm}Policy")
    model = kind(
        policy, snn_gym.make_vec_env(_ENV_ID, 1, seed=0), seed=0, device="cpu", fused=fused,
        policy_kwargs={"spiking_actor": case.spiking, "network": {"hidden_sizes": [256, 256]}},
        learning_starts=_COLLECTED, buffer_size=10 * _COLLECTED,
    )  # fmt: skip
    model.learn(_COLLECTED)
    return lambda: model.learn(_STEPS, reset_num_timesteps=False)


def _run(case: _Case) -> Callable[[Effort], Readings]:
    def run(effort: Effort) -> Readings:
        contenders = {AFTER: _learner(case, fused=True), BEFORE: _learner(case, fused=False)}
        rounds = 9 if effort.quick else 27
        samples = race(contenders, 3 * effort.seconds, rounds, time.process_time)
        return Readings(
            per_step(samples, dict.fromkeys(contenders, _STEPS)),
            notes=("Seconds of the processor for one environment step and its gradient step.",),
        )

    return run


def _title(case: _Case) -> str:
    actor = "spiking actor, T = 8" if case.spiking else "ANN"
    return f"{case.algorithm} on {_ENV_ID}, {actor}, 256-256, batch 256"


EXPERIMENTS = tuple(Experiment(x.name, _title(x), _run(x), quick=False) for x in _CASES)
MEASUREMENTS = tuple(
    Measurement(
        f"fused-{x.name}",
        x.name,
        f"environment steps/s, {_title(x)}, fused",
        BEFORE,
        "×",
        faster(AFTER, BEFORE),
    )
    for x in _CASES
)
