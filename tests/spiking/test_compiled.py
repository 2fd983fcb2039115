"""Tests of the compiled network: against stepping, by hand, and after weight changes."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from snn_gym.spiking import NetworkConfig, SpikingNetwork
from snn_gym.spiking.execution import CompiledLayers
from snn_gym.spiking.spiking_layer import spike_product
from tests.pairs import pairs
from tests.spiking.events_in_python import interpret
from tests.spiking.strategies import NAMES, SURROGATES, network_configs, normal

HALVES = {"neuron": "lif_box", "neuron_parameters": {"tau_mem_ms": 2.0}}


def build(config, inputs=3, **arguments):
    torch.manual_seed(0)
    return SpikingNetwork(config, inputs, 2, **arguments)


@pytest.mark.parametrize("neuron", sorted(NAMES.values()))
def test_gradients_of_one_time_step_equal_stepping(neuron):
    config = NetworkConfig((6, 5), 1, neuron=neuron, surrogate_slope=2.0)
    network, stepped = build(config), build(replace(config, backend="norse"))
    for seed in (1, 2):  # the second pass finds the first one's numbers in its scratch
        x, upstream = normal(seed, 40, 3), normal(seed + 2, 40, 2)
        ours, theirs = (
            torch.autograd.grad(
                (one(x)[0] * upstream).sum(), list(one.parameters()), materialize_grads=True
            )
            for one in (network, stepped)
        )
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=2e-4)


@settings(max_examples=10, deadline=None)
@given(network_configs(encoder="constant"), st.integers(0, 2**20), st.integers(1, 5))
def test_carried_states_equal_stepping(config, seed, batch):
    network, x = build(config), normal(seed, batch, 3)
    stepped = SpikingNetwork(replace(config, backend="norse"), 3, 2)
    stepped.load_state_dict(network.state_dict())
    start = network.rest_state(batch) + normal(seed + 1, batch, network.state_size, scale=0.2)
    given_state = start.clone()
    for state in (None, start):
        output, final = stepped(x, state)
        with torch.no_grad():
            ours = network(x, state)
        torch.testing.assert_close(ours[0], output.detach(), rtol=1e-6, atol=1e-6)
        own = -network.decoder.state_variables * network.layers[-1].size or None
        if config.recurrent:  # its spikes add up in another order
            torch.testing.assert_close(ours[1], final.detach(), rtol=1e-5, atol=1e-5)
        else:
            assert torch.equal(ours[1][:, :own], final.detach()[:, :own])
    assert torch.equal(start, given_state)


@pytest.mark.parametrize(
    ("neuron", "surrogate", "batch"),
    [
        ("alif", "superspike", 3),
        ("iaf", "arctan", 60),
        ("lif", "triangle", 3),
        ("lif_box", "sigmoid", 60),
    ],
)
def test_gradients_through_the_state_equal_stepping(neuron, surrogate, batch):
    config = NetworkConfig(
        (7, 5), 6, neuron=neuron, surrogate=surrogate, surrogate_slope=2.0, decoder="last_voltage"
    )
    network, found = build(config), []
    stepped = SpikingNetwork(replace(config, backend="norse"), 3, 2)
    stepped.load_state_dict(network.state_dict())
    for one in (network, stepped):
        start = one.rest_state(batch) + normal(1, batch, one.state_size, scale=0.2)
        start.requires_grad_()
        output, state = one(normal(2, batch, 3), start)
        output = output + one(normal(3, batch, 3), state)[0]
        loss = (output * normal(4, batch, 2)).sum() + (state * normal(5, *state.shape)).sum()
        found.append(torch.autograd.grad(loss, [start, *one.parameters()]))
    assert all(bool(x.any()) for x in found[1])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=2e-4)


@settings(max_examples=8, deadline=None)
@given(network_configs(encoder="constant"), st.integers(0, 2**20))
def test_samples_equal_their_batch_bit_for_bit(config, seed):
    network, x = build(config), normal(seed, 7, 3)
    layers = CompiledLayers(list(network.layers), network.decoder.coefficients)
    with torch.no_grad():
        together = layers.decoded(x[None], None)[0]
        alone = [layers.decoded(x[None, k : k + 1], None)[0] for k in range(7)]
    assert torch.equal(together, torch.cat(alone, 1))


# 80 samples of 7 time steps are three chunks of 256 rows, the last one not full.
@pytest.mark.parametrize(
    ("kind", "encoder", "bias"),
    pairs(
        list(zip(sorted(NAMES.values()), SURROGATES, strict=True)),
        ["constant", "rate", "learnable_population"],
        [-0.9, 0.5],
    ),
)
def test_gradients_equal_stepping(kind, encoder, bias):
    neuron, surrogate = kind
    config = NetworkConfig(
        (12, 9), 7, neuron=neuron, surrogate=surrogate, surrogate_slope=2.0, encoder=encoder
    )
    network, x = build(config), normal(1, 80, 3)
    with torch.no_grad():
        for layer in network.layers:
            layer.linear.bias += bias
    stepped = SpikingNetwork(replace(config, backend="norse"), 3, 2)
    stepped.load_state_dict(network.state_dict())
    found = []
    for one in (network, stepped):
        one.reseed_noise(3)
        inputs = x.clone().requires_grad_(encoder != "rate")
        wanted = [*one.parameters(), *([inputs] if inputs.requires_grad else [])]
        output = one(inputs)[0]
        found.append([output, *torch.autograd.grad((output * normal(2, 80, 2)).sum(), wanted)])
    assert sum(bool(x.any()) for x in found[1]) > len(found[1]) - 3
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("share", [0.02, 0.5])
def test_spike_product_equals_a_linear_layer(share):
    linear = nn.Linear(20, 15)
    rng = np.random.default_rng(0)
    spikes = torch.from_numpy((rng.random((6, 50, 20)) < share).astype(np.float32))
    spikes.requires_grad_()
    wanted = (spikes, linear.weight, linear.bias)
    ours = spike_product(spikes, linear)
    theirs = linear(spikes)
    torch.testing.assert_close(ours, theirs)
    upstream = normal(1, 6, 50, 15)
    found = [torch.autograd.grad((x * upstream).sum(), wanted) for x in (ours, theirs)]
    for mine, reference in zip(*found, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-4)


def decide(network, x):
    with torch.no_grad():
        return network(x)[0]


def in_place(network):
    with torch.no_grad():
        network.layers[1].linear.weight.mul_(-1.5)


def by_data(network):
    """Change weights like Stable-Baselines3's polyak_update, without a version counter."""
    network.layers[0].linear.weight.data.mul_(-1.5)


