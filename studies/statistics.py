"""Significance tests over seeds, with correction for multiple tests."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

NameT = TypeVar("NameT", bound=Hashable)

SIGNIFICANT = 0.05
"""P-value up to which something is said to differ."""


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust p-values (tests,) for multiple tests (Holm 1979, https://www.jstor.org/stable/4615733)."""
    values = np.asarray(p_values, np.float64)
    if values.ndim != 1 or not ((values >= 0.0) & (values <= 1.0)).all():
        raise ValueError(f"p-values must be one-dimensional and within [0, 1], got {values}")
    order = np.argsort(values, kind="stable")
    raised = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(raised, 1.0)
    return adjusted


def sign_flip_p(differences: Sequence[float]) -> float:
    """Return the one-sided p-value of a paired permutation test that the mean is below 0.

    All ways to flip the signs are counted, the observed one included.
    """
    if not 1 <= len(differences) <= 20:
        raise ValueError(f"all signs of 1 to 20 seeds can be counted, got {len(differences)}")
    values = np.asarray(differences, np.float64)
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(values))))
    return float(np.mean(signs @ values <= values.sum() + 1e-12))


def rank_sum_p(strata: Sequence[tuple[ArrayLike, ArrayLike]]) -> float:
    """Return the two-sided p-value of an exact permutation test of ranks.

    Within each stratum every split of the runs between the two samples is as probable if both are
    drawn alike; all are counted, by the shift algorithm (Streitberg and Roehmel 1986, Statistical
    Software Newsletter 12, 10-17), ties at their mean rank. Of several strata the rank sums are
    added. Twice the smaller tail, as ``snn_gym.leaderboard.statistics.permutation_p``, which of the
    ranks of one stratum gives the same; but a run that failed may be infinite here, which a mean
    may not, and no number of runs is too large to count all splits.
    """
    sizes = [(len(np.atleast_1d(one)), len(np.atleast_1d(two))) for one, two in strata]
    if not sizes or min(map(min, sizes)) == 0:
        raise ValueError(f"a test takes strata of two samples with runs, got sizes {sizes}")
    shares, observed = np.ones(1), 0  # shares[s]: of all splits, those of rank sum s / 2
    for (one, two), (count, _) in zip(strata, sizes, strict=True):
        # Twice the mean ranks are whole numbers.
        ranks = np.rint(2 * rankdata(np.concatenate((one, two)))).astype(np.int64)
        shares = np.convolve(shares, _split_shares(ranks, count))
        observed += int(ranks[:count].sum())
    tails = shares[: observed + 1].sum(), shares[observed:].sum()
    return float(min(1.0, 2.0 * min(tails)))


def _split_shares(ranks: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Return the share of the splits at which the first ``count`` runs have each sum of ranks."""
    total = int(ranks.sum())
    ways = np.zeros((count + 1, total + 1))  # ways[n, s]: to choose n runs of rank sum s
    ways[0, 0] = 1.0
    for rank in ranks:
        ways[1:, rank:] += ways[:-1, : total + 1 - rank].copy()
    shares: NDArray[np.float64] = ways[count] / ways[count].sum()
    return shares


def holm_by_name(p_values: Mapping[NameT, float]) -> dict[NameT, float]:
    """Return p-values adjusted for their number, by the name of the comparison."""
    adjusted = holm(list(p_values.values()))
    return dict(zip(p_values, adjusted.tolist(), strict=True))


def p_value(p: float) -> str:
    """Return a p-value as one says it."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def equal_to(p: float) -> str:
    """Return a p-value with its sign, as within a sentence."""
    return f"p {p_value(p)}" if p < 0.001 else f"p = {p_value(p)}"
