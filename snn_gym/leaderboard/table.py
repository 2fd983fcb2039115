"""Lines of the results table, and the terms on which rows rank."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from snn_gym._base.config import from_mapping
from snn_gym._base.storage import read_regular_file
from snn_gym.envs.registry import (
    IMPORTED,
    EnvironmentSpec,
    ReferenceScores,
    known_ids,
    load_environment_spec,
)
from snn_gym.leaderboard.evaluation import (
    COMPARED_VERSIONS,
    EVALUATOR_VERSION,
    MAX_KEPT_OBSERVATIONS,
)
from snn_gym.leaderboard.headings import (
    FEWEST_SEEDS,
    LEAN_MARK,
    SHORT_MARK,
    STREAMS_MARK,
    VOLTAGES_MARK,
)
from snn_gym.leaderboard.manifest import FaultMeans, kept
from snn_gym.leaderboard.plan import Plan, read_table
from snn_gym.leaderboard.results import (
    Row,
    costed_rows,
    gives_the_same_weights,
    is_derived,
    origins_of,
    parent_agent,
    parent_of,
    parent_steps,
    rows_by_weights,
    shown_rows,
)
from snn_gym.leaderboard.statistics import expected_shortfall, interquartile_mean, mean_interval
from snn_gym.program.costs import COST_COLUMNS, NOT_COUNTED, Costs
from snn_gym.program.prices import DEFAULT, MEASURED, PRICES, known_price
from snn_gym.zoo.recipe import DEFAULT_CHECKPOINT_INTERVAL
from snn_gym.zoo.spec import agent_ids, lean_steps, load_agent_spec

# ---- terms ---------------------------------------------------------------------------------------
# A row ranks only with a recipe that was fixed before its score was known: choosing among steps,
# checkpoint intervals and seedings would select the best of many draws, and training again would
# confirm each of them.
PLAN_NAME = "plan.toml"


@dataclass(frozen=True)
class PlannedRun:
    """Planned environment steps and teacher of runs; no teacher means training from the start."""

    steps: int
    teacher: str | None


@dataclass(frozen=True)
class Unranked:
    """A row that does not rank, and the reason in words."""

    row: Row
    reason: str

    def cells(self) -> tuple[str, ...]:
        """Return the texts under `headings.UNRANKED_COLUMNS`."""
        row, mean = self.row, f"{self.row.score.mean:.6g}"
        name = marked_name(row.agent, derived=is_derived(row))
        return (row.environment, row.budget_class, name, str(row.seed), mean, self.reason)


@dataclass(frozen=True)
class Terms:
    """Terms of a leaderboard on which rows rank."""

    planned: Mapping[tuple[str, str, bool], PlannedRun] = field(default_factory=dict)
    """Planned runs by agent, environment and whether they are made lean."""

    def reason(self, row: Row, parent: Row | None = None) -> str | None:
        """Return the first reason why a row does not rank; None if it ranks or is imported."""
        return next(self._reasons(row, parent), None)

    def _reasons(self, row: Row, parent: Row | None) -> Iterator[str]:
        recipe = row.recipe
        if row.budget_class == IMPORTED:
            return
        if recipe is None:
            yield "no recipe"
            return
        if recipe.steps_before:
            name = "another row" if parent is None else f"{parent.agent}, seed {parent.seed},"
            yield f"goes on from {name} after {recipe.steps_before:,} steps"
        task = _environment(row)
        own = DEFAULT_CHECKPOINT_INTERVAL if task is None else task.checkpoint_interval
        expected = None if recipe.parent is not None else own
        if recipe.checkpoint_interval != expected:
            interval, other = (
                "none" if x is None else f"{x:,}" for x in (recipe.checkpoint_interval, expected)
            )
            yield f"checkpoint interval {interval}, expected {other}"
        if row.seeding != "disjoint":
            yield f"{row.seeding} seeding, expected disjoint"
        if recipe.parent is not None:
            yield from self._parent_reasons(row, parent)
        steps = self._expected_steps(row)
        if steps is not None and recipe.steps != steps:
            yield f"{recipe.steps:,} steps, expected {steps:,}"

    def _parent_reasons(self, row: Row, parent: Row | None) -> Iterator[str]:
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

    def _expected_steps(self, row: Row) -> int | None:
        """Return the steps that a row needs to rank, to compare with its recipe; None if unknown.

        They come from the plan, else from the parent, else from the agent's budget.
        """
        plan = self.planned.get((row.agent, row.environment, is_derived(row)))
        if plan is not None:
            return plan.steps
        if row.parent is not None:
            return lean_steps(row.parent.steps)
        environment = _environment(row)
        if environment is None or row.agent not in agent_ids():
            return None
        return load_agent_spec(row.agent).budget(environment)


def read_terms(leaderboard: Path) -> Terms:
    """Return the terms of a leaderboard, with those of its plan if it has one."""
    path = leaderboard / PLAN_NAME
    if not path.is_file():
        return Terms()
    planned: dict[tuple[str, str, bool], PlannedRun] = {}
    for group in from_mapping(Plan, read_table(path), str(path)).groups:
        for agent, environment in itertools.product(group.agents, group.environments):
            with suppress(ValueError):  # the agent or the environment has left the suite
                run = PlannedRun(group.steps_of(agent, environment), group.teacher)
                planned.setdefault((agent, environment, run.teacher is not None), run)
    return Terms(planned)


def split_rows(
    leaderboard: Path, rows: Sequence[Row]
) -> tuple[tuple[Row, ...], tuple[Unranked, ...]]:
    """Return the rows that rank, and the others with reasons; ``rows`` include their parents."""
    terms, known = read_terms(leaderboard), rows_by_weights(rows)
    reasons = [(row, terms.reason(row, parent_of(row, known))) for row in rows]
    return (
        tuple(row for row, reason in reasons if reason is None),
        tuple(Unranked(row, reason) for row, reason in reasons if reason is not None),
    )


# ---- table ---------------------------------------------------------------------------------------
# Returns have three decimals if random play and the maximum are nearer than this.
_SMALL_SCALE = 10.0


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """One agent on one environment, over all its training seeds.

    Costs are means over the seeds that were trained again, or over all seeds if none was, and sums
    over layers; None if there are none.
    """

    environment: str
    """Gymnasium id."""
    environment_version: int
    budget_class: str
    """Class of the agent's budget, or ``imported``."""
    agent: str
    twin: str | None = None
    """Agent that it is compared with; None without a twin, outside the zoo and for lean agents."""
    origin: str | None = None
    """Agent that it was made lean from, else its parent in the zoo; it is compared with it, too."""
    origin_means: tuple[float, ...] = ()
    """Mean return of the row that each seed was made lean from; empty without parents."""
    seeds: tuple[int, ...]
    seed_means: tuple[float, ...]
    """Mean return of each seed."""
    worst_episodes: float
    """Mean return of the worst 5 % of all episodes."""
    reference: ReferenceScores | None = None
    """Reference scores; None if the task has left the suite or changed."""
    card: str | None = None
    """Name of the card that describes the reference scores; None as above."""
    spiking: bool
    """Whether spikes of the agent's neurons reach its outputs."""
    synops_per_decision: float | None
    macs_per_decision: float | None
    neuron_updates_per_decision: float | None
    spikes_per_decision: float | None
    messages_per_decision: float | None
    parameter_bytes_per_decision: float | None
    state_bytes_per_decision: float | None
    spikes_per_synapse: float | None
    """Synaptic operations of a decision per synapse."""
    firing_rate: float | None
    """Spikes per neuron and time step."""
    parameters: int
    """Trained numbers that acting needs."""
    steps: tuple[int, ...]
    """Environment steps of training of each seed."""
    shared_streams: bool = False
    """Whether training runs with neighbouring seeds shared random streams."""
    short: bool = False
    """Whether a run used less than half of a known budget."""
    trained_again: int = 0
    """Seeds whose weights, and those of a parent, were reproduced by training again."""
    faulted: int = 0
    """Training seeds that were played with faults."""
    kept: tuple[float | None, ...] = ()
    """Retention with each fault of `manifest.FaultMeans`, None if undefined; empty if unknown."""
    derived: bool = False
    """Whether the agent was made lean from rows; the steps of that training count, too."""
    parents_trained_again: int = 0
    """Seeds whose parents were reproduced by training again."""
    unheard: bool = False
    """Whether the agent has spiking neurons whose spikes reach no output."""
    reads_voltages: bool = False
    """Whether outputs of a spiking network read voltages."""
    older_costs: bool = False
    """Whether an earlier evaluator counted the costs of a seed, in a part of the episodes."""
    uncounted: tuple[str, ...] = ()
    """Modules of the acting path that are not counted; with any, every cost is None."""
    priced_by: str = DEFAULT
    """Name of the price of fronts and tables."""
    measured: float | None = None
    """Mean of a measured price over the seeds whose costs count and that were measured."""

    def total(self, name: str) -> float | None:
        """Return the cost of a name in `Costs`, summed over layers; None if there is none."""
        value: float | None = getattr(self, name)
        return value

    @property
    def operations_per_decision(self) -> float | None:
        """Sum of SynOps, MACs and neuron updates; None if none is known."""
        return PRICES[DEFAULT].of(self)

    @property
    def price(self) -> float | None:
        """Price of a decision by `priced_by`; None if it is not known."""
        return self.measured if self.priced_by in MEASURED else PRICES[self.priced_by].of(self)

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
        """95 % confidence interval of `mean`, cut off at the maximum; None with under 5 seeds."""
        if len(self.seeds) < FEWEST_SEEDS:
            return None
        low, high = mean_interval(self.seed_means)
        return low, high if self.reference is None else min(high, self.reference.maximum)

    @property
    def costs_rank(self) -> bool:
        """Whether costs rank: a seed was trained again, so that weights are not hand-made."""
        return self.budget_class != IMPORTED and self.trained_again > 0

    @property
    def solved(self) -> int | None:
        """Seeds that solved the task; None without a reference."""
        if self.reference is None:
            return None
        return sum(mean >= self.reference.solved for mean in self.seed_means)

    @property
    def normalised(self) -> float | None:
        """Mean on the scale from random play (0) to oracle or `solved` (1); None without scores."""
        return None if self.reference is None else self.reference.normalise(self.mean)

    def score(self, value: float) -> str:
        """Return a score as text, with three decimals if the task's returns are small, else one."""
        reference = self.reference
        wide = reference is None or reference.maximum - reference.random > _SMALL_SCALE
        return f"{value:.{1 if wide else 3}f}"

    @property
    def name(self) -> str:
        """Name of the agent, marked if it was made lean."""
        return marked_name(self.agent, derived=self.derived)

    @property
    def steps_range(self) -> str:
        """Least and largest number of training steps as text, or one if they are equal."""
        return " to ".join(f"{x:,}" for x in sorted({min(self.steps), max(self.steps)}))

    def cost(self, value: float | None, decimals: int = 1) -> str:
        """Return a cost, or None, as the text of a cell by `cost_cell`."""
        return self.cost_cell(count(value, decimals))

    def cells(self) -> tuple[str, ...]:
        """Return the texts under `COLUMNS`."""
        number = len(self.seeds)
        interval = " to ".join(map(self.score, self.interval or ())) or "–"
        mark = f" {STREAMS_MARK}" if self.shared_streams and self.interval else ""
        return (
            self.name,
            self.twin or "–",
            str(number),
            self.score(self.mean),
            interval + mark,
            self.score(self.iqm),
            "–" if self.solved is None else f"{self.solved} of {number}",
            self.score(min(self.seed_means)),
            self.score(self.worst_episodes),
            "–" if self.normalised is None else f"{self.normalised:.2f}",
            ", ".join(map(self.score, self.seed_means)),
            self.cost(self.operations_per_decision),
            self.cost(self.synops_per_decision)
            + (f" {VOLTAGES_MARK}" if self.reads_voltages else ""),
            self.cost(self.macs_per_decision),
            self.cost(self.neuron_updates_per_decision),
            self.cost(self.spikes_per_decision),
            self.cost(self.messages_per_decision),
            self.cost(self.parameter_bytes_per_decision),
            self.cost(self.state_bytes_per_decision),
            self.cost(self.spikes_per_synapse, decimals=3),
            f"{self.parameters:,}",
            # Only imported agents may have 0 steps.
            self.steps_range + f" {SHORT_MARK}" * self.short if max(self.steps) else "–",
            self._trained_again(),
        )

    def cost_cell(self, text: str) -> str:
        """Return the text of a cost, in brackets where costs do not rank.

        Args:
            text: The cost, or a dash; replaced by `NOT_COUNTED` if a module is not counted.
        """
        if self.uncounted:
            return NOT_COUNTED
        return text if self.costs_rank or text == count(None) else f"({text})"

    def _trained_again(self) -> str:
        if self.budget_class == IMPORTED:
            return "–"
        seeds = len(self.seeds)
        parents = f", parents {self.parents_trained_again} of {seeds}" if self.derived else ""
        return f"{self.trained_again} of {seeds}{parents}"

    def fault_cells(self) -> tuple[str, ...]:
        """Return the texts under `FAULT_COLUMNS`."""
        retention = self.kept or (None,) * len(fields(FaultMeans))
        return (
            self.score(self.mean),
            self.score(self.worst_episodes),
            str(self.faulted),
            *("–" if x is None else f"{round(x, 2) + 0.0:.2f}" for x in retention),  # no -0.00
        )


