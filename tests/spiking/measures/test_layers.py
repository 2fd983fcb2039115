"""Tests of measures of layers and weights: by hand, limits and closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.spiking.measures import (
    forward_sensitivity,
    frobenius_norm,
    participation_dimension,
    relative_change,
    saturated_share,
    silent_share,
    spectral_norm,
    spike_ratio,
    synchrony,
)
from tests.spiking.measures.rasters import raster, rasters


def test_silent_and_saturated_neurons_counted_by_hand():
    spikes = raster("..........", "|||||||||.", "||||||||..", "|.........")
    assert (silent_share(spikes), saturated_share(spikes)) == (0.25, 0.25)


@pytest.mark.parametrize("steps", [10, 20, 30, 70, 110])
def test_exactly_nine_tenths_is_saturated(steps):
    spikes = np.ones((steps, 1, 1), dtype=np.float32)
    spikes[: steps // 10] = 0
    assert saturated_share(spikes) == 1.0
    spikes[steps // 10] = 0
    assert saturated_share(spikes) == 0.0


def test_spike_ratio_by_hand():
    assert spike_ratio(raster("|.|.", "||||"), raster("||..")) == 3.0
    assert math.isnan(spike_ratio(raster("|"), raster(".")))


@given(st.integers(2, 40), st.integers(1, 5), st.integers(1, 8), st.integers(0, 2**31))
def test_identical_neurons_have_synchrony_1(steps, batch, size, seed):
    one = np.random.default_rng(seed).normal(size=(steps, batch, 1))
    assert synchrony(np.repeat(one, size, axis=2)) == pytest.approx(1.0)
    # Constant differences between neurons do not count.
    shifted = np.repeat(one, size, axis=2) + np.arange(size)
    assert synchrony(shifted) == pytest.approx(1.0)


def test_two_opposite_neurons_have_synchrony_0():
    wave = np.array([1.0, -1.0, 1.0, -1.0]).reshape(4, 1, 1)
    assert synchrony(np.concatenate([wave, -wave], axis=2)) == 0.0
    assert math.isnan(synchrony(np.ones((4, 1, 2))))


def test_independent_neurons_have_synchrony_1_over_n():
    noise = np.random.default_rng(0).normal(size=(400, 10, 25))
    assert synchrony(noise) == pytest.approx(1 / 25, rel=0.1)


def test_dimensions_of_counts_on_the_axes():
    # Each of N neurons fires alone in one of N decisions, in another each is silent: all axes
    # are alike but for the centring, whose covariance is I/n - 11'/n^2 of n decisions.
    size = 4
    spikes = np.zeros((1, size + 1, size), dtype=np.float32)
    spikes[0, np.arange(size), np.arange(size)] = 1
    n = size + 1
    values = [1 / n] * (size - 1) + [1 / n - size / n**2]
    expected = sum(values) ** 2 / sum(x * x for x in values)
    assert participation_dimension(spikes) == pytest.approx(expected)


@given(rasters())
def test_dimension_equals_the_eigenvalue_formula(spikes):
    counts = spikes.sum(axis=0, dtype=np.float64)
    values = np.linalg.eigvalsh(np.atleast_2d(np.cov(counts.T, bias=True)))
    dimension = participation_dimension(spikes)
    if values.sum() < 1e-12:
        assert math.isnan(dimension)
        return
    assert dimension == pytest.approx(values.sum() ** 2 / np.square(values).sum())
    batch, size = counts.shape
    assert 1 - 1e-9 <= dimension <= min(size, batch - 1) + 1e-9


def test_identical_neurons_have_dimension_1():
    train = (np.random.default_rng(0).random((5, 20, 1)) < 0.5).astype(np.float32)
    assert participation_dimension(np.repeat(train, 6, axis=2)) == pytest.approx(1.0)


def test_norms_by_hand():
    weights = np.array([[3.0, 0.0], [0.0, -4.0]])
    assert (frobenius_norm(weights), spectral_norm(weights)) == (5.0, pytest.approx(4.0))
    assert relative_change(weights, np.array([[0.0, 0.0], [0.0, -4.0]])) == 0.75
    assert math.isnan(relative_change(weights, np.zeros((2, 2))))


def decisions(*rows):
    """Return one time step of decisions, each a row of 0 and 1."""
    return np.array([[int(x) for x in row] for row in rows], np.float32)[np.newaxis]


def test_forward_sensitivity_by_hand():
    before, spikes = decisions("1000", "1100", "0111"), decisions("10", "01", "01")
    # Differing spikes before are 1, 4 and 3, the nearest to 0, 1 and 2 are 1, 0 and 1: near is
    # 1 + 1 + 3 of 16. After they are 2, 2 and 0: 2 + 2 + 0 of 8.
    assert forward_sensitivity(spikes, before) == pytest.approx((4 / 8) / (5 / 16))
    assert forward_sensitivity(before[..., [2, 0, 3, 1]], before) == 1.0
    assert math.isnan(forward_sensitivity(decisions("1", "1", "1"), before))
