"""Environment steps until agents have learned a task, spiking agents beside their twins.

The tables of docs/learning-efficiency.md and docs/findings.md. ``python -m studies.claims`` writes
them from the rows of the results table.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from snn_gym.leaderboard.comparison import SIGNIFICANCE
from snn_gym.leaderboard.statistics import difference_interval, mean_interval, median_interval
from snn_gym.leaderboard.table import FEWEST_SEEDS, TableRow, estimate
from studies.statistics import equal_to, holm, p_value, rank_sum_p
from studies.tables import table, wrapped

Rows = Mapping[tuple[str, str], TableRow]
"""Lines of the results table by agent and environment."""
SAME = "same"
"""Cell of a pair that is one training until both have learned."""
_NONE = "–"
_THOUSAND = 1000


class Group(NamedTuple):
    """Agents of one algorithm that are compared on a task; None without such an agent."""

    plain: str
    """Spiking agent."""
    watched: str | None
    """Spiking agent that watches its dynamics."""
    twin: str
    """ANN with the same algorithm, sizes and budget."""
    stock: str | None
    """Unmodified agent of Stable-Baselines3."""


MAIN = (
    Group("ppo-lif", "ppo-lif-dynamics", "ppo-mlp", "sb3-ppo"),
    Group("recurrent-ppo-lsnn", "recurrent-ppo-lsnn-dynamics", "recurrent-ppo-gru", None),
)
OTHER = (
    Group("dqsn", None, "dqn-mlp", "sb3-dqn"),
    Group("sac-lif", None, "sac-mlp", "sb3-sac"),
    Group("td3-lif-pt", None, "td3-mlp", None),
    Group("ppo-conv-lif", None, "ppo-conv", None),
)


class Ratio(NamedTuple):
    """Ratio of two medians, or its bound where an agent did not learn in the median."""

    value: float
    bound: str = ""
    """``"> "`` or ``"< "`` of a bound."""

    def __str__(self) -> str:
        return f"{self.bound}{self.value:.2f}"


@dataclass(frozen=True)
class Line:
    """Agents of a group on one task."""

    environment: str
    group: Group
    rows: tuple[TableRow | None, ...]
    """Lines of the results table, in the order of the group; None without stored rows."""

    @property
    def threshold(self) -> str:
        """Training return from which the task is learned."""
        row = self.rows[0]
        return _NONE if row is None or row.threshold is None else row.score(row.threshold)

    @property
    def against_twin(self) -> Pair | None:
        """Spiking agent and ANN twin."""
        return pair(self.rows[0], self.rows[2])

    @property
    def against_plain(self) -> Pair | None:
        """Agent that watches its dynamics, and the plain spiking agent."""
        return pair(self.rows[1], self.rows[0])


@dataclass(frozen=True)
class Pair:
    """Two lines of the results table with learning curves of `FEWEST_SEEDS` seeds or more."""

    one: TableRow
    other: TableRow

    @property
    def is_one_training(self) -> bool:
        """Whether both learned at the same steps on every seed: they differ only afterwards."""
        steps = self.one.until_learned
        return steps == self.other.until_learned and math.inf not in steps

    @property
    def p(self) -> float:
        """Two-sided p-value of the steps of the seeds; seeds that never learned come last."""
        return rank_sum_p([(self.one.until_learned, self.other.until_learned)])

    @property
    def ratio(self) -> Ratio | None:
        """Ratio of the median steps; None if neither agent learned in the median."""
        one, other = (float(np.median(x.until_learned)) for x in (self.one, self.other))
        return ratio_of_medians(one, other, min(self.one.steps), min(self.other.steps))


def ratio_of_medians(one: float, other: float, steps: float, other_steps: float) -> Ratio | None:
    """Return the ratio of median steps until learned; None if neither agent learned.

    An infinite median makes it a bound, by the environment steps of the agent's training.
    """
    if math.isinf(one) and math.isinf(other):
        return None
    if math.isinf(one):
        return Ratio(steps / other, "> ")
    if math.isinf(other):
        return Ratio(one / other_steps, "< ")
    return Ratio(one / other)


def pair(one: TableRow | None, other: TableRow | None) -> Pair | None:
    """Return two lines as a pair; None if one is absent or has too few learning curves."""
    if one is None or other is None:
        return None
    few = min(len(one.until_learned), len(other.until_learned)) < FEWEST_SEEDS
    return None if few else Pair(one, other)


def main_lines(rows: Rows) -> list[Line]:
    """Return each task with its main spiking agent: the one with a twin there."""
    by_task: dict[str, Line] = {}
    for line in _lines(rows, MAIN):
        kept = by_task.get(line.environment)
        if kept is None or kept.rows[2] is None:
            by_task[line.environment] = line
    return [by_task[x] for x in sorted(by_task)]


def _lines(rows: Rows, groups: Sequence[Group]) -> Iterator[Line]:
    for group in groups:
        for environment in sorted(env for agent, env in rows if agent == group.plain):
            yield Line(environment, group, tuple(rows.get((x or "", environment)) for x in group))


# ---- texts ---------------------------------------------------------------------------------------
def summary(rows: Rows) -> str:
    """Return in two paragraphs how many steps spiking agents need, without dynamics and with."""
    lines = main_lines(rows)
    twins = [x for line in lines if (x := line.against_twin) is not None]
    both = [x for line in lines if (x := line.against_plain) is not None]
    watched = [x for x in both if not x.is_one_training]
    ratios = _ratios(twins)
    slower, fewer = (sum(sign * (x.value - 1.0) > 0.0 for x in ratios) for sign in (1, -1))
    return wrapped(
        f"Spiking agents need more environment steps than their ANN twins to learn {slower} of "
        f"{len(ratios)} tasks, {_middle(ratios)} times as many in the median task. The ratio to "
        f"the twin goes from {ratios[0]} to {ratios[-1]}. Spiking agents need fewer steps on "
        f"{fewer} of them and as many on {len(ratios) - slower - fewer}. On "
        f"{len(twins) - len(ratios)} more "
        f"neither agent learns. {_tests(twins)}",
        f"On {len(both) - len(watched)} of {len(both)} tasks an agent that watches its dynamics "
        "is the same training as the plain spiking agent until it has learned. Its steps over "
        f"those of the plain one, elsewhere: {', '.join(map(str, _ratios(watched))) or _NONE}.",
    ).rstrip()


def _tests(pairs: Sequence[Pair]) -> str:
    """Return in two sentences whether pairs differ over all tasks together, and one by one."""
    p = rank_sum_p([(x.one.until_learned, x.other.until_learned) for x in pairs])
    return (
        f"Over all {len(pairs)} tested tasks together the difference is "
        f"{'' if p <= SIGNIFICANCE else 'not '}significant ({equal_to(p)}). After Holm's "
        f"adjustment, single tasks show {_significant(pairs, 1)} slower and "
        f"{_significant(pairs, -1)} faster."
    )


def _ratios(pairs: Sequence[Pair]) -> list[Ratio]:
    """Return the known ratios, the smallest first."""
    known = (x.ratio for x in pairs)
    return sorted((x for x in known if x is not None), key=lambda x: x.value)


def _middle(ratios: Sequence[Ratio]) -> str:
    return f"{np.median([x.value for x in ratios]):.2f}"


def _significant(pairs: Sequence[Pair], sign: int) -> int:
    """Return the number of pairs that differ after Holm's adjustment, slower (1) or faster (-1)."""
    adjusted = holm([x.p for x in pairs])
    ratios = [1.0 if x.ratio is None else x.ratio.value for x in pairs]
    return int(((adjusted <= SIGNIFICANCE) & (sign * (np.array(ratios) - 1.0) > 0.0)).sum())


