"""The results table: what verified rows say, by environment and budget class."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snn_gym.folders import locked
from snn_gym.registry import ReferenceScores, known_ids, load_environment_spec
from snn_gym.scoring.evaluation import EVALUATOR_VERSION
from snn_gym.scoring.results import Row, sound_rows
from snn_gym.scoring.statistics import interquartile_mean, stratified_bootstrap_interval
from snn_gym.spiking.costs import COST_COLUMNS
from snn_gym.storage import write_text_atomic
from snn_gym.zoo import agent_ids, load_agent_spec

TABLE_NAME = "README.md"
_DEFINITIONS: dict[str, str] = {
    "Agent": "the agent",
    "Twin": "the agent to compare it with: the same algorithm and hidden sizes with spikes or "
    "without",
    "Seeds": "training runs behind the line",
    "IQM": "interquartile mean: the mean of the middle half of all returns, of all episodes of all "
    "seeds; floor(n / 4) of n are left out at each end",
    "95 % interval": "of the IQM, by 2,000 bootstrap replicates. Training runs are drawn with "
    "replacement, each with all its episodes, because episodes of one run share a policy. "
    '"–" for one seed, where the spread between runs is unknown; with few seeds the interval is '
    "too narrow",
    "Normalised": "the mean return of all episodes on the scale from random play (0) to the oracle "
    '(1) of the environment\'s file; "–" where the task has no oracle. Means, because the middle '
    "half of returns that are 0 or 1 says little",
    "Mean of each seed": "mean return of each training run, in the order of the seeds",
    **{column.heading: column.definition for column in COST_COLUMNS.values()},
    "Parameters": "trained numbers that acting needs; critics and observation statistics do not "
    "count",
    "Steps": "environment steps of training",
}
COLUMNS = tuple(_DEFINITIONS)
"""Headings of the table, in the order of `TableRow.cells`."""

_BOOTSTRAP_SEED = 0
# Returns need more than one decimal where random play and the maximum are nearer than this.
_SMALL_SCALE = 10.0

_MARK = "†"
_INTRODUCTION = """# Results

