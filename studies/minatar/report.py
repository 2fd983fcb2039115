"""Write docs/minatar.md from the results of the gate and of lean agents, and the rows there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from snn_gym._base.config import Config
from snn_gym.envs.registry import load_environment_spec
from snn_gym.leaderboard.comparison import MARGIN, SIGNIFICANCE
from snn_gym.leaderboard.statistics import mean_interval
from snn_gym.leaderboard.table import TableRow, table_rows
from studies.pays.question import registered_rows
from studies.pays.tables import missing_table, trained_again
from studies.rows import LEADERBOARD, RowName
from studies.runs import Runs
from studies.tables import table, wrapped

ENV_ID = "snn/MinAtar-Breakout-v0"
RUNS = Path(__file__).parent / "runs.jsonl"
STUDENTS = (16, 64)
STUDENT_SEEDS = range(1000, 1005)
LEAST_RETURN, LARGEST_SHARE = 25.0, 0.9
AGENTS = ("ppo-conv-lif", "ppo-conv", "ppo-mlp")
TEACHER, LEAN = "ppo-conv-lif", "ppo-conv-lif-lean"
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
    instructions: float | None = None
    """Instructions of a decision on a Cortex-M4; None where they were not counted."""


@dataclass(frozen=True)
class Kind(Config):
    """Students of a row of ``ppo-conv-lif``, which shed what their behaviour does not need."""

    agent: str
    network: dict[str, Any] = field(default_factory=dict)
    """Settings of the network that replace the agent's."""
    steps: int = 1_000_000
    updates: int = 6000


KINDS = {
    "ppo-conv-lif-lean": Kind("ppo-conv-lif-lean", steps=500_000, updates=3000),
    "ppo-conv-lif-lean, twice the updates": Kind("ppo-conv-lif-lean"),
    "CNN, 4 filters, 32 units": Kind(
        "ppo-relu", {"convolutions": [{"filters": 4}], "hidden_sizes": [32]}
    ),
    "CNN, 8 filters, 32 units": Kind(
        "ppo-relu", {"convolutions": [{"filters": 8}], "hidden_sizes": [32]}
    ),
    "CNN, 8 filters, 64 units": Kind(
        "ppo-relu", {"convolutions": [{"filters": 8}], "hidden_sizes": [64]}
    ),
    "64-64 units": Kind("ppo-relu", {"hidden_sizes": [64, 64]}),
    "CNN, 8 filters, 64 units, four times the updates": Kind(
        "ppo-relu", {"convolutions": [{"filters": 8}], "hidden_sizes": [64]}, 4_000_000, 24_000
    ),
    "CNN, 4 filters, 32 units, four times the updates": Kind(
        "ppo-relu", {"convolutions": [{"filters": 4}], "hidden_sizes": [32]}, 4_000_000, 24_000
    ),
}
"""Students by the words of the page: ours first, then rivals of rectified units."""
KIND_SEEDS = range(5)
SPIKING = 2
"""Number of kinds of ours."""


@dataclass(frozen=True)
class Lean:
    """Results of lean students that there are, with their teacher's."""

    teacher: Played
    students: dict[str, list[Played]]
    """Students of each kind that is complete."""

    def bound(self, kind: str) -> float:
        """Return the lower one-sided 95 % bound of the students' mean less the teacher's."""
        losses = [x.mean - self.teacher.mean for x in self.students[kind]]
        return mean_interval(losses, 1 - 2 * SIGNIFICANCE)[0]

    def operations(self, kind: str) -> float:
        """Return the mean operations of a decision of the students."""
        return float(np.mean([x.operations for x in self.students[kind]]))

    def kept(self) -> list[str]:
        """Return the kinds that are not inferior to the teacher, the cheapest first."""
        kept = [x for x in self.students if self.bound(x) >= -_margin()]
        return sorted(kept, key=self.operations)


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


def read_gate(runs: Runs) -> Gate:
    """Return the gate's results; none of a size before all its students have played."""
    sizes = (runs.read(Played, f"students/{n}-{n}/") for n in STUDENTS)
    whole = (group for group in sizes if len(group) == len(STUDENT_SEEDS))
    return Gate(tuple(runs.read(Played, "agents/")), tuple(map(tuple, whole)))


def read_lean(runs: Runs) -> Lean | None:
    """Return the results of lean students, None before their teacher has played."""
    teacher = runs.read(Played, f"lean/{TEACHER}/0")
    students = {kind: runs.read(Played, f"lean/{kind}/") for kind in KINDS}
    whole = {kind: x for kind, x in students.items() if len(x) == len(KIND_SEEDS)}
    return Lean(teacher[0], whole) if teacher else None


