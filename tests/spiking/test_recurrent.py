"""Tests of recurrent layers: by hand, against Norse and the stepped path."""

from __future__ import annotations

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from norse.torch.functional import iaf, lif, lsnn

from snn_gym.program.builtin_neurons import (
    ALIFParameters,
    IAFParameters,
    LIFBoxParameters,
    LIFParameters,
)
from snn_gym.spiking.layer_neurons import LayerNeurons
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.spiking_layer import run_fused
from tests.spiking.strategies import network_configs, neuron_parameters, normal
from tests.spiking.test_layers import DT_MS, drives, neuron_of, norse_constants, random_state

MARGIN = 1e-5


def weight_of(size, seed, scale=1.0):
    return normal(seed, size, size, scale=scale / size**0.5)


def start_of(neuron, batch, size, seed):
    """Return a state of the neurons and the spikes of the previous step."""
    return (*random_state(neuron, batch, size, seed), (normal(seed + 5, batch, size) > 0.5).float())


def norse_step(parameters, state, current, weight):
    """Norse's recurrent step with the input current given: its input weights are the identity."""
    step, kind = {
        IAFParameters: (iaf.iaf_step, iaf.IAFParameters),
        LIFParameters: (lif.lif_step, lif.LIFParameters),
        ALIFParameters: (lsnn.lsnn_step, lsnn.LSNNParameters),
    }[type(parameters)]
    eye, constants = torch.eye(current.shape[1]), kind(**norse_constants(parameters))
    return step(current, state, eye, weight, constants, DT_MS / 1000)


def norse_state(parameters, start):
    kind = {IAFParameters: iaf.IAFState, LIFParameters: lif.LIFState}.get(
        type(parameters), lsnn.LSNNState
    )
    *variables, z = start
    return kind(z, *variables)


def first_difference(ours, theirs, distances):
    """Spikes may differ first where a potential sits at the threshold; the rest follows from it."""
    different = ours != theirs
    if different.any():
        first = int(different.flatten(1).any(1).nonzero()[0])
        assert float(distances[first][different[first]].abs().max()) < MARGIN


def test_a_literal_trace_of_two_neurons():
    # tau = dt: a neuron's potential is its input, and nothing is left of it. Neuron 0 gets 1.5 at
    # the first step and passes 2 to neuron 1, which passes 0.5 to neuron 0 and -1 to itself.
    neuron = neuron_of(LIFBoxParameters(tau_mem_ms=1.0))
    weight = torch.tensor([[0.0, 0.5], [2.0, -1.0]])
    currents = torch.tensor([[1.5, 0.0], [0.0, 0.0], [0.75, 0.0], [0.0, 0.0]]).unsqueeze(1)
    start = (torch.zeros(1, 2), torch.zeros(1, 2))
    for run in (run_fused, LayerNeurons.run_stepped):
        spikes, voltages, (v, z), _ = run(neuron, currents, start, 4, weight)
        assert voltages[:, 0].tolist() == [[1.5, 0.0], [0.0, 2.0], [1.25, -1.0], [0.0, 2.0]]
        assert spikes[:, 0].tolist() == [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]
        assert v.tolist() == [[0.0, 0.0]]
        assert z.tolist() == [[0.0, 1.0]]


@settings(max_examples=30, deadline=None)
@given(neuron_parameters(), drives(3.0))
def test_equals_norse_up_to_a_tiny_margin(parameters, drive):
    assume(not isinstance(parameters, LIFBoxParameters))  # Norse has no recurrent form of it
    time_steps, currents, seed = drive
    steps, batch, size = currents.shape
    neuron, weight = neuron_of(parameters), weight_of(size, seed + 2)
    start = start_of(neuron, batch, size, seed)
    spikes, voltages, final, _ = run_fused(neuron, currents, start, time_steps, weight)
    state, theirs = norse_state(parameters, start), []
    for t in range(time_steps):
        z, state = norse_step(parameters, state, currents[t % steps], weight)
        theirs.append(z)
    distances = voltages - neuron.thresholds(spikes, start)
    first_difference(spikes, torch.stack(theirs), distances)
    if torch.equal(spikes, torch.stack(theirs)):
        *variables, z = final
        for ours, other in zip((z, *variables), state, strict=True):
            torch.testing.assert_close(ours, other, rtol=1e-4, atol=1e-5)


def test_gradient_equals_norses_where_norse_is_right():
    # Of Norse's recurrent steps only that of the IAF lets the gradient through the reset.
    neuron = neuron_of(IAFParameters(), "triangle", 0.5)
    weights, gradients = normal(4, 6, 4, 5), []
    for ours in (True, False):
        currents = normal(3, 6, 4, 5, shift=0.4).requires_grad_()
        weight = weight_of(5, 1).requires_grad_()
        start = (torch.zeros(4, 5), torch.zeros(4, 5))
        if ours:
            spikes = run_fused(neuron, currents, start, 6, weight)[0]
        else:
            p = iaf.IAFParameters(method="triangle", alpha=0.5)
            state, trace = iaf.IAFState(*start), []
            for x in currents:
                z, state = iaf.iaf_step(x, state, torch.eye(5), weight, p)
                trace.append(z)
            spikes = torch.stack(trace)
        gradients.append(torch.autograd.grad((spikes * weights).sum(), (currents, weight)))
    for mine, theirs in zip(*gradients, strict=True):
        assert float(mine.abs().max()) > 0.1
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(neuron_parameters(), st.integers(0, 2**20), st.sampled_from([1, 3, 8]))
def test_zero_recurrent_weights_equal_the_feed_forward_layer(parameters, seed, batch):
    neuron = neuron_of(parameters)
    currents = normal(seed, 6, batch, 7, shift=0.5)
    *state, z = start_of(neuron, batch, 7, seed)
    plain = run_fused(neuron, currents, tuple(state), 6)
    zero = run_fused(neuron, currents, (*state, z), 6, torch.zeros(7, 7))
    assert torch.equal(plain[0], zero[0])
    assert torch.equal(plain[1], zero[1])
    assert torch.equal(zero[2][-1], zero[0][-1])


@settings(max_examples=25, deadline=None)
@given(network_configs(recurrent=True), st.integers(0, 2**20), st.integers(1, 5))
def test_networks_carry_their_last_spikes(config, seed, batch):
    torch.manual_seed(seed)
    network = SpikingNetwork(config, 3, 2)
    hidden = len(config.hidden_sizes)
    assert [layer.recurrent is not None for layer in network.layers] == [
        k < hidden for k in range(len(network.layers))
    ]
    x = normal(seed, batch, 3)
    _, state = network(x)
    spikes = network.record(x)["hidden_1"].spikes[-1]
    size = config.hidden_sizes[0]
    last = len(network.layers[0].state_names) - 1
    assert torch.equal(state[:, last * size : (last + 1) * size], spikes)
