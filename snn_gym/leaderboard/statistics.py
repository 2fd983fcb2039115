"""Statistics of scores over training seeds, as pure functions on arrays.

The seed is the unit, because episodes of one seed share a policy: statements about an agent rest on
the mean returns of its seeds, at least two. Empty or non-finite scores raise ValueError, except in
`probability_of_improvement`.
Interquartile mean and probability of improvement follow Agarwal et al., "Deep Reinforcement
Learning at the Edge of the Statistical Precipice", NeurIPS 2021, https://arxiv.org/abs/2108.13264.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom, permutation_test, ttest_1samp
from scipy.stats import t as student_t

TRIMMED_FRACTION = 0.25
"""Fraction of the scores that the interquartile mean leaves out at each end."""

# All splits of 20 seeds in halves are 184,756.
_MOST_SPLITS = 200_000
# Sums of the same scores in another order differ by less, as a share of their sizes.
_ROUNDING = 1e-9


def interquartile_mean(scores: ArrayLike) -> float:
    """Return the mean of all scores but the floor(n / 4) smallest and as many largest ones."""
    flat = checked_scores(scores, "scores").reshape(-1)  # shape: (n,)
    # Not ``scipy.stats.trim_mean``: its checks take longer, and a site asks 30,000 times.
    first = int(TRIMMED_FRACTION * flat.size)
    last = flat.size - first
    return float(np.partition(flat, (first, last - 1))[first:last].mean())


def mean_interval(seed_means: ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    """Return the confidence interval of the mean over seeds by Student's t."""
    values = _seeds(seed_means, "an interval")
    error = values.std(ddof=1) / np.sqrt(len(values))
    width = _quantile(confidence, len(values) - 1) * error
    return float(values.mean() - width), float(values.mean() + width)


