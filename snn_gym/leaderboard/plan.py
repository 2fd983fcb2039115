"""Training plans: agents, environments and seeds whose rows are wanted, and rank."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from snn_gym._base.config import Config, Count, Length, RecordedId, from_mapping
from snn_gym._base.folders import parse_toml
from snn_gym._base.names import parse_seeds
from snn_gym._base.storage import read_regular_file
from snn_gym.envs.registry import IMPORTED, EnvironmentSpec, known_ids, load_environment_spec
from snn_gym.leaderboard.results import (
    Row,
    gives_the_same_weights,
    is_derived,
    parent_of,
    rows_by_weights,
)
from snn_gym.zoo.recipe import DEFAULT_CHECKPOINT_INTERVAL, TrainingSeed
from snn_gym.zoo.spec import agent_ids, lean_steps, load_agent_spec

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
class PlannedRun(Config):
    """A training run whose row is wanted."""

    agent: str
    environment: RecordedId
    seed: TrainingSeed
    steps: Count
    """Environment steps."""
    teacher: str | None = None
    """Agent from whose row it is made lean; None for training from the start."""

    @property
    def name(self) -> str:
        """Name in messages."""
        return f"{self.agent} {self.environment} seed {self.seed}"

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

    @property
    def number(self) -> int:
        """Number of runs."""
        seeds = parse_seeds(self.seeds) or range(0)
        # len() of a range is limited to 63 bits.
        return len(self.agents) * len(self.environments) * (seeds.stop - seeds.start)

    def runs(self) -> Iterator[PlannedRun]:
        """Yield the runs by seed, then environment, then agent."""
        seeds = parse_seeds(self.seeds) or ()
        for seed, environment, agent in itertools.product(seeds, self.environments, self.agents):
            steps = self.steps_of(agent, environment)
            yield PlannedRun(agent, environment, seed, steps, self.teacher)

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
        number = sum(group.number for group in self.groups)
        if number > MOST_RUNS:
            raise ValueError(f"groups name {number:,} runs; expected at most {MOST_RUNS:,}")

    def runs(self) -> tuple[PlannedRun, ...]:
        """Return all runs, each once; ValueError if groups differ in a run's steps or teacher."""
        runs: dict[str, PlannedRun] = {}
        for run in itertools.chain.from_iterable(group.runs() for group in self.groups):
            other = runs.setdefault(run.name, run)
            if other != run:
                raise ValueError(
                    f"{run.name} stands in two groups, with {run.steps:,} steps and teacher "
                    f"{run.teacher}, and with {other.steps:,} steps and teacher {other.teacher}; "
                    "expected one row for each"
                )
        return tuple(runs.values())


def read_plan(path: Path) -> Plan:
    """Return the plan in a TOML file; ValueError that names the file if a run does not fit."""
    plan = _parse_plan(path)
    try:
        plan.runs()
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return plan


def _parse_plan(path: Path) -> Plan:
    # Links are followed, because the user named the file. A pipe is refused, because reading waits.
    data = read_regular_file(os.path.realpath(path), max_bytes=_MAX_PLAN_BYTES)
    return from_mapping(Plan, parse_toml(data, str(path)), str(path))


# ---- terms ---------------------------------------------------------------------------------------
# A row ranks only if a second training gave its weights, by a recipe that was fixed before its
# score was known: choosing among steps, checkpoint intervals and seedings would select the best of
# many draws, and a second training would confirm each of them.
PLAN_NAME = "plan.toml"


@dataclass(frozen=True)
class Unranked:
    """A row that does not rank, and the reason in words."""

    row: Row
    reason: str


