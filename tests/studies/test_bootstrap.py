"""The bootstrap over runs against exact enumeration and known coverage."""

import itertools

import numpy as np
import pytest
from scipy.stats import trim_mean

from snn_gym.leaderboard.statistics import interquartile_mean
from studies.bootstrap import stratified_bootstrap_interval


@pytest.mark.parametrize("confidence", [0.4, 0.8])
def test_interval_spans_the_percentiles_of_all_possible_resamples(confidence):
    runs = np.array([[0.0, 2.0], [10.0, 12.0], [11.0, 40.0]])
    # All 27 equally likely draws of three runs out of three: the bootstrap's exact distribution.
    exact = [interquartile_mean(runs[list(draw)]) for draw in itertools.product(range(3), repeat=3)]
    found = stratified_bootstrap_interval(
        [runs], np.random.default_rng(1), replicates=20_000, confidence=confidence
    )
    tail = (1 - confidence) / 2
    expected = np.quantile(exact, [tail, 1 - tail], method="inverted_cdf")
    assert found == pytest.approx(tuple(expected))


def test_one_replicate_has_no_width():
    runs = np.array([[0.0], [1.0], [5.0]])
    low, high = stratified_bootstrap_interval([runs], np.random.default_rng(0), replicates=1) or ()
    assert low == high


def test_runs_are_resampled_within_their_stratum():
    # Each stratum's runs are alike, so that nothing can vary unless runs change their stratum.
    strata = [np.zeros((4, 3)), np.full((4, 3), 100.0)]
    low, high = stratified_bootstrap_interval(strata, np.random.default_rng(0)) or (0.0, 0.0)
    assert low == high == 50.0


def test_episodes_stay_with_their_run():
    # Two runs that disagree wholly: a replicate is all 0, all 1 or half of each.
    runs = np.array([[0.0] * 50, [1.0] * 50])
    interval = stratified_bootstrap_interval([runs], np.random.default_rng(0))
    assert interval == (0.0, 1.0)


def test_one_run_gives_no_interval():
    assert stratified_bootstrap_interval([np.ones((1, 9))], np.random.default_rng(0)) is None


def test_the_interval_has_about_its_nominal_coverage():
    generator = np.random.default_rng(7)
    hits = 0
    for _ in range(200):
        runs = generator.normal(0.0, 1.0, size=(20, 1)) + generator.normal(0.0, 1.0, (20, 10))
        low, high = stratified_bootstrap_interval([runs], generator, replicates=300) or (1.0, 1.0)
        hits += low <= 0.0 <= high  # the interquartile mean of a symmetric law is its centre
    assert 0.88 <= hits / 200 <= 0.99


def test_only_the_generator_decides():
    runs = np.random.default_rng(3).normal(size=(6, 5))
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state must not move
    first = stratified_bootstrap_interval([runs], np.random.default_rng(0))
    again = stratified_bootstrap_interval([runs], np.random.default_rng(0))
    other = stratified_bootstrap_interval([runs], np.random.default_rng(1))
    assert first == again != other
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


def test_memory_batches_do_not_change_the_result(monkeypatch):
    runs = np.random.default_rng(3).normal(size=(6, 5))
    whole = stratified_bootstrap_interval([runs], np.random.default_rng(0), replicates=100)
    # 7 replicates at a time, and a last batch of 2.
    monkeypatch.setattr("studies.bootstrap._SCORES_PER_BATCH", 7 * runs.size)
    assert stratified_bootstrap_interval([runs], np.random.default_rng(0), replicates=100) == whole


@pytest.mark.parametrize(
    ("limit", "sizes"), [(7 * 30, [210] * 14 + [60]), (30, [30] * 100), (1, [30] * 100)]
)
def test_a_batch_holds_no_more_scores_than_the_limit_or_one_replicate(limit, sizes, monkeypatch):
    held = []

    def noted(scores, *arguments, **options):
        held.append(scores.size)
        return trim_mean(scores, *arguments, **options)

    monkeypatch.setattr("studies.bootstrap.trim_mean", noted)
    monkeypatch.setattr("studies.bootstrap._SCORES_PER_BATCH", limit)
    stratified_bootstrap_interval([np.ones((6, 5))], np.random.default_rng(0), replicates=100)
    assert held == sizes


def test_an_interval_is_of_2000_replicates():
    runs = np.random.default_rng(3).normal(size=(6, 5))
    bounds = [
        stratified_bootstrap_interval([runs], np.random.default_rng(0), **options)
        for options in ({}, {"replicates": 2000}, {"replicates": 2001})
    ]
    assert bounds[0] == bounds[1] != bounds[2]


@pytest.mark.parametrize(("strata", "options", "match"), [
    ([], {}, "at least one array"),
    ([np.ones(3)], {}, "shape"),
    ([np.ones((2, 0))], {}, "at least one score"),
    ([np.ones((2, 2))], {"confidence": 0.0}, "confidence"),
    ([np.ones((2, 2))], {"confidence": 1.0}, "confidence"),
    ([np.ones((2, 2))], {"replicates": 0}, "replicates"),
])  # fmt: skip
def test_bad_arguments_are_named(strata, options, match):
    with pytest.raises(ValueError, match=match):
        stratified_bootstrap_interval(strata, np.random.default_rng(0), **options)