def marked_name(agent: str, *, derived: bool) -> str:
    """Return an agent's name with the mark of lean agents."""
    return agent + f" {LEAN_MARK}" * derived


def table_rows(leaderboard: str | Path, cost: str = DEFAULT) -> tuple[TableRow, ...]:
    """Summarise the rows of a leaderboard that rank, with an agent directly above its twin.

    Rows that differ from their verified state are set aside with a warning.

    Args:
        leaderboard: Folder of the leaderboard; an absent one has no rows.
        cost: Name of the rows' ``price``.

    Returns:
        Rows sorted by environment, budget class, pair and agent.

    Raises:
        ValueError: A row has another evaluator version, or the
            cost is unknown.
    """
    rows = shown_rows(leaderboard)
    ranked, _ = split_rows(Path(leaderboard), rows)
    return summaries(ranked, rows, read_pricing(leaderboard, cost))


@dataclass(frozen=True)
class Pricing:
    """Price that lines of the table have, beside their costs."""

    name: str = DEFAULT
    measured: Mapping[str, float] = field(default_factory=dict)
    """Measured prices by the digest of a row's weights file; empty for others."""

    def of(self, costs: Costs, digest: str) -> float | None:
        """Return the price of a decision of a row."""
        return self.measured.get(digest) if self.name in MEASURED else PRICES[self.name].of(costs)


