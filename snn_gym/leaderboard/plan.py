"""Training plans: agents, environments and seeds whose rows are wanted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from snn_gym._base.config import Config, Count, Length, Natural, RecordedId, from_mapping
from snn_gym._base.folders import parse_toml
from snn_gym._base.names import parse_seeds
from snn_gym._base.storage import read_regular_file
from snn_gym.envs.registry import load_environment_spec
from snn_gym.zoo.recipe import TrainingSeed
from snn_gym.zoo.spec import load_agent_spec

MOST_RUNS = 100_000
"""Limit of a plan; more runs than a machine can train are a mistake."""
_MAX_PLAN_BYTES = 1 << 20


def _are_seeds(text: str, where: str) -> None:
    try:
        parse_seeds(text)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


Seeds = Annotated[str, _are_seeds]
_Names = Annotated[tuple[str, ...], Length(1, 1000)]


@dataclass(frozen=True)
class Job(Config):
    """A training run whose row is wanted."""

    agent: str
    environment: RecordedId
    seed: TrainingSeed
    steps: Count
    """Environment steps."""
    teacher: str | None = None
    """Agent from whose row it is made lean; None for training from the start."""
    eval_every: Natural = 0
    """Environment steps between evaluations, which leave the training as it is; 0 for none."""

    @property
    def name(self) -> str:
        """Name in messages."""
        return f"{self.agent} {self.environment} seed {self.seed}"

    @property
    def training(self) -> str:
        """Steps and teacher in words."""
        origin = "" if self.teacher is None else f" from {self.teacher}"
        return f"{self.steps:,} steps{origin}"

    def folder(self, runs: Path) -> Path:
        """Return the run's folder, ``runs``/AGENT/ENVIRONMENT/SEED."""
        return runs / self.agent / self.environment.replace("/", "__") / str(self.seed)


@dataclass(frozen=True)
class Group(Config):
    """Runs of every agent on every environment with every seed."""

    agents: _Names
    environments: _Names
    seeds: Seeds
    """Such as ``0-9``, both ends included."""
    steps: Count | None = None
    """Environment steps of a run; None for the budget, or a fifth of it with a teacher."""
    teacher: str | None = None
    """Agent from whose rows of the same seed the agents are made lean; None for none."""
    eval_every: Natural = 0
    """Environment steps between evaluations during training; 0 for none."""

    @property
    def runs(self) -> int:
        """Number of runs."""
        seeds = parse_seeds(self.seeds) or range(0)
        # len() of a range is limited to 63 bits.
        return len(self.agents) * len(self.environments) * (seeds.stop - seeds.start)

    def jobs(self) -> Iterator[Job]:
        """Yield the runs by seed, then environment, then agent."""
        for seed in parse_seeds(self.seeds) or ():
            for environment in self.environments:
                for agent in self.agents:
                    steps = self.steps_of(agent, environment)
                    yield Job(agent, environment, seed, steps, self.teacher, self.eval_every)

    def steps_of(self, agent: str, environment: str) -> int:
        """Return a run's environment steps; ValueError beyond the budget or if unregistered."""
        spec = load_agent_spec(agent)
        budget = spec.budget(load_environment_spec(environment))
        if environment not in spec.environments:
            raise ValueError(
                f"{agent} is not registered for {environment}; expected one of "
                f"{', '.join(spec.environments)}"
            )
        if self.steps is not None and self.steps > budget:
            raise ValueError(
                f"{agent} on {environment}: {self.steps:,} steps are more than the budget of "
                f"{budget:,}; expected no more"
            )
        if self.teacher is not None:
            load_agent_spec(self.teacher)
            budget //= 5
        return self.steps or budget


@dataclass(frozen=True)
class Plan(Config):
    """Groups of runs, in the order in which they are trained."""

    groups: Annotated[tuple[Group, ...], Length(1, 1000)]
    """A run in two groups is trained once."""

    def _check(self) -> None:
        runs = sum(group.runs for group in self.groups)
        if runs > MOST_RUNS:
            raise ValueError(f"groups name {runs:,} runs; expected at most {MOST_RUNS:,}")

    def jobs(self) -> tuple[Job, ...]:
        """Return all runs, each once; ValueError if groups differ in a run's steps or teacher."""
        jobs: dict[str, Job] = {}
        for job in (job for group in self.groups for job in group.jobs()):
            if jobs.setdefault(job.name, job) != job:
                raise ValueError(
                    f"{job.name} stands in two groups with {job.training} and "
                    f"{jobs[job.name].training}; expected one row for each"
                )
        return tuple(jobs.values())


def read_plan(path: Path) -> Plan:
    """Return the plan in a TOML file; ValueError that names the file if a run does not fit."""
    plan = from_mapping(Plan, read_table(path), str(path))
    try:
        plan.jobs()
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return plan


def read_table(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file of at most 1 MiB; a pipe or a device is refused."""
    # Links are followed, because the user named the file. A pipe is refused, because reading waits.
    data = read_regular_file(os.path.realpath(path), max_bytes=_MAX_PLAN_BYTES)
    return parse_toml(data, str(path))
