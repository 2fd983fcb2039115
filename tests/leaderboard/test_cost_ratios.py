"""Answers to "costs less?" follow from the ratio of two costs and its interval, by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from snn_gym.leaderboard.comparison import Ratio, cost_answer, cost_ratio


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.1, 0.999, "costs less"),
        (1.001, 10.6, "costs more"),
        (6.89, 10.6, "costs more"),
        # 1 / 1.05 is 0.952.
        (0.96, 1.04, "costs the same within 5 %"),
        (1.0, 1.0, "costs the same within 5 %"),
        (0.94, 1.04, "cannot be told, because the interval reaches from 0.94 to 1.04"),
        (0.96, 1200.4, "cannot be told, because the interval reaches from 0.96 to 1,200"),
    ],
)
def test_the_interval_of_the_ratio_decides(low, high, words):
    ratio = Ratio(math.sqrt(low * high), low, high)
    told = f"{words}: {ratio}" if "because" not in words else words
    assert cost_answer(ratio) == told


def test_without_a_ratio_the_reason_is_given():
    assert (
        cost_answer("no ANN keeps the return") == "cannot be told, because no ANN keeps the return"
    )


def test_the_ratio_of_constant_costs_is_exact():
    found = cost_ratio((100.0,) * 5, (10.0,) * 5)
    assert found == pytest.approx((10.0, 10.0, 10.0))
    assert str(found) == "10 (10 to 10)"


@pytest.mark.parametrize("swapped", [False, True])
def test_the_interval_is_that_of_welch_of_logarithms(swapped):
    one, other = [90.0, 100.0, 120.0, 80.0, 101.0], [60.0, 70.0, 100.0, 75.0, 99.0]
    if swapped:
        one, other = other, one
    welch = stats.ttest_ind(np.log(one), np.log(other), equal_var=False)
    expected = (stats.gmean(one) / stats.gmean(other), *np.exp(welch.confidence_interval(0.95)))
    assert cost_ratio(one, other) == pytest.approx(expected)
