"""Trained agents under disturbances of their observations or of the task's dynamics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm

from snn_gym._base.numerics import one_thread
from snn_gym.leaderboard.evaluation import Evaluation, evaluate
from snn_gym.spiking.recording import Recording
from studies.changed import CHANGED, register_changed
from studies.lean.outcome import outcome_path, write_outcome
from studies.lean.plan import LEAN, OFF, TASKS, Task
from studies.lean.runner import Report, judge, scratch_folder, trained_arm, trained_off

SEEDS = 5
"""Seeds of a task, its first ones."""


@dataclass(frozen=True)
class Disturbance:
    """Difference from training."""

    name: str
    """Name in files and tables."""
    noise: float = 0.0
    """Standard deviation of noise on each observation, in units of its own in training."""
    changes: Mapping[str, float] = field(default_factory=dict)
    """Attributes of the environment that have another value."""


_NOISES = tuple(Disturbance(f"noise-{x:g}", noise=x) for x in (0.1, 0.3))
DISTURBANCES: Mapping[str, tuple[Disturbance, ...]] = MappingProxyType(
    {
        "CartPole-v1": (
            *_NOISES,
            Disturbance("longer-pole", changes={"length": 1.0, "polemass_length": 0.1}),
        ),
        "Pendulum-v1": (*_NOISES, Disturbance("heavier", changes={"m": 1.25})),
        "Acrobot-v1": (*_NOISES, Disturbance("heavier-link", changes={"LINK_MASS_2": 1.25})),
        "MountainCar-v0": (*_NOISES, Disturbance("weaker-motor", changes={"force": 0.0009})),
    }
)
"""Disturbances by task. Physics: the pole of CartPole-v1 is twice as long, the masses of the
pendulum and of the second link are 25 % larger, and the force of the car is 10 % smaller."""


def disturbed_tasks() -> Mapping[str, Task]:
    """Return the tasks by id, each with its first seeds."""
    return {env_id: replace(TASKS[env_id], seeds=SEEDS) for env_id in DISTURBANCES}


def disturbed_label(disturbance: Disturbance, arm: str) -> str:
    """Return the name under which an outcome is kept."""
    return f"{disturbance.name}-{arm}"


def run_disturbed(task: Task, seed: int, results: Path, scratch: Path, report: Report) -> None:
    """Train ``off`` and ``lean`` again from their checkpoints and evaluate them disturbed."""
    folder = scratch_folder(scratch, task, seed)
    missing = [
        (arm, disturbance)
        for arm in (OFF, LEAN)
        for disturbance in DISTURBANCES[task.env_id]
        if not outcome_path(results, task.env_id, disturbed_label(disturbance, arm), seed).exists()
    ]
    if not missing:
        return
    with one_thread():
        agents = {OFF: trained_off(task, seed, folder)}
        for arm, disturbance in missing:
            if arm not in agents:
                agents[arm] = trained_arm(task, arm, {}, seed, folder)
            evaluation = evaluate_disturbed(agents[arm].model, task.env_id, disturbance)
            label = disturbed_label(disturbance, arm)
            outcome = judge(agents[arm], task, label, seed, {}, evaluation)
            write_outcome(results, outcome)
            report(outcome)


def evaluate_disturbed(
    model: BaseAlgorithm, env_id: str, disturbance: Disturbance, episodes: int = 100
) -> Evaluation:
    """Evaluate an agent where something differs from training."""
    policy = NoisySight(model.policy, disturbance.noise) if disturbance.noise > 0 else model.policy
    if not disturbance.changes:
        return evaluate(policy, env_id, episodes)
    register_changed()
    arguments = {"task": env_id, "changes": dict(disturbance.changes)}
    return evaluate(policy, CHANGED, episodes, env_kwargs=arguments)


class NoisySight:
    """A policy that sees its observations through Gaussian noise."""

    def __init__(self, policy: Any, noise: float) -> None:
        self._policy = policy
        self._deviations = noise * policy.normaliser.std.cpu().numpy()
        self._rng = np.random.default_rng(0)

    def predict(self, obs: NDArray[Any], *args: Any, **kwargs: Any) -> Any:
        """Act as the policy does, on noisy observations (B, ...)."""
        noise = self._rng.standard_normal(obs.shape) * self._deviations.reshape(obs.shape[1:])
        return self._policy.predict((obs + noise).astype(obs.dtype), *args, **kwargs)

    def reseed_noise(self, seed: int) -> None:
        """Restart the noise, and that of the policy's encoder."""
        self._rng = np.random.default_rng(seed)
        self._policy.reseed_noise(seed)

    def record(self, obs: NDArray[Any], state: Any = None) -> Recording:
        """Record as the policy does; costs are those of observations without noise."""
        found: Recording = self._policy.record(obs, state)
        return found
