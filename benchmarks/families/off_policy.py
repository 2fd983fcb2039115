"""Gradient steps per second of DQN and SAC: spiking agents and their twins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import snn_gym
from benchmarks.measurement import Effort, Experiment, Measurement, Readings, faster
from benchmarks.timing import Run, per_step, race

_GRADIENT_STEPS = 8
_COLLECTED = 2000
"""Environment steps in the replay buffer."""


@dataclass(frozen=True)
class _Case:
    name: str
    algorithm: str
    spiking: str
    twin: str
    env_id: str
    batch: int
    bars: tuple[float, float]


_CASES = (
    _Case("dqn", "DQN", "dqsn", "dqn-mlp", "CartPole-v1", 128, (0.6, 0.8)),
    _Case("sac", "SAC", "sac-lif", "sac-mlp", "Pendulum-v1", 256, (0.7, 0.9)),
)


def _trainer(agent: str, case: _Case) -> Run:
    """Return a function that makes gradient steps on a filled replay buffer."""
    network: dict[str, Any] = {"hidden_sizes": [64, 64]}
    if agent == case.spiking:
        network["time_steps"] = 8
    model: Any = snn_gym.make_agent(
        agent, case.env_id, seed=0, network=network, learning_starts=_COLLECTED + 1
    )
    model.learn(_COLLECTED)
    model.policy.set_training_mode(True)
    return lambda: model.train(_GRADIENT_STEPS, case.batch)


def _run(case: _Case) -> Callable[[Effort], Readings]:
    def run(effort: Effort) -> Readings:
        contenders = {agent: _trainer(agent, case) for agent in (case.spiking, case.twin)}
        samples = race(contenders, 3 * effort.seconds)
        return Readings(
            per_step(samples, dict.fromkeys(contenders, _GRADIENT_STEPS)),
            notes=("Seconds of one gradient step.",),
        )

    return run


EXPERIMENTS = tuple(
    Experiment(
        case.name,
        f"{case.algorithm} on {case.env_id}, 64-64, T = 8, batch {case.batch}",
        _run(case),
    )
    for case in _CASES
)
MEASUREMENTS = tuple(
    Measurement(
        case.name,
        case.name,
        f"{case.algorithm} gradient steps/s, {case.spiking}, 64-64, T = 8, batch {case.batch}",
        case.twin,
        "×",
        faster(case.spiking, case.twin),
        *case.bars,
    )
    for case in _CASES
)