def _margin() -> float:
    return load_environment_spec(ENV_ID).reference.loss(MARGIN)


def upper_end(means: Sequence[float]) -> float:
    """Return the upper end of the two-sided 95 % interval of a mean, Student's t over seeds."""
    return mean_interval(means)[1]


def passes(best: float, upper_ends: Sequence[float]) -> bool:
    """Return whether an agent's return and the upper ends of its students pass the gate."""
    return best > LEAST_RETURN and max(upper_ends) < LARGEST_SHARE * best


def page(gate: Gate, lean: Lean | None) -> str:
    """Return the text of the page."""
    lines = {(x.agent, x.environment): x for x in table_rows(LEADERBOARD)}
    of_lean = () if lean is None or not lean.students else (_lean_section(lean),)
    return "\n".join((_gate_section(gate), *of_lean, _games_section(lines)))


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


def _lean_section(lean: Lean) -> str:
    teacher, kept = lean.teacher, lean.kept()
    ours = [*KINDS][:SPIKING]
    rivals = [x for x in kept if x not in ours]
    missing = [_words(x) for x in KINDS if x not in lean.students]
    findings = [
        f"{_words(x)} {'keeps' if x in kept else 'does not keep'} the return, at "
        f"{lean.operations(x) / teacher.operations:.2f} of the operations"
        for x in ours
        if x in lean.students
    ]
    rival = "No ANN of these keeps it."
    if rivals:
        rival = f"The cheapest ANN that keeps it is the {rivals[0]}."
    head = ("Student", "Return", "Lower bound", "Operations", "Cortex-M4 instructions")
    own = (f"`{TEACHER}`, the teacher", f"{teacher.mean:.1f}", _NONE, *_costs(teacher))
    return wrapped(
        "## Lean on Breakout",
        f"The row of `{TEACHER}` of seed 0 teaches five students of each kind, which shed what "
        "their behaviour does not need ([lean](guide/lean.md)): ours the neurons, synapses and "
        "time steps that matter less than they cost, rivals of rectified units the weights that "
        "matter least. Returns are of 1,000 episodes. A student keeps the return where the lower "
        "one-sided 95 % bound of the mean over seeds, less the teacher's, is at least "
        f"{-_margin():.2f}, {100 * MARGIN:g} % of the way from random play to `solved`.",
        f"{'; '.join(findings)}. At most 0.2 is asked. {rival}",
        table(head, [own, *(_lean_row(kind, lean) for kind in lean.students)]).rstrip(),
        "Instructions are of the student of seed 0 as C, mean of 1,000 decisions. Students learn "
        "by 6,000 updates in a million steps, those of four times the updates by 24,000 in four "
        "million. The first kind, that of `snn-gym lean RUN --student ppo-conv-lif-lean --steps "
        "500000`, learns by 3,000 in half a million. Kinds of four times the updates were "
        "registered after the results of the others. `python -m studies.minatar lean` measures.",
        *((f"Registered and not measured yet: {'; '.join(missing)}.",) if missing else ()),
    )


def _words(kind: str) -> str:
    return kind.replace(LEAN, f"`{LEAN}`").replace("`, twice", "` with twice")


def _lean_row(kind: str, lean: Lean) -> tuple[str, ...]:
    students = lean.students[kind]
    mean = np.mean([x.mean for x in students])
    _, counted = _costs(students[0])
    name, bound = _words(kind), f"{lean.bound(kind):.2f}"
    return name, f"{mean:.1f}", bound, f"{lean.operations(kind):,.0f}", counted


def _costs(played: Played) -> tuple[str, str]:
    counted = played.instructions
    return f"{played.operations:,.0f}", _NONE if counted is None else f"{counted:,.0f}"


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
    games = [x for x in lines.values() if x.environment in {row.environment for row in asked}]
    head = ("Game", "random", "scripted", "oracle", *(f"`{x}`" for x in AGENTS))
    return wrapped(
        "## One seed of each game",
        "Return of 100 episodes and operations of a decision, of seed 0, after 10 million steps. "
        f"One seed allows no verdict. {trained_again(games)} "
        "Trials on Breakout chose the settings of all three agents. On "
        "Asterix both ANNs learn faster at a lower rate ([card](agents/ppo-conv.md)).",
        table(head, rows).rstrip(),
        *(("Rows that have not landed:", missing_table(missing).rstrip()) if missing else ()),
    )


def _cell(line: TableRow | None) -> str:
    if line is None:
        return _NONE
    return f"{line.score(line.mean)}; {line.cost(line.operations_per_decision, decimals=0)}"
