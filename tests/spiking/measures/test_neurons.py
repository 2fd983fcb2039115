"""Tests of measures of single neurons: by hand, against elephant, and surrogate windows."""

import warnings

import neo
import numpy as np
import pytest
import quantities as pq
import torch
from elephant.statistics import cv, fanofactor, isi, mean_firing_rate
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_gym.spiking.layer_neurons import SURROGATES, surrogate_half_width
from snn_gym.spiking.measures import (
    cv_of_intervals,
    fano_factor,
    firing_rate_hz,
    interspike_intervals,
    spikes_per_step,
    threshold_margins,
    voltage_mean,
    voltage_variance,
    window_share,
)
from tests.spiking.measures.rasters import raster, rasters

# elephant's own use of quantities
pytestmark = pytest.mark.filterwarnings("ignore:The 'copy' argument in Quantity is deprecated")


def trains(spikes, dt_ms):
    """Return elephant's spike trains, row n for neuron n."""
    steps, batch, size = spikes.shape
    return [
        [
            neo.SpikeTrain(
                np.flatnonzero(spikes[:, b, n]) * dt_ms * pq.ms, t_stop=steps * dt_ms * pq.ms
            )
            for b in range(batch)
        ]
        for n in range(size)
    ]


def test_counts_by_hand():
    spikes = raster("|...|", ".....", "|||||")
    assert spikes_per_step(spikes) == pytest.approx([0.4, 0.0, 1.0])
    # 2, 0 and 5 spikes in 5 steps of 2 ms
    assert firing_rate_hz(spikes, 2.0) == pytest.approx([200.0, 0.0, 500.0])
    neurons, intervals = interspike_intervals(spikes)
    assert (neurons.tolist(), intervals.tolist()) == ([0, 2, 2, 2, 2], [4, 1, 1, 1, 1])


def test_intervals_stay_within_a_decision():
    # "|..|" then "|.|." of one neuron: 3 and 2, and not the 1 between the decisions
    spikes = np.concatenate([raster("|..|"), raster("|.|.")], axis=1)
    assert interspike_intervals(spikes)[1].tolist() == [3, 2]
    irregularity, counts, means = cv_of_intervals(spikes)
    assert (counts.tolist(), means.tolist()) == ([2], [2.5])
    assert irregularity == pytest.approx([0.5 / 2.5])


def test_voltages_by_hand():
    voltages = np.array([[[0.0]], [[0.5]], [[1.5]], [[0.0]]])
    assert voltage_mean(voltages).tolist() == [0.5]
    assert voltage_variance(voltages).tolist() == [0.375]
    assert threshold_margins(voltages, 1.0).ravel().tolist() == [1.0, 0.5, -0.5, 1.0]
    assert window_share(voltages, 1.0, 0.6).tolist() == [0.5]
    adaptive = np.array([1.0, 1.0, 1.0, 1.5]).reshape(4, 1, 1)
    assert threshold_margins(voltages, adaptive).ravel().tolist() == [1.0, 0.5, -0.5, 1.5]


@settings(max_examples=30)
@given(rasters(), st.floats(0.1, 10.0))
def test_rates_and_intervals_equal_elephant(spikes, dt_ms):
    rates = firing_rate_hz(spikes, dt_ms)
    irregularity, counts, means = cv_of_intervals(spikes)
    neurons, steps = interspike_intervals(spikes)
    for n, row in enumerate(trains(spikes, dt_ms)):
        theirs = [float(mean_firing_rate(train).rescale("Hz")) for train in row]
        assert rates[n] == pytest.approx(np.mean(theirs))
        intervals = np.concatenate([isi(train).magnitude for train in row])
        assert counts[n] == len(intervals)
        assert np.allclose(steps[neurons == n] * dt_ms, intervals)
        if len(intervals):
            assert means[n] * dt_ms == pytest.approx(intervals.mean())
        if len(intervals) > 1:
            assert irregularity[n] == pytest.approx(cv(intervals), abs=1e-9)
        else:
            assert np.isnan(irregularity[n])


@settings(max_examples=30)
@given(rasters())
def test_fano_factor_equals_elephant(spikes):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # elephant's of silent neurons
        theirs = [fanofactor(row) for row in trains(spikes, 1.0)]
    assert np.allclose(fano_factor(spikes), theirs, equal_nan=True)


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("slope", [0.5, 2.0, 10.0])
def test_the_window_ends_where_the_gradient_is_half(surrogate, slope):
    half_width = surrogate_half_width(surrogate, slope)
    x = torch.tensor([0.0, half_width, -half_width], dtype=torch.float64)
    top, *ends = SURROGATES[surrogate](x, slope).tolist()
    assert ends == pytest.approx([top / 2, top / 2])


def test_an_unknown_surrogate_is_refused():
    with pytest.raises(ValueError, match="'relu' is unknown; known: superspike, arctan"):
        surrogate_half_width("relu", 1.0)
