"""Which rows rank, and the lines of the results table."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from snn_gym._base.config import from_mapping
from snn_gym.envs.registry import (
    IMPORTED,
    EnvironmentSpec,
    ReferenceScores,
    known_ids,
    load_environment_spec,
)
from snn_gym.leaderboard.evaluation import EVALUATOR_VERSION
from snn_gym.leaderboard.headings import (
    DERIVED,
    FEWEST_SEEDS,
    HELD_PERCENT,
    HIDDEN_MARK,
    MARK,
    SHORT,
    VOLTAGES,
)
from snn_gym.leaderboard.hidden import is_flagged
from snn_gym.leaderboard.manifest import FaultMeans, kept
from snn_gym.leaderboard.plan import Plan, read_table
from snn_gym.leaderboard.results import (
    Row,
    gives_the_same_weights,
    is_derived,
    origins_of,
    parent_agent,
    parent_of,
    parent_steps,
    parents,
    shown_rows,
)
from snn_gym.leaderboard.statistics import expected_shortfall, interquartile_mean, mean_interval
from snn_gym.program.costs import COST_COLUMNS, NOT_COUNTED, OPERATIONS, Costs
from snn_gym.zoo import agent_ids, load_agent_spec
from snn_gym.zoo.recipe import DEFAULT_CHECKPOINT_INTERVAL
from snn_gym.zoo.spec import lean_steps

# ---- terms ---------------------------------------------------------------------------------------
# Which rows rank: those whose recipe was fixed before anybody saw their score.
#
# A seed has one training for each choice of steps, interval of checkpoints and seeding. Whoever may
# choose among them reports the best of many draws, each of which training again confirms. So a row
# ranks only with the choice that all others have; the others are shown apart, each with the reason.
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


# ---- table ---------------------------------------------------------------------------------------
# Returns need more than one decimal where random play and the maximum are nearer than this.
_SMALL_SCALE = 10.0


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
    origin: str | None
    """Agent that it is a form of, which it is compared with, too: the one that it was made lean
    from, else its parent in the zoo; None likewise."""
    origin_means: tuple[float, ...]
    """Mean return of the row that each seed was made lean from; empty for what was trained."""
    seeds: tuple[int, ...]
    """Training seeds."""
    seed_means: tuple[float, ...]
    """Mean return of each seed."""
    worst_episodes: float
    """Mean return of the worst 5 % of all episodes."""
    reference: ReferenceScores | None
    """Scores to compare with; None for a task that has left the suite or changed."""
    card: str | None
    """Name of the card that says whose scores these are; None likewise."""
    spiking: bool
    """Whether the agent has spiking neurons, not only spikes to see, whose spikes reach outputs."""
    synops_per_decision: float | None
    """Synaptic operations summed over layers; None if there are none, as for the other costs."""
    macs_per_decision: float | None
    """Multiply-accumulates summed over layers."""
    neuron_updates_per_decision: float | None
    """Updates of neurons summed over layers."""
    spikes_per_decision: float | None
    """Spikes summed over layers."""
    parameter_bytes_per_decision: float | None
    """Parameters read (bytes), summed over layers."""
    spikes_per_synapse: float | None
    """Synaptic operations of a decision for each synapse."""
    firing_rate: float | None
    """Spikes of a neuron in a time step."""
    parameters: int
    """Trained numbers that acting needs."""
    steps: tuple[int, ...]
    """Environment steps of training of each seed."""
    shared_streams: bool
    """Whether training runs with neighbouring seeds shared streams of random numbers."""
    short: bool
    """Whether a run used less than half of the budget; False for a task that has left the suite."""
    trained_again: int
    """Seeds of which training again gave the same weights; of those made lean, the parent's too."""
    hidden_means: tuple[float, ...]
    """Mean return on hidden seeds of each training seed that played them."""
    hidden_flagged: int
    """Training seeds whose public score is higher than that by more than chance."""
    faulted: int
    """Training seeds that were played with faults."""
    kept: tuple[float | None, ...]
    """Retention with each fault of `manifest.FaultMeans`, None where it is not defined; empty
    where no seed counts."""
    derived: bool
    """Whether the agent was made lean from rows of another training, whose steps count, too."""
    parents_trained_again: int
    """Seeds whose parents gave the same weights when they were trained again."""
    unheard: bool = False
    """Whether the agent has spiking neurons whose spikes reach no output."""
    reads_voltages: bool = False
    """Whether outputs of a spiking network read voltages."""
    uncounted: tuple[str, ...] = ()
    """Modules of the acting path that are not counted; with any, every cost is None."""

    @property
    def operations_per_decision(self) -> float | None:
        """SynOps, MACs and neuron updates together; None where none is known."""
        values = [getattr(self, name) for name in OPERATIONS]
        known = [value for value in values if value is not None]
        return sum(known) if known else None

    @property
    def mean(self) -> float:
        """Mean over seeds, in the task's reward units."""
        return float(np.mean(self.seed_means))

    @property
    def iqm(self) -> float:
        """Interquartile mean over seeds."""
        return interquartile_mean(self.seed_means)

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of `mean`; None with too few seeds."""
        if len(self.seeds) < FEWEST_SEEDS:
            return None
        low, high = mean_interval(self.seed_means)
        return low, high if self.reference is None else min(high, self.reference.maximum)

    @property
    def costs_rank(self) -> bool:
        """Whether its costs compare: weights that nobody trained again may have been made by hand.

        They act as their row says, but a network that was written down and not trained costs next
        to nothing.
        """
        return self.budget_class != IMPORTED and self.trained_again > 0

    @property
    def solved(self) -> int | None:
        """Seeds that solved the task; None without a reference."""
        if self.reference is None:
            return None
        return sum(mean >= self.reference.solved for mean in self.seed_means)

    @property
    def normalised(self) -> float | None:
        """Mean from random play (0) to the reference (1); None without one."""
        return None if self.reference is None else self.reference.normalise(self.mean)

    def score(self, value: float) -> str:
        """Return a score with the decimals that say something on the task's scale."""
        reference = self.reference
        wide = reference is None or reference.maximum - reference.random > _SMALL_SCALE
        return f"{value:.{1 if wide else 3}f}"

    def _held(self) -> str:
        measured = [held for seeds, held in HELD_PERCENT.items() if seeds <= len(self.seeds)]
        return "{} to {} %".format(*measured[-1]) if measured else "–"

    @property
    def name(self) -> str:
        """Name of the agent in tables and figures, marked if it was made lean from rows."""
        return self.agent + (f" {DERIVED}" if self.derived else "")

    def _steps(self) -> str:
        if not max(self.steps):  # which only those of imported agents may be
            return "–"
        ends = sorted({min(self.steps), max(self.steps)})
        return " to ".join(f"{steps:,}" for steps in ends) + (f" {SHORT}" if self.short else "")

    def cost(self, value: float | None, decimals: int = 1) -> str:
        """Return one of the costs as a cell shows it."""
        return self.cost_cell(count(value, decimals))

    def cells(self) -> tuple[str, ...]:
        """Return the texts under `COLUMNS`."""
        low_to_high = " to ".join(map(self.score, self.interval or ()))
        mark = f" {MARK}" if self.shared_streams and low_to_high else ""
        return (
            self.name,
            self.twin or "–",
            str(len(self.seeds)),
            self.score(self.mean),
            (low_to_high or "–") + mark,
            self._held(),
            self.score(self.iqm),
            "–" if self.solved is None else f"{self.solved} of {len(self.seeds)}",
            self.score(min(self.seed_means)),
            self.score(self.worst_episodes),
            "–" if self.normalised is None else f"{self.normalised:.2f}",
            ", ".join(map(self.score, self.seed_means)),
            self.cost(self.operations_per_decision),
            self.cost(self.synops_per_decision) + (f" {VOLTAGES}" if self.reads_voltages else ""),
            self.cost(self.macs_per_decision),
            self.cost(self.neuron_updates_per_decision),
            self.cost(self.spikes_per_decision),
            self.cost(self.parameter_bytes_per_decision),
            self.cost(self.spikes_per_synapse, decimals=3),
            f"{self.parameters:,}",
            self._steps(),
            self._trained_again(),
        )

    def cost_cell(self, text: str) -> str:
        """Return the text of a cost, in brackets where costs do not rank.

        Args:
            text: The cost, or a dash. It gives way where a module is not counted.
        """
        if self.uncounted:
            return NOT_COUNTED
        return text if self.costs_rank or text == count(None) else f"({text})"

    def _trained_again(self) -> str:
        if self.budget_class == IMPORTED:
            return "–"
        seeds = len(self.seeds)
        of_parents = f", parents {self.parents_trained_again} of {seeds}" if self.derived else ""
        return f"{self.trained_again} of {seeds}{of_parents}"

    @property
    def is_native(self) -> bool:
        """Whether the task has an oracle, as those of our own have."""
        return self.reference is not None and self.reference.oracle is not None

    def reference_cells(self, rows: Iterable[TableRow]) -> dict[str, str]:
        """Return the texts under `REFERENCE_COLUMNS`.

        Args:
            rows: Of the same environment, version and budget class.
        """
        twins = [row.score(row.mean) for row in rows if row.agent == self.twin and not row.derived]
        reference, card = self.reference, f"([card](../envs/{self.card}.md#reference-scores))"
        known = (None, None) if reference is None else (reference.memoryless, reference.oracle)
        memoryless, oracle = ("–" if x is None else self.score(x) for x in known)
        return {
            "Memoryless": memoryless if memoryless == "–" else f"{memoryless} {card}",
            "Twin's mean": twins[0] if twins else "–",
            "Oracle": oracle,
        }

    def hidden_cell(self) -> str:
        """Return the text under `HIDDEN_COLUMN`."""
        if not self.hidden_means:
            return "–"
        mark = f" {HIDDEN_MARK} {self.hidden_flagged}" if self.hidden_flagged else ""
        return self.score(float(np.mean(self.hidden_means))) + mark

    def fault_cells(self) -> tuple[str, ...]:
        """Return the texts under `FAULT_COLUMNS`."""
        kept = self.kept or (None,) * len(fields(FaultMeans))
        return (
            self.score(self.mean),
            self.score(self.worst_episodes),
            str(self.faulted),
            *("–" if x is None else f"{round(x, 2) + 0.0:.2f}" for x in kept),  # no -0.00
        )


