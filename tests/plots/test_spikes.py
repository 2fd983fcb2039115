"""Tests of rasters and membrane traces."""

import numpy as np
import pytest
import torch

from snn_gym.plots.frames import EpisodeTrace, LayerTrace, join
from snn_gym.plots.run import choose_neurons, draw_membranes, draw_raster
from snn_gym.spiking import NetworkConfig, SpikingNetwork
from tests.spiking.strategies import normal


def trace(spikes, time_steps=4, **options):
    spikes = np.asarray(spikes, dtype=np.float64)
    voltages = np.where(spikes > 0, 1.5, 0.25)
    layer = LayerTrace("hidden_1", spikes, voltages, np.ones_like(spikes))
    return EpisodeTrace((layer,), 2.0, time_steps, len(spikes) // time_steps, **options)


def test_spikes_are_marks_at_time_and_neuron():
    spikes = np.zeros((8, 3))
    spikes[[0, 5, 7], [2, 0, 1]] = 1
    figure = draw_raster(trace(spikes), "Spikes")
    marks = figure.axes[0].lines[0].get_xydata().reshape(3, 3, 2)
    # The middles of the time steps 0, 5 and 7 of 2 ms
    assert marks[:, 0, 0].tolist() == [1.0, 11.0, 15.0]
    assert marks[:, :2, 1].mean(axis=1).tolist() == pytest.approx([2.0, 0.0, 1.0])
    assert np.isnan(marks[:, 2, 1]).all()
    assert figure.axes[0].get_xlim() == (0.0, 16.0)
    # 3 spikes of 3 neurons in 16 ms
    assert "62 Hz" in figure.axes[0].texts[0].get_text()


def test_layers_stand_in_order_with_the_input_at_the_bottom():
    net = SpikingNetwork(NetworkConfig(hidden_sizes=(5, 4), encoder="population"), 3, 2)
    recorded = join([net.record(normal(k, 1, 3)) for k in range(6)])
    figure = draw_raster(recorded, "Spikes")
    labels = [axes.get_ylabel().split()[0] for axes in figure.axes]
    assert labels == ["hidden_2", "hidden_1", "input"]
    assert figure.axes[-1].get_xlabel().startswith("network time (ms)")
    # The input has no membrane: three traces for each of the two other layers.
    assert len(draw_membranes(recorded, "Membranes").axes) == 6


def long_lines(axes, style):
    return [x for x in axes.lines if x.get_linestyle() == style and len(x.get_xdata()) > 2]


def test_a_membrane_trace_breaks_between_decisions_from_rest():
    spikes = np.zeros((8, 1))
    spikes[6] = 1
    axes = draw_membranes(trace(spikes), "Membranes").axes[0]
    solid, dashed = (long_lines(axes, style) for style in ("-", "--"))
    assert [line.get_xdata().tolist() for line in solid] == [[1, 3, 5, 7], [9, 11, 13, 15]]
    assert solid[1].get_ydata().tolist() == [0.25, 0.25, 1.5, 0.25]
    assert [line.get_ydata().tolist() for line in dashed] == [[1.0] * 4] * 2
    marks = [line for line in axes.lines if line.get_marker() == "v"]
    assert [line.get_xdata().tolist() for line in marks] == [[13.0]]
    assert marks[0].get_ydata()[0] > 1.5


def test_membrane_traces_of_stateful_agents_are_continuous():
    spikes = np.zeros((8, 1))
    figure = draw_membranes(trace(spikes, stateful=True), "Membranes")
    lines = [long_lines(figure.axes[0], style) for style in ("-", "--")]
    assert [[len(line.get_xdata()) for line in found] for found in lines] == [[8], [8]]


def test_neurons_of_high_middle_and_low_rate_are_chosen():
    spikes = np.zeros((9, 6))
    for neuron, count in enumerate([2, 0, 9, 5, 0, 7]):
        spikes[:count, neuron] = 1
    # rates fall as 2, 5, 3, 0, silent: 1, 4
    assert choose_neurons(spikes) == [2, 5, 0]
    assert choose_neurons(spikes[:, :2]) == [0, 1]
    assert choose_neurons(np.zeros((4, 9))) == [0, 1, 2]


def test_decisions_are_joined_in_time():
    net = SpikingNetwork(NetworkConfig(hidden_sizes=(5,), neuron="alif", time_steps=3), 4, 2)
    observations = normal(0, 4, 4, scale=3.0)
    recorded = join([net.record(observations[k : k + 1]) for k in range(4)])
    (layer,) = recorded.layers
    for k in range(4):
        alone = net.record(observations[k : k + 1])["hidden_1"]
        part = slice(3 * k, 3 * k + 3)
        assert np.array_equal(layer.spikes[part], alone.spikes[:, 0].detach().numpy())
        assert np.array_equal(layer.voltages[part], alone.voltages[:, 0].detach().numpy())
        assert np.array_equal(layer.thresholds[part], alone.v_threshold[:, 0].detach().numpy())
    assert (recorded.decisions, recorded.decision_ms) == (4, 3.0)
    assert torch.is_tensor(alone.v_threshold)
