"""Write docs/minatar.md from the gate's results and the rows that there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snn_gym._base.config import Config
from snn_gym.envs.registry import load_environment_spec
from snn_gym.leaderboard.statistics import mean_interval
from snn_gym.leaderboard.table import TableRow, count, table_rows
from studies.files import read_run
from studies.pays.question import registered_rows
from studies.pays.tables import missing_table
from studies.rows import LEADERBOARD, RowName
from studies.tables import table, wrapped

ENV_ID = "snn/MinAtar-Breakout-v0"
RESULTS = Path(__file__).parent / "results"
STUDENTS = (16, 64)
STUDENT_SEEDS = range(1000, 1005)
LEAST_RETURN, LARGEST_SHARE = 25.0, 0.9
AGENTS = ("ppo-conv-lif", "ppo-conv", "ppo-mlp")
ROWS = "minatar-games"
"""Name of the registered question on rows."""
_NONE = "–"


@dataclass(frozen=True)
class Played(Config):
    """Mean return of an agent or a student in the gate's episodes."""

    name: str
    """Agent, or the units of a student's layers."""
    seed: int
    steps: int
    """Environment steps of the training."""
    mean: float
    operations: float
    """Operations of a decision."""


@dataclass(frozen=True)
class Gate:
    """Results of the gate that there are."""

    agents: tuple[Played, ...]
    students: tuple[tuple[Played, ...], ...]
    """Students of each size that is complete."""

    @property
    def best(self) -> Played:
        """The agent that earns most."""
        return max(self.agents, key=lambda x: x.mean)

    @property
    def upper_ends(self) -> list[float]:
        """Upper end of the interval of each size."""
        return [upper_end([x.mean for x in group]) for group in self.students]

    @property
    def finding(self) -> str:
        """A sentence: whether the gate is passed, and why."""
        if not self.agents or len(self.students) < len(STUDENTS):
            return "The gate is open: runs are missing."
        best = self.best
        shares = " and ".join(f"{end / best.mean:.2f}" for end in self.upper_ends)
        return (
            f"The gate is {'passed' if passes(best.mean, self.upper_ends) else 'not passed'}: the "
            f"best agent, `{best.name}`, earns {best.mean:.1f}, and the upper ends of its students "
            f"of 16-16 and 64-64 units are {shares} of that; below {LARGEST_SHARE:g} is asked."
        )


def read_gate(folder: Path = RESULTS) -> Gate:
    """Return the gate's results; none of a size before all its students have played."""
    agents = (read_run(Played, path) for path in sorted((folder / "agents").glob("*.json")))
    sizes = ([folder / "students" / f"{n}-{seed}.json" for seed in STUDENT_SEEDS] for n in STUDENTS)
    whole = (paths for paths in sizes if all(path.exists() for path in paths))
    return Gate(tuple(agents), tuple(tuple(read_run(Played, x) for x in y) for y in whole))


def upper_end(means: Sequence[float]) -> float:
    """Return the upper end of the two-sided 95 % interval of a mean, Student's t over seeds."""
    return mean_interval(means)[1]


def passes(best: float, upper_ends: Sequence[float]) -> bool:
    """Return whether an agent's return and the upper ends of its students pass the gate."""
    return best > LEAST_RETURN and max(upper_ends) < LARGEST_SHARE * best


def page(gate: Gate) -> str:
    """Return the text of the page."""
    lines = {(x.agent, x.environment): x for x in table_rows(LEADERBOARD)}
    return "\n".join((_gate_section(gate), _games_section(lines)))


def _gate_section(gate: Gate) -> str:
    scores = load_environment_spec(ENV_ID).reference
    return wrapped(
        "# MinAtar: does a game need more than a small network?",
        "A network of spiking convolutions reads MinAtar's planes as spikes "
        "([tutorial](tutorials/pixels.md)). Before it is compared on five seeds and three games, "
        "a gate asks whether Breakout, as our agents play it after 10 million steps, needs more "
        "than a small network. It is passed where the best agent earns more than "
        f"{LEAST_RETURN:g}, and the upper ends of the 95 % intervals of its students of 16-16 and "
        f"of 64-64 units are below {LARGEST_SHARE:g} of it "
        "([registered.toml](../studies/registered.toml)).",
        gate.finding,
        table(("Agent", "Return", "Upper end", "Operations"), [*_gate_rows(gate)]).rstrip(),
        "Agents are of seed 1000, students of five seeds, and returns of 100 episodes. Students of "
        "the shape of their teacher begin from its weights. All three agents had the same eight "
        "trials ([ppo-conv](agents/ppo-conv.md)).",
        f"Without training, random play earns {scores.random:.1f}, a script that goes below the "
        f"ball's next place {scores.scripted:.1f}, and random shooting, which plays the game on "
        f"from its state, {scores.oracle:.1f} ([card](../envs/MinAtar-Breakout-v0.md)).",
        "`python -m studies.minatar gate RUN ...` measures, for the runs of `snn-gym train AGENT "
        f"{ENV_ID} --seed 1000 --steps 10000000`, and `report` writes this page.",
    )


def _gate_rows(gate: Gate) -> Iterator[tuple[str, ...]]:
    for x in gate.agents:
        yield f"`{x.name}`", f"{x.mean:.1f}", _NONE, f"{x.operations:,.0f}"
    for group, end in zip(gate.students, gate.upper_ends, strict=True):
        mean, operations = (np.mean([getattr(x, n) for x in group]) for n in ("mean", "operations"))
        yield f"{group[0].name}, taught", f"{mean:.1f}", f"{end:.1f}", f"{operations:,.0f}"


def _games_section(lines: Mapping[tuple[str, str], TableRow]) -> str:
    asked = registered_rows(ROWS)
    rows = []
    for env_id in sorted({x.environment for x in asked}):
        scores = load_environment_spec(env_id).reference
        known = (scores.random, scores.scripted, scores.oracle)
        cells = (_cell(lines.get((agent, env_id))) for agent in AGENTS)
        shown = (_NONE if x is None else f"{x:.1f}" for x in known)
        rows.append((f"[{env_id}](../envs/{env_id.removeprefix('snn/')}.md)", *shown, *cells))
    landed = {RowName(*names, seed) for names, line in lines.items() for seed in line.seeds}
    missing = sorted(asked - landed, key=lambda x: (x.environment, x))
    head = ("Game", "random", "scripted", "oracle", *(f"`{x}`" for x in AGENTS))
    return wrapped(
        "## One seed of each game",
        "Return of 100 episodes and operations of a decision, of seed 0, after 10 million steps. "
        "One seed allows no verdict.",
        table(head, rows).rstrip(),
        *(("Rows that have not landed:", missing_table(missing).rstrip()) if missing else ()),
    )


def _cell(line: TableRow | None) -> str:
    if line is None:
        return _NONE
    return f"{line.score(line.mean)}; {count(line.operations_per_decision, decimals=0)}"
