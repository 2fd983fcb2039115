"""The exponent of a power law."""

import pytest

from benchmarks.families.crossover import crossing
from benchmarks.families.scaling import slope, upper_half
from benchmarks.measurement import Curve


@pytest.mark.parametrize("exponent", [0.0, 0.7, 1.0, 2.0])
def test_a_power_law_has_its_own_slope(exponent):
    x = (1.0, 3.0, 10.0, 100.0)
    assert slope(Curve(x, tuple(5 * v**exponent for v in x))) == pytest.approx(exponent, abs=1e-9)


def test_the_upper_half_leaves_out_the_cost_of_a_call():
    x = (1.0, 10.0, 100.0, 1000.0, 10_000.0)
    half = upper_half(Curve(x, (5.0, 5.0, 100.0, 1000.0, 10_000.0)))
    assert half.x == (100.0, 1000.0, 10_000.0)
    assert slope(half) == pytest.approx(1.0)
    assert upper_half(Curve(x[:2], x[:2])).x == x[:2]


def test_a_crossing_is_the_last_activity_at_which_we_are_no_slower():
    x = (1.0, 10.0, 100.0)
    assert crossing(Curve(x, (0.5, 1.0, 2.0))) == 10.0
    assert crossing(Curve(x, (1.5, 2.0, 3.0))) == 0.0
