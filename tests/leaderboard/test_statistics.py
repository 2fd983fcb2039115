"""Tests of statistics: by hand, and against other implementations."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, ttest_1samp, ttest_ind

from snn_gym.leaderboard.statistics import (
    difference_interval,
    interquartile_mean,
    mean_interval,
    median_interval,
    non_inferiority_p,
    paired_interval,
    paired_p,
    permutation_p,
    probability_of_improvement,
)

finite = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([5.0], 5.0),
        ([1.0, 3.0], 2.0),
        ([0.0, 1.0, 3.0, 100.0], 2.0),
        ([100.0, 0.0, 1.0, 2.0, 3.0], 2.0),  # floor(5 / 4) = 1 left out at each end
        ([[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 1000.0]], 3.5),
    ],
)
def test_interquartile_mean_by_hand(scores, expected):
    assert interquartile_mean(scores) == expected


@given(st.lists(finite, min_size=1, max_size=60))
def test_interquartile_mean_is_the_mean_of_the_sorted_middle(scores):
    left_out = len(scores) // 4
    middle = sorted(scores)[left_out : len(scores) - left_out]
    assert interquartile_mean(scores) == pytest.approx(np.mean(middle), rel=1e-12, abs=1e-9)


def test_intervals_of_a_median_are_ordered_values():
    # Published ranks of 95 % intervals of a median; of five values the range.
    for count, ends in {1: (1, 1), 5: (1, 5), 6: (1, 6), 10: (2, 9), 20: (6, 15)}.items():
        assert median_interval(np.random.default_rng(0).permutation(count) + 1.0) == ends
    assert median_interval([np.inf, 1.0, 2.0, 3.0, 4.0]) == (1.0, np.inf)
    for bad in ([], [1.0, np.nan]):
        with pytest.raises(ValueError, match="takes values that are not NaN"):
            median_interval(bad)


@pytest.mark.parametrize("scores", [[], [np.nan], [1.0, np.inf]])
def test_empty_and_non_finite_scores_are_refused(scores):
    with pytest.raises(ValueError, match="only finite ones"):
        interquartile_mean(scores)


def test_pairs_by_hand():
    # Differences 1, 2 and 3, however far apart the pairs are: t = 2 / (1 / sqrt(3)) = 3.4641.
    values, others = [1.0, 102.0, 503.0], [0.0, 100.0, 500.0]
    assert paired_interval(values, others) == pytest.approx(mean_interval([1.0, 2.0, 3.0]))
    # With 2 degrees of freedom P(|t| > x) is 1 - x / sqrt(2 + x^2).
    assert paired_p(values, others) == pytest.approx(1.0 - math.sqrt(12.0 / 14.0))
    assert paired_p(others, others) == 1.0
    assert paired_p([1.0, 2.0], [0.0, 1.0]) == 0.0
    with pytest.raises(ValueError, match="pairs take as many of both, got 2 and 3"):
        paired_interval([1.0, 2.0], others)


def test_the_interval_of_a_mean_by_hand():
    # mean 2, standard deviation 1, standard error 1 / sqrt(3), t(0.975, 2) = 4.30265273
    half = 4.30265273 / math.sqrt(3.0)
    assert mean_interval([1.0, 2.0, 3.0]) == pytest.approx((2.0 - half, 2.0 + half))
    # one-sided: t(0.95, 2) = 2.91998558
    assert mean_interval([1.0, 2.0, 3.0], 0.9)[0] == pytest.approx(2.0 - 2.91998558 / math.sqrt(3))
    assert mean_interval([-4.0, -4.0]) == (-4.0, -4.0)


def test_the_interval_of_a_difference_by_hand():
    # Variances of the means 1/3 and 4/3: (5/3)^2 / ((1/3)^2 / 2 + (4/3)^2 / 2) = 50/17 degrees.
    low, high = difference_interval([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])
    assert (low + high) / 2 == pytest.approx(-2.0)
    assert high - low == pytest.approx(2 * 3.2210 * math.sqrt(5 / 3), rel=1e-3)
    assert difference_interval([3.0, 3.0], [1.0, 1.0]) == (2.0, 2.0)
    # A twin that is always equal gives degrees of freedom of the other alone.
    assert difference_interval([1.0, 2.0, 3.0], [2.0] * 9) == pytest.approx(
        np.subtract(mean_interval([1.0, 2.0, 3.0]), 2.0)
    )


samples = st.lists(st.sampled_from([0.0, 1.0, 2.5, 7.0, 500.0]), min_size=2, max_size=6)


@pytest.mark.filterwarnings("ignore:Precision loss occurred")
@given(samples, samples)
def test_intervals_equal_scipy(one, two):
    if len(set(one)) > 1:
        expected = ttest_1samp(one, 0.0).confidence_interval(0.9)
        assert mean_interval(one, 0.9) == pytest.approx(tuple(expected))
    if len(set(one)) > 1 or len(set(two)) > 1:
        welch = ttest_ind(one, two, equal_var=False).confidence_interval(0.9)
        assert difference_interval(one, two, 0.9) == pytest.approx(tuple(welch))


@pytest.mark.parametrize(
    ("values", "others", "probability"),
    [
        ([2.0, 3.0], [1.0, 2.0, -np.inf], 5.5 / 6),  # 2 ties with 2, all else is won
        ([500.0], [500.0, 500.0], 0.5),
        ([1.0], [2.0, 3.0], 0.0),
        ([-np.inf], [-np.inf], 0.5),
    ],
)
def test_the_probability_of_improvement_by_hand(values, others, probability):
    assert probability_of_improvement(values, others) == pytest.approx(probability)
    both = probability_of_improvement([values, values], [others, others])
    assert both == pytest.approx([probability, probability])


@given(samples, samples)
def test_probability_of_improvement_equals_mann_whitney(one, two):
    expected = mannwhitneyu(one, two, method="asymptotic").statistic / (len(one) * len(two))
    assert probability_of_improvement(one, two) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("one", "two", "p"),
    [
        ([4.0, 5.0, 6.0], [1.0, 2.0, 3.0], 2 / 20),  # one of 20 splits, and its mirror image
        ([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], 2 / 20),
        ([1.0, 1.0], [1.0, 1.0], 1.0),
        # Splits of 0, 1, 2, 9 by their sums: 1, 2, 3, 9, 10, 11; at least 10 have two of six.
        ([1.0, 9.0], [0.0, 2.0], 4 / 6),
        # Of ten seeds at the ceiling, one that failed may as well be the other agent's.
        ([500.0] * 5, [500.0] * 4 + [10.0], 1.0),
        # Equal means, whose sums of decimals differ by rounding.
        ([0.07, 0.02], [0.01, 0.08, 0.03, 0.06], 1.0),
    ],
)
def test_all_splits_are_counted(one, two, p):
    assert permutation_p(one, two) == pytest.approx(p)


def test_ten_seeds_against_ten_are_all_split():
    low, high = np.arange(10.0), np.arange(10.0) + 20
    assert permutation_p(low, high) == pytest.approx(2 / math.comb(20, 10))
    # With more there are drawn ones, the same each time, and the observed one counts.
    assert permutation_p(np.arange(11.0), np.arange(11.0) + 20) == 2 / 200_001


@pytest.mark.parametrize("function", [mean_interval, lambda x: permutation_p(x, [1.0, 2.0])])
def test_single_seeds_are_refused(function):
    with pytest.raises(ValueError, match=r"at least 2 seeds, got shape \(1,\)"):
        function([1.0])
    with pytest.raises(ValueError, match="only finite ones"):
        function([1.0, np.nan])


@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_confidence_outside_0_to_1_is_refused(confidence):
    with pytest.raises(ValueError, match=r"confidence must be within \(0, 1\)"):
        mean_interval([1.0, 2.0], confidence)


@pytest.mark.parametrize("paired", [False, True])
def test_non_inferiority_agrees_with_the_lower_bound(paired):
    one, two = [4.0, 6.0, 5.0, 8.0], [5.0, 6.5, 5.5, 7.0]
    interval = paired_interval if paired else difference_interval
    bound, _ = interval(one, two, 0.9)
    p = non_inferiority_p(one, two, -bound, paired=paired)
    assert p == pytest.approx(0.05)
    assert non_inferiority_p(one, two, 1.01 * -bound, paired=paired) < 0.05


@pytest.mark.parametrize("paired", [False, True])
def test_non_inferiority_of_identical_seeds(paired):
    assert non_inferiority_p([3.0, 3.0], [4.0, 4.0], 2.0, paired=paired) == 0.0
    assert non_inferiority_p([3.0, 3.0], [4.0, 4.0], 1.0, paired=paired) == 1.0
