"""Tests of the weights that shedding by the whole cost can go back to."""

import numpy as np
import pytest
import torch

from snn_gym.learners.pricing import Ladder, Rung


def rung(price):
    return Rung(price, {"w": torch.tensor([price])})


def ladder_of(*prices):
    """Return a ladder to which weights of these prices were added one after another."""
    ladder = Ladder()
    for price in prices:
        ladder.stay(rung(price))
    return ladder


def price_of(weights):
    return float(weights["w"])


@pytest.mark.parametrize(
    ("prices", "left"),
    [
        ((100,), []),  # nothing has followed, so it has not stayed
        ((100, 90), [100]),
        ((100, 90, 80), [100, 90]),
        ((100, 90, 80, 70), [100, 80]),  # 100 costs less than 1.4 times 90
        ((100, 50, 45, 24, 24), [100, 50, 24]),
        ((100, 50, 60, 60), [100, 60]),  # weights grew again
        ((100, 50, 120, 120), [120]),
    ],
)
def test_weights_that_stayed_are_kept_at_ever_higher_prices(prices, left):
    ladder = ladder_of(*prices)
    assert [x.price for x in ladder.rungs] == left
    assert ladder.newer.price == prices[-1]


def test_dearer_weights_come_back_each_time_that_the_last_ones_did_not_stay():
    ladder = ladder_of(100, 50, 24, 24)
    assert [price_of(ladder.back()) for _ in range(4)] == [24, 50, 100, 100]
    ladder.stay(rung(80))
    assert price_of(ladder.back()) == 100  # 80 has not stayed
    ladder.stay(rung(70))
    ladder.stay(rung(60))
    assert [price_of(ladder.back()) for _ in range(2)] == [70, 100]


def test_nothing_comes_back_before_weights_stayed():
    assert ladder_of(100).back() == {}


@pytest.mark.parametrize("prices", [(), (100,), (100, 50, 24, 24)])
@pytest.mark.parametrize("gone_back", [False, True])
def test_arrays_restore_a_ladder(prices, gone_back):
    ladder, other = ladder_of(*prices), ladder_of(7, 6)
    if gone_back:
        ladder.back()
    arrays = {name: np.array(x) for name, x in ladder.arrays().items()}
    other.load(arrays)
    assert {name: x.tolist() for name, x in other.arrays().items()} == {
        name: x.tolist() for name, x in arrays.items()
    }
    backs = [[x.back().get("w") for _ in range(3)] for x in (ladder, other)]
    assert backs[0] == backs[1]
