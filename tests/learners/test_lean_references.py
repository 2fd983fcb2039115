"""Tests of reference returns: from earlier training, or measured first."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snn_gym.learners.lean_rules import STRETCHES, BoundControl, begin_bound, unmeasured_bound
from snn_gym.spiking.network_config import LeanParameters

DEFAULT = LeanParameters()


def sums_of(*stretches):
    """Return number, sum and sum of squares of the returns in the first stretches."""
    rows = [[len(x), sum(x), sum(y * y for y in x)] for x in stretches]
    return np.array(rows + [[0.0, 0.0, 0.0]] * (STRETCHES - len(rows))).T


def test_returns_are_compared_with_the_two_latest_stretches():
    sums = sums_of([10.0, 20.0], [500.0] * 9, [80.0, 100.0], [], [90.0, 130.0])
    found = begin_bound(sums, LeanParameters(bound=0.01, max_bound=0.04, episodes=2))
    assert (found.bound, found.ceiling, found.losses) == (0.01, 0.04, 0)
    # The latest stretch, and none in the one before: mean 110, standard deviation 28.28.
    assert found.reference == 110.0
    assert found.error == pytest.approx(20.0)
    assert found.gained == 95.0
    large = LeanParameters(bound=0.5, episodes=2)
    assert begin_bound(sums, large).ceiling == 0.5
    both = begin_bound(sums_of([0.0], [80.0, 100.0], [90.0, 130.0]), LeanParameters(episodes=3))
    # Mean 100; squares of differences 400, 0, 100, 900 over 3 and over 4.
    assert both.reference == 100.0
    assert both.error == pytest.approx(math.sqrt(1400 / 3 / 4))
    assert both.gained == 100.0


def test_later_episodes_of_the_frozen_policy_update_the_reference():
    start = BoundControl(0.02, 9.0, reference=80.0, error=7.0, gained=60.0, losses=1)
    found = start.compared_with([90.0, 110.0])
    # Mean 100, standard deviation 14.14; what was gained grows by as much as the reference.
    assert (found.reference, found.gained) == (100.0, 80.0)
    assert found.error == pytest.approx(10.0)
    assert (found.bound, found.ceiling, found.losses) == (0.02, 9.0, 1)
    assert start.compared_with([0.0, 0.0]).gained == 0.0
    assert start.compared_with([90.0]) == start
    unknown = BoundControl(0.02, 9.0)
    assert not unknown.is_followed
    assert unknown.compared_with([90.0, 110.0]) is unknown


def test_unknown_returns_are_measured_before_the_first_verdict():
    start = unmeasured_bound(20.0, LeanParameters(bound=0.02, max_bound=0.04))
    assert start.is_followed
    assert (start.bound, start.ceiling) == (0.02, 0.04)
    many = LeanParameters(episodes=2)
    assert start.judge([500.0] * 9, many) == start.judge([-500.0] * 9, many) == "unclear"
    assert start.begin_above(0.1, many) == start
    assert start.compared_with([90.0]) == start
    found = start.compared_with([90.0, 110.0])
    assert (found.reference, found.error, found.gained) == (100.0, pytest.approx(10.0), 80.0)
    # If the gain is unknown, no loss is allowed and an equal return is accepted.
    unknown = unmeasured_bound(math.inf, many)
    assert unknown.judge([500.0] * 9, many) == "unclear"
    found = unknown.compared_with([500.0, 500.0])
    assert (found.reference, found.gained) == (500.0, 0.0)
    assert found.judge([500.0] * 9, many) == "kept"
    assert found.judge([499.0] * 9, many) == "lost"


def test_more_stretches_count_where_episodes_are_few():
    sums = sums_of([0.0], [100.0], [], [200.0], [300.0])
    assert begin_bound(sums, LeanParameters(episodes=2)).reference == 250.0
    assert begin_bound(sums, LeanParameters(episodes=3)).reference == 200.0
    assert begin_bound(sums, LeanParameters(episodes=4)).reference == 150.0


@pytest.mark.parametrize("sums", [sums_of(), sums_of([5.0] * 9)])
def test_too_few_episodes_give_no_reference(sums):
    assert begin_bound(sums, DEFAULT) == BoundControl(DEFAULT.bound, DEFAULT.max_bound)


def test_falling_returns_have_zero_gain():
    found = begin_bound(sums_of([5.0] * 10, [1.0] * 10, [1.0] * 10), DEFAULT)
    assert (found.reference, found.error, found.gained) == (1.0, 0.0, 0.0)