def table_rows(leaderboard: str | Path) -> tuple[TableRow, ...]:
    """Summarise a leaderboard, an agent directly above its twin.

    Rows that are not as they were verified are set aside, with a warning that names each. Rows that
    do not rank are left out; `unranked_rows` has them.

    Args:
        leaderboard: Folder of the leaderboard; an absent one has no rows.

    Returns:
        Rows sorted by environment, budget class, pair and agent.

    Raises:
        ValueError: The chain of digests is broken, or a row is of another evaluator; the message
            names it.
    """
    rows = shown_rows(leaderboard)
    ranked, _ = split_rows(Path(leaderboard), rows)
    return summaries(ranked, rows)


def summaries(rows: Sequence[Row], known: Sequence[Row] | None = None) -> tuple[TableRow, ...]:
    """Summarise rows as `table_rows` does.

    Args:
        rows: Rows of any agents and environments that rank.
        known: All rows that they may be made lean from; None for ``rows``.

    Raises:
        ValueError: A row is of another evaluator; the message names it.
    """
    by_agent = sorted(rows, key=line_of)
    named = parents(rows if known is None else known)
    lines = [summarise(list(group), named) for _, group in itertools.groupby(by_agent, key=line_of)]
    return tuple(sorted(lines, key=_order))


def line_of(row: Row) -> tuple[str, int, str, str, bool]:
    """Return what rows of one line of the table share.

    Args:
        row: A row.
    """
    return (
        row.environment,
        row.environment_version,
        row.budget_class,
        row.agent,
        is_derived(row),
    )