def summary_part(rows: Rows) -> str:
    """Return the summary, and the spiking agents beside their twins as a table."""
    tested = [x for x in main_lines(rows) if x.against_twin is not None]
    note = wrapped("Cells are medians in thousand environment steps, intervals and seeds.")
    return f"{summary(rows)}\n\n{note}\n{_pair_table(tested, 'against_twin')}"


def main_part(rows: Rows) -> str:
    """Return the summary, and the main agents of every task beside their twins."""
    lines = main_lines(rows)
    return f"{_of_version_1(lines)}{summary(rows)}\n\n{_pair_table(lines, 'against_twin')}"


def _of_version_1(lines: Sequence[Line]) -> str:
    """Return a paragraph that names the tasks with rows of version 1; "" without any."""
    old = [
        line.environment
        for line in lines
        if any(row is not None and row.portable < len(row.seeds) for row in line.rows)
    ]
    return wrapped(f"Rows of version 1: those on {', '.join(old)}.") + "\n" if old else ""


def watched_part(rows: Rows) -> str:
    """Return the agents that watch their dynamics beside plain ones, and Stable-Baselines3's."""
    lines = [x for x in main_lines(rows) if x.rows[1] is not None or x.rows[3:4] != (None,)]
    return _pair_table(lines, "against_plain")


