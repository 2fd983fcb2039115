"""Tests of the efficiency of learning, on curves made by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.leaderboard.efficiency import mean_over_steps, running_return, steps_until
from snn_gym.leaderboard.manifest import LearningCurve
from snn_gym.leaderboard.table import summaries
from tests.leaderboard.test_table import make_row


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.integers(1, 50)), min_size=1, max_size=50))
def test_running_returns_are_those_of_a_loop(curve):
    returns, episodes = map(np.array, zip(*curve, strict=True))
    expected = np.full(len(curve), np.nan)
    for end in range(len(curve)):
        for start in range(end + 1):  # the last start with 20 episodes stays
            if episodes[start : end + 1].sum() >= 20:
                last = slice(start, end + 1)
                expected[end] = np.average(returns[last], weights=episodes[last])
    np.testing.assert_allclose(running_return(returns, episodes), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("returns", "episodes", "expected"),
    [
        ([9.0, 0.0, 0.0, 0.0], [20] * 4, 100),  # at once, whatever follows
        ([0.0, 1.0, 2.0, 4.9], [20] * 4, math.inf),  # never
        ([0.0, 4.0, 6.0, 6.0], [20] * 4, 300),  # between two points: the later one
        ([5.0, 5.0, 5.0, 5.0], [20] * 4, 100),  # equal is enough
        ([0.0, 4.0, 6.0, 8.0], [20, 10, 10, 10], 300),  # two points hold 20 episodes
        ([9.0, 9.0, 9.0, 9.0], [1, 1, 1, 17], 400),  # 20 episodes have to end first
    ],
)
def test_steps_until_a_threshold_by_hand(returns, episodes, expected):
    assert steps_until([100, 200, 300, 400], returns, episodes, 5.0) == expected


@pytest.mark.parametrize("returns", [[], [1.0, np.nan], [1.0, 2.0, 3.0]])
def test_curves_without_points_with_gaps_or_of_two_lengths_are_refused(returns):
    with pytest.raises(ValueError, match=r"only finite ones|one shape \(n,\), got \(3,\) and"):
        running_return(returns, [20, 20])


def test_a_line_counts_its_seeds_with_a_curve():
    def row(seed, *returns):
        curve = LearningCurve(steps=(20_000, 100_000), returns=returns, episodes=(30, 30))
        return make_row("ppo-lif", seed, curve=curve)

    assert mean_over_steps([20_000, 100_000], [480.0, 500.0]) == 496.0
    # CartPole-v1: learned from 475, random play 21.65.
    rows = [row(k, 480.0, 500.0) for k in range(3)] + [row(3, 21.65, 480.0), row(4, 21.65, 21.65)]
    (line,) = summaries([*rows, make_row("ppo-lif", 9)])
    assert line.until_learned == (20_000, 20_000, 20_000, 100_000, math.inf)
    assert line.areas == pytest.approx([474.35 / 453.35] * 3 + [366.68 / 453.35, 0.0])
    assert line.learning_cells()[:2] == ("20,000 (20,000 to > 100,000)", "4 of 5")
    (never,) = summaries(rows[4:])
    assert never.learning_cells() == ("> 100,000", "0 of 1", "0.00")
