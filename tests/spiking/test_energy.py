"""Energy as a band, and the regimes in which spikes pay."""

import pytest

from snn_gym.spiking.energy import energy_nj, regimes


def test_energy_is_a_band() -> None:
    low, high = energy_nj(20, 10)
    assert low == pytest.approx((20 * 0.9 + 10 * 0.23) / 1000)
    assert high == pytest.approx((20 * 23.6 + 10 * 4.6) / 1000)
    assert energy_nj(0, 0) == (0, 0)


@pytest.mark.parametrize(
    ("spikes", "rate", "expected"),
    [
        (0.1, 0.05, ("inside", "inside")),
        (0.15, 0.057, ("between", "outside")),
        (1.38, 0.3, ("outside", "outside")),
    ],
)
def test_regimes(spikes: float, rate: float, expected: tuple[str, str]) -> None:
    assert regimes(spikes, rate) == expected