def section(row: TableRow) -> tuple[str, int, str]:
    """Return environment, its version and class: rows that are compared share all three."""
    return (row.environment, row.environment_version, row.budget_class)


def _order(row: TableRow) -> tuple[str, int, str, tuple[str, ...], bool, str]:
    pair = tuple(sorted((row.agent, row.twin or row.agent)))
    # The spiking one of a pair comes above its ANN twin.
    return (*section(row), pair, not row.spiking, row.agent)


def summarise(rows: Sequence[Row], known: Mapping[str, Row] | None = None) -> TableRow:
    """Summarise what is stored of one agent on one environment.

    Args:
        rows: One for each seed, at least one.
        known: All rows that they may be made lean from, by the SHA-256 of their weights.

    Raises:
        ValueError: One is of another evaluator, or they have different numbers of episodes.
    """
    rows = sorted(rows, key=lambda row: row.seed)
    first = rows[0]
    for row in rows:
        if row.evaluator_version != EVALUATOR_VERSION:
            raise ValueError(
                f"the row of {row.agent} on {row.environment} with seed {row.seed} is of evaluator "
                f"version {row.evaluator_version}; expected {EVALUATOR_VERSION}, whose scores and "
                "costs compare; run `snn-gym verify --again`"
            )
    if len({len(row.score.returns) for row in rows}) > 1:
        raise ValueError(
            f"rows of {first.agent} on {first.environment} have different numbers of episodes; "
            "expected those of one evaluator; remove the rows that were not officially verified"
        )
    spec = _environment(first)
    known = known or {}
    origins = origins_of(rows, known)
    proven = [gives_the_same_weights(row, parent_of(row, known)) for row in rows]
    of_parents = [x for x in (parent_of(row, known) for row in rows) if x is not None]
    return TableRow(
        environment=first.environment,
        environment_version=first.environment_version,
        budget_class=first.budget_class,
        agent=first.agent,
        # With other steps behind it, no twin is its equal.
        twin=load_agent_spec(first.agent).twin
        if first.agent in agent_ids() and not is_derived(first)
        else None,
        origin=origins[0].agent if origins else parent_agent(first),
        origin_means=tuple(row.score.mean for row in origins),
        seeds=tuple(row.seed for row in rows),
        seed_means=tuple(row.score.mean for row in rows),
        worst_episodes=expected_shortfall([row.score.returns for row in rows]),
        reference=None if spec is None else spec.reference,
        card=None if spec is None else spec.name,
        **cost_fields([row.costs for row in rows]),
        parameters=max(row.parameters for row in rows),
        steps=tuple(parent_steps(row) + row.steps for row in rows),
        shared_streams=first.budget_class != IMPORTED
        and any(row.seeding == "consecutive" for row in rows),
        short=any(2 * (parent_steps(row) + row.steps) < _budget(row) for row in rows),
        trained_again=sum(proven),
        parents_trained_again=sum(gives_the_same_weights(row, None) for row in of_parents),
        hidden_means=tuple(row.hidden.score.mean for row in rows if row.hidden is not None),
        hidden_flagged=sum(map(is_flagged, rows)),
        faulted=sum(row.robustness is not None for row in rows),
        kept=_kept(rows, None if spec is None else spec.reference),
        derived=is_derived(first),
    )


