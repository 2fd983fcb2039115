"""Question of the study, as ``studies/registered.toml`` states it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snn_gym._base.names import parse_seeds
from studies.rows import RowName

REGISTERED = Path(__file__).parents[1] / "registered.toml"
OTHER = "other"
"""Family of agents that no registered family has."""
_ROWS = "rows of the results table"


@dataclass(frozen=True)
class Question:
    """Tasks, prices, families and margin of the study, and the rows that it needs."""

    tasks: tuple[str, ...]
    """Tasks with a verdict."""
    context: tuple[str, ...]
    """Tasks beside them, whose verdicts have their own adjustment of p-values."""
    prices: tuple[str, ...]
    margin: float
    """Accepted loss as a share of the range from random play to ``solved``."""
    families: Mapping[str, tuple[str, ...]]
    """Agents of each family."""
    expected: Mapping[str, str]
    """Verdict that was expected before the rows were made, by task."""
    needed: frozenset[RowName]
    """Registered rows, without which a task has no verdict. An entry may replace others, whose rows
    are not needed then."""
    pairs: tuple[tuple[str, str], ...]
    """Students and tasks of the test of ``distil``."""

    def family(self, agent: str) -> str:
        """Return an agent's family, or ``OTHER``."""
        return next((name for name, agents in self.families.items() if agent in agents), OTHER)


def read_question(path: Path = REGISTERED, name: str = "pays") -> Question:
    """Return the registered question of a name, whose first entry has prices and families."""
    first, *asked = _entries(path, name)
    paired = [entry for entry in asked if entry["measure"] != _ROWS]
    return Question(
        tasks=tuple(first["environments"]),
        context=tuple(first.get("context", ())),
        prices=tuple(first["prices"]),
        margin=first["margin"],
        families={name: tuple(agents) for name, agents in first["families"].items()},
        expected=first["expected"],
        needed=frozenset(row for entry in asked if entry not in paired for row in _rows(entry)),
        pairs=tuple(
            pair for x in paired for pair in zip(x["agents"], x["environments"], strict=True)
        ),
    )


def registered_rows(name: str, path: Path = REGISTERED) -> frozenset[RowName]:
    """Return the rows that entries of a name register."""
    return frozenset(row for entry in _entries(path, name) for row in _rows(entry))


def _entries(path: Path, name: str) -> list[dict[str, Any]]:
    """Return the entries of a name that no other replaces."""
    every = tomllib.loads(path.read_text(encoding="utf-8"))["registered"]
    own = [entry for entry in every if entry["name"] == name]
    replaced = {question for entry in own for question in entry.get("replaces", ())}
    return [entry for entry in own if entry.get("question") not in replaced]


def _rows(entry: Mapping[str, Any]) -> Iterator[RowName]:
    for agent in entry["agents"]:
        for environment in entry["environments"]:
            for seed in parse_seeds(entry["seeds"]) or ():
                yield RowName(agent, environment, seed)
