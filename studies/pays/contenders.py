"""Agents of each task, with their returns and prices of every seed."""

from __future__ import annotations

import csv
import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snn_gym.leaderboard.headings import FEWEST_SEEDS
from snn_gym.leaderboard.results import Row, rows_by_weights, shown_rows
from snn_gym.leaderboard.table import TableRow, line_of, split_rows, summarise
from snn_gym.program.prices import PRICES, price_of
from studies.pays.question import OTHER, Question
from studies.rows import LEADERBOARD, RowName

INSTRUCTIONS = LEADERBOARD / "instructions.csv"
"""Instructions of the exported C of rows, a column for each machine."""
EPISODES = Path(__file__).parent / "episodes.csv"
"""Prices of event-driven executions of rows, a column for each price."""
NAME_COLUMNS = RowName._fields
EVENTS_MARK = "†"
"""Mark of an agent whose event-driven execution is the cheaper one."""

Table = Mapping[RowName, Mapping[str, float]]
"""Numbers of rows by column."""


@dataclass(frozen=True)
class Contender:
    """An agent on a task, with the prices of a decision of each seed."""

    row: TableRow
    family: str
    prices: Mapping[str, tuple[float, ...]]
    """Price of every seed, by price; prices that a seed lacks are absent."""
    by_events: frozenset[str] = frozenset()
    """Prices that are those of the event-driven execution."""

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
    instructions: Path = INSTRUCTIONS,
    episodes: Path = EPISODES,
) -> dict[str, Field]:
    """Return the agents of every task with at least five ranked seeds, with measured prices."""
    rows = shown_rows(leaderboard)
    ranked, _ = split_rows(leaderboard, rows)
    parents = rows_by_weights(rows)
    measured, events = read_numbers(instructions), read_numbers(episodes)
    contenders = defaultdict[str, list[Contender]](list)
    for _, group in itertools.groupby(sorted(ranked, key=line_of), key=line_of):
        seeds = sorted(group, key=lambda row: row.seed)
        if len(seeds) >= FEWEST_SEEDS and seeds[0].budget_class == "gradient":
            line = summarise(seeds, parents)
            prices, by_events = _prices(question, seeds, measured, events)
            family = question.family(line.agent)
            contenders[line.environment].append(Contender(line, family, prices, by_events))
    landed = {RowName(row.agent, row.environment, row.seed) for row in ranked}
    return {
        task: Field(
            task,
            tuple(contenders[task]),
            tuple(sorted(x for x in question.needed - landed if x.environment == task)),
        )
        for task in (*question.tasks, *question.context)
    }


def _prices(
    question: Question, rows: Sequence[Row], measured: Table, events: Table
) -> tuple[dict[str, tuple[float, ...]], frozenset[str]]:
    """Return the known prices of seeds, and those of which event-driven execution is cheaper."""
    prices, by_events = dict[str, tuple[float, ...]](), set[str]()
    names = [RowName(row.agent, row.environment, row.seed) for row in rows]
    for price in question.prices:
        clocked = [
            price_of(row.costs, price) if price in PRICES else measured.get(name, {}).get(price)
            for row, name in zip(rows, names, strict=True)
        ]
        if (known := _known(clocked)) is not None:
            prices[price] = known
        driven = _known([events.get(name, {}).get(price) for name in names])
        if driven is not None and (known is None or np.mean(driven) < np.mean(known)):
            prices[price] = driven
            by_events.add(price)
    return prices, frozenset(by_events)


def _known(values: Sequence[float | None]) -> tuple[float, ...] | None:
    known = tuple(value for value in values if value is not None)
    return known if len(known) == len(values) else None


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
