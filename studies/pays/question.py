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


def read_question(path: Path = REGISTERED) -> Question:
    """Return the registered question."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["registered"]
    first, *others = [entry for entry in entries if entry["name"] == "pays"]
    replaced = {question for entry in others for question in entry.get("replaces", ())}
    asked = [entry for entry in others if entry["question"] not in replaced]
    (paired,) = [entry for entry in asked if entry["measure"] != _ROWS]
    return Question(
        tasks=tuple(first["environments"]),
        context=tuple(first["context"]),
        prices=tuple(first["prices"]),
        margin=first["margin"],
        families={name: tuple(agents) for name, agents in first["families"].items()},
        expected=first["expected"],
        needed=frozenset(row for entry in asked if entry != paired for row in _rows(entry)),
        pairs=tuple(zip(paired["agents"], paired["environments"], strict=True)),
    )


def _rows(entry: Mapping[str, Any]) -> Iterator[RowName]:
    for agent in entry["agents"]:
        for environment in entry["environments"]:
            for seed in parse_seeds(entry["seeds"]) or ():
                yield RowName(agent, environment, seed)
