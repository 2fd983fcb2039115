"""Wall time until CartPole is solved: a spiking agent and its twin, seed by seed.

Both learn under their tuned hyper-parameters and the same schedule of evaluations, which are made
apart: their time does not count. An agent that ends its budget unsolved is a failure, and counts
with the time of the whole budget.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from stable_baselines3.common.callbacks import BaseCallback

import snn_gym
from benchmarks.agents import ENV_ID
from benchmarks.machine import this_machine
from benchmarks.run import Solved, Speed, read_speed, write_speed
from snn_gym.registry import load_environment_spec

EPISODES = 100
THRESHOLD = 475.0
"""Mean return of the episodes of an evaluation that solves the task (gymnasium)."""
EVERY = 4096
"""Environment steps between evaluations."""
FIRST_SEED = 1_900_000_000
"""First seed of the evaluations; training and the public evaluation use others."""


@dataclass
class _Clock:
    """Adds up the time of training alone (s)."""

    total: float = 0.0
    started: float | None = None

    def start(self) -> None:
        self.started = time.perf_counter()

    def stop(self) -> None:
        if self.started is not None:
            self.total += time.perf_counter() - self.started
        self.started = None


class _UntilSolved(BaseCallback):
    """Evaluates at even intervals with the clock stopped, and ends training once it is solved."""

    def __init__(self, clock: _Clock) -> None:
        super().__init__()
        self.clock = clock
        self.solved = False
        self._next = EVERY

    def _on_step(self) -> bool:
        return not self.solved

    def _on_rollout_start(self) -> None:
        if self.num_timesteps < self._next:
            return
        self._next += EVERY
        self.clock.stop()
        self.solved = _is_solved(self.model)
        self.clock.start()


def _is_solved(model: object) -> bool:
    seeds = range(FIRST_SEED, FIRST_SEED + EPISODES)
    policy = model.policy  # type: ignore[attr-defined]
    training = policy.training
    result = snn_gym.evaluate(policy, ENV_ID, seeds=seeds)
    policy.train(training)  # not set_training_mode, which would begin a rollout
    return result.mean >= THRESHOLD


def training_budget() -> int:
    """Return the environment steps that the results table allows."""
    return load_environment_spec(ENV_ID).budget["gradient"]


def train_until_solved(agent: str, seed: int) -> Solved:
    """Train until an evaluation solves the task or the budget ends.

    Args:
        agent: Agent of the zoo.
        seed: Training seed.
    """
    torch.set_num_threads(1)
    budget = training_budget()
    clock = _Clock()
    model = snn_gym.make_agent(agent, ENV_ID, seed=seed)
    until = _UntilSolved(clock)
    clock.start()
    model.learn(budget, callback=until)
    clock.stop()
    solved = until.solved or _is_solved(model)  # the last rollout has no other after it
    return Solved(agent, seed, model.num_timesteps, clock.total, solved)


def run_solved(
    agents: Sequence[str], seeds: Sequence[int], path: Path, show: Callable[[Solved], None]
) -> Speed:
    """Train what is missing in the file, agents in turn at each seed, and write it after each.

    Args:
        agents: The spiking agent, then its twin.
        seeds: Training seeds.
        path: The file of ``benchmarks.run``.
        show: Is told of each training.

    Raises:
        ValueError: The file is of another machine or of other packages.
    """
    machine = this_machine()
    speed = read_speed(path) if path.exists() else Speed(machine)
    if speed.machine != machine:
        raise ValueError(
            f"{path} is of another machine or of other packages, whose times do not compare; run "
            "everything again, or name another file with --out"
        )
    for seed in seeds:
        for agent in agents:
            if any((x.agent, x.seed) == (agent, seed) for x in speed.solved):
                continue
            done = train_until_solved(agent, seed)
            speed = replace(speed, solved=(*speed.solved, done))
            write_speed(path, speed)
            show(done)
    return speed
