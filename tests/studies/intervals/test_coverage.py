"""What the study measures, on laws whose answer is known, and that it can be measured again."""

import dataclasses

import numpy as np
import pytest

from snn_gym.envs.registry import load_environment_spec
from snn_gym.leaderboard.results import list_rows
from studies.files import read_run
from studies.intervals import coverage, methods
from studies.intervals.__main__ import RESULTS, ROOT
from studies.intervals.coverage import SEEDS, Results, share_held
from studies.intervals.populations import Population, failed, failing, real, synthetic

MEASURED = read_run(Results, RESULTS)
TRAINED = (ROOT / "leaderboard", ROOT / "studies" / "lean" / "results")


def test_an_interval_holds_its_bounds_up_to_rounding():
    intervals = np.array([[0.0, 1.0, 2.0, 1.1], [1.0, 2.0, 3.0, 0.9]])
    assert share_held(intervals, 1.0) == 0.5
    assert share_held(intervals + 1e-12, 1.0) == 0.5


def test_a_share_of_the_seeds_fails():
    drawn = failing(0.3)(np.random.default_rng(0), 100_000)
    assert np.mean(drawn < 0.5) == pytest.approx(0.3, abs=0.01)
    assert drawn.mean() == pytest.approx(0.95 - 0.3 * 0.75, abs=0.01)


def test_the_mean_of_a_seeds_episodes_follows_its_law():
    ceiling = next(x for x in synthetic() if "ceiling" in x.name)
    drawn = ceiling.draw(np.random.default_rng(0), 2000)
    assert drawn.shape == (2000, 20)
    assert np.mean(np.isclose(drawn.mean(axis=1), 1.0)) == pytest.approx(0.5, abs=0.05)
    assert drawn.std(axis=1).mean() == pytest.approx(0.1, rel=0.05)


def test_a_trained_population_is_its_ten_seeds():
    found = {population.name: population for population in real(*TRAINED)}
    population = found["ppo-lif, LunarLander-v3"]
    means = [
        row.score.mean
        for row in list_rows(TRAINED[0])
        if (row.agent, row.environment) == ("ppo-lif", "LunarLander-v3")
    ]
    drawn = population.draw(np.random.default_rng(0), 500).mean(axis=1)
    assert sorted(set(drawn)) == pytest.approx(sorted(set(means)))
    assert population.whole.mean() == pytest.approx(np.mean(means))
    reference = load_environment_spec("LunarLander-v3").reference
    assert population.bounds == (reference.random, reference.maximum)


def test_seeds_that_are_all_alike_are_no_population():
    names = {population.name for population in real(*TRAINED)}
    assert "ppo-lif, Pendulum-v1" in names
    assert "ppo-lif, CartPole-v1" not in names  # 500 on all ten seeds


def test_coverage_of_a_known_law(monkeypatch):
    monkeypatch.setattr(coverage, "REPEATS", 400)
    monkeypatch.setattr(coverage, "EPISODE_REPEATS", 20)
    # Of two coins, an interval holds 1/2 unless both fall alike: half of the repeats.
    coins = Population(
        "coins",
        lambda generator, count: generator.integers(2, size=(count, 1)).astype(float),
        np.array([[0.0], [1.0]] * 2),
        (0.0, 1.0),
    )
    rows = list(coverage.coverages(coins, 2, 0))
    assert [(row.statistic, row.method) for row in rows] == [
        (statistic, method)
        for statistic in coverage.METHODS
        for method in coverage.METHODS[statistic]
    ]
    shares = {(row.statistic, row.method): row.coverage for row in rows}
    for method in ("t", "percentile", "BCa"):
        assert shares["mean", method] == pytest.approx(0.5, abs=0.08)
    assert shares["mean", "bounded"] == 1.0
    widths = {row.method: row.width for row in rows if row.statistic == "mean"}
    # As wide as both coins in half of the repeats, a standard deviation being 1/2.
    assert widths["percentile"] == pytest.approx(2 * shares["mean", "percentile"])


@pytest.mark.parametrize("seeds", SEEDS)
def test_coverage_is_measured_again_with_equal_result(seeds):
    for index, population in enumerate(synthetic()):
        drawn = population.draw(np.random.default_rng([index, seeds]), coverage.REPEATS * seeds)
        means = drawn.reshape(coverage.REPEATS, seeds, -1).mean(axis=2)
        share = share_held(methods.t_of_mean(means), float(population.whole.mean()))
        (row,) = (
            row
            for row in MEASURED.coverage
            if (row.population, row.seeds, row.statistic, row.method)
            == (population.name, seeds, "mean", "t")
        )
        assert row.coverage == pytest.approx(share, abs=0.001)
        assert row.repeats == 2000


def test_verdicts_can_be_measured_again():
    assert [dataclasses.asdict(x) for x in coverage.verdicts()] == [
        dataclasses.asdict(x) for x in MEASURED.verdicts
    ]


def test_every_synthetic_population_was_measured():
    names = {row.population for row in MEASURED.coverage}
    assert {population.name for population in synthetic()} <= names
    assert {failed(share) for share in (0.1, 0.2, 0.3)} <= names
    assert len(names) >= 16