Every row was run again by `snn-gym verify` before it was written. [RULES.md](RULES.md) says how to
submit and how a policy is evaluated; what the columns mean stands at the end. This file is written
by `snn-gym table`; do not edit it.
"""
_WRITTEN = _INTRODUCTION.partition(" before it was written")[0]
_NOTES = f"""{_MARK} Environment k of a run had the seed of the run plus k, so that runs with \
neighbouring seeds shared most of their environments' random streams, and the interval between \
them may be too narrow. Runs since then draw disjoint streams.
"""
_COSTS = """Costs are means over the observations that the policy visited in its evaluation (of \
more than 20,000, an even subsample), with the states it met them in, summed over layers; "–" \
where an agent has none. They count events, not energy: how much a SynOp or a MAC takes depends on \
the hardware. IQM and bootstrap follow [Agarwal et al. 2021](https://arxiv.org/abs/2108.13264).
"""


@dataclass(frozen=True)
class TableRow:
    """One agent on one environment, over all its training seeds."""

    environment: str
    """Gymnasium id."""
    environment_version: int
    """Version of the environment's description."""
    budget_class: str
    """Class whose budget binds the agent."""
    agent: str
    """Name of the agent."""
    twin: str | None
    """Agent that it is compared with; None if it has none, or has left the zoo."""
    seeds: tuple[int, ...]
    """Training seeds."""
    iqm: float
    """Interquartile mean over seeds and episodes, in the task's reward units."""
    interval: tuple[float, float] | None
    """95 % interval of `iqm`; None for a single seed."""
    normalised: float | None
    """Mean return from random play (0) to the oracle (1); None for a task without an oracle, or one
    that has left the suite or changed."""
    seed_means: tuple[float, ...]
    """Mean return of each seed."""
    spiking: bool
    """Whether the agent has spiking neurons, not only spikes to see."""
    spikes_per_decision: float | None
    """Spikes summed over layers; None if there are none, as for the other costs."""
    synops_per_decision: float | None
    """Synaptic operations summed over layers."""
    macs_per_decision: float | None
    """Multiply-accumulates summed over layers."""
    neuron_updates_per_decision: float | None
    """Updates of neurons summed over layers."""
    parameter_bytes_per_decision: float | None
    """Parameters read (bytes), summed over layers."""
    spikes_per_synapse: float | None
    """Synaptic operations of a decision for each synapse."""
    decimals: int
    """Decimals of a score that say something on the task's scale."""
    parameters: int
    """Trained numbers that acting needs."""
    steps: tuple[int, ...]
    """Environment steps of training of each seed."""
    shared_streams: bool
    """Whether training runs with neighbouring seeds shared streams of random numbers."""

    def _score(self, value: float) -> str:
        return f"{value:.{self.decimals}f}"

    def cells(self) -> tuple[str, ...]:
        """Return the texts under `COLUMNS`."""
        low_to_high = " to ".join(map(self._score, self.interval or ()))
        mark = f" {_MARK}" if self.shared_streams and low_to_high else ""
        return (
            self.agent,
            self.twin or "–",
            str(len(self.seeds)),
            self._score(self.iqm),
            (low_to_high or "–") + mark,
            "–" if self.normalised is None else f"{self.normalised:.2f}",
            ", ".join(map(self._score, self.seed_means)),
            _count(self.spikes_per_decision),
            _count(self.synops_per_decision),
            _count(self.macs_per_decision),
            _count(self.neuron_updates_per_decision),
            _count(self.parameter_bytes_per_decision),
            _count(self.spikes_per_synapse, decimals=3),
            f"{self.parameters:,}",
            " to ".join(f"{steps:,}" for steps in sorted({min(self.steps), max(self.steps)})),
        )


def table_rows(leaderboard: str | Path) -> tuple[TableRow, ...]:
    """Summarise a leaderboard, an agent directly above its twin.

    Rows that are not as they were verified are set aside, with a warning that names each.

    Args:
        leaderboard: Folder of the leaderboard; an absent one has no rows.

    Returns:
        Rows sorted by environment, budget class, pair and agent.

    Raises:
        ValueError: The chain of digests is broken, or a row is of another evaluator; the message
            names it.
    """
    sound, problems = sound_rows(Path(leaderboard))
    for problem in problems:
        warnings.warn(f"set aside: {problem}", stacklevel=2)
    by_agent = sorted(sound, key=_group)
    for row in by_agent:
        if row.evaluator_version != EVALUATOR_VERSION:
            raise ValueError(
                f"the row of {row.agent} on {row.environment} with seed {row.seed} is of evaluator "
                f"version {row.evaluator_version}; expected {EVALUATOR_VERSION}, whose scores and "
                "costs compare; run `snn-gym verify --again`"
            )
    summaries = [_summarise(list(rows)) for _, rows in itertools.groupby(by_agent, key=_group)]
    return tuple(sorted(summaries, key=_order))


def render_table(leaderboard: str | Path) -> str:
    """Render a leaderboard as Markdown; equal rows give equal text.

    Args:
        leaderboard: Folder of the leaderboard.

    Raises:
        ValueError: As in ``table_rows``.
    """
    sections = [_INTRODUCTION]
    rows = table_rows(leaderboard)
    for (environment, version, budget_class), group in itertools.groupby(rows, key=_section):
        heading = f"## {environment}, version {version}, budget class {budget_class}\n"
        sections.append(heading + "\n" + _markdown([row.cells() for row in group]))
    if not rows:
        return "\n".join([*sections, "There are no results yet.\n"])
    if any(_MARK in cell for row in rows for cell in row.cells()):
        sections.append(_NOTES)
    definitions = "".join(f"| {name} | {text} |\n" for name, text in _DEFINITIONS.items())
    sections.append("## What the columns mean\n\n| column | meaning |\n|---|---|\n" + definitions)
    sections.append(_COSTS)
    return "\n".join(sections)


def write_table(leaderboard: str | Path) -> Path:
    """Write leaderboard/README.md afresh, atomically.

    Args:
        leaderboard: Existing folder of the leaderboard.

    Returns:
        Path of the file.

    Raises:
        ValueError: The folder is missing, its README.md is another one, or as in ``table_rows``.
    """
    leaderboard = Path(leaderboard)
    if not leaderboard.is_dir():
        raise ValueError(f"{leaderboard} is no folder; expected a leaderboard; verify a row first")
    path = leaderboard / TABLE_NAME
    if path.exists() and not path.read_text(encoding="utf-8", errors="replace").startswith(
        _WRITTEN
    ):
        raise ValueError(
            f"{path} was not written by `snn-gym table`, which would replace it; name a "
            "leaderboard's folder, or move the file"
        )
    # Locked, so that a table made before another writer's row cannot replace one made after it.
    with locked(leaderboard):
        write_text_atomic(path, render_table(leaderboard))
    return path


def _group(row: Row) -> tuple[str, int, str, str]:
    return (row.environment, row.environment_version, row.budget_class, row.agent)


def _section(row: TableRow) -> tuple[str, int, str]:
    return (row.environment, row.environment_version, row.budget_class)


def _order(row: TableRow) -> tuple[str, int, str, tuple[str, ...], bool, str]:
    pair = tuple(sorted((row.agent, row.twin or row.agent)))
    # The spiking one of a pair comes above its ANN twin.
    return (*_section(row), pair, not row.spiking, row.agent)


def _summarise(rows: Sequence[Row]) -> TableRow:
    rows = sorted(rows, key=lambda row: row.seed)
    first = rows[0]
    returns = [row.score.returns for row in rows]
    if len({len(scores) for scores in returns}) > 1:
        raise ValueError(
            f"rows of {first.agent} on {first.environment} have different numbers of episodes; "
            "expected those of one evaluator; remove the rows that were not officially verified"
        )
    generator = np.random.default_rng(_BOOTSTRAP_SEED)
    reference = _reference(first)
    return TableRow(
        environment=first.environment,
        environment_version=first.environment_version,
        budget_class=first.budget_class,
        agent=first.agent,
        twin=load_agent_spec(first.agent).twin if first.agent in agent_ids() else None,
        seeds=tuple(row.seed for row in rows),
        iqm=interquartile_mean(returns),
        interval=stratified_bootstrap_interval([returns], generator),
        normalised=None if reference is None else reference.normalise(float(np.mean(returns))),
        seed_means=tuple(row.score.mean for row in rows),
        spiking=any(layer != "input" for row in rows for layer in row.spikes_per_decision),
        **{name: _mean(row.costs.total(name) for row in rows) for name in COST_COLUMNS},
        decimals=_decimals(reference),
        parameters=max(row.parameters for row in rows),
        steps=tuple(row.steps for row in rows),
        shared_streams=any(row.seeding == "consecutive" for row in rows),
    )


def _reference(row: Row) -> ReferenceScores | None:
    """Return the scores that a row compares with, None if its task is gone or has changed."""
    if row.environment not in known_ids():
        return None
    spec = load_environment_spec(row.environment)
    return spec.reference if spec.version == row.environment_version else None


def _decimals(reference: ReferenceScores | None) -> int:
    """Return the decimals that say something on the task's scale."""
    if reference is None or reference.maximum - reference.random > _SMALL_SCALE:
        return 1
    return 3


def _mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of what is known, None if nothing is."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _count(value: float | None, decimals: int = 1) -> str:
    return "–" if value is None else f"{value:,.{decimals}f}"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    # Text to the left, numbers to the right.
    rule = ["---", "---"] + ["---:"] * (len(COLUMNS) - 2)
    lines = [COLUMNS, rule, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
