"""Tests of gradient-free baselines with scripted judges: proposals, comparisons, kept weights."""

import numpy as np
import pytest

from tests.learners.cases import SMALL, make
from tests.learners.scripted import attach


def learner(name, **arguments):
    return make(name, network=SMALL, **arguments)


def distance_to(target):
    return lambda flat, seed: -float(np.square(flat - target).sum())


@pytest.mark.parametrize("comparison", ["until_accepted", "kept_score"])
@pytest.mark.parametrize("name", ["AcceptReject", "WinStay"])
def test_returns_never_decrease_without_randomness(name, comparison):
    model = learner(name, comparison=comparison, step_size=0.1)
    score = distance_to(np.zeros(model.weights.size))
    attach(model, score)
    scores = []
    for _ in range(200):
        model._iterate()
        scores.append(score(model.weights, 0))
    assert (np.diff(scores) >= 0).all()
    assert scores[-1] > scores[0] + 0.1


def test_equal_candidates_are_accepted():
    model = learner("AcceptReject", probe_episodes=1)
    attach(model, lambda flat, seed: 1.0)
    before = model.weights
    model._iterate()
    assert (model.weights != before).all()


def episodes(model, judge, iterations):
    """Networks and number of seeds of each judgement."""
    for _ in range(iterations):
        model._iterate()
    return [(networks, len(seeds)) for networks, seeds in judge.asked]


def falling():
    """Every network is worse than the previous network."""
    count = iter(range(10**6))
    return lambda flat, seed: -float(next(count))


def rising():
    """Every network is better than the previous network."""
    count = iter(range(10**6))
    return lambda flat, seed: float(next(count))


COSTS = {
    # Rejected candidates: the weights held are judged once.
    ("until_accepted", "falling"): [(2, 3), (1, 3), (1, 3)],
    ("kept_score", "falling"): [(2, 3), (1, 3), (1, 3)],
    # Accepted ones: only a kept score needs no second judgement of the weights now held.
    ("until_accepted", "rising"): [(2, 3), (2, 3), (2, 3)],
    ("kept_score", "rising"): [(2, 3), (1, 3), (1, 3)],
}


@pytest.mark.parametrize(("comparison", "trend"), COSTS)
def test_comparisons_judge_as_many_networks_as_documented(comparison, trend):
    model = learner("AcceptReject", comparison=comparison, probe_episodes=3)
    judge = attach(model, {"falling": falling, "rising": rising}[trend]())
    assert episodes(model, judge, 3) == COSTS[comparison, trend]
    assert model.num_episodes == sum(n * e for n, e in COSTS[comparison, trend])
    seeds = [tuple(asked) for _, asked in judge.asked]
    same = comparison == "until_accepted" and trend == "falling"
    assert len(set(seeds)) == (1 if same else 3)


def test_kept_score_is_the_mean_at_acceptance():
    model = learner("AcceptReject", comparison="kept_score", probe_episodes=2)
    values = iter([4, 4, 6, 8, 6.9, 7.0, 8, 6])  # held, accepted at 7, rejected, accepted at 7
    attach(model, lambda flat, seed: next(values))
    kept = []
    for _ in range(3):
        model._iterate()
        kept.append(model.weights)
    assert not np.array_equal(kept[0], make("AcceptReject", network=SMALL).weights)
    assert np.array_equal(kept[0], kept[1])
    assert not np.array_equal(kept[1], kept[2])


def test_steps_have_the_given_size_and_share():
    model = learner("AcceptReject", moved_share=0.3)
    steps = np.array([model._propose() - model.weights for _ in range(400)])
    moved = (steps != 0).mean()
    # One weight of W moves for sure, the others with probability 0.3.
    expected = 0.3 + 0.7 / steps.shape[1]
    assert moved == pytest.approx(expected, abs=5 * np.sqrt(0.25 / steps.size))
    normal = learner("AcceptReject", step_size=0.25)
    steps = np.array([normal._propose() - normal.weights for _ in range(400)])
    assert steps.std() == pytest.approx(0.25, rel=0.05)
    assert abs(steps.mean()) < 5 * 0.25 / np.sqrt(steps.size)


def test_win_stay_repeats_a_win_and_shifts_after_a_loss():
    model = learner("WinStay", step_size=0.5)
    start, moves = model.weights, model.memory.moves.copy()
    assert set(np.unique(moves)) <= {-1, 0, 1}
    attach(model, rising())
    model._iterate()
    model._iterate()
    np.testing.assert_allclose(model.weights, start + 2 * 0.5 * moves, rtol=1e-6, atol=1e-6)
    assert np.array_equal(model.memory.moves, moves)
    held = model.weights
    attach(model, falling())
    model._iterate()
    assert np.array_equal(model.weights, held)
    assert not np.array_equal(model.memory.moves, moves)


def test_win_stay_shifts_after_a_draw():
    model = learner("WinStay")
    start, moves = model.weights, model.memory.moves.copy()
    attach(model, lambda flat, seed: 0.0)
    model._iterate()
    assert not np.array_equal(model.weights, start)
    assert not np.array_equal(np.abs(model.memory.moves), np.abs(moves))


def test_random_search_keeps_the_best_of_new_and_current_weights():
    model = learner("RandomSearch", candidates=5, probe_episodes=2)
    judge = attach(model, distance_to(np.zeros(model.weights.size)))
    best = -np.inf
    for _ in range(10):
        model._iterate()
        assert judge.score(model.weights, 0) >= best
        best = judge.score(model.weights, 0)
    assert {(networks, len(seeds)) for networks, seeds in judge.asked} == {(6, 2)}
    assert len({tuple(seeds) for _, seeds in judge.asked}) == 10
    attach(model, lambda flat, seed: 0.0)
    held = model.weights
    model._iterate()
    assert np.array_equal(model.weights, held)  # nothing was better
