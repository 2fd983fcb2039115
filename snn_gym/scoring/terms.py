"""Which rows rank: those whose recipe was fixed before anybody saw their score.

A seed has one training for each choice of steps, interval of checkpoints and seeding. Whoever may
choose among them reports the best of many draws, each of which training again confirms. So a row
ranks only with the choice that all others have; the others are shown apart, each with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from snn_gym.config import from_mapping
from snn_gym.registry import IMPORTED, known_ids, load_environment_spec
from snn_gym.scoring.headings import DERIVED
from snn_gym.scoring.origins import is_derived, parent_of, parents
from snn_gym.scoring.plan import Plan, read_table
from snn_gym.scoring.results import Row
from snn_gym.zoo import agent_ids, load_agent_spec
from snn_gym.zoo.recipe import DEFAULT_CHECKPOINT_INTERVAL
from snn_gym.zoo.spec import lean_steps

PLAN_NAME = "plan.toml"


@dataclass(frozen=True)
class PlannedRun:
    """Planned steps and teacher of the runs of an agent on an environment."""

    steps: int
    """Environment steps."""
    teacher: str | None
    """Agent that they are made lean from; None for training from the start."""


@dataclass(frozen=True)
class Unranked:
    """A row that does not rank."""

    row: Row
    """The row."""
    reason: str
    """Why, in words."""

    def cells(self) -> tuple[str, ...]:
        """Return the texts under `headings.UNRANKED_COLUMNS`."""
        row = self.row
        name = row.agent + (f" {DERIVED}" if is_derived(row) else "")
        mean = f"{row.score.mean:.6g}"
        return (row.environment, row.budget_class, name, str(row.seed), mean, self.reason)


@dataclass(frozen=True)
class Terms:
    """Terms of a leaderboard on which rows rank."""

    planned: Mapping[tuple[str, str, bool], PlannedRun] = field(default_factory=dict)
    """Runs that its plan names, by agent, environment and whether they are made lean."""

    def reason(self, row: Row, parent: Row | None = None) -> str | None:
        """Return why a row does not rank, None if it does.

        Args:
            row: The row.
            parent: The row that it was made lean from; None without one.
        """
        return next(self._reasons(row, parent), None)

    def _reasons(self, row: Row, parent: Row | None) -> Iterator[str]:
        recipe = row.recipe
        if row.budget_class == IMPORTED:
            return
        if recipe is None:
            yield "no recipe"
            return
        wanted = None if recipe.parent is not None else DEFAULT_CHECKPOINT_INTERVAL
        if recipe.checkpoint_interval != wanted:
            found = _shown(recipe.checkpoint_interval)
            yield f"checkpoint interval {found}, expected {_shown(wanted)}"
        if row.seeding != "disjoint":
            yield f"{row.seeding} seeding, expected disjoint"
        if recipe.parent is not None:
            yield from self._of_parent(row, parent)
        steps = self._steps(row)
        if steps is not None and recipe.steps != steps:
            yield f"{recipe.steps:,} steps, expected {steps:,}"

    def _of_parent(self, row: Row, parent: Row | None) -> Iterator[str]:
        """Yield what of its parent keeps a row from ranking."""
        if parent is None or is_derived(parent):
            yield "no row that it was made from"
            return
        if parent.seed != row.seed:
            yield f"made from seed {parent.seed}, expected {row.seed}"
        plan = self.planned.get((row.agent, row.environment, True))
        if plan is not None and plan.teacher != parent.agent:
            yield f"made from {parent.agent}, expected {plan.teacher}"
        for reason in self._reasons(parent, None):
            yield f"made from a row of {reason}"

    def _steps(self, row: Row) -> int | None:
        """Return the steps that a row's training has to ask for; None where nobody knows."""
        plan = self.planned.get((row.agent, row.environment, is_derived(row)))
        if plan is not None:
            return plan.steps
        if row.recipe is not None and row.recipe.parent is not None:
            return lean_steps(row.recipe.parent.steps)
        if row.environment not in known_ids() or row.agent not in agent_ids():
            return None
        environment = load_environment_spec(row.environment)
        if environment.version != row.environment_version:
            return None
        return load_agent_spec(row.agent).budget(environment)


def _shown(interval: int | None) -> str:
    return "none" if interval is None else f"{interval:,}"


def read_terms(leaderboard: Path) -> Terms:
    """Read the terms of a leaderboard: those of its plan, where it has one.

    Args:
        leaderboard: Folder of the leaderboard.

    Raises:
        ValueError: Its plan does not fit the schema.
    """
    path = leaderboard / PLAN_NAME
    if not path.is_file():
        return Terms()
    planned: dict[tuple[str, str, bool], PlannedRun] = {}
    for group in from_mapping(Plan, read_table(path), str(path)).groups:
        for agent in group.agents:
            for environment in group.environments:
                with suppress(ValueError):  # of what has left the zoo nothing is planned
                    run = PlannedRun(group.steps_of(agent, environment), group.teacher)
                    planned.setdefault((agent, environment, run.teacher is not None), run)
    return Terms(planned)


def split_rows(
    leaderboard: Path, rows: Sequence[Row]
) -> tuple[tuple[Row, ...], tuple[Unranked, ...]]:
    """Return the rows that rank, and the others.

    Args:
        leaderboard: Folder of the leaderboard, whose plan counts.
        rows: All of its rows.

    Raises:
        ValueError: As in ``read_terms``.
    """
    terms, known = read_terms(leaderboard), parents(rows)
    reasons = [terms.reason(row, parent_of(row, known)) for row in rows]
    found = list(zip(rows, reasons, strict=True))
    return (
        tuple(row for row, reason in found if reason is None),
        tuple(Unranked(row, reason) for row, reason in found if reason is not None),
    )
