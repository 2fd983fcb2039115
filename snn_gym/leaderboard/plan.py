"""Plans: which agents are trained on which environments, with which seeds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from snn_gym._base.config import Config, Count, Length, RecordedId, from_mapping
from snn_gym._base.folders import parse_toml
from snn_gym._base.names import parse_seeds
from snn_gym._base.storage import read_regular_file
from snn_gym.envs.registry import load_environment_spec
from snn_gym.zoo.environments import TrainingSeed
from snn_gym.zoo.spec import load_agent_spec

MOST_RUNS = 100_000
"""Most runs that a plan may name; more than a machine trains in its life are a mistake."""
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
    """Agent of the zoo."""
    environment: RecordedId
    """Gymnasium id."""
    seed: TrainingSeed
    """Seed of everything random."""
    steps: Count
    """Environment steps to train."""
    teacher: str | None = None
    """Agent from whose row it is made lean; None for one that is trained from the start."""

    @property
    def name(self) -> str:
        """Name in messages."""
        return f"{self.agent} {self.environment} seed {self.seed}"

    @property
    def training(self) -> str:
        """How it is trained, in words."""
        origin = "" if self.teacher is None else f" from {self.teacher}"
        return f"{self.steps:,} steps{origin}"

    def folder(self, runs: Path) -> Path:
        """Return the folder of the run.

        Args:
            runs: Folder of all runs.
        """
        return runs / self.agent / self.environment.replace("/", "__") / str(self.seed)


@dataclass(frozen=True)
class Group(Config):
    """Runs of every agent on every environment with every seed."""

    agents: _Names
    """Agents of the zoo."""
    environments: _Names
    """Gymnasium ids."""
    seeds: Seeds
    """Such as ``0-9``, both ends included."""
    steps: Count | None = None
    """Environment steps of a run; None for the environment's budget, a fifth with a teacher."""
    teacher: str | None = None
    """Agent from whose rows, of the same environment and seed, the agents are made lean; None for
    training from the start."""

    @property
    def runs(self) -> int:
        """How many there are."""
        seeds = parse_seeds(self.seeds) or range(0)
        # len() of a range takes no more than 63 bits.
        return len(self.agents) * len(self.environments) * (seeds.stop - seeds.start)

    def jobs(self) -> Iterator[Job]:
        """Yield the runs: all agents with the first seed before any with the second.

        Raises:
            ValueError: An agent or an environment is unknown, or they do not belong together.
        """
        for seed in parse_seeds(self.seeds) or ():
            for environment in self.environments:
                for agent in self.agents:
                    steps = self.steps_of(agent, environment)
                    yield Job(agent, environment, seed, steps, self.teacher)

    def steps_of(self, agent: str, environment: str) -> int:
        """Return the environment steps of the runs of an agent on an environment.

        Args:
            agent: One of the agents.
            environment: One of the environments.

        Raises:
            ValueError: One of them is unknown, they do not belong together, or the steps are more
                than the budget.
        """
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
    """The groups; a run that two of them name is trained once."""

    def _check(self) -> None:
        runs = sum(group.runs for group in self.groups)
        if runs > MOST_RUNS:
            raise ValueError(f"groups name {runs:,} runs; expected at most {MOST_RUNS:,}")

    def jobs(self) -> tuple[Job, ...]:
        """Return all runs, each once.

        Raises:
            ValueError: As in ``Group.jobs``, or two groups name a run with other steps.
        """
        found: dict[str, Job] = {}
        for group in self.groups:
            for job in group.jobs():
                if found.setdefault(job.name, job) != job:
                    raise ValueError(
                        f"{job.name} stands in two groups with {job.training} and "
                        f"{found[job.name].training}; expected one row for each"
                    )
        return tuple(found.values())


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Args:
        path: TOML file with ``[[groups]]``.

    Raises:
        ValueError: It does not fit the schema, or what it names does not exist.
    """
    plan = from_mapping(Plan, read_table(path), str(path))
    try:
        plan.jobs()
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return plan


def read_table(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file that a command was given.

    Args:
        path: The file, or a link to it.

    Raises:
        ValueError: It is missing, no regular file of a sensible size, or not valid TOML.
    """
    # A link is followed: who names one means what it leads to. A pipe would be waited for.
    data = read_regular_file(os.path.realpath(path), max_bytes=_MAX_PLAN_BYTES)
    return parse_toml(data, str(path))
