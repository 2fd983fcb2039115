"""Tests of potentials exactly at threshold: no layer fires."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from snn_gym.spiking import NetworkConfig, SpikingNetwork
from snn_gym.spiking.execution import CompiledLayers
from snn_gym.spiking.layer_neurons import Breaks
from snn_gym.spiking.population import Population
from snn_gym.spiking.spiking_layer import run_fused
from tests.pairs import pairs

# Inputs and potentials of one neuron from rest. All gains are 1/2 (tau = 2 dt), the threshold is 1
# and the reset 0: potentials of exactly 1 stay, those above fire.
TRACES = {
    # v = (v + x) / 2
    "lif_box": ([2.0, 2.0, 2.0, 1.0], [1.0, 1.5, 1.0, 1.0]),
    # v = v + x
    "iaf": ([1.0, 0.5, 1.0, 0.0], [1.0, 1.5, 1.0, 1.0]),
    # i = i + x, v = (v + i) / 2, then half of i is left
    "lif": ([2.0, 0.0, 0.5, 1.5], [1.0, 1.0, 1.0, 1.5]),
    # v = (v + i) / 2 before i = i / 2 + x: an input is felt one step late; beta = 1/4 lifts b
    "alif": ([2.0, 2.0, 0.5, 0.0], [0.0, 1.0, 2.0, 1.0]),
}


def config_of(neuron, **changes):
    parameters: dict[str, float] = {} if neuron == "iaf" else {"tau_mem_ms": 2.0}
    if neuron in ("lif", "alif"):
        parameters["tau_syn_ms"] = 2.0
    if neuron == "alif":
        parameters |= {"tau_adapt_ms": 2.0, "beta": 0.25}
    values = {"hidden_sizes": (1,), "time_steps": 4, "neuron": neuron, **changes}
    return NetworkConfig(**values, neuron_parameters=parameters)


def layer_of(neuron, recurrent):
    """Return a layer whose current equals its input, without effective recurrence."""
    network = SpikingNetwork(config_of(neuron, recurrent=recurrent), 1)
    (layer,) = network.layers
    layer.linear.weight.data.fill_(1.0)
    layer.linear.bias.data.zero_()
    if layer.recurrent is not None:
        layer.recurrent.weight.data.zero_()
    return layer


def run_layer(layer, currents, breaks):
    state = layer.initial_state(1, currents)
    run = run_fused(layer.neuron, currents, state, 4, layer.recurrent_weight, breaks)
    return run.spikes[:4], run.voltages[:4]


def stepped(layer, currents):
    state = layer.initial_state(1, currents)
    run = layer.neuron.run_stepped(currents, state, 4, layer.recurrent_weight)
    return run.spikes, run.voltages


def sequence(layer, currents):
    breaks = Breaks(torch.ones(2, 1, dtype=torch.bool))
    return run_layer(layer, currents.repeat(2, 1, 1), breaks)


def acting(layer, currents):
    with torch.no_grad():  # each time step decoded alone: its spikes
        return CompiledLayers([layer], torch.eye(4)).decoded(currents, None)[0], None


WAYS: dict[str, Callable] = {
    "stepped": stepped,
    "kernel": lambda layer, currents: run_layer(layer, currents, None),
    "sequence": sequence,
    "acting": acting,
}


@pytest.mark.parametrize(
    ("neuron", "way", "recurrent"), pairs(list(TRACES), list(WAYS), [False, True])
)
def test_layers_fire_only_above_the_threshold(neuron, way, recurrent):
    inputs, expected = TRACES[neuron]
    layer = layer_of(neuron, recurrent)
    spikes, voltages = WAYS[way](layer, torch.tensor(inputs).reshape(4, 1, 1))
    assert spikes.flatten().tolist() == [float(v > 1.0) for v in expected]
    if voltages is not None:
        assert voltages.flatten().tolist() == expected


# A population holds its input over the time steps; the input 2 lands on 1 in the first of them,
# that of the ALIF in the second, half of 1.5 + 0.5 in the current-based LIF's.
HELD = {
    "lif_box": (2.0, [1.0, 1.5, 1.0, 1.5]),
    "iaf": (0.5, [0.5, 1.0, 1.5, 0.5]),
    "lif": (2.0, [1.0, 2.0, 1.75, 1.875]),
    "alif": (2.0, [0.0, 1.0, 2.0, 1.75]),
}


@pytest.mark.parametrize("neuron", HELD)
def test_populations_do_not_fire_at_the_threshold(neuron):
    current, expected = HELD[neuron]
    population = Population(config_of(neuron), 1, 1)
    weights = np.array([[current, 0.0, 1.0, 0.0]], np.float32)  # input, bias, head and its bias
    activity = population.run(
        population.arrange(weights), np.zeros(1, np.int64), np.ones((1, 1), np.float32)
    )
    assert activity.voltages[0].flatten().tolist() == expected
    assert activity.spikes[0].flatten().tolist() == [float(v > 1.0) for v in expected]
    assert float(activity.outputs[0, 0]) == sum(v > 1.0 for v in expected) / 4


@pytest.mark.parametrize(("neuron", "recurrent"), list(zip(TRACES, [False, True] * 2, strict=True)))
def test_backward_pass_has_no_spike_at_the_threshold(neuron, recurrent):
    """The kernels find reset neurons by their potentials."""
    gradients = []
    for way in ("kernel", "stepped"):
        layer = layer_of(neuron, recurrent)
        currents = torch.tensor(TRACES[neuron][0]).reshape(4, 1, 1).requires_grad_()
        _, voltages = WAYS[way](layer, currents)
        weights = torch.tensor([1.0, 3.0, -2.0, 5.0]).reshape(4, 1, 1)
        gradients.append(torch.autograd.grad((voltages * weights).sum(), currents)[0])
    assert torch.equal(gradients[0] != 0, gradients[1] != 0)
    torch.testing.assert_close(*gradients)
