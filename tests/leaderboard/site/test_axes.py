"""Numbers on axes, by hand."""

import pytest

from snn_gym.leaderboard.site.front import ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 500.0, [0, 100, 200, 300, 400, 500]),
        (-200.0, -98.0, [-200, -150, -100]),
        (0.4875, 1.0, [0.6, 0.8, 1.0]),
        (3.0, 3.0, [3.0]),
    ],
)
def test_round_numbers_by_hand(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)