def read_pricing(leaderboard: str | Path, cost: str) -> Pricing:
    """Return a price by its name, with the numbers of a leaderboard if it is measured."""
    found = read_instructions(leaderboard) if known_price(cost).name in MEASURED else {}
    return Pricing(cost, {digest: x for (digest, target), x in found.items() if target == cost})


def summaries(
    rows: Sequence[Row], known: Sequence[Row] | None = None, pricing: Pricing | None = None
) -> tuple[TableRow, ...]:
    """Return the sorted lines of ranking rows; ``known`` (the rows if None) include parents."""
    by_weights = rows_by_weights(rows if known is None else known)
    groups = itertools.groupby(sorted(rows, key=line_of), key=line_of)
    lines = (summarise(list(group), by_weights, pricing) for _, group in groups)
    return tuple(sorted(lines, key=_order))


def line_of(row: Row) -> tuple[str, int, str, str, bool]:
    """Return the key that the rows of one line of the table share."""
    section = (row.environment, row.environment_version, row.budget_class)
    return (*section, row.agent, is_derived(row))


def section(row: TableRow) -> tuple[str, int, str]:
    """Return environment, version and budget class, which compared rows share."""
    return (row.environment, row.environment_version, row.budget_class)


def _order(row: TableRow) -> tuple[str, int, str, tuple[str, ...], bool, str]:
    pair = tuple(sorted((row.agent, row.twin or row.agent)))
    # A spiking agent comes above its ANN twin.
    return (*section(row), pair, not row.spiking, row.agent)


