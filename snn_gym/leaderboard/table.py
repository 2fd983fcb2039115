"""Lines of the results table, and its columns."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snn_gym.envs.registry import (
    IMPORTED,
    ReferenceScores,
)
from snn_gym.leaderboard.efficiency import FEWEST_AVERAGED, mean_over_steps, steps_until
from snn_gym.leaderboard.evaluation import (
    COMPARED_VERSIONS,
    EVALUATOR_VERSION,
    MAX_KEPT_OBSERVATIONS,
)
from snn_gym.leaderboard.manifest import LearningCurve
from snn_gym.leaderboard.plan import environment_of, split_rows
from snn_gym.leaderboard.results import (
    Row,
    gives_the_same_weights,
    is_derived,
    origins_of,
    parent_agent,
    parent_of,
    parent_steps,
    rows_by_weights,
    shown_rows,
)
from snn_gym.leaderboard.statistics import interquartile_mean, mean_interval, median_interval
from snn_gym.program.costs import COST_COLUMNS, NOT_COUNTED, Costs
from snn_gym.program.prices import DEFAULT, PRICES
from snn_gym.zoo.spec import agent_ids, load_agent_spec

# ---- headings ------------------------------------------------------------------------------------
FEWEST_SEEDS = 5
"""Smallest number of seeds for an interval or a comparison."""
SHORT_MARK = "‡"
"""Runs used less than half of the budget."""
LEAN_MARK = "◊"
"""Agents were made lean from rows of others."""
OLDER_MARK = "°"
"""An earlier evaluator counted costs in a part of the episodes."""

COLUMN_DEFINITIONS: dict[str, str] = {
    "Agent": "name of the agent",
    "Twin": "agent with the same algorithm and hidden sizes, with spikes or without",
    "Seeds": "number of training runs. The unit of all statistics is the mean return of a seed's "
    "episodes",
    "Mean": "mean return over seeds",
    "95 % interval": "confidence interval of the mean by Student's t over seeds, cut off at the "
    f'environment\'s maximum; "–" under {FEWEST_SEEDS} seeds',
    "IQM": "interquartile mean over seeds: the mean without the floor(n / 4) smallest and largest "
    "of n values",
    "Solved": "seeds whose mean return is at least the environment's `solved`",
    "Worst seed": "smallest mean return of a seed",
    "Normalised": "the mean on the scale from random play (0) to the oracle of the environment's "
    "file (1), or to `solved` without an oracle",
    "Mean of each seed": "mean return of each training run, in the order of the seeds",
    **{column.heading: column.definition for column in COST_COLUMNS.values()},
    "Parameters": "trained numbers that acting needs, without critics and observation statistics",
    "Steps until learned": "environment steps until the mean return of the last training episodes, "
    f"at least {FEWEST_AVERAGED}, first reached the environment's `learned`, by default `solved`. "
    "Median over seeds; in brackets its 95 % interval by order statistics (of 5 seeds the range, "
    f"93.75 %), if it has a width and there are {FEWEST_SEEDS} seeds. A seed that never learned "
    'counts as more than its training: "> 100,000". "–" without learning curves',
    "Learned": "seeds that reached it, of those with a learning curve",
    "Area": "mean of the learning curve over environment steps, from random play (0) to `solved` "
    "(1); mean over seeds with its 95 % interval by Student's t",
    "Steps": "environment steps of training; for imported agents as claimed",
    "Trained again": "numerics of the trainings (portable, or native, as in all rows of version "
    "1), and seeds of which a second training gave the same weights, bit for bit, and for "
    "a lean row its parent's, too ([how](RULES.md#which-rows-rank)). Native seeds without a second "
    "training are claims",
}
COLUMNS = tuple(COLUMN_DEFINITIONS)
"""All columns of a line, in the order of `TableRow.cells`."""
MARKDOWN_COLUMNS = (
    "Agent",
    "Seeds",
    "Mean",
    "95 % interval",
    "Solved",
    "Operations",
    "Steps until learned",
    "Steps",
    "Trained again",
)
"""Columns of the Markdown table; the site has the others, too."""

UNRANKED_HEADING = "Rows that do not rank"
UNRANKED_TEXT = """These rows were played again as all others, but [the \
rules](RULES.md#which-rows-rank) ask for another recipe or for a second training. They count in no \
mean, comparison or front, and `load_pretrained` loads them by their seed only.
"""
UNRANKED_COLUMNS = ("Environment", "Class", "Agent", "Seed", "Mean return", "Reason")

REFERENCES: Mapping[str, str] = {
    "random": "random play",
    "memoryless": "best without memory",
    "open_loop": "best without observations",
    "scripted": "script",
    "solved": "solved from here on",
    "oracle": "oracle",
}
"""Names of the fields of `ReferenceScores` that tables and drawings show."""


def references(reference: ReferenceScores | None) -> dict[str, float]:
    """Return the known reference scores by their keys in `REFERENCES`."""
    scores = {key: getattr(reference, key, None) for key in REFERENCES}
    return {key: score for key, score in scores.items() if score is not None}


# ---- table ---------------------------------------------------------------------------------------
# Returns have three decimals if random play and the maximum are nearer than this.
_SMALL_SCALE = 10.0


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """One agent on one environment, over all its training seeds.

    Costs are means over seeds and sums over layers; None if there are none.
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
    short: bool = False
    """Whether a run used less than half of a known budget."""
    portable: int = 0
    """Seeds of portable numerics."""
    trained_again: int = 0
    """Seeds whose weights, and those of a parent, a second training gave; with none of them, a
    line is on no front."""
    derived: bool = False
    """Whether the agent was made lean from rows; the steps of that training count, too."""
    older_costs: bool = False
    """Whether an earlier evaluator counted the costs of a seed, in a part of the episodes."""
    curves: tuple[LearningCurve, ...] = ()
    """Learning curve of each seed that has one."""
    threshold: float | None = None
    """Running training return from which a seed has learned; None if none is known."""
    uncounted: tuple[str, ...] = ()
    """Modules of the acting path that are not counted; with any, every cost is None."""

    def total(self, name: str) -> float | None:
        """Return the cost of a name in `Costs`, summed over layers; None if there is none."""
        value: float | None = getattr(self, name)
        return value

    @property
    def operations_per_decision(self) -> float | None:
        """Sum of SynOps, MACs and neuron updates; None if none is known."""
        return PRICES[DEFAULT].of(self)

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
    def solved(self) -> int | None:
        """Seeds that solved the task; None without a reference."""
        if self.reference is None:
            return None
        return sum(mean >= self.reference.solved for mean in self.seed_means)

    @property
    def normalised(self) -> float | None:
        """Mean on the scale from random play (0) to oracle or `solved` (1); None without scores."""
        return None if self.reference is None else self.reference.normalise(self.mean)

    @property
    def until_learned(self) -> tuple[float, ...]:
        """Environment steps until each seed with a curve had learned, infinite if it never did."""
        return tuple(
            steps_until(x.steps, x.returns, x.episodes, self.threshold)
            for x in self.curves
            if self.threshold is not None
        )

    @property
    def areas(self) -> tuple[float, ...]:
        """Mean of each curve over steps, from random play (0) to `solved` (1)."""
        scores = self.reference
        return tuple(
            (mean_over_steps(x.steps, x.returns) - scores.random) / scores.loss(1.0)
            for x in self.curves
            if scores is not None
        )

    def learning_cells(self) -> tuple[str, str, str]:
        """Return the texts under "Steps until learned", "Learned" and "Area"."""
        until, never = self.until_learned, f"> {min(self.steps):,}"
        reached = sum(map(math.isfinite, until))
        return (
            estimate(
                until, np.median, median_interval, lambda x: never if x == math.inf else f"{x:,.0f}"
            ),
            f"{reached} of {len(until)}" if until else "–",
            estimate(self.areas, np.mean, mean_interval, "{:.2f}".format),
        )

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
        return (
            self.name,
            self.twin or "–",
            str(number),
            self.score(self.mean),
            interval,
            self.score(self.iqm),
            "–" if self.solved is None else f"{self.solved} of {number}",
            self.score(min(self.seed_means)),
            "–" if self.normalised is None else f"{self.normalised:.2f}",
            ", ".join(map(self.score, self.seed_means)),
            self.cost(self.operations_per_decision),
            self.cost(self.synops_per_decision),
            self.cost(self.macs_per_decision),
            self.cost(self.neuron_updates_per_decision),
            self.cost(self.spikes_per_decision),
            self.cost(self.messages_per_decision),
            self.cost(self.parameter_bytes_per_decision),
            self.cost(self.state_bytes_per_decision),
            self.cost(self.spikes_per_synapse, decimals=3),
            f"{self.parameters:,}",
            *self.learning_cells(),
            # Only imported agents may have 0 steps.
            self.steps_range + f" {SHORT_MARK}" * self.short if max(self.steps) else "–",
            self._proof(),
        )

    def cost_cell(self, text: str) -> str:
        """Return the text of a cost, or `NOT_COUNTED` if a module is not counted."""
        return NOT_COUNTED if self.uncounted else text

    def _proof(self) -> str:
        """Return numerics, and how many seeds were trained again, as a text."""
        seeds = len(self.seeds)
        if self.budget_class == IMPORTED:
            return "–"
        kinds = {0: "native", seeds: "portable"}
        numerics = kinds.get(self.portable, f"{self.portable} portable")
        return f"{numerics}, {self.trained_again} of {seeds}"


def estimate(
    values: Sequence[float],
    centre: Callable[[Sequence[float]], Any],
    interval: Callable[[Sequence[float]], tuple[float, float]],
    show: Callable[[float], str],
) -> str:
    """Return centre and interval of seeds as text; without the interval under `FEWEST_SEEDS`."""
    if not values:
        return "–"
    ends = interval(values) if len(values) >= FEWEST_SEEDS else ()
    shown = [show(float(x)) for x in (centre(values), *ends)]
    return "{} ({} to {})".format(*shown) if len({*shown}) > 1 else shown[0]


def marked_name(agent: str, *, derived: bool) -> str:
    """Return an agent's name with the mark of lean agents."""
    return agent + f" {LEAN_MARK}" * derived


def table_rows(leaderboard: str | Path) -> tuple[TableRow, ...]:
    """Summarise the rows of a leaderboard that rank, with an agent directly above its twin.

    Rows that differ from their verified state are set aside with a warning.

    Args:
        leaderboard: Folder of the leaderboard; an absent one has no rows.

    Returns:
        Rows sorted by environment, budget class, pair and agent.

    Raises:
        ValueError: A row has another evaluator version.
    """
    rows = shown_rows(leaderboard)
    ranked, _ = split_rows(Path(leaderboard), rows)
    return summaries(ranked, rows)


def summaries(rows: Sequence[Row], known: Sequence[Row] | None = None) -> tuple[TableRow, ...]:
    """Return the sorted lines of ranking rows; ``known`` (the rows if None) include parents."""
    by_weights = rows_by_weights(rows if known is None else known)
    groups = itertools.groupby(sorted(rows, key=line_of), key=line_of)
    lines = (summarise(list(group), by_weights) for _, group in groups)
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


def summarise(rows: Sequence[Row], known: Mapping[str, Row] | None = None) -> TableRow:
    """Return the line of one agent's rows on an environment; ``known`` are parents by weights.

    ValueError for rows of another evaluator version or with different numbers of episodes.
    """
    rows = sorted(rows, key=lambda row: row.seed)
    _check_evaluations(rows)
    first, spec, known = rows[0], environment_of(rows[0]), known or {}
    reference = None if spec is None else spec.reference
    budget = 0 if spec is None else spec.budget.get(first.budget_class, 0)
    steps = tuple(parent_steps(row) + row.steps for row in rows)
    parents = [parent_of(row, known) for row in rows]
    origins = origins_of(rows, known)
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
        reference=reference,
        card=None if spec is None else spec.name,
        **cost_fields([row.costs for row in rows]),
        parameters=max(row.parameters for row in rows),
        steps=steps,
        short=any(2 * number < budget for number in steps),
        portable=sum(row.numerics == "portable" for row in rows),
        trained_again=sum(map(gives_the_same_weights, rows, parents)),
        derived=is_derived(first),
        curves=tuple(curve for row in rows if (curve := row.learning_curve) is not None),
        threshold=None if reference is None else reference.threshold,
        # Of fewer decisions all were counted.
        older_costs=any(
            row.evaluator_version < EVALUATOR_VERSION and sum(row.lengths) > MAX_KEPT_OBSERVATIONS
            for row in rows
        ),
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


def cost_fields(costs: Sequence[Costs]) -> dict[str, Any]:
    """Return the fields of `TableRow` that follow from the costs of each seed."""
    uncounted = tuple(dict.fromkeys(name for x in costs for name in x.uncounted))
    known = () if uncounted else costs
    names = [name for name in COST_COLUMNS if name != "operations_per_decision"]
    return {
        **{name: mean_known(x.total(name) for x in known) for name in names},
        "firing_rate": mean_known(x.firing_rate for x in costs),
        "spiking": any(x.spikes_reach_outputs for x in costs),
        "uncounted": uncounted,
    }


def mean_known(values: Iterable[float | None]) -> float | None:
    """Return the mean of known values, None without any."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def count(value: float | None, decimals: int = 1) -> str:
    """Return a cost as text, a dash for None."""
    return "–" if value is None else f"{value:,.{decimals}f}"
