"""Estimates over seeds, against values worked by hand and other implementations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from snn_gym.scoring.statistics import interquartile_mean
from studies.dynamics.statistics import (
    Estimate,
    estimate,
    iqm,
    iqm_difference,
    median,
    rank_correlation,
    superiority,
)

INF = np.inf
counts = st.lists(st.sampled_from([1.0, 2.0, 3.0, 10.0, INF]), min_size=1, max_size=6)


def test_medians_count_failures() -> None:
    assert median(np.array([5.0, INF, 1.0])).value == 5.0
    assert median(np.array([5.0, INF, 1.0, INF])).value == INF
    assert median(np.array([INF, INF, INF])) == Estimate(INF, (INF, INF))
    # Of three runs, one in 27 resamples has the smallest alone: within 2.5 % at neither end.
    assert median(np.array([5.0, INF, 1.0])).interval == (1.0, INF)


def test_one_run_has_no_interval() -> None:
    assert median(np.array([7.0])) == Estimate(7.0, None)
    assert Estimate(7.0, None).against(0.0) == "open"


def test_superiority_by_hand() -> None:
    # Pairs: 1 beats all three; 2 ties with 2 and beats the other two.
    assert superiority(np.array([1.0, 2.0]), np.array([2.0, 3.0, INF])).value == 5.5 / 6
    # Two failures are equally bad.
    assert superiority(np.array([INF]), np.array([INF])).value == 0.5
    assert superiority(np.array([INF]), np.array([9.0])).value == 0.0


@given(counts, counts)
def test_one_sample_is_the_better_one_as_often_as_the_other_is_the_worse_one(
    first: list[float], second: list[float]
) -> None:
    ours, theirs = superiority(np.array(first), np.array(second)), np.array(second)
    assert ours.value + superiority(theirs, np.array(first)).value == pytest.approx(1.0)
    if ours.interval is not None:
        assert 0.0 <= ours.interval[0] <= ours.interval[1] <= 1.0


def test_separate_samples_are_told_apart() -> None:
    low, high = np.arange(10.0), np.arange(10.0) + 20
    assert superiority(low, high).against(0.5) == "above"
    assert superiority(high, low).against(0.5) == "below"
    assert superiority(low, low).against(0.5) == "open"


def test_pairs_are_drawn_together() -> None:
    values = np.array([0.0, 100.0, 3.0, 50.0, 7.0])
    # Every pair differs by 2, whatever seeds are drawn; apart they differ by much more.
    together, apart = (iqm_difference(values + 2, values, paired=x) for x in (True, False))
    assert together.interval is not None
    assert (together.value, *together.interval) == pytest.approx((2.0, 2.0, 2.0))
    assert apart.interval is not None
    assert apart.interval[1] - apart.interval[0] > 10
    with pytest.raises(ValueError, match=r"paired ones equally many; got \[2, 3\]"):
        iqm_difference(np.zeros(2), np.zeros(3), paired=True)
    with pytest.raises(ValueError, match="samples need runs"):
        median(np.zeros(0))


def test_difference_of_iqms_by_hand() -> None:
    # Of four values the middle two count: (2 + 3) / 2 - (0 + 10) / 2.
    values, others = np.array([1.0, 2.0, 3.0, 99.0]), np.array([-9.0, 0, 10, 11])
    for paired in (False, True):
        assert iqm_difference(values, others, paired=paired).value == 2.5 - 5.0


def test_interval_of_a_mean_agrees_with_its_standard_error() -> None:
    values = np.tile([0.0, 1.0], 200)
    found = estimate([values], lambda x: x.mean(axis=1))
    assert found.value == 0.5
    assert found.interval is not None
    # 1.96 standard errors of a share of one half among 400.
    assert np.subtract(*found.interval[::-1]) == pytest.approx(2 * 1.96 * 0.5 / 20, rel=0.1)


def test_iqm_is_that_of_the_results_table() -> None:
    scores = np.random.default_rng(0).normal(size=(5, 8))
    found = iqm(scores)
    assert found.value == interquartile_mean(scores)
    assert found.interval is not None
    assert found.interval[0] < found.value < found.interval[1]


def test_rank_correlation_is_spearmans() -> None:
    rng = np.random.default_rng(0)
    samples = [rng.normal(size=4), rng.normal(size=3) + 1, np.array([1.0, 1.0, INF])]
    levels = [8, 16, 32]
    expected = spearmanr(np.repeat(levels, [4, 3, 3]), np.concatenate(samples)).statistic
    assert rank_correlation(levels, samples).value == pytest.approx(expected)
    # Constant values correlate with nothing.
    assert rank_correlation(levels, [np.ones(2)] * 3) == Estimate(0.0, (0.0, 0.0))


def test_estimates_do_not_depend_on_those_before() -> None:
    values = np.random.default_rng(1).normal(size=9)
    first = estimate([values], lambda x: x.mean(axis=1))
    median(values)
    assert estimate([values], lambda x: x.mean(axis=1)) == first
