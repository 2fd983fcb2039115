"""Verdict for each task and price: which agents keep the return, and whether spikes cost less."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from snn_gym.leaderboard.comparison import (
    MARGIN,
    SIGNIFICANCE,
    Ratio,
    cost_answer,
    cost_ratio,
)
from snn_gym.leaderboard.statistics import non_inferiority_p
from snn_gym.leaderboard.table import FEWEST_SEEDS, TableRow
from studies.pays.contenders import FEWEST_PROVEN, Contender, Field
from studies.pays.question import OTHER, Question
from studies.statistics import holm


@dataclass(frozen=True)
class Verdict:
    """The cheapest spiking agent and ANN that keep the return of a task, under a price."""

    task: str
    price: str
    spiking: Contender | None
    ann: Contender | None
    missing: int
    """Registered rows that have not landed, and rows of agents to compare without the price."""
    unproven: int = 0
    """Seeds of the two agents that are still to be trained again."""
    ratio: Ratio | None = None
    """Price of the spiking agent over that of the ANN."""
    p: float = 1.0
    """Larger p-value of two: of the ratio, and of the non-inferiority of the cheaper agent."""
    adjusted: float = 1.0
    """The same, adjusted by Holm for all verdicts."""

    @property
    def costs(self) -> str:
        """Answer to "costs less?", with the ratio or the reason why it cannot be told."""
        if self.missing:
            return cost_answer(f"rows or prices are missing ({self.missing})")
        if self.spiking is None and self.ann is None:
            return cost_answer(f"no agent has {FEWEST_SEEDS} seeds")
        if self.spiking is None or self.ann is None:
            lacking = "spiking agent" if self.spiking is None else "ANN"
            return cost_answer(f"no {lacking} is shown to keep the return")
        if self.unproven:
            seeds = "seed is" if self.unproven == 1 else "seeds are"
            return cost_answer(f"{self.unproven} {seeds} still to be trained again")
        assert self.ratio is not None  # of two agents
        return cost_answer(self.ratio)

    @property
    def words(self) -> str:
        """The answer without the ratio."""
        return self.costs.partition(":")[0]

    @property
    def kind(self) -> str:
        """The answer without ratio and reason."""
        return self.words.partition(",")[0]


def ratio_p(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the two-sided p-value of the ratio of two prices, by Welch's t of logarithms."""
    if min(len(one), len(other)) < FEWEST_PROVEN:
        return 1.0
    lower, higher = sorted((np.log(one), np.log(other)), key=np.mean)
    return 2 * non_inferiority_p(higher, lower, 0.0) if lower.mean() < higher.mean() else 1.0


def not_inferior(rows: Sequence[TableRow]) -> dict[TableRow, float]:
    """Return the rows that are not inferior to the one of the highest mean, with p-values.

    Rows are of one section. Those without enough seeds, and without references, are left out.
    """
    enough = [x for x in rows if len(x.seeds) >= FEWEST_SEEDS and x.reference is not None]
    best = max(enough, key=lambda row: row.mean, default=None)
    p_values = {x: inferiority_p(x, best, MARGIN) for x in enough if best is not None}
    return {row: p for row, p in p_values.items() if p <= SIGNIFICANCE}


def inferiority_p(one: TableRow, best: TableRow, share: float) -> float:
    """Return the one-sided p-value of the test that an agent is not worse than the best.

    The margin is a ``share`` of the way from random play to `solved`. Seeds are paired where both
    agents have the same teacher, or one is that of the other.
    """
    if one is best:
        return 0.0
    assert best.reference is not None  # tasks of the suite have a reference
    margin = best.reference.loss(share)
    pairs = _common_seeds(one, best)
    if pairs is None:
        return non_inferiority_p(one.seed_means, best.seed_means, margin)
    return non_inferiority_p(*pairs, margin, paired=True)


def _common_seeds(one: TableRow, two: TableRow) -> tuple[Sequence[float], Sequence[float]] | None:
    """Return returns of common seeds if both have the same teacher, or one is the other's."""
    teachers = [row.origin if row.derived else row.agent for row in (one, two)]
    if teachers[0] != teachers[1]:
        return None
    returns = [dict(zip(row.seeds, row.seed_means, strict=True)) for row in (one, two)]
    common = sorted(returns[0].keys() & returns[1].keys())
    if len(common) < FEWEST_SEEDS:
        return None
    return [returns[0][x] for x in common], [returns[1][x] for x in common]


def keeping(field: Field, share: float) -> dict[Contender, float]:
    """Return the agents that are not inferior to the best, with their p-values."""
    best = field.best
    p_values = {
        x: inferiority_p(x.row, best.row, share)
        for x in field.contenders
        if best is not None and x.family != OTHER
    }
    return {x: p for x, p in p_values.items() if p <= SIGNIFICANCE}


def cheapest(contenders: Iterable[Contender], price: str) -> Contender | None:
    """Return the agent of the lowest mean price, None where no price is known."""
    priced = (x for x in contenders if price in x.prices)
    return min(priced, key=lambda x: x.price(price), default=None)


def judge(question: Question, fields: Mapping[str, Field]) -> dict[tuple[str, str], Verdict]:
    """Return the verdicts by task and price; those of context are adjusted apart."""
    return {
        (x.task, x.price): x
        for tasks in (question.tasks, question.context)
        for x in _adjusted([y for task in tasks for y in _of_field(question, fields[task])])
    }


def _of_field(question: Question, field: Field) -> Iterator[Verdict]:
    keepers = keeping(field, question.margin)
    # The lowest p-value of equally cheap agents.
    tried = sorted(keepers, key=lambda x: keepers[x])
    for price in question.prices:
        unpriced = [x for x in keepers if price not in x.prices]
        missing = len(field.missing) + sum(len(x.row.seeds) for x in unpriced)
        spiking = cheapest((x for x in tried if x.row.spiking), price)
        ann = cheapest((x for x in tried if not x.row.spiking), price)
        unproven = sum(x.unproven for x in (spiking, ann) if x is not None)
        found = Verdict(field.task, price, spiking, ann, missing, unproven)
        if spiking is not None and ann is not None:
            pair = spiking.prices[price], ann.prices[price]
            ratio = cost_ratio(*pair)
            # Were the dearer agent inferior, its side would be dearer still.
            p = keepers[spiking if ratio.value < 1 else ann]
            found = replace(found, ratio=ratio, p=max(p, ratio_p(*pair)))
        yield found


def _adjusted(verdicts: Sequence[Verdict]) -> list[Verdict]:
    # Verdicts to come count as tests, so that none is weaker once they have rows.
    adjusted = holm([x.p for x in verdicts])
    return [replace(x, adjusted=float(p)) for x, p in zip(verdicts, adjusted, strict=True)]
