"""Tests of the studies against values worked by hand and other implementations."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, rankdata

from snn_gym.leaderboard.statistics import permutation_p
from studies.statistics import equal_to, holm, holm_by_name, p_value, rank_sum_p, sign_flip_p

INF = np.inf
samples = st.lists(st.sampled_from([1.0, 2.0, 3.0, 10.0, INF]), min_size=2, max_size=5)


def test_too_many_signs_are_refused():
    with pytest.raises(ValueError, match="1 to 20 seeds"):
        sign_flip_p([0.0] * 21)


@pytest.mark.parametrize(("strata", "p"), [
    ([([1, 2], [3, 4])], 2 / 6),  # the lowest of 6 splits, twice
    ([([3, 4], [1, 2])], 2 / 6),
    ([([1, 2], [2, 3])], 4 / 6),  # ranks 1, 2.5, 2.5, 4: two splits have 3.5
    ([([1, 4], [2, 3])], 1.0),  # rank sum 5, the middle
    ([([INF, INF], [7, 9])], 2 / 6),
    ([([INF], [INF])], 1.0),
    ([([1, 2, 3], [4, 5, 6])], 2 / 20),
    ([([1, 2], [3, 4]), ([10, 20], [30, 40])], 2 / 36),  # the lowest of 6 * 6
    ([([1, 2], [3, 4]), ([30, 40], [10, 20])], 1.0),  # one says this, the other that
    ([([1], [2]), ([1, 2], [3, 5])], 2 / 12),
])  # fmt: skip
def test_all_splits_are_counted(strata, p):
    assert rank_sum_p(strata) == pytest.approx(p, rel=1e-12)


@given(samples, samples)
@settings(max_examples=25, deadline=None)
def test_one_stratum_is_the_permutation_test_of_the_ranks(first, second):
    ranks = rankdata([*first, *second])
    expected = permutation_p(ranks[: len(first)], ranks[len(first) :])
    assert rank_sum_p([(first, second)]) == pytest.approx(expected, abs=1e-12)


def test_strata_are_counted_as_by_enumeration():
    strata = [([1.0, 5.0], [2.0, 2.0, INF]), ([3.0], [1.0, 4.0])]
    ranks = [rankdata(one + two) for one, two in strata]
    sums = [
        sum(left) + sum(right)
        for left in itertools.combinations(ranks[0], 2)
        for right in itertools.combinations(ranks[1], 1)
    ]
    observed = ranks[0][:2].sum() + ranks[1][:1].sum()
    tails = np.mean(np.array(sums) <= observed), np.mean(np.array(sums) >= observed)
    assert rank_sum_p(strata) == pytest.approx(min(1.0, 2 * min(tails)))


def test_many_runs_are_counted_exactly_too():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=30), rng.normal(0.5, size=30)
    expected = mannwhitneyu(first, second, method="exact").pvalue
    assert rank_sum_p([(first, second)]) == pytest.approx(expected)


def test_samples_without_runs_are_refused():
    with pytest.raises(ValueError, match=r"two samples with runs, got sizes \[\(1, 0\)\]"):
        rank_sum_p([([1.0], [])])
    with pytest.raises(ValueError, match=r"got sizes \[\]"):
        rank_sum_p([])


def test_holm_multiplies_by_the_remaining_tests_and_never_falls():
    # ordered: 0.01 * 3, 0.03 * 2, 0.04 * 1 raised to the one before
    assert holm_by_name({"b": 0.04, "a": 0.01, "c": 0.03}) == pytest.approx(
        {"b": 0.06, "a": 0.03, "c": 0.06}
    )
    assert holm_by_name({}) == {}
    assert holm_by_name({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}


def test_p_values_in_words():
    shown = [p_value(p) for p in (0.00099, 0.001, 0.0461, 0.0994, 0.1, 0.444)]
    assert shown == ["< 0.001", "0.001", "0.046", "0.099", "0.10", "0.44"]
    assert (equal_to(0.0001), equal_to(0.5)) == ("p < 0.001", "p = 0.50")


@given(st.lists(st.floats(0.0, 1.0), max_size=12))
def test_holm_is_the_largest_of_the_products_up_to_each_p_value(p_values):
    # Westfall and Young: max over p_j <= p_i of (number of p_k >= p_j) * p_j, at most 1.
    expected = [
        min(1.0, max(sum(z >= y for z in p_values) * y for y in p_values if y <= x))
        for x in p_values
    ]
    assert holm(p_values).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("p_values", [[1.1], [-0.1], [math.nan], [[0.5]]])
def test_invalid_p_values_are_refused(p_values):
    with pytest.raises(ValueError, match=r"p-values must be one-dimensional and within \[0, 1\]"):
        holm(p_values)
