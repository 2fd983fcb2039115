"""Tests of gradients of sequences: against stepping, with starts and regulation."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from snn_gym.spiking import ControllerParameters, NetworkConfig, RegulationParameters
from snn_gym.spiking.execution import make_breaks, run_layers
from snn_gym.spiking.layer_neurons import LayerNeurons
from snn_gym.spiking.spiking_layer import run_fused
from tests.pairs import pairs
from tests.spiking.strategies import NAMES, SURROGATE_OF, neuron_parameters, normal
from tests.spiking.test_layers import neuron_of
from tests.spiking.test_recurrent import start_of, weight_of
from tests.spiking.test_sequence import (
    BUILT_IN,
    breaks_of,
    build,
    carried,
    inputs_of,
    shapes,
    starts_of,
    stepped,
)

BACKENDS = ["auto", "norse"]
ALTERNATING = list(zip(BUILT_IN, [True, False] * 2, strict=True))
"""Neurons, of which every second is recurrent."""


@settings(max_examples=15, deadline=None)
@given(
    neuron_parameters(), shapes, st.integers(0, 2**31), st.floats(0.5, 10.0, width=32),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_gradients_of_the_kernels_equal_the_stepped_path(
    parameters, shape, seed, slope, held, recurrent
):
    rounds, batch, time_steps, size = shape
    neuron = neuron_of(parameters, SURROGATE_OF[NAMES[type(parameters)]], slope)
    breaks = breaks_of(rounds, batch, seed)
    runs, gradients = [], []
    for path in (run_fused, LayerNeurons.run_stepped):
        steps = rounds if held else rounds * time_steps
        currents = normal(seed, steps, batch, size, shift=0.5).requires_grad_()
        weight = weight_of(size, seed + 2, 0.5).requires_grad_() if recurrent else None
        drawn = start_of(neuron, batch, size, seed)
        state = tuple(x.requires_grad_() for x in (drawn if recurrent else drawn[:-1]))
        run = path(neuron, currents, state, time_steps, weight, breaks)
        loss = (run.spikes * normal(seed + 1, *run.spikes.shape)).sum()
        loss = loss + (run.voltages * normal(seed + 2, *run.spikes.shape)).sum()
        loss = loss + sum(((k + 1) * x).sum() for k, x in enumerate(run.final))
        wanted = (currents, *state) if weight is None else (currents, weight, *state)
        # An ALIF of one time step feels its input one step late: no graph before a start.
        gradients.append(torch.autograd.grad(loss, wanted, materialize_grads=True))
        runs.append(run)
        zero = breaks.starts[0]
        for gradient in gradients[-1][-len(state) :]:
            assert not gradient[zero].any()
    if recurrent:  # the sum over recurrent weights has another order
        assume(torch.equal(runs[0].spikes, runs[1].spikes))
    assert torch.equal(runs[0].spikes, runs[1].spikes)
    tolerance = 2e-5 * max(1.0, *(float(x.abs().max()) for x in gradients[1]))
    for fused, reference in zip(*gradients, strict=True):
        torch.testing.assert_close(fused, reference, rtol=1e-4, atol=tolerance)


def gradients_of(network, outputs, final, state):
    loss = (outputs * normal(7, *outputs.shape)).sum() + (final * normal(8, *final.shape)).sum()
    return list(torch.autograd.grad(loss, [*network.parameters(), state]))


def assert_same(ours, expected):
    scale = max(float(x.abs().max()) for x in expected)
    assert scale > 0.01
    for mine, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=2e-5 * scale)


@pytest.mark.parametrize(
    ("neuron", "recurrent", "decoder", "kind"),
    pairs(
        BUILT_IN,
        [False, True],
        ["last_voltage", "population"],
        ["constant", "learnable_population", "spike_train"],
    ),
)
def test_gradients_equal_stepping_by_norse(neuron, recurrent, decoder, kind):
    config = NetworkConfig((8, 6), 3, neuron=neuron, recurrent=recurrent, decoder=decoder)
    network = build(config, kind)
    reference = build(replace(config, backend="norse"), kind)
    inputs, starts = inputs_of(network, 5, 4), starts_of(5, 4)
    state = carried(network, 4).requires_grad_()
    ours = network.sequence(inputs, state, starts)
    theirs = stepped(reference, inputs, state, starts)
    torch.testing.assert_close(ours[0], theirs[0], rtol=1e-4, atol=1e-5)
    assert_same(gradients_of(network, *ours, state), gradients_of(reference, *theirs, state))


@pytest.mark.parametrize(("neuron", "backend"), list(zip(BUILT_IN, BACKENDS * 2, strict=True)))
def test_no_gradient_crosses_a_start(neuron, backend):
    config = NetworkConfig(
        (16,), 4, neuron=neuron, recurrent=True, decoder="last_voltage", backend=backend
    )
    network = build(config)
    inputs = inputs_of(network, 4, 3).requires_grad_()
    state = carried(network, 3).requires_grad_()
    starts = torch.zeros(4, 3, dtype=torch.bool)
    starts[0, 0] = starts[2, 1] = True
    outputs, _ = network.sequence(inputs, state, starts)
    by_inputs, by_state = torch.autograd.grad(outputs[2:].sum(), (inputs, state))
    assert [bool(row.any()) for row in by_state] == [False, False, True]
    assert [[bool(x.any()) for x in row] for row in by_inputs] == [
        [True, False, True], [True, False, True], [True] * 3, [True] * 3,
    ]  # fmt: skip


@pytest.mark.parametrize(("neuron", "recurrent"), ALTERNATING)
def test_second_derivatives_equal_the_stepped_path(neuron, recurrent):
    products = []
    for backend in ("auto", "norse"):
        network = build(
            NetworkConfig(
                (6, 5), 3, neuron=neuron, recurrent=recurrent, backend=backend,
                surrogate_slope=2.0,
            )
        )  # fmt: skip
        inputs, starts = inputs_of(network, 4, 3), starts_of(4, 3)
        outputs, _ = network.sequence(inputs, carried(network, 3), starts)
        parameters = list(network.parameters())
        first = torch.autograd.grad(outputs.square().sum(), parameters, create_graph=True)
        total = sum((x * normal(k, *x.shape)).sum() for k, x in enumerate(first))
        products.append(list(torch.autograd.grad(total, parameters)))
    assert_same(*products)


def watched(neuron, recurrent, regulation, **options):
    config = NetworkConfig((8, 6), 4, neuron=neuron, recurrent=recurrent, **options)
    return build(replace(config, regulation=regulation))


@pytest.mark.parametrize(("neuron", "recurrent"), ALTERNATING)
def test_penalties_cover_all_decisions(neuron, recurrent):
    parameters = RegulationParameters(min_rate=0.2, max_rate=0.25, rate_strength=3.0)
    network, plain = watched(neuron, recurrent, parameters), watched(neuron, recurrent, None)
    inputs, starts = 2 * inputs_of(network, 5, 4), starts_of(5, 4)
    found = torch.autograd.grad(
        network.sequence(inputs, None, starts)[0].sum(), list(network.parameters())
    )
    outputs, _ = plain.sequence(inputs, None, starts)
    layers, loss = list(plain.layers), outputs.sum()
    rest = [layer.initial_state(4, inputs) for layer in layers]
    for run in run_layers(layers, None, inputs, rest, 4, make_breaks(inputs, starts)):
        rates = run.spikes.mean((0, 1))
        loss = loss + 1.5 * (rates - rates.clamp(0.2, 0.25)).square().sum()
    assert_same(list(found), list(torch.autograd.grad(loss, list(plain.parameters()))))


@pytest.mark.parametrize("neuron", BUILT_IN)
def test_a_controller_measures_a_sequence_like_its_steps(neuron):
    network = watched(neuron, False, RegulationParameters(controller=ControllerParameters()))
    other = copy.deepcopy(network)
    inputs, starts = inputs_of(network, 5, 4), starts_of(5, 4)
    network.sequence(inputs, None, starts)
    stepped(other, inputs, None, starts)
    for ours, expected in zip(
        network.regulation.controllers, other.regulation.controllers, strict=True
    ):
        assert ours.count.item() == expected.count.item() == 20
        torch.testing.assert_close(ours.total, expected.total)
        assert float(ours.total.sum()) > 0
    network.sequence(inputs, None, starts, optimised=False)
    assert network.regulation.controllers[0].count.item() == 20