def _pair_table(lines: Sequence[Line], against: str) -> str:
    """Return a table of spiking agents and twins, or of dynamics and Stable-Baselines3's."""
    adjusted, by_twin = _adjusted(lines, against), against == "against_twin"
    head = (
        *(("Task", "Learned from", "Spiking", "Twin") if by_twin else ("Task", "Dynamics")),
        *("Spiking / twin" if by_twin else "Dynamics / spiking", f"p (Holm of {len(adjusted)})"),
        *(() if by_twin else ("SB3",)),
    )
    cells = []
    for line in lines:
        plain, watched, twin, stock = map(steps_cell, line.rows)
        shown = (line.threshold, plain, twin) if by_twin else (watched,)
        last = () if by_twin else (stock,)
        cells.append((line.environment, *shown, *_tested(line, against, adjusted), *last))
    return table(head, cells)


def other_part(rows: Rows) -> str:
    """Return steps until learned of the agents of other algorithms."""
    lines = list(_lines(rows, OTHER))
    adjusted = _adjusted(lines, "against_twin")
    head = (
        *("Task", "Spiking agent", "Spiking", "Twin", "SB3", "Spiking / twin"),
        f"p (Holm of {len(adjusted)})",
    )
    cells = [
        (
            line.environment,
            f"`{line.group.plain}`",
            *(steps_cell(x) for x in (plain, twin, stock)),
            *_tested(line, "against_twin", adjusted),
        )
        for line in lines
        for plain, _, twin, stock in [line.rows]
    ]
    return table(head, cells)


def _adjusted(lines: Sequence[Line], against: str) -> dict[tuple[str, str], float]:
    """Return p-values of the pairs with enough seeds by task and spiking agent, after Holm."""
    pairs = {(x.environment, x.group.plain): getattr(x, against) for x in lines}
    known = {k: x.p for k, x in pairs.items() if x is not None and not x.is_one_training}
    return dict(zip(known, holm([*known.values()]).tolist(), strict=True))


def _tested(line: Line, against: str, adjusted: Mapping[tuple[str, str], float]) -> tuple[str, str]:
    """Return ratio and adjusted p-value as texts."""
    found: Pair | None = getattr(line, against)
    if found is None:
        return _NONE, _NONE
    p = adjusted.get((line.environment, line.group.plain))
    return (SAME, _NONE) if p is None else (str(found.ratio or _NONE), p_value(p))


def steps_cell(row: TableRow | None) -> str:
    """Return the median steps until learned in thousands, its interval, and the seeds that did."""
    if row is None or not row.until_learned:
        return _NONE
    never = f"> {thousands(min(row.steps))}"
    shown = estimate(
        row.until_learned,
        np.median,
        median_interval,
        lambda x: never if x == math.inf else thousands(x),
    )
    return f"{shown}, {row.learning_cells()[1]}"


def thousands(steps: float) -> str:
    """Return environment steps in thousands, with a decimal below ten thousand."""
    number = steps / _THOUSAND
    return f"{number:,.{0 if number >= 10 else 1}f}"


def area_part(rows: Rows) -> str:
    """Return the areas under the learning curves of all agents, beside their twins."""
    head = ("Task", "Spiking agent", "Spiking", "Dynamics", "Twin", "SB3", "Spiking less twin")
    lines = [*main_lines(rows), *_lines(rows, OTHER)]
    cells, lower, tested = [], 0, 0
    for line in lines:
        less = _NONE
        if (found := line.against_twin) is not None:
            areas = found.one.areas, found.other.areas
            ends = difference_interval(*areas)
            less = f"{np.mean(areas[0]) - np.mean(areas[1]):.2f} ({ends[0]:.2f} to {ends[1]:.2f})"
            tested, lower = tested + 1, lower + (ends[1] < 0.0)
        shown = (_NONE if x is None else _area(x) for x in line.rows)
        cells.append((line.environment, f"`{line.group.plain}`", *shown, less))
    note = (
        f"The interval of the difference lies below 0 for {lower} of {tested} pairs of a spiking "
        "agent and its twin."
    )
    return f"{wrapped(note)}\n{table(head, cells)}"


def _area(row: TableRow) -> str:
    return estimate(row.areas, np.mean, mean_interval, "{:.2f}".format)
