"""Comparisons of runs: exact tests, corrected for how many a question asks."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np

from snn_gym.leaderboard.statistics import probability_of_improvement
from studies.dynamics.groups import Values
from studies.dynamics.report.markdown import MISSING, percent
from studies.statistics import SIGNIFICANT, equal_to, holm_by_name, p_value, rank_sum_p

NameT = TypeVar("NameT", bound=Hashable)
Strata = Sequence[tuple[Values, Values]]
"""Values (runs,) and others (other runs,) of each stratum, of which the lower is the better."""


@dataclass(frozen=True)
class Verdict:
    """How a comparison ended."""

    share: float
    """Of the pairs of runs in which the first is the better one, ties counting one half."""
    p: float
    """Of the exact test, corrected."""
    raw_p: float = field(default=1.0, compare=False)
    """Before the correction."""
    tests: int = field(default=1, compare=False)
    """Tests that were corrected for."""

    @property
    def side(self) -> Literal["better", "worse", "open"]:
        """Side of the first, ``open`` where the difference is not significant."""
        if self.p > SIGNIFICANT:
            return "open"
        return "better" if self.share > 0.5 else "worse"

    def __str__(self) -> str:
        """Return share and p-value as within a sentence."""
        return f"{percent(self.share)} of pairs of runs, {equal_to(self.p)}"


def judge(comparisons: Mapping[NameT, Strata]) -> dict[NameT, Verdict]:
    """Judge all comparisons of a question by ``rank_sum_p``, with Holm's correction."""
    present = {
        name: [(one, two) for one, two in strata if len(one) and len(two)]
        for name, strata in comparisons.items()
    }
    present = {name: strata for name, strata in present.items() if strata}
    raw = {name: rank_sum_p(strata) for name, strata in present.items()}
    corrected = holm_by_name(raw)
    return {
        name: Verdict(
            float(np.mean([probability_of_improvement(two, one) for one, two in strata])),
            corrected[name],
            raw[name],
            len(raw),
        )
        for name, strata in present.items()
    }


def cells(verdicts: Mapping[NameT, Verdict], name: NameT) -> list[str]:
    """Return share and p-value, corrected and raw, of a comparison as cells of a table."""
    if name not in verdicts:
        return [MISSING, MISSING]
    found = verdicts[name]
    cell = f"{p_value(found.p)} ({p_value(found.raw_p)} of {found.tests})"
    return [percent(found.share), cell]
