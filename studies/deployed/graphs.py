"""Every stored agent as a NIR graph and back: ``python -m studies.deployed.graphs``."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from snn_gym import load_pretrained
from snn_gym._base.config import Config
from snn_gym.envs.registry import make_task
from snn_gym.export import from_nir, program_of, to_nir
from snn_gym.leaderboard.pretrained import list_trained
from studies.deployed.page import Page
from studies.rows import RowName
from studies.tables import table

EQUAL = "equal"
_DECISIONS = 200

_TEXT = """# Agents as NIR graphs, and back

Written by `python -m studies.deployed.graphs` from `studies/deployed/graphs.json`. The study loads
each of {rows} rows of the results table, exports the agent by `to_nir` and imports it again by
`from_nir`. The imported agent is equal if two conditions hold:

- Its exported constants, weights, observation statistics and choice of actions are the same as the
  agent's, bit for bit.
- Both choose the same actions in {steps} decisions of the agent's episodes.

**{equal} of {rows} agents are equal after the import, {different} are different, and {refused} are
refused by the export or the import.** The table names the reasons.

"""


@dataclass(frozen=True)
class Graphed(Config):
    """A row, exported and imported again."""

    agent: str
    """Agent."""
    environment: str
    """Gymnasium id."""
    seed: int
    """Seed of its row."""
    outcome: str
    """``equal``, ``different``, or why it is refused."""


@dataclass(frozen=True)
class Results(Config):
    """Measurements of the study."""

    rows: tuple[Graphed, ...]
    """All rows of the results table."""


def measure(_: Results | None) -> Iterator[Results]:
    """Export every stored agent, and import it again."""
    yield Results(tuple(_rows()))


def _rows() -> Iterator[Graphed]:
    for trained in list_trained():
        for row in trained.rows:
            model = load_pretrained(trained.agent, trained.environment, row.seed)
            yield Graphed(trained.agent, trained.environment, row.seed, _outcome(model, row))


def _outcome(model: Any, row: Any) -> str:
    with tempfile.TemporaryDirectory() as folder:
        try:
            files = to_nir(model, Path(folder) / "agent.nir")
            back = from_nir(files.graph, row.environment)
        except ValueError as error:
            return str(error)
    same = same_numbers(model, back) and _same_actions(model, back, row.environment)
    return EQUAL if same else "different"


def same_numbers(one: Any, other: Any) -> bool:
    """Tell whether all that is exported of two agents is the same, bit for bit."""
    return bool(_bits(asdict(program_of(one))) == _bits(asdict(program_of(other))))


def _bits(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    if isinstance(value, dict):
        return {key: _bits(x) for key, x in value.items()}
    return [_bits(x) for x in value] if isinstance(value, list | tuple) else value


def _same_actions(one: Any, other: Any, env_id: str) -> bool:
    """Tell whether two agents choose alike along episodes of the first one."""
    env, states, same = make_task(env_id), list[Any]([None, None]), True
    observation, _ = env.reset(seed=0)
    for _ in range(_DECISIONS):
        actions: list[NDArray[Any]] = []
        for k, model in enumerate((one, other)):
            action, states[k] = model.predict(observation, states[k], deterministic=True)
            actions.append(action)
        same = same and np.array_equal(actions[0], actions[1])
        observation, _, terminated, truncated, _ = env.step(actions[0])
        if terminated or truncated:
            observation, states = env.reset()[0], [None, None]
    env.close()
    return same


def report(results: Results) -> str:
    """Return the page."""
    outcomes = Counter("refused" if x.outcome not in _DONE else x.outcome for x in results.rows)
    text = _TEXT.format(
        rows=len(results.rows), steps=_DECISIONS, equal=outcomes[EQUAL],
        different=outcomes["different"], refused=outcomes["refused"],
    )  # fmt: skip
    lines = []
    for agent in dict.fromkeys(x.agent for x in results.rows):
        own = [x for x in results.rows if x.agent == agent]
        counted = Counter(_reason(x.outcome) for x in own)
        lines += [(agent, str(times), outcome) for outcome, times in counted.items()]
    return text + table(("agent", "rows", "outcome"), lines)


_DONE = (EQUAL, "different")


def _reason(outcome: str) -> str:
    return outcome if outcome in _DONE else "refused: " + re.split(r"[;,] ", outcome)[0]


def rows_of(results: Results) -> Iterator[RowName]:
    """Yield the rows that results were measured from."""
    yield from (RowName(x.agent, x.environment, x.seed) for x in results.rows)


PAGE = Page("graphs", Results, measure, report, rows_of)

if __name__ == "__main__":
    typer.run(PAGE.write)
