"""Arithmetic of fixed point by hand: rounding, saturation, tables."""

import numpy as np

from snn_gym_deploy.fixed_point import Rescale, bits_of, logistic, saturated, scaled, share, tanh_of


def test_rounding_is_half_up_and_16_bits_saturate():
    assert scaled(np.array([-3, -2, -1, 1, 2, 3]), 1).tolist() == [-1, -1, 0, 1, 1, 2]
    assert scaled(np.array([7]), 0).tolist() == [7]
    assert saturated(np.array([40000, -40000, 5])).tolist() == [32767, -32768, 5]
    assert share(np.int64(8192), np.array([3, -3])).tolist() == [2, -1]  # a half of it
    assert Rescale(1, 3, 2)(np.array([10])).tolist() == [4]  # 5 * 3 / 4 = 3.75
    assert [bits_of(x) for x in ((0, 1), (-1, 0), (-2, 1), (-128, 127), (0, 128))] == [
        2,
        1,
        2,
        8,
        9,
    ]


def test_tanh_and_logistic_are_near_the_functions():
    x = np.arange(-40_000, 40_000, 7)
    # Between points 1/16 apart, a line leaves tanh by at most h^2 / 8 * max |tanh''| = 3.8e-4.
    assert np.abs(tanh_of(x) / 2**14 - np.tanh(x / 2**12)).max() < 4.5e-4
    assert np.abs(logistic(x) / 2**14 - 1.0 / (1.0 + np.exp(-x / 2**12))).max() < 4e-4
    assert (tanh_of(-x) == -tanh_of(x)).all()