def median_interval(values: ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    """Return the confidence interval of the median over seeds, by order statistics.

    It holds for any distribution. Infinite values are allowed: a seed that never got there is only
    known to be beyond all others. Of fewer than 6 values even the range, which is returned then,
    covers less than 95 % (of 5 values 93.75 %).

    Raises:
        ValueError: There is no value, or one is NaN.
    """
    ordered = np.sort(np.asarray(values, np.float64))  # shape: (n,); NaN comes last
    if not ordered.size or np.isnan(ordered[-1]):
        raise ValueError(f"an interval of a median takes values that are not NaN, got {values!r}")
    place = max(int(binom.ppf((1.0 - confidence) / 2.0, ordered.size, 0.5)), 1)
    return float(ordered[place - 1]), float(ordered[-place])


def difference_interval(
    seed_means: ArrayLike, others: ArrayLike, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the confidence interval of the difference of two agents' means.

    Student's t with the degrees of freedom of Welch 1947, https://doi.org/10.1093/biomet/34.1-2.28.
    """
    # Seeds are not paired: an agent and its twin share nothing but the number.
    difference, error, freedom = _welch(seed_means, others)
    width = _quantile(confidence, freedom) * error if error else 0.0
    return difference - width, difference + width


def paired_interval(
    values: ArrayLike, others: ArrayLike, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the confidence interval of the mean difference of pairs by Student's t."""
    return mean_interval(_differences(values, others), confidence)


def paired_p(values: ArrayLike, others: ArrayLike) -> float:
    """Return the two-sided p-value of Student's t test of pairs.

    If all differences are equal it is 1 for differences of zero and 0 for others.
    """
    differences = _differences(values, others)
    if not differences.std():
        return float(not differences.any())
    return float(ttest_1samp(differences, 0.0).pvalue)


def non_inferiority_p(
    values: ArrayLike, others: ArrayLike, margin: float, *, paired: bool = False
) -> float:
    """Return the one-sided p-value of non-inferiority: the first mean is not lower by the margin.

    By Student's t, over pairs if ``paired``, else with Welch's degrees of freedom.
    """
    if paired:
        values, others = _differences(values, others), [0.0, 0.0]
    difference, error, freedom = _welch(values, others)
    if not error:
        return float(difference <= -margin)
    return float(student_t.sf((difference + margin) / error, freedom))


def _differences(values: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    one, two = _seeds(values, "a comparison"), _seeds(others, "a comparison")
    if len(one) != len(two):
        raise ValueError(f"pairs take as many of both, got {len(one)} and {len(two)}")
    return one - two


def _welch(one: ArrayLike, two: ArrayLike) -> tuple[float, float, float]:
    """Return the difference of two means, its standard error, and Welch's degrees of freedom."""
    groups = [_seeds(group, "an interval") for group in (one, two)]
    difference = float(groups[0].mean() - groups[1].mean())
    variances = [group.var(ddof=1) / len(group) for group in groups]
    variance = float(sum(variances))
    if not variance:
        return difference, 0.0, math.inf
    shares = [x**2 / (len(group) - 1) for x, group in zip(variances, groups, strict=True)]
    return difference, math.sqrt(variance), variance**2 / float(sum(shares))


def probability_of_improvement(values: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    """Return the share (...,) of pairs of (..., n) and (..., m) in which the first is larger.

    Ties count one half: the Mann-Whitney statistic over the number of pairs (Agarwal et al. 2021).
    """
    one = np.asarray(values, np.float64)[..., :, np.newaxis]
    two = np.asarray(others, np.float64)[..., np.newaxis, :]
    share: NDArray[np.float64] = ((one > two) + 0.5 * (one == two)).mean(axis=(-2, -1))
    return share


def permutation_p(seed_means: ArrayLike, others: ArrayLike) -> float:
    """Return the two-sided p-value of a permutation test of two means, by all or 200,000 splits."""
    # All splits are counted, or 200,000 drawn ones: twice the smaller tail.
    pair = (_seeds(seed_means, "a test"), _seeds(others, "a test"))
    return _permutation_p(*(tuple(means.tolist()) for means in pair))


@lru_cache(maxsize=1024)  # the table, its pages and its findings repeat the same tests
def _permutation_p(seed_means: tuple[float, ...], others: tuple[float, ...]) -> float:
    pooled = np.array(seed_means + others)
    if math.comb(len(pooled), len(others)) <= _MOST_SPLITS:
        # Not by ``permutation_test``: it takes 30 times as long, and misses ties by rounding.
        sums = pooled[_every_split(len(seed_means), len(pooled))].sum(axis=1)  # the observed first
        rounding = _ROUNDING * np.abs(pooled).sum()
        tails = (sums <= sums[0] + rounding).mean(), (sums >= sums[0] - rounding).mean()
        return min(1.0, 2.0 * float(min(tails)))
    result = permutation_test(
        (np.array(seed_means), np.array(others)),
        lambda one, two, axis: np.mean(one, axis=axis) - np.mean(two, axis=axis),
        n_resamples=_MOST_SPLITS,
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    return float(result.pvalue)


@lru_cache(maxsize=8)
def _every_split(first: int, total: int) -> NDArray[np.int8]:
    """Return the members (splits, first) of the first group in each split of ``total`` members."""
    members = itertools.chain.from_iterable(itertools.combinations(range(total), first))
    return np.fromiter(members, np.int8).reshape(-1, first)


def checked_scores(scores: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return scores as an array; ValueError with ``name`` if it is empty or not all are finite."""
    array = np.asarray(scores, dtype=np.float64)
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError(
            f"{name} must hold at least one score and only finite ones, got shape {array.shape}"
        )
    return array


def _seeds(seed_means: ArrayLike, purpose: str) -> NDArray[np.float64]:
    values = checked_scores(seed_means, "means of seeds")
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"{purpose} takes the means of at least 2 seeds, got shape {values.shape}")
    return values


def _quantile(confidence: float, freedom: float) -> float:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must be within (0, 1), got {confidence}")
    return float(student_t.ppf((1.0 + confidence) / 2.0, freedom))
