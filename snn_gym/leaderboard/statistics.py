"""Scores over training seeds and how sure they are, as pure functions on arrays.

A seed is the unit: episodes of one seed share a policy, so that what is said about an agent rests
on its seeds' mean returns. `python -m studies.intervals` measured how often the interval holds.
Interquartile mean and probability of improvement follow Agarwal et al., "Deep Reinforcement
Learning at the Edge of the Statistical Precipice", NeurIPS 2021, https://arxiv.org/abs/2108.13264.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import permutation_test, ttest_1samp
from scipy.stats import t as student_t

TRIMMED_FRACTION = 0.25
"""Fraction of the scores that the interquartile mean leaves out at each end."""

# All splits of 20 seeds in halves are 184,756.
_MOST_SPLITS = 200_000
# Of two samples of episodes, all splits are too many.
_DRAWN_SPLITS = 19_999


def interquartile_mean(scores: ArrayLike) -> float:
    """Average the middle half of all scores.

    Of n scores, the floor(n / 4) smallest and as many of the largest are left out.

    Args:
        scores: Finite scores, any shape with at least one element, in the task's reward units.

    Returns:
        Interquartile mean, in the units of the scores.

    Raises:
        ValueError: There is no score, or one is not finite.
    """
    flat = checked_scores(scores, "scores").reshape(-1)  # shape: (n,)
    # As ``scipy.stats.trim_mean``, whose checks take longer: a site asks 30,000 times.
    first = int(TRIMMED_FRACTION * flat.size)
    last = flat.size - first
    return float(np.partition(flat, (first, last - 1))[first:last].mean())


def expected_shortfall(returns: ArrayLike, share: float = 0.05) -> float:
    """Average the worst returns.

    Rockafellar and Uryasev, "Optimization of conditional value-at-risk", Journal of Risk 2, 2000,
    https://doi.org/10.21314/JOR.2000.038, of a sample of which whole episodes are taken.

    Args:
        returns: Finite returns of episodes, any shape with at least one element, in the task's
            reward units.
        share: Share of the episodes, in (0, 1]; at least one counts.

    Returns:
        Mean of the worst, in the units of the returns.

    Raises:
        ValueError: There is no return, or one is not finite.
    """
    flat = np.sort(checked_scores(returns, "returns"), axis=None)  # shape: (n,)
    # 0.05 * 60 is above 3 by rounding.
    return float(flat[: max(1, math.ceil(share * len(flat) - 1e-9))].mean())


def mean_interval(seed_means: ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of the mean over seeds by Student's t.

    A one-sided bound of confidence c is the bound on its side of an interval of 2 c - 1.

    Args:
        seed_means: Mean return of each seed, shape (seeds,), at least 2.
        confidence: Coverage aimed at, in (0, 1).

    Returns:
        Lower and upper bound in the units of the scores.

    Raises:
        ValueError: There are too few seeds, a score is not finite, or `confidence` is out of range.
    """
    values = _seeds(seed_means, "an interval")
    error = values.std(ddof=1) / np.sqrt(len(values))
    width = _quantile(confidence, len(values) - 1) * error
    return float(values.mean() - width), float(values.mean() + width)


