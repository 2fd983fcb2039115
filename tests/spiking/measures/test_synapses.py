"""Tests of measures of single synapses: by hand, closed forms, and recursion."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.spiking.measures import (
    coincidence,
    decay,
    delayed,
    drive_share,
    low_pass,
    mean_eligibility,
)
from tests.spiking.measures.rasters import raster, rasters

TAU_HALF_MS = 1.0 / math.log(2.0)
"""Time constant with which a trace halves in 1 ms."""


def test_a_trace_by_hand():
    trace = low_pass(raster("|.||"), 1.0, TAU_HALF_MS)
    assert trace[:, 0, 0] == pytest.approx([1.0, 0.5, 1.25, 1.625])


def test_an_eligibility_by_hand():
    pre, post = raster("|.|."), raster(".||.")
    # x = 1, .5, 1.25, .625; e = 0, .5, .25 + 1.25, .75
    assert mean_eligibility(pre, post, 1.0, (TAU_HALF_MS, 0.0, TAU_HALF_MS)) == pytest.approx(0.75)
    late, early = raster("..|"), raster("|..")
    assert mean_eligibility(late, early, 1.0, (20.0, 0.0, 20.0)) == 0.0
    assert mean_eligibility(late, early, 1.0, (20.0, 5.0, 20.0)) > 0.0


@given(rasters(), st.tuples(*[st.floats(0, 50)] * 3), st.integers(0, 2**31))
def test_eligibility_equals_the_recursion(pre, taus_ms, seed):
    steps, batch, size = pre.shape
    post = (np.random.default_rng(seed).random((steps, batch, 3)) < 0.5).astype(np.float32)
    x, y, e = np.zeros((batch, size)), np.zeros((batch, 3)), np.zeros((batch, 3, size))
    x_decay, y_decay, e_decay = (decay(1.0, tau_ms) for tau_ms in taus_ms)
    for t in range(steps):
        x = x_decay * x + pre[t]
        y = y_decay * y + post[t]
        e = e_decay * e + y[:, :, np.newaxis] * x[:, np.newaxis]
    assert np.allclose(mean_eligibility(pre, post, 1.0, taus_ms), e.mean(axis=0))


def test_a_steady_train_reaches_the_geometric_series():
    steady = raster("|" * 400)
    assert low_pass(steady, 1.0, 10.0)[-1].item() == pytest.approx(1 / (1 - math.exp(-0.1)))


def test_coincidence_by_hand():
    pre, post = raster("||..", "|.|."), raster("|..|")
    assert coincidence(pre, post).tolist() == [[0.25, 0.25]]


def test_drive_shares_by_hand():
    weights = np.array([[1.0, -3.0], [0.0, 2.0], [5.0, 0.0]])
    share = drive_share(weights, np.array([10.0, 10.0]))
    assert share.tolist() == [[0.25, 0.75], [0.0, 1.0], [1.0, 0.0]]
    # The second input falls silent: the second neuron is left without drive.
    share = drive_share(weights, np.array([10.0, 0.0]))
    assert share[0].tolist() == [1.0, 0.0]
    assert np.isnan(share[1]).all()
    total = np.full(3, 80.0)
    assert drive_share(weights, np.array([10.0, 10.0]), total)[0].tolist() == [0.125, 0.375]


def test_a_recurrent_synapse_sees_spikes_one_step_late():
    assert np.array_equal(delayed(raster("|.||")), raster(".|.|"))


@pytest.mark.parametrize("tau_ms", [-1.0, math.nan, math.inf])
def test_an_impossible_time_constant_is_refused(tau_ms):
    with pytest.raises(ValueError, match="a time constant must be at least 0 ms and finite"):
        low_pass(raster("|."), 1.0, tau_ms)