def summarise(
    rows: Sequence[Row],
    known: Mapping[str, Row] | None = None,
    pricing: Pricing | None = None,
) -> TableRow:
    """Return the line of one agent's rows on an environment; ``known`` are parents by weights.

    ValueError for rows of another evaluator version or with different numbers of episodes.
    """
    rows = sorted(rows, key=lambda row: row.seed)
    _check_evaluations(rows)
    first, spec, known = rows[0], _environment(rows[0]), known or {}
    pricing = pricing or Pricing()
    reference = None if spec is None else spec.reference
    budget = 0 if spec is None else spec.budget.get(first.budget_class, 0)
    steps = tuple(parent_steps(row) + row.steps for row in rows)
    parents = [parent_of(row, known) for row in rows]
    origins, costed = origins_of(rows, known), costed_rows(rows, known)
    is_zoo_agent = first.agent in agent_ids() and not is_derived(first)
    return TableRow(
        environment=first.environment,
        environment_version=first.environment_version,
        budget_class=first.budget_class,
        agent=first.agent,
        # A lean agent has more steps than any twin.
        twin=load_agent_spec(first.agent).twin if is_zoo_agent else None,
        origin=origins[0].agent if origins else parent_agent(first),
        origin_means=tuple(row.score.mean for row in origins),
        seeds=tuple(row.seed for row in rows),
        seed_means=tuple(row.score.mean for row in rows),
        worst_episodes=expected_shortfall([row.score.returns for row in rows]),
        reference=reference,
        card=None if spec is None else spec.name,
        **cost_fields([row.costs for row in costed]),
        parameters=max(row.parameters for row in rows),
        steps=steps,
        shared_streams=first.budget_class != IMPORTED
        and any(row.seeding == "consecutive" for row in rows),
        short=any(2 * number < budget for number in steps),
        trained_again=sum(map(gives_the_same_weights, rows, parents)),
        parents_trained_again=sum(
            gives_the_same_weights(x, None) for x in parents if x is not None
        ),
        faulted=sum(row.robustness is not None for row in rows),
        kept=() if reference is None else _fault_retention(rows, reference),
        derived=is_derived(first),
        # Of fewer decisions all were counted.
        older_costs=pricing.name not in MEASURED
        and any(
            row.evaluator_version < EVALUATOR_VERSION and sum(row.lengths) > MAX_KEPT_OBSERVATIONS
            for row in rows
        ),
        priced_by=pricing.name,
        measured=mean_known(pricing.measured.get(row.weights_sha256) for row in costed),
    )


