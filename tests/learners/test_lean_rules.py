"""Tests of the controllers of shedding, against sequences by hand."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym._base.config import from_mapping
from snn_gym.learners.lean_rules import (
    STRENGTHS,
    STRETCHES,
    BoundControl,
    StrengthControl,
    learning_is_over,
)
from snn_gym.spiking.network_config import LeanParameters

NAN = math.nan
DEFAULT = LeanParameters()


@pytest.mark.parametrize(
    ("measured", "limit", "sign", "slacks"),
    [
        # Mean 0, 0, 0.05, 0.095 of bound 1.
        ([0.0, 0.0, 0.5, 0.5], 1.0, 1, [1.0, 1.0, 0.95, 0.905]),
        # Mean 1.5 at the first measurement, 1.35, 1.215, 1.0935, 0.98415 of bound 1.
        ([1.5, 0.0, 0.0, 0.0, 0.0], 1.0, 1, [-0.5, -0.35, -0.215, -0.0935, 0.01585]),
        ([0.02] * 5, 0.02, 1, [0.0] * 5),
        ([0.005], 0.02, 1, [0.75]),  # relative to the bound
        ([1000.0], 1.0, 1, [-1.0]),  # limited to one bound
        ([-1000.0], 1.0, 1, [1.0]),
        ([0.0, 0.0], 1.0, -1, [-1.0, -1.0]),
        ([2.0], 1.0, -1, [1.0]),
    ],
)
def test_the_strength_follows_the_slack(measured, limit, sign, slacks):
    control, strengths = StrengthControl(1.0), []
    for value in measured:
        control = control.step(value, limit, 0.1, sign)
        strengths.append(control.strength)
    expected = np.exp(0.1 * np.cumsum(slacks))
    assert strengths == pytest.approx(expected.tolist(), rel=1e-12)


@pytest.mark.parametrize("strength", [0.7, 0.0])
def test_strength_is_constant_at_rate_zero(strength):
    control = StrengthControl(strength)
    for value in (0.0, 5.0, 0.0):
        control = control.step(value, 1.0, 0.0)
    assert control.strength == strength
    assert control.smoothed == pytest.approx(0.9 * 0.5)


def test_strength_grows_from_zero():
    assert StrengthControl(0.0).step(0.0, 1.0, 0.1).strength == STRENGTHS[0]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("gain", [0.1, 5.0])
def test_strength_converges_to_the_bound(gain, sign):
    # A plant whose response is monotonous in the strength: gain * s grows, gain / s falls.
    control = StrengthControl(0.3)
    for _ in range(1500):
        control = control.step(gain * control.strength**sign, 0.7, 0.05, sign)
    assert gain * control.strength**sign == pytest.approx(0.7, rel=1e-3)


@pytest.mark.parametrize("value", [NAN, math.inf, -math.inf])
def test_non_finite_measurements_are_refused(value):
    with pytest.raises(ValueError, match=f"measured {value}; lower its learning_rate"):
        StrengthControl(0.3).step(value, 1.0, 0.1)


@given(st.lists(st.floats(0, 1e6), max_size=30), st.floats(1e-6, 1e3), st.floats(1e-3, 5.0))
def test_the_strength_is_always_a_usable_number(measured, limit, rate):
    control = StrengthControl(0.3)
    for value in measured:
        before, control = control, control.step(value, limit, rate)
        assert STRENGTHS[0] <= control.strength <= STRENGTHS[1]
        # It never moves against the smoothed measurement.
        moved = control.strength - before.strength
        assert moved * (limit - control.smoothed) >= 0


# Reference 100, gained 100 since the start: a loss of 5 is allowed.
EARNED = BoundControl(0.02, 9.0, reference=100.0, gained=100.0)
FOUR = LeanParameters(episodes=4, tolerance=0.05)


@pytest.mark.parametrize(
    ("returns", "verdict"),
    [
        ([100.0] * 4, "kept"),
        ([500.0] * 4, "kept"),
        ([95.0] * 4, "kept"),  # all of what is allowed, and no error
        # Mean 95, error of the mean 3.33 / sqrt(3) = 1.92: 5 + 3.3 is beyond 5.
        ([91.67, 91.67, 98.33, 98.33], "unclear"),
        # Mean 98, error of the mean 1.73: 2 + 2.9 is within 5.
        ([95.0, 95.0, 101.0, 101.0], "kept"),
        ([94.9] * 4, "lost"),  # rewards that are all equal have no error
        ([100.0] * 3, "unclear"),  # too few
        ([0.0] * 3, "unclear"),
        ([], "unclear"),  # no episode in a rollout
        # Mean 90, standard deviation 20 / sqrt(3), error of the mean 5.77: 10 - 9.8 is within 5.
        ([80.0, 80.0, 100.0, 100.0], "unclear"),
        # Mean 85, the same error: 15 - 9.8 is beyond 5.
        ([75.0, 75.0, 95.0, 95.0], "lost"),
    ],
)
def test_verdicts_on_training_episodes(returns, verdict):
    assert EARNED.judge(returns, FOUR) == verdict


def test_error_of_the_reference_counts():
    # 15 - 1.7 * hypot(5.77, 4) = 3.06, within the 5 that are allowed, and 15 + 1.7 * ... beyond.
    unsure = BoundControl(0.02, 9.0, reference=100.0, error=4.0, gained=100.0)
    assert unsure.judge([75.0, 75.0, 95.0, 95.0], FOUR) == "unclear"
    assert unsure.judge([90.0] * 4, FOUR) == "unclear"  # 10 - 6.8
    assert unsure.judge([99.0] * 4, FOUR) == "unclear"  # 1 + 6.8
    assert unsure.judge([102.0] * 4, FOUR) == "kept"  # -2 + 6.8
    assert unsure.judge([88.0] * 4, FOUR) == "lost"  # 12 - 6.8


def test_losses_are_counted_in_units_of_the_gain():
    flat = BoundControl(0.02, 9.0, reference=-200.0)  # nothing gained, nothing may be lost
    assert flat.judge([-200.0] * 4, FOUR) == "kept"
    assert flat.judge([-200.1] * 4, FOUR) == "lost"
    tolerant = LeanParameters(episodes=4, tolerance=0.5)
    assert EARNED.judge([50.0] * 4, tolerant) == "kept"
    assert EARNED.judge([49.0] * 4, tolerant) == "lost"


@pytest.mark.parametrize(
    ("returns", "kept"),
    [([75.0, 75.0, 115.0, 115.0], True), ([94.9] * 4, False), ([100.0] * 3, False)],
)
def test_returns_seem_kept_by_their_mean_alone(returns, kept):
    assert EARNED.seems_kept(returns, FOUR) == kept
    assert not BoundControl(0.02, 9.0).seems_kept(returns, FOUR)  # than what?


def test_single_episodes_and_missing_references_are_unclear():
    assert BoundControl(0.02, 9.0).judge([0.0] * 50, FOUR) == "unclear"
    one = LeanParameters(episodes=1, tolerance=0.05)
    assert EARNED.judge([0.0], one) == "unclear"
    assert EARNED.judge([0.0, 0.0], one) == "lost"


def test_the_bound_stays_below_a_bound_that_lost():
    control, found = BoundControl(0.08, 9.0), []
    for verdict in ("kept", "unclear", "lost", "lost", "kept", "kept", "kept", "kept"):
        control = control.step(verdict, DEFAULT, settling=False)
        found.append((control.bound, control.losses))
    # 0.12 lost, so that 0.08 is the ceiling; then 0.06 lost, so that it is 0.04.
    expected = [
        (0.12, 0), (0.12, 0), (0.06, 1), (0.03, 2), (0.04, 0), (0.04, 0), (0.04, 0), (0.04, 0),
    ]  # fmt: skip
    for (bound, losses), (wanted, count) in zip(found, expected, strict=True):
        assert bound == pytest.approx(wanted, rel=1e-12)
        assert losses == count
    assert control.ceiling == pytest.approx(0.04, rel=1e-12)


@pytest.mark.parametrize(
    ("start", "verdict", "widening", "settling", "bound", "ceiling"),
    [
        (0.08, "kept", 1.5, True, 0.08, 9.0),
        (0.08, "lost", 1.5, True, 0.04, 0.08 / 1.5),
        (8.0, "kept", 1.5, False, 9.0, 9.0),  # never above the ceiling
        (90.0, "lost", 1.5, False, 45.0, 9.0),  # a lost bound raises no ceiling
        (0.08, "kept", 1.0, False, 0.08, 9.0),
    ],
)
def test_limits_of_a_bound(start, verdict, widening, settling, bound, ceiling):
    control = BoundControl(start, 9.0).step(verdict, LeanParameters(widening=widening), settling)
    assert (control.bound, control.ceiling) == pytest.approx((bound, ceiling))


def test_bounds_are_unreachable_after_a_tenth_of_the_updates_without_success():
    control = StrengthControl(STRENGTHS[0])
    for _ in range(9):
        control = control.step(0.6, 0.5, 0.1)
    assert control.out_of_reach(100) is None
    control = control.step(0.6, 0.5, 0.1)
    assert control.out_of_reach(100) == pytest.approx(0.6)
    # One update whose running mean is within the bound, and all begins anew.
    assert control.step(-1.0, 0.5, 0.1).out_of_reach(100) is None
    # Above the least strength there was something to be given back first.
    assert StrengthControl(1.0).step(0.6, 0.5, 0.1).stuck == 0


def test_unreachable_bounds_restart_higher_before_the_first_loss():
    start = BoundControl(0.03, 0.05, reference=1.0, gained=1.0)
    above = start.begin_above(0.1, DEFAULT)
    assert (above.bound, above.ceiling) == pytest.approx((0.3, 0.45))
    assert above.begin_above(0.4, DEFAULT) == above
    lost = above.step("lost", DEFAULT, settling=False)
    assert lost.begin_above(0.4, DEFAULT) == lost
    lost = start.step("lost", DEFAULT, settling=False)
    assert lost.begin_above(0.1, DEFAULT) == lost
    # Nothing is earned that could say what was lost; and a control has the bound it was given.
    alone = BoundControl(0.03, 0.05)
    assert alone.begin_above(0.1, DEFAULT) == alone
    assert start.begin_above(0.1, LeanParameters(widening=1.0)) == start


def sums_of(*values, count=1, spread=0.0):
    """Return sums of the first stretches, each of ``count`` episodes around its mean; NaN: none."""
    sums = np.zeros((3, STRETCHES))
    for k, mean in enumerate(values):
        if mean == mean:
            sums[:, k] = count, count * mean, count * (mean**2 + spread**2)
    return sums


# Ten of twenty stretches are done; the patience of 0.4 is eight of them.
PLATEAU = [0.0, 90.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0]


@pytest.mark.parametrize(
    ("why", "values", "over"),
    [
        ("improved by 10 within the patience", PLATEAU, False),
        ("nothing better since", [0.0, 100.0, *[99.0] * 8], True),
        ("a better one, within the margin", [0.0, 98.0, *[100.0] * 8], True),
        ("a better one beyond the margin", [0.0, 97.0, *[100.0] * 8], False),
        ("the latest is worse than the best", [0.0, 100.0, *[99.0] * 7, 97.0], False),
        ("nothing gained yet", [5.0] * 10, False),
        ("worse than at the start", [100.0, *[50.0] * 9], False),
        ("no episode ended in the latest stretch", [0.0, 100.0, *[100.0] * 7, NAN], False),
        ("no episode ended before the patience", [NAN, NAN, 0.0, *[100.0] * 7], False),
        ("gaps elsewhere do not matter", [0.0, 100.0, NAN, NAN, *[100.0] * 6], True),
        ("no episode at all", [NAN] * 10, False),
    ],
)
def test_end_of_learning_by_hand(why, values, over):
    assert learning_is_over(sums_of(*values), 0.5, DEFAULT) == over, why


def test_end_of_learning_has_an_earliest_and_latest_time():
    settled = sums_of(0.0, *[100.0] * 19)
    quick = LeanParameters(patience=0.05)
    assert not learning_is_over(settled, 0.39, quick)
    assert learning_is_over(settled, 0.4, quick)
    # Patience is a share of the training.
    assert not learning_is_over(sums_of(0.0, 50.0, *[100.0] * 8), 0.5, DEFAULT)
    assert learning_is_over(sums_of(0.0, 50.0, *[100.0] * 8), 0.5, LeanParameters(patience=0.35))


def test_learning_that_is_forced_to_end_needs_no_return():
    forced = LeanParameters(latest_start=0.1, largest_rise=None)
    rising = sums_of(*range(STRETCHES))
    assert not learning_is_over(rising, 0.09, forced)
    assert learning_is_over(rising, 0.1, forced)
    assert learning_is_over(sums_of(), 0.1, forced)


@pytest.mark.parametrize(
    ("why", "tenths", "progress", "over"),
    [
        # Each tenth is two stretches; the gain is the last value less the first.
        ("a straight rise brings an eighth more", range(9), 0.9, True),
        ("the same rise, with two tenths left", range(8), 0.8, False),
        ("a tenth that brings a quarter of the gain", [*[0] * 7, 75, 100], 0.9, False),
        ("a tenth that brings an eighth of it", [*[0] * 7, 87.5, 100], 0.9, True),
        ("a fall of a quarter", [*[0] * 6, 100, 100, 75], 0.9, False),
        ("nothing gained", [5] * 9, 0.9, False),
        ("no episode in the tenth before", [*[0] * 7, NAN, 100], 0.9, False),
    ],
)
def test_a_late_rise_may_be_a_fifth_of_the_gain(why, tenths, progress, over):
    parameters = LeanParameters(latest_start=0.8, patience=0.1)
    sums = sums_of(*(x for tenth in tenths for x in (tenth, tenth)))
    assert learning_is_over(sums, progress, parameters) == over, why


@pytest.mark.parametrize(("count", "over"), [(1000, True), (10, False)])
def test_a_gain_that_may_be_chance_is_no_gain(count, over):
    # Means of 0 and 1 whose episodes spread by 2: 2 * sqrt(2 / (count - 1)) is the error.
    sums = sums_of(0.0, *[1.0] * 9, count=count, spread=2.0)
    assert learning_is_over(sums, 0.5, DEFAULT) == over


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bound": 0.0}, "bound must be above 0, got 0"),
        ({"bound": NAN}, "bound must be finite, got nan"),
        ({"max_synops": -1.0}, "max_synops must be above 0, got -1"),
        ({"latest_start": 1.5}, "latest_start must be above 0 and at most 1, got 1.5"),
        ({"first_strength": -1.0}, "first_strength must be at least 0, got -1"),
        ({"tolerance": -0.1}, "tolerance must be at least 0 and at most 1, got -0.1"),
        ({"updates": 0}, "updates must be at least 1, got 0"),
        ({"widening": 0.5}, "widening must be at least 1, got 0.5"),
        ({"signals": "loud"}, "signals: got 'loud' (str); allowed values: 'own', 'prune'"),
        (
            {"signals": "prune", "pruning": 0.0},
            "signals 'prune' with pruning 0 shed nothing; give pruning above 0, such as 3",
        ),
        ({"learning_rate": 1e-5}, "final_learning_rate must be at most learning_rate=1e-05, got"),
        (
            {"bund": 0.1},
            "lean: unknown key bund; did you mean 'bound'? allowed keys: bound, worst_share",
        ),
    ],
)
def test_bad_settings_are_refused_in_one_line(values, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        from_mapping(LeanParameters, values, "lean")
    assert "\n" not in str(caught.value)
