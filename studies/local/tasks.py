"""One setting on four tasks: ``local-actor-critic-wide`` beside the results table's ``ppo-lif``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np

from snn_gym._base.config import Config
from snn_gym._base.numerics import one_thread
from snn_gym.envs.registry import load_environment_spec
from snn_gym.leaderboard import evaluate
from snn_gym.leaderboard.results import Row, list_rows
from snn_gym.zoo import make_agent
from studies.rows import LEADERBOARD
from studies.runs import Planned

AGENT = "local-actor-critic-wide"
RIVAL = "ppo-lif"
SEEDS = tuple(range(310, 320))
"""Seeds of the table; nothing is tuned on seeds below 1000."""
STEPS: Mapping[str, int] = MappingProxyType(
    {
        "CartPole-v1": 300_000,
        "Acrobot-v1": 900_000,
        "MountainCar-v0": 1_500_000,
        "Pendulum-v1": 300_000,
    }
)
"""Environment steps by task, three times the rival's, over which the step sizes fall."""
MOST_STEPS = 3.0
"""How many times the steps of the rival an agent may use."""
MARGIN = 0.1
"""Allowed loss as a share of the range from random play to ``solved``."""


@dataclass(frozen=True)
class TaskRun(Config):
    """Result of one training."""

    task: str
    """Key of ``STEPS``."""
    seed: int
    """Seed of weights, actions and environments."""
    steps: int
    """Environment steps of the training."""
    final: float
    """Mean return of the trained agent, deterministic, in the results table's episodes."""


@dataclass(frozen=True)
class Bar:
    """Return of the rival on a task, and the return that an agent must reach."""

    seeds: int
    """Its rows."""
    mean: float
    """Mean return of its rows."""
    steps: int
    """Most environment steps that it used."""
    least: float
    """Mean return within the margin of that."""


def bar(task: str, leaderboard: Path = LEADERBOARD) -> Bar:
    """Return the return that an agent must reach on a task, from the rival's rows."""
    rows = [row for row in rival_rows(leaderboard) if row.environment == task]
    reference, mean = load_environment_spec(task).reference, _mean(rows)
    least = mean - MARGIN * (reference.solved - reference.random)
    return Bar(len(rows), mean, max(row.steps for row in rows), least)


def rival_rows(leaderboard: Path = LEADERBOARD) -> list[Row]:
    """Return the rival's rows on all tasks."""
    return [
        row for row in list_rows(leaderboard) if row.agent == RIVAL and row.environment in STEPS
    ]


def _mean(rows: list[Row]) -> float:
    return float(np.mean([row.score.mean for row in rows]))


def train(task: str, seed: int) -> TaskRun:
    """Train an agent on a task and evaluate it."""
    with one_thread():
        model = make_agent(AGENT, task, seed).learn(STEPS[task])
        final = float(np.mean(evaluate(model, task).returns))
    return TaskRun(task, seed, model.num_timesteps, final)


def task_runs() -> Iterator[Planned]:
    """Yield the trainings on all tasks."""
    for task in STEPS:
        for seed in SEEDS:
            yield Planned(f"tasks/{task}/{seed}", partial(train, task, seed))
