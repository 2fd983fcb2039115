"""The local rule's optimiser against plain Python, and the scaling of observations by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from snn_gym.learners.local.core import Moments, climb
from snn_gym.learners.local.kernels import scale
from tests.learners.local_reference import Adam


@pytest.mark.parametrize("size", [1.0, 1e-8])  # the second is of Adam's epsilon
def test_moments_of_adam_follow_a_series_of_gradients(size):
    count, rng = 6, np.random.default_rng(0)
    moments, adam = Moments.none(count), Adam(count)
    theta, expected = np.zeros(count, np.float32), np.zeros(count)
    for update in range(1, 9):
        gradient = (size * rng.normal(size=count)).astype(np.float32)
        climb(
            (0.1, 0.2), 2, 1, update, gradient, moments.first, moments.second, theta,
            np.arange(count), np.zeros(count, np.float32),
        )  # fmt: skip
        expected += adam.step(gradient.astype(float), np.array([0.1] * 2 + [0.2] * 4))
        assert_allclose(theta, expected, rtol=1e-4)


def test_observations_are_clipped_at_both_ends():
    limits = np.array([[1.0] * 4, [2.0] * 4, [1.0, 1.0, 1.0, 1.5]], np.float32)
    scaled = np.empty(4, np.float32)
    scale(limits, np.array([2.0, 9.0, -9.0, 9.0], np.float32), scaled)
    assert scaled.tolist() == [0.5, 1.0, -1.0, 1.5]