def replaced(network):
    linear = network.layers[0].linear
    linear.bias = nn.Parameter(linear.bias.detach() + 0.5)


def loaded(network):
    torch.manual_seed(5)
    network.load_state_dict(SpikingNetwork(network.config, 3, 2).state_dict())


@pytest.mark.parametrize("change", [in_place, by_data, replaced, loaded])
def test_weights_are_never_stale(change):
    network, x = build(NetworkConfig((8, 6), 5)), normal(0, 4, 3, scale=2.0)
    before = decide(network, x)
    change(network)
    after = decide(network, x)
    assert not torch.equal(before, after)
    fresh = SpikingNetwork(network.config, 3, 2)
    fresh.load_state_dict(network.state_dict())
    assert torch.equal(after, decide(fresh, x))


@pytest.mark.parametrize("how", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_have_independent_weights(how):
    network, x = build(NetworkConfig((8, 6), 5)), normal(0, 4, 3, scale=2.0)
    before = decide(network, x)
    other = how(network)
    by_data(other)
    assert not torch.equal(decide(other, x), before)
    assert torch.equal(decide(network, x), before)


def test_simultaneous_graphs_have_separate_buffers():
    network, (x, y) = build(NetworkConfig((8, 6), 5)), (normal(0, 4, 3), normal(1, 4, 3))
    wanted = list(network.parameters())
    alone = [torch.autograd.grad(network(z)[0].sum(), wanted) for z in (x, y)]
    first, second = network(x)[0].sum(), network(y)[0].sum()
    together = [torch.autograd.grad(z, wanted, retain_graph=True) for z in (first, second)]
    again = torch.autograd.grad(first, wanted)
    for expected, found in zip([*alone, alone[0]], [*together, again], strict=True):
        assert all(torch.equal(p, q) for p, q in zip(expected, found, strict=True))


@pytest.mark.parametrize(
    ("neuron", "recurrent"), [("alif", False), ("alif", True), ("lif", False), ("lif_box", True)]
)
def test_kernels_stay_within_their_arrays(neuron, recurrent, monkeypatch):
    config = NetworkConfig((5, 4), 3, neuron=neuron, recurrent=recurrent, decoder="last_voltage")
    network, x = build(config), normal(0, 3, 3, scale=2.0)
    state = network.rest_state(3)
    found = []
    for way in ("compiled", "interpreted"):
        if way == "interpreted":
            interpret(monkeypatch)
        with torch.no_grad():
            parts = [*network(x, state)]
        if not recurrent:
            loss = network(x)[0].square().sum()
            parts += torch.autograd.grad(loss, list(network.parameters()))
        found.append(parts)
    for ours, interpreted in zip(*found, strict=True):
        torch.testing.assert_close(ours, interpreted, rtol=1e-5, atol=1e-6)