def difference_interval(
    seed_means: ArrayLike, others: ArrayLike, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the interval of the difference of the means of two agents (Welch 1947).

    Spreads may differ: Student's t with Welch's degrees of freedom,
    https://doi.org/10.1093/biomet/34.1-2.28. Seeds are not paired, because an agent and its twin
    share nothing but a number.

    Args:
        seed_means: Mean return of each seed, shape (seeds,), at least 2.
        others: Those of the other agent, shape (other seeds,), at least 2.
        confidence: Coverage aimed at, in (0, 1).

    Returns:
        Lower and upper bound of the first mean less the second.

    Raises:
        ValueError: As in ``mean_interval``.
    """
    return _sum_interval([seed_means, others], np.array([1.0, -1.0]), confidence)


def paired_interval(
    values: ArrayLike, others: ArrayLike, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the interval of the mean difference of pairs by Student's t.

    For an agent that was made from another one, seed by seed.

    Args:
        values: Mean return of each seed, shape (seeds,), at least 2.
        others: That of what each was made from, shape (seeds,).
        confidence: Coverage aimed at, in (0, 1).

    Returns:
        Lower and upper bound of the first less the second.

    Raises:
        ValueError: As in ``mean_interval``, or there are not as many of both.
    """
    return mean_interval(_differences(values, others), confidence)


def paired_p(values: ArrayLike, others: ArrayLike) -> float:
    """Return the two-sided p-value of Student's t test of pairs.

    Args:
        values: Mean return of each seed, shape (seeds,), at least 2.
        others: That of what each was made from, shape (seeds,).

    Raises:
        ValueError: As in ``paired_interval``.
    """
    differences = _differences(values, others)
    if not differences.std():
        return float(not differences.any())
    return float(ttest_1samp(differences, 0.0).pvalue)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust p-values for the number of tests (Holm 1979).

    The smallest of n p-values is multiplied by n, the next by n - 1, and so on; none falls below
    the one before it, and none exceeds 1. https://www.jstor.org/stable/4615733

    Args:
        p_values: P-values of all tests of a family, shape (tests,), each in [0, 1].

    Returns:
        Adjusted p-values in the order of the arguments, shape (tests,).

    Raises:
        ValueError: The p-values are not one-dimensional, or one is outside of [0, 1].
    """
    values = np.asarray(p_values, np.float64)
    if values.ndim != 1 or not ((values >= 0.0) & (values <= 1.0)).all():
        raise ValueError(f"p-values must be one-dimensional and within [0, 1], got {values}")
    order = np.argsort(values, kind="stable")
    raised = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(raised, 1.0)
    return adjusted


def non_inferiority_p(
    values: ArrayLike, others: ArrayLike, margin: float, *, paired: bool = False
) -> float:
    """Return the one-sided p-value of the test that a mean is not lower by the margin.

    It is at most p where the one-sided lower bound of confidence 1 - p is above the loss of the
    margin, by the bound of ``difference_interval`` or, of pairs, of ``paired_interval``.

    Args:
        values: Mean return of each seed, shape (seeds,), at least 2.
        others: Those of the other agent, shape (other seeds,), at least 2; of pairs (seeds,).
        margin: Loss that counts as none, above 0, in the units of the returns.
        paired: Whether seeds are pairs.

    Raises:
        ValueError: There are too few seeds, or not as many of both where they are pairs.
    """
    if paired:
        total, variance, freedom = _sum_of_means([_differences(values, others)], np.ones(1))
    else:
        total, variance, freedom = _sum_of_means([values, others], np.array([1.0, -1.0]))
    if not variance:
        return float(total <= -margin)
    return float(student_t.sf((total + margin) / np.sqrt(variance), freedom))


def _differences(values: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    one, two = _seeds(values, "a comparison"), _seeds(others, "a comparison")
    if len(one) != len(two):
        raise ValueError(f"pairs take as many of both, got {len(one)} and {len(two)}")
    return one - two


def grand_mean_interval(
    groups: Sequence[ArrayLike], confidence: float = 0.95
) -> tuple[float, float]:
    """Return the interval of the mean of the means of groups, which count alike.

    As ``difference_interval``, with the degrees of freedom of Welch 1947 for any sum of means.

    Args:
        groups: Values of the seeds of each group, each of shape (seeds,), at least 2; at least one
            group.
        confidence: Coverage aimed at, in (0, 1).

    Returns:
        Lower and upper bound in the units of the values.

    Raises:
        ValueError: As in ``mean_interval``.
    """
    return _sum_interval(groups, np.full(len(groups), 1.0 / len(groups)), confidence)


def _sum_interval(
    groups: Sequence[ArrayLike], factors: NDArray[np.float64], confidence: float
) -> tuple[float, float]:
    """Return the interval of the sum of the means of groups, each times its factor."""
    total, variance, freedom = _sum_of_means(groups, factors)
    if not variance:
        return total, total
    width = _quantile(confidence, freedom) * np.sqrt(variance)
    return float(total - width), float(total + width)


def _sum_of_means(
    groups: Sequence[ArrayLike], factors: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Return the sum of the means of groups, each times its factor, its variance and freedom."""
    values = [_seeds(group, "an interval") for group in groups]
    total = float(factors @ [group.mean() for group in values])
    variances = factors**2 * [group.var(ddof=1) / len(group) for group in values]
    variance = float(variances.sum())
    if not variance:
        return total, 0.0, math.inf
    shares = variances**2 / [len(group) - 1 for group in values]
    return total, variance, variance**2 / float(shares.sum())


def probability_of_improvement(values: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    """Return how probable it is that a run's value is above another's: ties count one half.

    The Mann-Whitney statistic over the number of pairs, as in Agarwal et al. 2021; one half is no
    difference. Values may be infinite.

    Args:
        values: (..., runs), higher is better.
        others: (..., other runs), with the same leading axes.

    Returns:
        (...,) in [0, 1].
    """
    one = np.asarray(values, np.float64)[..., :, np.newaxis]
    two = np.asarray(others, np.float64)[..., np.newaxis, :]
    share: NDArray[np.float64] = ((one > two) + 0.5 * (one == two)).mean(axis=(-2, -1))
    return share


def permutation_p(seed_means: ArrayLike, others: ArrayLike) -> float:
    """Return the two-sided p-value of a permutation test of the difference of two means.

    All ways to split the seeds between the agents are counted, of more than 200,000 as many drawn
    ones; twice the smaller tail.

    Args:
        seed_means: Mean return of each seed, shape (seeds,), at least 2.
        others: Those of the other agent, shape (other seeds,), at least 2.

    Raises:
        ValueError: There are too few seeds, or a score is not finite.
    """
    pair = (_seeds(seed_means, "a test"), _seeds(others, "a test"))
    return _permutation_p(*(tuple(means.tolist()) for means in pair))


@lru_cache(maxsize=1024)  # a table, its pages and its findings ask for the same
def _permutation_p(seed_means: tuple[float, ...], others: tuple[float, ...]) -> float:
    found = permutation_test(
        (np.array(seed_means), np.array(others)),
        lambda one, two, axis: np.mean(one, axis=axis) - np.mean(two, axis=axis),
        n_resamples=_MOST_SPLITS,
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def higher_mean_p(values: ArrayLike, others: ArrayLike) -> float:
    """Return the p-value of a permutation test of whether the first mean is higher.

    If both samples are drawn alike, every split of their union is as probable, whatever the
    distribution: skewed, bounded or with ties. 19,999 drawn splits and the one found are counted,
    so that a p-value of at most p is as probable as p or less (Phipson and Smyth 2010,
    https://doi.org/10.2202/1544-6115.1585), and none is below 1 / 20,000.

    Args:
        values: Finite scores, shape (n,).
        others: Those of the other sample, shape (m,).

    Raises:
        ValueError: There is no score, or one is not finite.
    """
    one, two = checked_scores(values, "scores"), checked_scores(others, "scores")
    pooled = np.concatenate((one, two))  # shape: (n + m,)
    sums = _drawn_splits(len(one), len(pooled)) @ pooled  # shape: (splits,)
    # Sums of the same scores in another order differ by rounding.
    as_high = sums >= one.sum() - 1e-9 * np.abs(pooled).sum()
    return float((1 + as_high.sum()) / (1 + len(sums)))


@lru_cache(maxsize=1)
def _drawn_splits(first: int, total: int) -> NDArray[np.float64]:
    """Return splits (splits, total): 1 for what falls to the first sample."""
    members = np.tile(np.arange(total) < first, (_DRAWN_SPLITS, 1)).astype(np.float64)
    return np.random.default_rng(0).permuted(members, axis=1)


def checked_scores(scores: ArrayLike, what: str) -> NDArray[np.float64]:
    """Return scores as an array.

    Args:
        scores: Scores of any shape.
        what: What to call them in the error.

    Raises:
        ValueError: There is none, or one is not finite.
    """
    array = np.asarray(scores, dtype=np.float64)
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError(
            f"{what} must hold at least one score and only finite ones, got shape {array.shape}"
        )
    return array


def _seeds(seed_means: ArrayLike, what: str) -> NDArray[np.float64]:
    values = checked_scores(seed_means, "means of seeds")
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"{what} takes the means of at least 2 seeds, got shape {values.shape}")
    return values


def _quantile(confidence: float, freedom: float) -> float:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must be within (0, 1), got {confidence}")
    return float(student_t.ppf((1.0 + confidence) / 2.0, freedom))
