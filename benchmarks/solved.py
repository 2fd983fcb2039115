"""Wall time until CartPole is solved: a spiking agent and its twin, seed by seed.

Both learn by the hyper-parameters of their files, which were tuned for the return at the end, and
by the fastest of as many trials for each on seeds apart. Their schedule of evaluations is the same,
and these are made apart: their time does not count. An agent that ends its budget unsolved is a
failure, and counts with the time of the whole budget.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from stable_baselines3.common.callbacks import BaseCallback

import snn_gym
from benchmarks.agents import ENV_ID
from benchmarks.machine import this_machine
from benchmarks.run import Solved, Speed, read_speed, write_speed
from snn_gym.envs.registry import load_environment_spec
from snn_gym.zoo import load_agent_spec

EPISODES = 100
THRESHOLD = 475.0
"""Mean return of the episodes of an evaluation that solves the task (gymnasium)."""
EVERY = 4096
"""Environment steps between evaluations."""
FIRST_SEED = 1_900_000_000
"""First seed of the evaluations; training and the public evaluation use others."""
TUNING_SEEDS = (1000, 1001, 1002)
"""Seeds of the trials."""
EPOCHS, FACTORS = (5, 10, 20), (1, 2, 4)
"""Trials: epochs of an update, and factors of the file's learning rate."""

Settings = dict[str, str]
"""Hyper-parameters that differ from the agent's file, as text."""


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


def trials(agent: str) -> list[Settings]:
    """Return the settings that are tried for an agent, as many for each."""
    own: Any = load_agent_spec(agent).settings(ENV_ID)
    rate = str(own.learning_rate)
    schedule, _, start = rate.rpartition("_")
    name = f"{schedule}_" if schedule else ""
    return [
        {"n_epochs": str(epochs), "learning_rate": f"{name}{float(start) * factor:g}"}
        for epochs in EPOCHS
        for factor in FACTORS
    ]


def chosen(agent: str, solved: Sequence[Solved]) -> Settings:
    """Return the trial of an agent with the least mean time, failures included."""

    def seconds(settings: Settings) -> float:
        own = [x for x in solved if (x.agent, x.settings) == (agent, settings)]
        return fmean(x.seconds for x in own if x.seed in TUNING_SEEDS)

    return min(trials(agent), key=seconds)


def train_until_solved(agent: str, seed: int, settings: Settings | None = None) -> Solved:
    """Train until an evaluation solves the task or the budget ends."""
    torch.set_num_threads(1)
    budget, own = training_budget(), dict(settings or {})
    clock = _Clock()
    epochs: dict[str, Any] = {"n_epochs": int(own["n_epochs"])} if "n_epochs" in own else {}
    model = snn_gym.make_agent(agent, ENV_ID, seed=seed, **{**own, **epochs})
    until = _UntilSolved(clock)
    clock.start()
    model.learn(budget, callback=until)
    clock.stop()
    solved = until.solved or _is_solved(model)  # the last rollout has no other after it
    return Solved(agent, seed, model.num_timesteps, clock.total, solved, own)


def run_solved(
    agents: Sequence[str], seeds: Sequence[int], path: Path, show: Callable[[Solved], None]
) -> Speed:
    """Train the missing runs of the file, agents in turn at each seed, and write it after each."""
    machine = this_machine()
    speed = read_speed(path) if path.exists() else Speed(machine)
    if speed.machine != machine:
        raise ValueError(
            f"{path} is of another machine or of other packages, whose times do not compare; run "
            "everything again, or name another file with --out"
        )

    def make(agent: str, seed: int, settings: Settings) -> None:
        nonlocal speed
        if any((x.agent, x.seed, x.settings) == (agent, seed, settings) for x in speed.solved):
            return
        done = train_until_solved(agent, seed, settings)
        speed = replace(speed, solved=(*speed.solved, done))
        write_speed(path, speed)
        show(done)

    for seed in TUNING_SEEDS:
        for agent in agents:
            for settings in trials(agent):
                make(agent, seed, settings)
    for seed in seeds:
        for agent in agents:
            make(agent, seed, {})
        for agent in agents:
            make(agent, seed, chosen(agent, speed.solved))
    return speed
