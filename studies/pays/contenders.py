"""Agents of each task, with their returns and prices of every seed."""

from __future__ import annotations

import csv
import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from snn_gym.leaderboard.plan import split_rows
from snn_gym.leaderboard.results import (
    Row,
    gives_the_same_weights,
    parent_of,
    rows_by_weights,
    shown_rows,
)
from snn_gym.leaderboard.table import (
    FEWEST_SEEDS,
    TableRow,
    cost_fields,
    line_of,
    read_instructions,
    summarise,
)
from snn_gym.program.prices import PRICES
from studies.pays.question import OTHER, Question
from studies.rows import LEADERBOARD, RowName

EPISODES = Path(__file__).parent / "episodes.csv"
"""Prices of event-driven executions of rows, a column for each price."""
NAME_COLUMNS = RowName._fields
EVENTS_MARK = "†"
"""Mark of an agent whose event-driven execution is the cheaper one."""

Table = Mapping[RowName, Mapping[str, float]]
"""Numbers of rows by column."""


Prices = Mapping[str, tuple[float, ...]]
"""Prices of a decision of every seed whose costs count; one that such a seed lacks is absent."""
FEWEST_PROVEN = 2
"""Fewest seeds that were trained again of an agent in a verdict; a factor's interval needs two."""


@dataclass(frozen=True, eq=False)
class Contender:
    """An agent on a task, with the prices of a decision of each seed."""

    row: TableRow
    family: str
    clocked: Prices
    """Prices of the clocked execution."""
    driven: Prices = field(default_factory=dict)
    """Prices of the event-driven execution."""
    digests: tuple[str, ...] = ()
    """Digest of each seed's weights file."""
    decisions: float = 1.0
    """Mean decisions of an episode."""

    @property
    def prices(self) -> Prices:
        """Prices of the cheaper execution."""
        return {**self.clocked, **{name: self.driven[name] for name in self.by_events}}

    @property
    def unproven(self) -> int:
        """Seeds that are still to be trained again before its prices decide a verdict."""
        return max(0, FEWEST_PROVEN - self.row.trained_again)

    @property
    def by_events(self) -> tuple[str, ...]:
        """Prices of which event-driven execution has the lower mean."""
        return tuple(
            name
            for name, values in self.driven.items()
            if name not in self.clocked or np.mean(values) < np.mean(self.clocked[name])
        )

    def price(self, name: str) -> float:
        """Return the mean over seeds of a price that is known."""
        return float(np.mean(self.prices[name]))

    def label(self, name: str) -> str:
        """Return the agent's name, with a mark if the price is that of event-driven execution."""
        return f"`{self.row.agent}`" + f" {EVENTS_MARK}" * (name in self.by_events)


@dataclass(frozen=True)
class Field:
    """All agents of a task, and the registered rows that it lacks."""

    task: str
    contenders: tuple[Contender, ...]
    missing: tuple[RowName, ...]

    @property
    def best(self) -> Contender | None:
        """Agent of the families with the highest mean return, None if there is none."""
        known = (x for x in self.contenders if x.family != OTHER)
        return max(known, key=lambda x: x.row.mean, default=None)

    def find(self, agent: str) -> Contender | None:
        """Return an agent's line, None without one."""
        return next((x for x in self.contenders if x.row.agent == agent), None)


def read_fields(
    question: Question,
    leaderboard: Path = LEADERBOARD,
    episodes: Path = EPISODES,
) -> dict[str, Field]:
    """Return the agents of every task with at least five ranked seeds.

    Measured prices are those of the leaderboard's instructions.csv, event-driven ones of a CSV file
    of the study.
    """
    rows = shown_rows(leaderboard)
    ranked, _ = split_rows(leaderboard, rows)
    parents = rows_by_weights(rows)
    measured, events = read_instructions(leaderboard), read_numbers(episodes)
    contenders = defaultdict[str, list[Contender]](list)
    for _, group in itertools.groupby(sorted(ranked, key=line_of), key=line_of):
        seeds = sorted(group, key=lambda row: row.seed)
        if len(seeds) >= FEWEST_SEEDS and seeds[0].budget_class == "gradient":
            costed = costed_rows(seeds, parents)
            line = summarise(seeds, parents)
            line = replace(line, **cost_fields([row.costs for row in costed]))
            contenders[line.environment].append(
                Contender(
                    line,
                    question.family(line.agent),
                    *_prices(question, costed, measured, events),
                    digests=tuple(row.weights_sha256 for row in seeds),
                    decisions=float(np.mean([row.lengths for row in seeds])),
                )
            )
    landed = {RowName(row.agent, row.environment, row.seed) for row in ranked}
    return {
        task: Field(
            task,
            tuple(contenders[task]),
            tuple(sorted(x for x in question.needed - landed if x.environment == task)),
        )
        for task in (*question.tasks, *question.context)
    }


def costed_rows(rows: Sequence[Row], known: Mapping[str, Row]) -> list[Row]:
    """Return the rows of proven weights, whose costs count; all rows, unproven, if there are none.

    ``known`` are parents by weights.
    """
    return [row for row in rows if gives_the_same_weights(row, parent_of(row, known))] or [*rows]


def _prices(
    question: Question,
    rows: Sequence[Row],
    measured: Mapping[tuple[str, str], float],
    events: Table,
) -> tuple[Prices, Prices]:
    """Return the known prices of seeds, in clocked and in event-driven execution."""
    clocked = {
        price: [
            PRICES[price].of(row.costs)
            if price in PRICES
            else measured.get((row.weights_sha256, price))
            for row in rows
        ]
        for price in question.prices
    }
    names = [RowName(row.agent, row.environment, row.seed) for row in rows]
    driven = {price: [events.get(x, {}).get(price) for x in names] for price in question.prices}
    return _known(clocked), _known(driven)


def _known(columns: Mapping[str, Sequence[float | None]]) -> Prices:
    """Return the prices that all seeds have."""
    known = {name: tuple(x for x in values if x is not None) for name, values in columns.items()}
    return {name: x for name, x in known.items() if len(x) == len(columns[name])}


def read_numbers(path: Path) -> Table:
    """Return the numbers of rows in a CSV file, without empty cells; an absent file has none."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {
            RowName(line["agent"], line["environment"], int(line["seed"])): {
                key: float(value)
                for key, value in line.items()
                if key not in NAME_COLUMNS and value
            }
            for line in csv.DictReader(file)
        }
