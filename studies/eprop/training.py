"""A run: one task, kind of credit and seed, trained for the task's steps and then evaluated."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from snn_gym._base.config import Config
from snn_gym._base.numerics import one_thread
from snn_gym.leaderboard.evaluation import evaluate
from snn_gym.zoo import make_agent
from studies.runs import Planned

AGENT = "recurrent-ppo-lsnn"
"""Agent whose settings all arms have."""
TASKS = {"snn/CueAccumulation-v0": 300_000, "snn/MaskedCartPole-v1": 500_000}
"""Environment steps of a training, by task: all of its budget."""
SEEDS = {
    "snn/CueAccumulation-v0": tuple(range(200, 205)),
    "snn/MaskedCartPole-v1": tuple(range(210, 215)),
}
"""Seeds of the table, by task; nothing is tuned on seeds below 1000."""
EVALUATION_EPISODES = 100
SHORT = "third"
"""Name of the runs of MaskedCartPole of a third of the steps, seeds 200 to 204."""


@dataclass(frozen=True)
class Arm:
    """A kind of credit."""

    hyperparameters: dict[str, Any]
    """Hyper-parameters that differ from the agent's file."""
    says: str
    """Label in the table."""


_SCHEDULED = {"desired_kl": None}
ARMS = {
    "bptt": Arm({**_SCHEDULED}, "back-propagation through time"),
    "eprop": Arm({**_SCHEDULED, "credit": "eprop"}, "e-prop, symmetric feedback"),
}
"""Arms by name, without the adaptive steps that came after their runs."""


@dataclass(frozen=True)
class EpropRun(Config):
    """Result of one run."""

    env_id: str
    """Key of ``TASKS``."""
    arm: str
    """Key of ``ARMS``."""
    seed: int
    """Seed of weights, actions and environments."""
    steps: int
    """Environment steps of the training."""
    training_s: float
    """Processor time of the training (s)."""
    update_s: float
    """Share of it in updates (s)."""
    final: float
    """Mean return of the trained agent, deterministic, in fresh episodes."""


class UpdateTime(BaseCallback):
    """Measure the processor time of the updates."""

    def __init__(self) -> None:
        super().__init__()
        self.update_s = 0.0
        self._left_s: float | None = None

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self._close()

    def _on_rollout_end(self) -> None:
        self._left_s = time.process_time()

    def _on_training_end(self) -> None:
        self._close()

    def _close(self) -> None:
        if self._left_s is not None:
            self.update_s += time.process_time() - self._left_s
        self._left_s = None


def train(env_id: str, arm: str, seed: int, steps: int | None = None) -> EpropRun:
    """Train one agent and evaluate it."""
    log = UpdateTime()
    with one_thread():
        model = make_agent(AGENT, env_id, seed, **ARMS[arm].hyperparameters)
        began_s = time.process_time()
        model.learn(TASKS[env_id] if steps is None else steps, callback=log)
        training_s = time.process_time() - began_s
        final = float(np.mean(evaluate(model, env_id, EVALUATION_EPISODES).returns))
    return EpropRun(env_id, arm, seed, model.num_timesteps, training_s, log.update_s, final)


def training_runs() -> Iterator[Planned]:
    """Yield the trainings of all tasks, seed by seed."""
    for env_id in TASKS:
        for seed, arm in itertools.product(SEEDS[env_id], ARMS):
            yield Planned(f"{env_id}/{arm}/{seed}", partial(train, env_id, arm, seed))