@dataclass(frozen=True)
class Terms:
    """Terms of a leaderboard on which rows rank."""

    planned: Mapping[tuple[str, str, bool], PlannedRun] = field(default_factory=dict)
    """A planned run by agent, environment and whether it is made lean."""

    def reason(self, row: Row, parent: Row | None = None) -> str | None:
        """Return the first reason why a row does not rank; None if it ranks or is imported."""
        return next(self._reasons(row, parent), None)

    def _reasons(self, row: Row, parent: Row | None) -> Iterator[str]:
        recipe = row.recipe
        if row.budget_class == IMPORTED:
            return
        if recipe is None:
            yield "no recipe"
            return
        task = environment_of(row)
        own = DEFAULT_CHECKPOINT_INTERVAL if task is None else task.checkpoint_interval
        expected = None if recipe.parent is not None else own
        if recipe.checkpoint_interval != expected:
            interval, other = (
                "none" if x is None else f"{x:,}" for x in (recipe.checkpoint_interval, expected)
            )
            yield f"checkpoint interval {interval}, expected {other}"
        if row.seeding != "disjoint":
            yield f"{row.seeding} seeding, expected disjoint"
        if recipe.parent is not None:
            yield from self._parent_reasons(row, parent)
        steps = self._expected_steps(row)
        if steps is not None and recipe.steps != steps:
            yield f"{recipe.steps:,} steps, expected {steps:,}"
        # Rows of native numerics are of version 1, which ranked by recipe alone.
        if row.numerics == "portable" and not gives_the_same_weights(row, parent):
            yield "no second training gave its weights" + " and its parent's" * is_derived(row)

    def _parent_reasons(self, row: Row, parent: Row | None) -> Iterator[str]:
        if parent is None or is_derived(parent):
            yield "no row that it was made from"
            return
        if parent.seed != row.seed:
            yield f"made from seed {parent.seed}, expected {row.seed}"
        plan = self.planned.get((row.agent, row.environment, True))
        if plan is not None and plan.teacher != parent.agent:
            yield f"made from {parent.agent}, expected {plan.teacher}"
        for reason in self._reasons(parent, None):
            yield f"its parent: {reason}"

    def _expected_steps(self, row: Row) -> int | None:
        """Return the steps that a row needs to rank, to compare with its recipe; None if unknown.

        They come from the plan, else from the parent, else from the agent's budget.
        """
        plan = self.planned.get((row.agent, row.environment, is_derived(row)))
        if plan is not None:
            return plan.steps
        if row.parent is not None:
            return lean_steps(row.parent.steps)
        environment = environment_of(row)
        if environment is None or row.agent not in agent_ids():
            return None
        return load_agent_spec(row.agent).budget(environment)


def read_terms(leaderboard: Path) -> Terms:
    """Return the terms of a leaderboard, with those of its plan if it has one."""
    path = leaderboard / PLAN_NAME
    if not path.is_file():
        return Terms()
    planned: dict[tuple[str, str, bool], PlannedRun] = {}
    for group in _parse_plan(path).groups:
        for agent, environment in itertools.product(group.agents, group.environments):
            with suppress(ValueError):  # the agent or the environment has left the suite
                steps = group.steps_of(agent, environment)
                run = PlannedRun(agent, environment, 0, steps, group.teacher)
                planned.setdefault((agent, environment, run.teacher is not None), run)
    return Terms(planned)


def split_rows(
    leaderboard: Path, rows: Sequence[Row]
) -> tuple[tuple[Row, ...], tuple[Unranked, ...]]:
    """Return the rows that rank, and the other rows, each with the reason why it does not rank.

    ``rows`` must include the rows that others were made from.
    """
    terms, known = read_terms(leaderboard), rows_by_weights(rows)
    reasons = [(row, terms.reason(row, parent_of(row, known))) for row in rows]
    return (
        tuple(row for row, reason in reasons if reason is None),
        tuple(Unranked(row, reason) for row, reason in reasons if reason is not None),
    )


def environment_of(row: Row) -> EnvironmentSpec | None:
    """Return the environment of a row, None if it has left the suite or changed."""
    if row.environment not in known_ids():
        return None
    spec = load_environment_spec(row.environment)
    return spec if spec.version == row.environment_version else None
