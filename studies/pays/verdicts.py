"""Verdict for each task and price: which agents keep the return, and which of them is cheapest."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from snn_gym.leaderboard.comparison import SIGNIFICANCE, inferiority_p
from snn_gym.leaderboard.statistics import difference_interval, holm, non_inferiority_p
from studies.pays.contenders import FEWEST_PROVEN, Contender, Field
from studies.pays.question import OTHER, Question

PAY, DO_NOT_PAY, NOT_SIGNIFICANT, OPEN = (
    "spikes pay",
    "do not pay",
    "not significant",
    "open",
)


@dataclass(frozen=True)
class Factor:
    """Ratio of two geometric mean prices, with its 95 % interval over seeds and p-value.

    The interval is (0, inf) if an agent has the price of a single seed.
    """

    value: float
    low: float
    high: float
    p: float


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
    factor: Factor | None = None
    """Price of the spiking agent over that of the ANN."""
    p: float = 1.0
    """Larger p-value of two: of the factor, and of the non-inferiority of the cheaper agent."""
    adjusted: float = 1.0
    """The same, adjusted by Holm for all verdicts."""

    @property
    def words(self) -> str:
        """The verdict in words; open while rows, prices or proofs are missing."""
        if self.missing or self.unproven or (self.spiking is None and self.ann is None):
            return OPEN
        if self.factor is None or self.adjusted > SIGNIFICANCE:
            return NOT_SIGNIFICANT
        return PAY if self.factor.value < 1 else DO_NOT_PAY


def factor_of(one: Sequence[float], other: Sequence[float]) -> Factor:
    """Return the ratio of two agents' prices over seeds, tested by Welch's t of logarithms."""
    logs, others = np.log(one), np.log(other)
    difference = float(logs.mean() - others.mean())
    if min(len(logs), len(others)) < FEWEST_PROVEN:
        return Factor(math.exp(difference), 0.0, math.inf, 1.0)
    low, high = difference_interval(logs, others)
    lower, higher = (logs, others) if difference < 0 else (others, logs)
    one_sided = non_inferiority_p(higher, lower, 0.0) if difference else 0.5
    value, low, high = np.exp([difference, low, high]).tolist()
    return Factor(value, low, high, 2 * one_sided)


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
            factor = factor_of(spiking.prices[price], ann.prices[price])
            # Were the dearer agent inferior, its side would pay less still.
            p = keepers[spiking if factor.value < 1 else ann]
            found = replace(found, factor=factor, p=max(p, factor.p))
        yield found


def _adjusted(verdicts: Sequence[Verdict]) -> list[Verdict]:
    # Verdicts to come count as tests, so that none is weaker once they have rows.
    adjusted = holm([x.p for x in verdicts])
    return [replace(x, adjusted=float(p)) for x, p in zip(verdicts, adjusted, strict=True)]