def _kept(rows: Sequence[Row], reference: ReferenceScores | None) -> tuple[float | None, ...]:
    """Return what is kept with each fault, as `KEPT` says; nothing where too few seeds count."""
    if reference is None:
        return ()
    seeds = [
        [None if x is None else kept(reference, x, row.score.mean) for x in astuple(found.means)]
        for row in rows
        if (found := row.robustness) is not None
    ]
    return tuple(map(_median_of_most, zip(*seeds, strict=True)))


def _median_of_most(values: Sequence[float | None]) -> float | None:
    """Return the median of what is known, None where that is less than half."""
    known = [value for value in values if value is not None]
    return float(np.median(known)) if 2 * len(known) >= len(values) else None


def _budget(row: Row) -> int:
    """Return the budget of a row's class, 0 if its task is gone or has changed."""
    spec = _environment(row)
    return 0 if spec is None else spec.budget.get(row.budget_class, 0)


def _environment(row: Row) -> EnvironmentSpec | None:
    """Return the task of a row, None if it is gone or has changed."""
    if row.environment not in known_ids():
        return None
    spec = load_environment_spec(row.environment)
    return spec if spec.version == row.environment_version else None


def cost_fields(costs: Sequence[Costs]) -> dict[str, Any]:
    """Return the fields of `TableRow` that follow from costs: means over seeds, None for none.

    Args:
        costs: Costs of a decision of each seed.
    """
    uncounted = tuple(dict.fromkeys(name for x in costs for name in x.uncounted))
    known = () if uncounted else costs
    names = [name for name in COST_COLUMNS if name != "operations_per_decision"]
    neurons = any(x.spiking_layers for x in costs)
    heard = any(x.spikes_reach_outputs for x in costs)
    return {
        **{name: mean_known(x.total(name) for x in known) for name in names},
        "firing_rate": mean_known(x.firing_rate for x in costs),
        "spiking": heard,
        "unheard": neurons and not heard,
        "reads_voltages": any(x.reads_voltages for x in costs),
        "uncounted": uncounted,
    }


def mean_known(values: Iterable[float | None]) -> float | None:
    """Return the mean of what is known, None if nothing is."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def count(value: float | None, decimals: int = 1) -> str:
    """Return a cost as tables show it, a dash for none."""
    return "–" if value is None else f"{value:,.{decimals}f}"
