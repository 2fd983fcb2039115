"""Agents against twins and origins: which is better, and what the data do not show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from snn_gym.scoring.headings import FEWEST_SEEDS, MARK
from snn_gym.scoring.statistics import (
    difference_interval,
    paired_interval,
    paired_p,
    permutation_p,
    probability_of_improvement,
)
from snn_gym.scoring.table import TableRow

SIGNIFICANCE = 0.05
"""Of the test of a difference, and of the one-sided bound of a loss."""
MARGIN = 0.05
"""Share of the way from random play to `solved` whose loss is no loss."""
WRONG_PERCENT = {"normal": (4, 5), "failing": (69, 50)}
"""How often "not inferior" was said of agents that lose just the margin, of 5 and of 10 seeds.

As `python -m studies.intervals` measured it for docs/intervals.md.
"""

_WRONG = (
    "Of agents that lose just that it was said in {} % (5 seeds of each) and {} % (10) of repeats "
    "where seeds are normal, in {} % and {} % where one in 15 of the agent's seeds fails and none "
    "of the other's ([all cases](../docs/intervals.md))"
).format(*WRONG_PERCENT["normal"], *WRONG_PERCENT["failing"])
COMPARISON_DEFINITIONS: dict[str, str] = {
    "Agent": "the agent",
    "Against": "its twin, or what it is a form of: the agent from whose rows it was made lean, or "
    "whose file its own builds on; in the same environment, version and budget class",
    "Difference": "the agent's mean over seeds less the other's",
    "Improvement": "probability that a seed of the agent is above one of the other: share of all "
    "pairs, ties counting one half; of one made lean from rows (◊), each with the row that it was "
    "made from",
    "p": "of the difference, two-sided: all ways to split the seeds between the two are counted; "
    "of one made lean from rows that of Student's t over its pairs; not adjusted for the number of "
    "comparisons",
    "Lower bound": "lower one-sided 95 % bound of the difference by Welch's t, of one made lean "
    "from rows by Student's t over its pairs; in brackets the "
    f"loss that is none, {MARGIN:.0%} of the way from random play to `solved`",
    "Finding": f'"better" or "worse" if p is at most {SIGNIFICANCE}, else "no difference shown"; '
    "nothing if one of the two has "
    f'fewer than {FEWEST_SEEDS} seeds. "not inferior", of what is worse "by less than the margin", '
    f"if the lower bound is above the loss that is none. {_WRONG}",
}
COMPARISON_COLUMNS = tuple(COMPARISON_DEFINITIONS)
"""Headings of comparisons, in the order of `Comparison.cells`."""


@dataclass(frozen=True)
class Comparison:
    """An agent against its twin, or against the one that it is a form of."""

    row: TableRow
    """The agent."""
    other: TableRow
    """What it is compared with."""

    @property
    def others(self) -> tuple[float, ...]:
        """Mean returns that the agent's are compared with: of rows made lean those of their own."""
        return self.row.origin_means or self.other.seed_means

    @property
    def difference(self) -> float:
        """The agent's mean over seeds less the other's, in the task's reward units."""
        return self.row.mean - float(np.mean(self.others))

    @property
    def has_enough_seeds(self) -> bool:
        """Whether both have the seeds that a finding takes."""
        return min(len(self.row.seeds), len(self.others)) >= FEWEST_SEEDS

    @property
    def improvement(self) -> float:
        """Probability that a seed of the agent is above one of the other."""
        one, two = np.array(self.row.seed_means), np.array(self.others)
        if self.row.origin_means:
            one, two = one[:, np.newaxis], two[:, np.newaxis]
        return float(probability_of_improvement(one, two).mean())

    @property
    def margin(self) -> float | None:
        """Loss that is none, in the task's reward units; None without a reference."""
        return None if self.row.reference is None else self.row.reference.loss(MARGIN)

    def cells(self) -> tuple[str, ...]:
        """Return the texts under `COMPARISON_COLUMNS`."""
        return (
            self.row.name,
            self.other.agent,
            self.row.score(self.difference),
            f"{self.improvement:.2f}",
            *(self._tests() if self.has_enough_seeds else ("–", "–", "too few seeds")),
        )

    def _tests(self) -> tuple[str, str, str]:
        """Return p, the lower bound and the finding."""
        paired = bool(self.row.origin_means)
        test, interval = (
            (paired_p, paired_interval) if paired else (permutation_p, difference_interval)
        )
        p = test(self.row.seed_means, self.others)
        bound, _ = interval(self.row.seed_means, self.others, 1 - 2 * SIGNIFICANCE)
        shown = self.row.score(bound)
        finding = "no difference shown"
        if p <= SIGNIFICANCE:
            finding = "better" if self.difference > 0 else "worse"
        if self.margin is not None:
            shown += f" ({self.row.score(-self.margin)})"
            if finding != "better" and bound >= -self.margin:
                finding += ", by less than the margin" if finding == "worse" else ", not inferior"
        mark = f" {MARK}" if self.row.shared_streams or self.other.shared_streams else ""
        return (f"{p:.3f}" if p >= 0.0005 else "< 0.001") + mark, shown, finding


def comparisons(rows: Sequence[TableRow]) -> Iterator[Comparison]:
    """Yield each pair of agent and twin, and of agent and origin, once, the upper one first.

    Args:
        rows: Of one environment, version and budget class.
    """
    by_agent = {row.agent: row for row in rows if not row.derived}
    seen = set()
    for row in rows:
        for name in dict.fromkeys((row.twin, row.origin)):
            other = by_agent.get(name or "")
            if other is not None and (other.agent, other.derived, row.agent) not in seen:
                seen.add((row.agent, row.derived, other.agent))
                yield Comparison(row, other)