def _check_evaluations(rows: Sequence[Row]) -> None:
    """Refuse rows of another evaluator version, and rows with different numbers of episodes."""
    for row in rows:
        if row.evaluator_version not in COMPARED_VERSIONS:
            raise ValueError(
                f"the row of {row.agent} on {row.environment} with seed {row.seed} is of evaluator "
                f"version {row.evaluator_version}; expected {EVALUATOR_VERSION}, whose scores and "
                "costs compare; run `snn-gym verify --again`"
            )
    if len({len(row.score.returns) for row in rows}) > 1:
        raise ValueError(
            f"rows of {rows[0].agent} on {rows[0].environment} have different numbers of episodes; "
            "expected those of one evaluator; remove the rows that were not officially verified"
        )


def _fault_retention(rows: Sequence[Row], reference: ReferenceScores) -> tuple[float | None, ...]:
    """Return the median retention of each fault; None if fewer than half of the seeds count."""
    seeds = [
        [None if x is None else kept(reference, x, row.score.mean) for x in astuple(played.means)]
        for row in rows
        if (played := row.robustness) is not None
    ]
    medians: list[float | None] = []
    for values in zip(*seeds, strict=True):
        known = [value for value in values if value is not None]
        medians.append(float(np.median(known)) if 2 * len(known) >= len(values) else None)
    return tuple(medians)


def _environment(row: Row) -> EnvironmentSpec | None:
    """Return the environment of a row, None if it has left the suite or changed."""
    if row.environment not in known_ids():
        return None
    spec = load_environment_spec(row.environment)
    return spec if spec.version == row.environment_version else None


def cost_fields(costs: Sequence[Costs]) -> dict[str, Any]:
    """Return the fields of `TableRow` that follow from the costs of each seed."""
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
    """Return the mean of known values, None without any."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def count(value: float | None, decimals: int = 1) -> str:
    """Return a cost as text, a dash for None."""
    return "–" if value is None else f"{value:,.{decimals}f}"


# ---- instructions --------------------------------------------------------------------------------
# Measured instructions of a decision, from a file of the leaderboard.
INSTRUCTIONS_NAME = "instructions.csv"
_COLUMNS = "weights_sha256,target,instructions"
_COUNT = re.compile(rf"([0-9a-f]{{64}}),({'|'.join(MEASURED)}),((?=.*[1-9])[0-9]+(?:\.[0-9]+)?)")
_MAX_BYTES = 16 << 20


def read_instructions(leaderboard: str | Path) -> dict[tuple[str, str], float]:
    """Return the instructions of a decision by weights' SHA-256 and target.

    Targets are ``snn_gym.program.prices.MEASURED``. Empty without a file ``instructions.csv``.

    Raises:
        ValueError: The file has other columns, a line is malformed, its number is not positive, or
            weights have two counts on a target.
    """
    path = Path(leaderboard) / INSTRUCTIONS_NAME
    if not path.exists():
        return {}
    data = read_regular_file(path, max_bytes=_MAX_BYTES)
    head, *lines = data.decode("utf-8", "replace").splitlines() or [""]
    if head != _COLUMNS:
        raise ValueError(f"{path} has the columns {head!r}, expected {_COLUMNS!r}")
    counts = {(x[1], x[2]): float(x[3]) for line in lines if (x := _COUNT.fullmatch(line))}
    if len(counts) < len(lines):
        raise ValueError(
            f"{path} has {len(lines) - len(counts)} lines that are repeated or malformed; expected "
            f"one for each weights' SHA-256 and target ({', '.join(MEASURED)}), with a positive "
            "number; restore the file from its history"
        )
    return counts
