"""A run: one task, kind of credit and seed, trained for the task's steps and then evaluated."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from snn_gym._base.config import Config
from snn_gym._base.numerics import one_thread
from snn_gym.leaderboard.evaluation import evaluate
from snn_gym.zoo import make_agent
from studies.files import read_seeds, write_run

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
STRETCHES = 20
"""Points of a learning curve."""
RESULTS = Path(__file__).parent / "results"
SHORT = "third"
"""Folder of the results with runs of MaskedCartPole of a third of the steps, seeds 200 to 204."""


@dataclass(frozen=True)
class Arm:
    """A kind of credit."""

    hyperparameters: dict[str, Any]
    """Hyper-parameters that differ from the agent's file."""
    says: str
    """Label in the table."""


ARMS = {
    "bptt": Arm({}, "back-propagation through time"),
    "eprop": Arm({"credit": "eprop"}, "e-prop, symmetric feedback"),
    "random": Arm({"credit": "eprop", "feedback": "random"}, "e-prop, random feedback"),
}
"""Arms by name."""


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
    curve: tuple[float | None, ...]
    """Mean return of the training episodes that ended in each of ``STRETCHES`` equal stretches of
    steps, None for none."""
    evaluation: tuple[float, ...]
    """Returns of the trained agent, deterministic, in fresh episodes."""

    @property
    def final(self) -> float:
        """Mean return of the evaluation."""
        return float(np.mean(self.evaluation))


class TrainingLog(BaseCallback):
    """Keep when training episodes ended and with which return, and the time of the updates."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[tuple[int, float]] = []
        self.update_s = 0.0
        self._left_s: float | None = None

    def _on_step(self) -> bool:
        found = [info["episode"]["r"] for info in self.locals["infos"] if "episode" in info]
        self.ended += [(self.num_timesteps, earned) for earned in found]
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

    def curve(self, steps: int) -> tuple[float | None, ...]:
        """Return mean returns of ``STRETCHES`` stretches of a training of so many steps."""
        stretches: list[list[float]] = [[] for _ in range(STRETCHES)]
        for step, earned in self.ended:
            stretches[min((step - 1) * STRETCHES // steps, STRETCHES - 1)].append(earned)
        return tuple(float(np.mean(found)) if found else None for found in stretches)


def path_of(env_id: str, arm: str, seed: int, results: Path = RESULTS) -> Path:
    """Return the file of a run."""
    return results / env_id.replace("/", "__") / arm / f"{seed}.json"


def run(env_id: str, arm: str, seed: int, steps: int | None = None) -> EpropRun:
    """Train one agent and evaluate it."""
    log = TrainingLog()
    with one_thread():
        model = make_agent(AGENT, env_id, seed, **ARMS[arm].hyperparameters)
        began_s = time.process_time()
        model.learn(TASKS[env_id] if steps is None else steps, callback=log)
        training_s = time.process_time() - began_s
        returns = evaluate(model, env_id, EVALUATION_EPISODES).returns
    return EpropRun(
        env_id, arm, seed, model.num_timesteps, training_s, log.update_s,
        log.curve(model.num_timesteps), returns,
    )  # fmt: skip


def run_missing(
    env_id: str, arms: Sequence[str], results: Path = RESULTS, tell: Callable[[str], None] = print
) -> None:
    """Make those runs of a task and some arms that have no file yet, seed by seed."""
    for seed, arm in itertools.product(SEEDS[env_id], arms):
        path = path_of(env_id, arm, seed, results)
        if not path.exists():
            made = run(env_id, arm, seed)
            write_run(path, made)
            tell(f"{env_id} {arm} {seed}: {made.final:.3f} after {made.training_s:.0f} s")


def read_runs(env_id: str, arm: str, results: Path = RESULTS) -> list[EpropRun]:
    """Return the runs of a task and an arm that there are, by seed."""
    return read_seeds(EpropRun, path_of(env_id, arm, 0, results).parent)
