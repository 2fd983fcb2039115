"""Tests of the rivals of relays, by equality with networks of ours and by hand."""

import pytest
import torch

from snn_gym.spiking import NetworkConfig, SpikingNetwork
from studies.gains.memory import gradient_gains, influences
from studies.gains.rivals import NORMALISED, RESIDUAL, RivalNetwork
from studies.gains.training import STARTS, plan

CONFIG = NetworkConfig(hidden_sizes=(12, 12, 12), time_steps=6)


def made(rival):
    """Return a rival's network, and one of ours with the same weights."""
    torch.manual_seed(1)
    network = SpikingNetwork(CONFIG, 4)
    torch.manual_seed(1)
    return rival(CONFIG, 4), network


def held(samples=32):
    """Return observations held over the time steps (T, B, 4)."""
    torch.manual_seed(2)
    return torch.randn(samples, 4).expand(CONFIG.time_steps, -1, -1)


def test_without_additions_a_rival_is_our_network():
    rival, network = made(RivalNetwork)
    x = held()
    recorded = network.record(x[0])
    assert torch.equal(rival(x), recorded.layers[-1].spikes)
    assert 0 < recorded.layers[-1].spikes.mean() < 1


def test_residual_layers_add_the_spikes_of_the_layer_before():
    rival, network = made(RESIDUAL)
    x = held()
    state = [layer.initial_state(32, x[0]) for layer in network.layers]
    first = network.layers[0](x, state[0], CONFIG.time_steps).spikes
    second = first + network.layers[1](first, state[1], CONFIG.time_steps).spikes
    third = second + network.layers[2](second, state[2], CONFIG.time_steps).spikes
    assert torch.equal(rival(x), third)
    assert third.max() > 1


def test_normalised_currents_have_the_spread_of_the_rheobase_around_the_biases():
    rival, network = made(NORMALISED)
    currents = rival.layers[0].currents(held(4096)).flatten(0, 1)
    found = rival.norms[0](currents)
    rheobase = network.layers[0].neuron.rheobase(CONFIG.time_steps)
    assert torch.allclose(found.std(0), torch.full((12,), rheobase), rtol=1e-3)
    assert torch.allclose(found.mean(0), network.layers[0].linear.bias, atol=1e-4)


def test_the_plan_names_every_training_once():
    names = [x.name for x in plan()]
    assert len(names) == len(set(names))
    assert {name.split("/")[2] for name in names if name.startswith("depth/16/")} == set(STARTS)


def leaking(inputs):
    """Return a leaky sum of inputs (L, B, F), which halves at every decision."""
    halves = 0.5 ** torch.arange(len(inputs) - 1.0, -1.0, -1.0)
    return (halves[:, None, None] * inputs).sum(0)


def test_gradient_of_a_leaky_sum_halves_at_every_decision():
    assert gradient_gains(leaking, torch.randn(4, 3, 2)) == [1.0, 0.5, 0.25, 0.125]


def test_influence_on_a_leaky_sum_by_hand():
    """Outputs of the two samples differ by 4 + 2/2 = 5."""
    inputs = torch.tensor([[[2.0], [0.0]], [[4.0], [0.0]]])
    assert influences(leaking, inputs) == pytest.approx([4 / 5, 1 / 5])
