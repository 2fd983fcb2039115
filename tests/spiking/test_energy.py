"""Tests of the energy band, and of the regimes in which spikes save energy."""

import pytest

from snn_gym.program.costs import energy_nj, regimes


def test_energy_is_a_band():
    low, high = energy_nj(20, 10, 0)
    assert low == pytest.approx((20 * 0.9 + 10 * 0.23) / 1000)
    assert high == pytest.approx((20 * 23.6 + 10 * 4.6) / 1000)
    assert energy_nj(0, 0, 0) == (0, 0)


def test_updates_of_neurons_are_in_the_band():
    # 97 SynOps, 256 MACs, 8 time steps of 128 neurons, of which 114 are silent.
    whole, cut = energy_nj(97, 256, 8 * 128), energy_nj(97, 256, 8 * 14)
    assert whole == pytest.approx((0.0873 + 0.05888 + 53.248, 2.2892 + 1.1776 + 82.944))
    assert cut == pytest.approx((0.0873 + 0.05888 + 5.824, 2.2892 + 1.1776 + 9.072))
    # Its twin of 4,480 MACs lies between: the order turns with the silent neurons.
    twin = energy_nj(0, 4480, 0)
    assert twin == pytest.approx((1.0304, 20.608))
    assert cut[1] < twin[1] < whole[0]


@pytest.mark.parametrize(
    ("spikes", "rate", "expected"),
    [
        (0.1, 0.05, ("inside", "inside")),
        (0.15, 0.057, ("between", "outside")),
        (1.38, 0.3, ("outside", "outside")),
    ],
)
def test_regimes(spikes, rate, expected):
    assert regimes(spikes, rate) == expected
