"""Tests of the rescue: start, end, measurements, and unchanged responsive networks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from snn_gym.spiking import NetworkConfig, RegulationParameters, SpikingNetwork
from snn_gym.spiking.network_config import ControllerParameters
from snn_gym.spiking.regulation import Rescue, next_strength
from tests.spiking.strategies import normal

RESCUE = RegulationParameters(min_rate=0.05, max_rate=0.5, rescue_strength=2.0)


def test_rescue_has_hysteresis():
    shares = [0.0, 0.5, 0.51, 0.3, 0.06, 0.05, 0.3, 0.5, 0.9, 0.04, 0.06]
    strength, found = 0.0, []
    for share in shares:
        strength = next_strength(share, strength > 0, 2.0)
        found.append(strength)
    assert found == [0.0, 0.0, 2.0, 2.0, 2.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0]


def rates_of(*counts, steps=100):
    """Return the rates (N,) of neurons with given counts of spikes."""
    return torch.tensor(counts) / steps


@pytest.mark.parametrize(
    ("first", "second", "strength"),
    [
        # Silent below 1 of 100 steps, saturated above 95; the layers count together.
        ((0, 0, 50), (100,), 3.0),  # 3 of 4
        ((0, 0, 50), (50,), 0.0),  # 2 of 4 are not more than half
        ((0, 1, 95), (0,), 0.0),  # 1 and 95 of 100 respond
        ((0, 96, 100), (50,), 3.0),
        ((50, 50), (0, 0, 0), 3.0),
        ((50, 50, 50), (0, 0, 0), 0.0),
    ],
)
def test_the_share_of_the_whole_network(first, second, strength):
    rescue = Rescue(3.0, 2)
    rescue.measure(0, rates_of(*first))
    assert rescue.strength == 0.0  # only when all layers were seen
    rescue.measure(1, rates_of(*second))
    assert rescue.strength == strength


def build(regulation, bias=0.0):
    torch.manual_seed(0)
    network = SpikingNetwork(NetworkConfig((8, 6), 5, regulation=regulation), 3, 2)
    with torch.no_grad():
        for layer in network.layers:
            layer.linear.bias += bias
    return network


def gradients(network):
    loss = network(normal(0, 32, 3, scale=2.0))[0].square().sum()
    return list(torch.autograd.grad(loss, list(network.parameters())))


def test_responsive_networks_are_unchanged():
    rescued, plain = build(RESCUE), build(None)
    for ours, theirs in zip(gradients(rescued), gradients(plain), strict=True):
        assert torch.equal(ours, theirs)
    assert rescued.regulation.rescue.strength == 0.0


@pytest.mark.parametrize(("bias", "rate_strength"), [(-20.0, 0.0), (20.0, 1.0)])
def test_an_unresponsive_network_gets_the_gradient_of_a_penalty(bias, rate_strength):
    rescued, plain = build(replace(RESCUE, rate_strength=rate_strength), bias), build(None, bias)
    strength = 2.0 + rate_strength
    penalised = build(replace(RESCUE, rescue_strength=0.0, rate_strength=strength), bias)
    found, untouched = gradients(rescued), gradients(plain)
    for ours, theirs in zip(found, gradients(penalised), strict=True):
        assert torch.equal(ours, theirs)
    assert any(not torch.equal(a, b) for a, b in zip(found, untouched, strict=True))
    assert rescued.regulation.rescue.strength == 2.0


def test_rescue_revives_a_dead_network_and_ends():
    network = build(RESCUE, -4.0)
    x = normal(0, 64, 3, scale=2.0)

    def responding():
        with torch.no_grad():
            rates = [layer.spikes.mean((0, 1)) for layer in network.record(x).layers]
        hidden = torch.cat(rates[-2:])
        return float(((hidden >= 0.01) & (hidden <= 0.95)).float().mean())

    assert responding() < 0.5
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    strengths = []
    for _ in range(400):
        optimiser.zero_grad()
        (0.0 * network(x)[0].sum()).backward()
        optimiser.step()
        strengths.append(network.regulation.rescue.strength)
    assert strengths[0] == 2.0
    assert strengths[-1] == 0.0
    assert responding() >= 0.95


@pytest.mark.parametrize(("bias", "moved"), [(0.0, False), (-4.0, True)])
def test_a_controller_acts_only_while_a_rescue_lasts(bias, moved):
    controller = ControllerParameters(min_samples=32)
    network = build(replace(RESCUE, controller=controller, rescue_strength=2.0), bias)
    weights = [layer.linear.weight.clone() for layer in network.layers]

    def updated():
        network(normal(0, 64, 3, scale=2.0))
        network.rollout_started()

    def is_moved():
        pairs = zip(network.layers, weights, strict=True)
        return any(not torch.equal(layer.linear.weight, x) for layer, x in pairs)

    updated()
    assert is_moved() == moved
    # The network responds again: earlier measurements have no effect.
    with torch.no_grad():
        for layer in network.layers:
            layer.linear.bias -= bias
    weights = [layer.linear.weight.clone() for layer in network.layers]
    updated()
    updated()
    assert network.regulation.rescue.strength == 0.0
    assert not is_moved()
