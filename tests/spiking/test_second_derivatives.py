"""Tests of Hessian-vector products of networks: fused, stepped, and finite differences."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from snn_gym.spiking import NetworkConfig, SpikingNetwork
from snn_gym.spiking import layer_neurons as base
from snn_gym.spiking.layer_neurons import SURROGATES as DERIVATIVES
from tests.pairs import pairs
from tests.spiking.strategies import DECODERS, normal

NEURONS = ("lif_box", "lif", "iaf", "alif")


def build(config):
    torch.manual_seed(0)
    return SpikingNetwork(config, 3, 2)


def gradient(network, x, *, create_graph):
    loss = network(x)[0].square().sum()
    parts = torch.autograd.grad(loss, list(network.parameters()), create_graph=create_graph)
    return torch.cat([part.reshape(-1) for part in parts])


def hessian_vector_product(network, x):
    first = gradient(network, x, create_graph=True)
    product = (first * direction_of(network).to(first)).sum()
    parts = torch.autograd.grad(product, list(network.parameters()), allow_unused=True)
    return torch.cat([
        torch.zeros_like(p).reshape(-1) if part is None else part.reshape(-1)
        for part, p in zip(parts, network.parameters(), strict=True)
    ])  # fmt: skip


def direction_of(network):
    return normal(1, sum(p.numel() for p in network.parameters()))


@pytest.mark.parametrize(
    ("neuron", "decoder", "recurrent", "encoder"),
    pairs(NEURONS, DECODERS, [False, True], ["constant", "learnable_population"]),
)
def test_fused_equals_stepped(neuron, decoder, recurrent, encoder):
    config = NetworkConfig(
        hidden_sizes=(6, 5), time_steps=5, neuron=neuron, decoder=decoder, recurrent=recurrent,
        encoder=encoder, surrogate_slope=2.0,
    )  # fmt: skip
    fused = build(config)
    stepped = build(replace(config, backend="norse"))
    x = normal(2, 4, 3)
    assert torch.equal(fused.record(x).layers[-1].spikes, stepped.record(x).layers[-1].spikes)
    ours, theirs = hessian_vector_product(fused, x), hessian_vector_product(stepped, x)
    scale = float(theirs.abs().max())
    assert scale > 0.01
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * scale)


class _SoftSpike(torch.autograd.Function):
    """The smooth function whose derivative is the surrogate ``sigmoid``, with its backward."""

    @staticmethod
    def forward(ctx, x, surrogate, slope):
        ctx.save_for_backward(x)
        ctx.surrogate, ctx.slope = surrogate, slope
        return torch.sigmoid(slope * x)

    @staticmethod
    def backward(ctx, *grads):
        (x,) = ctx.saved_tensors
        return grads[0] * DERIVATIVES[ctx.surrogate](x, ctx.slope), None, None


def finite_difference(network, x, h):
    """Central difference of the gradient along the direction of the Hessian-vector product."""
    direction, gradients = direction_of(network).double(), []
    for sign in (1.0, -1.0):
        moved = SpikingNetwork(network.config, 3, 2).double()
        moved.load_state_dict(network.state_dict())
        offset = 0
        for parameter in moved.parameters():
            part = direction[offset : offset + parameter.numel()].view_as(parameter)
            parameter.data += sign * h * part
            offset += parameter.numel()
        gradients.append(gradient(moved, x, create_graph=False))
    return (gradients[0] - gradients[1]) / (2.0 * h)


@pytest.mark.parametrize(
    ("neuron", "decoder", "recurrent"), pairs(NEURONS, DECODERS[:2], [False, True])
)
def test_stepped_equals_finite_differences_of_the_surrogates_network(
    neuron, decoder, recurrent, monkeypatch
):
    # The Hessian that surrogate gradients stand for is that of the network with soft spikes, which
    # is defined everywhere. (That of hard spikes is not: a gradient jumps with every spike.)
    monkeypatch.setattr(base, "spike", _SoftSpike.apply)
    config = NetworkConfig(
        hidden_sizes=(4, 3), time_steps=4, neuron=neuron, decoder=decoder, recurrent=recurrent,
        surrogate="sigmoid", surrogate_slope=2.0, backend="norse",
    )  # fmt: skip
    network, x = build(config).double(), normal(2, 3, 3).double()
    exact = hessian_vector_product(network, x)
    assert float(exact.abs().max()) > 0.01
    torch.testing.assert_close(exact, finite_difference(network, x, 1e-5), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("neuron", "surrogate"),
    [("lif_box", "superspike"), ("lif", "arctan"), ("iaf", "triangle"), ("lif", "sigmoid")],
)
def test_hard_spikes_where_the_gradient_is_smooth(neuron, surrogate):
    # One time step, one layer, and a loss linear in its spikes: the gradient holds no spike.
    config = NetworkConfig(
        hidden_sizes=(6,), time_steps=1, neuron=neuron, surrogate=surrogate,
        surrogate_slope=0.7, backend="norse",
    )  # fmt: skip
    torch.manual_seed(0)
    network = SpikingNetwork(config, 3).double()
    weight, x = network.layers[0].linear.weight, normal(2, 4, 3).double()
    arriving, direction = normal(3, 4, 6).double(), normal(4, 6, 3).double()

    def first(create_graph):
        loss = (network(x)[0] * arriving).sum()
        return torch.autograd.grad(loss, weight, create_graph=create_graph)[0]

    (exact,) = torch.autograd.grad((first(True) * direction).sum(), weight)
    ends = []
    for step in (1e-6, -2e-6):
        weight.data += step * direction
        ends.append(first(False))
    assert math.isfinite(float(exact.sum()))
    assert float(exact.abs().max()) > 0.01
    torch.testing.assert_close(exact, (ends[0] - ends[1]) / 2e-6, rtol=1e-4, atol=1e-6)
