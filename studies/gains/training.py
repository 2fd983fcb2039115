"""Arms of the study, and their trainings."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from stable_baselines3.common.callbacks import BaseCallback

import snn_gym
from snn_gym.leaderboard.efficiency import mean_over_steps, steps_until
from snn_gym.leaderboard.submission import curve_of
from snn_gym.zoo.build import build_agent, resolve_settings
from snn_gym.zoo.spec import load_agent_spec

RUNS = Path(__file__).parent / "runs.csv"
EPISODES = 100
Question = Literal["depth", "steps"]


@dataclass(frozen=True)
class Arm:
    """One kind of training."""

    name: str
    agent: str
    task: str
    steps: int
    threshold: float
    """Return of the training from which the task counts as learned."""
    network: dict[str, Any] = field(default_factory=dict)
    step_size: float = 1.0
    """Factor of the agent's step sizes."""


def _deep(depth: int) -> Iterator[Arm]:
    sizes = {"hidden_sizes": (64,) * depth}
    arms: dict[str, tuple[str, dict[str, Any]]] = {
        "relay": ("ppo-lif-deep", {}),
        "plain": ("ppo-lif-deep-plain", {}),
        "flat surrogate": ("ppo-lif-deep-plain", {"surrogate_slope": 0.2}),
        "tanh": ("ppo-mlp-deep", {}),
    }
    for name, (agent, network) in arms.items():
        yield Arm(f"{name}, {depth} layers", agent, "CartPole-v1", 100_000, 475.0, sizes | network)


TASKS = {
    "snn/CueAccumulation-v0": (120_000, 0.9),
    "snn/DelayedMatchToSample-v0": (120_000, 0.9),
    "snn/IntervalTiming-v0": (120_000, 0.85),
    "snn/PatternDetection-v0": (120_000, 0.9),
    "Acrobot-v1": (200_000, -100.0),
    "Pendulum-v1": (100_000, -200.0),
    "MountainCar-v0": (300_000, -120.0),
}
"""Environment steps and threshold of the tasks on which step sizes are compared."""


def _stepped(task: str) -> Iterator[Arm]:
    steps, threshold = TASKS[task]
    memory = steps == TASKS["snn/CueAccumulation-v0"][0]
    agents = ("recurrent-ppo-lsnn", "recurrent-ppo-gru") if memory else ("ppo-lif", "ppo-mlp")
    for agent in agents:
        for factor in (1.0, 3.0):
            name = f"{agent}, step size times {factor:g}"
            yield Arm(name, agent, task, steps, threshold, step_size=factor)


ARMS: dict[Question, list[Arm]] = {
    "depth": [arm for depth in (16, 2, 8, 32) for arm in _deep(depth)],
    "steps": [arm for task in TASKS for arm in _stepped(task)],
}


@dataclass(frozen=True)
class Run:
    """One training and the evaluation of its final policy."""

    question: Question
    arm: str
    task: str
    steps: int
    seed: int
    mean_return: float
    steps_until: float
    """Environment steps until the running return reaches the threshold, or infinity."""
    area: float
    """Mean return of training episodes over environment steps."""


class _Episodes(BaseCallback):
    """Environment steps and returns at the ends of training episodes."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[int] = []
        self.returns: list[float] = []

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self.ends.append(self.num_timesteps)
                self.returns.append(float(info["episode"]["r"]))
        return True


def multiplied(step_size: Any, factor: float) -> Any:
    """Return a step size, or the name of its schedule, times a factor."""
    if isinstance(step_size, str):
        kind, _, number = step_size.rpartition("_")
        return f"{kind}_{float(number) * factor:g}"
    return step_size * factor


def trained(question: Question, arm: Arm, seed: int) -> Run:
    """Train an agent and evaluate it."""
    resolved = resolve_settings(load_agent_spec(arm.agent), arm.task, arm.network)
    settings = dict(resolved.hyperparameters)
    settings["learning_rate"] = multiplied(settings["learning_rate"], arm.step_size)
    resolved = replace(resolved, hyperparameters=settings)
    episodes = _Episodes()
    model = build_agent(arm.agent, arm.task, seed, resolved).learn(arm.steps, callback=episodes)
    found = snn_gym.evaluate(model, arm.task, episodes=EPISODES)
    curve = curve_of(episodes.ends, episodes.returns, arm.steps)
    assert curve is not None  # episodes of these tasks are short
    until = steps_until(curve.steps, curve.returns, curve.episodes, arm.threshold)
    area = mean_over_steps(curve.steps, curve.returns)
    return Run(question, arm.name, arm.task, arm.steps, seed, found.mean, until, area)


def read() -> list[Run]:
    """Read all trainings that were made."""
    if not RUNS.exists():
        return []
    kinds = {"steps": int, "seed": int, "mean_return": float, "steps_until": float, "area": float}
    with RUNS.open(encoding="utf-8", newline="") as file:
        rows: list[Any] = list(csv.DictReader(file))
    return [Run(**{k: kinds[k](v) if k in kinds else v for k, v in row.items()}) for row in rows]
