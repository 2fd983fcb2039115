"""Candidate intervals, by hand and against other implementations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from snn_gym.leaderboard.statistics import mean_interval
from studies.bootstrap import stratified_bootstrap_interval
from studies.intervals import methods


def test_t_of_a_trimmed_mean_by_hand():
    # Winsorised 2 2 3 4 4: variance 1, of the middle three 4 / (3 * 2); t(0.975, 2) = 4.30265273.
    half = 4.30265273 * np.sqrt(2 / 3)
    found = methods.t_of_trimmed_mean(np.array([[3.0, -900.0, 4.0, 2.0, 7.0]]))
    assert found[:, 0] == pytest.approx([3.0 - half, 3.0 + half])


@pytest.mark.filterwarnings("ignore:Precision loss occurred")
@given(st.lists(st.sampled_from([0.0, 1.0, 2.5, 7.0, 500.0]), min_size=4, max_size=12))
def test_t_of_a_trimmed_mean_is_yuens(seeds):
    low, high = methods.t_of_trimmed_mean(np.array([seeds]))[:, 0]
    if high > low:
        # The bounds are the constants that Yuen's test just does not refuse.
        for bound in (low, high):
            constant = np.full(len(seeds), bound)
            yuen = ttest_ind(seeds, constant, equal_var=False, trim=0.25)
            assert yuen.pvalue == pytest.approx(0.05)
    few = np.array([seeds[:3]])
    assert methods.t_of_trimmed_mean(few)[:, 0] == pytest.approx(mean_interval(seeds[:3]))
    assert tuple(methods.t_of_mean(few)[:, 0]) == mean_interval(seeds[:3])


def test_the_bounded_interval_by_hand():
    # Of two seeds the one-sided Kolmogorov-Smirnov band d of 2.5 % fulfils (1 - d)^2 = 0.025.
    band = 1 - np.sqrt(0.025)
    low, high = methods.bounded(np.array([[1.0, 1.0], [0.2, 0.2]]), (0.0, 1.0))
    assert low == pytest.approx([1 - band, 0.2 * (1 - band)])
    assert high == pytest.approx([1.0, 0.2 + 0.8 * band])


@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_bootstraps_of_two_seeds_span_them(method):
    # A quarter of the resamples has the one seed alone, a quarter the other.
    means = np.array([[1.0, 3.0], [8.0, 2.0], [5.0, 5.0]])
    for statistic in (np.mean, methods.interquartile):
        found = methods.bootstrapped(means, statistic, method, np.random.default_rng(0))
        assert found.tolist() == [[1.0, 2.0, 5.0], [3.0, 8.0, 5.0]]


def test_repeats_are_bootstrapped_in_pieces(monkeypatch):
    monkeypatch.setattr(methods, "_CHUNK", 2)
    means = np.arange(5.0)[:, np.newaxis] + [0.0, 1.0]
    found = methods.bootstrapped(means, np.mean, "percentile", np.random.default_rng(0))
    assert found.tolist() == [[0, 1, 2, 3, 4], [1, 2, 3, 4, 5]]


def test_the_bootstrap_by_episodes_is_that_of_each_repeat():
    returns = np.random.default_rng(0).normal(size=(3, 5, 4))
    found = methods.by_episodes(returns, np.random.default_rng(1))
    generator = np.random.default_rng(1)
    each = [stratified_bootstrap_interval([x], generator, replicates=500) for x in returns]
    assert found.T.tolist() == [list(bounds or ()) for bounds in each]
