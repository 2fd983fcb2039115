"""Answers to the question whether one agent costs less than another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from snn_gym.leaderboard.statistics import difference_interval
from snn_gym.program.costs import shown_cost

SAME = 0.05
"""Costs are the same if their ratio is certainly within 1 / (1 + SAME) and 1 + SAME."""
LESS, SIMILAR, MORE, UNKNOWN = (
    "costs less",
    f"costs the same within {100 * SAME:g} %",
    "costs more",
    "cannot be told",
)
"""Answers to "costs less?"."""


class Ratio(NamedTuple):
    """Ratio of two agents' geometric mean costs over seeds, with its 95 % interval.

    The interval is (0, inf) if an agent has the cost of a single seed.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isinf(self.high):
            return shown_cost(self.value)
        return "{} ({} to {})".format(*map(shown_cost, self))


def cost_ratio(costs: Sequence[float], others: Sequence[float]) -> Ratio:
    """Return the ratio of the costs (seeds,) of two agents, above 0, by Welch's t of logarithms."""
    logs = np.log(costs), np.log(others)
    difference = logs[0].mean() - logs[1].mean()
    if min(map(len, logs)) < 2:
        return Ratio(float(np.exp(difference)), 0.0, math.inf)
    return Ratio(*np.exp([difference, *difference_interval(*logs)]).tolist())


def cost_answer(ratio: Ratio | str) -> str:
    """Return the answer to "costs less?", from a ratio or the reason why there is none."""
    if isinstance(ratio, str):
        return f"{UNKNOWN}, because {ratio}"
    holds = {
        LESS: ratio.high < 1.0,
        MORE: ratio.low > 1.0,
        SIMILAR: ratio.low >= 1.0 / (1.0 + SAME) and ratio.high <= 1.0 + SAME,
    }
    reaches = "the interval reaches from {1} to {2}".format(*map(shown_cost, ratio))
    return next(
        (f"{words}: {ratio}" for words, fits in holds.items() if fits), cost_answer(reaches)
    )
