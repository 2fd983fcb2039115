"""Tests of folding: by hand, and in a network with unchanged decisions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_gym.learners.lean_rules import fold
from snn_gym.spiking import NetworkConfig, SpikingNetwork
from tests.spiking.strategies import normal

DECODERS: dict[str, dict[str, Any]] = {
    "mean_rate": {},
    "last_voltage": {"decoder": "last_voltage", "decoder_parameters": {"tau_mem_ms": 8.0}},
}


def make(neuron="iaf", **options):
    config = NetworkConfig(hidden_sizes=(6, 5), neuron=neuron, time_steps=4, **options)
    return SpikingNetwork(config, input_size=3, output_size=2)


def saturate(network, *neurons):
    """Make the given neurons fire at every time step for any input."""
    with torch.no_grad():
        for layer, place in neurons:
            network.layers[layer].linear.bias[place] = 50.0


def rates_of(network, inputs):
    recording = network.record(inputs)
    return [x.spikes.mean((0, 1)) for x in recording.layers if x.name != "input"]


def fold_network(network, rates, least=1.0):
    gain = float(network.decoder.coefficients[0].sum())
    return fold(list(network.layers), rates, least, network.head, gain)


def test_neurons_of_filters_and_those_that_filters_read_stay():
    filters = ({"filters": 2, "kernel": 2},) * 2
    config = NetworkConfig((3,), 2, convolutions=filters, planes=(1, 4, 4))
    network = SpikingNetwork(config, 16, 2)
    before = {name: x.detach().clone() for name, x in network.named_parameters()}
    assert fold_network(network, [torch.ones(layer.size) for layer in network.layers]) == 3
    changed = {name for name, x in network.named_parameters() if not torch.equal(x, before[name])}
    assert changed == {"layers.2.linear.weight", "layers.2.linear.bias", "head.bias"}


def test_two_neurons_by_hand():
    network = make()
    first, second = network.layers
    head = network.head
    with torch.no_grad():
        second.linear.weight[:, 0] = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
        second.linear.bias.fill_(0.5)
        head.weight[:, 3] = torch.tensor([-1.0, 2.0])
        head.bias.zero_()
    rates = [torch.tensor([0.96, 0.9, 0.0, 0.5, 0.1, 0.2]), torch.tensor([0.0, 0.0, 0.1, 1.0, 0.3])]
    assert fold(list(network.layers), rates, 0.95, head, 3.0) == 2
    # 0.96 of the first column; three times a neuron that always fires.
    torch.testing.assert_close(
        second.linear.bias.detach(), torch.tensor([1.46, 2.42, 3.38, 0.0, 5.3])
    )
    assert head.bias.tolist() == [-3.0, 6.0]
    assert not first.linear.weight[0].any()
    assert first.linear.bias[0] == 0
    assert not second.linear.weight[3].any()


@pytest.mark.parametrize("decoder", DECODERS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_always_firing_neurons_are_silent_and_decisions_the_same(decoder, seed):
    torch.manual_seed(seed)
    network, inputs = make(**DECODERS[decoder]), normal(seed, 16, 3)
    saturate(network, (0, 1), (0, 4), (1, 2))
    rates = rates_of(network, inputs)
    always = [x == 1 for x in rates]
    before = network(inputs)[0]
    assert fold_network(network, rates) == sum(int(x.sum()) for x in always) >= 3
    torch.testing.assert_close(network(inputs)[0], before, rtol=1e-4, atol=1e-4)
    for left, was, folded in zip(rates_of(network, inputs), rates, always, strict=True):
        assert not left[folded].any()
        # A sum of currents in another order may move a spike, and does so hardly ever.
        torch.testing.assert_close(left[~folded], was[~folded], rtol=0, atol=0.02)


def test_recurrent_synapses_are_folded_too():
    torch.manual_seed(3)
    network, inputs = make("lif_box", recurrent=True), normal(3, 8, 3)
    saturate(network, (0, 1))
    layer = network.layers[0]
    bias, column = layer.linear.bias.detach().clone(), layer.recurrent.weight[:, 1].detach().clone()
    rates = [torch.zeros(6), torch.zeros(5)]
    rates[0][1] = 1.0
    assert fold_network(network, rates) == 1
    others = torch.arange(6) != 1
    torch.testing.assert_close(layer.linear.bias.detach()[others], (bias + column)[others])
    assert not layer.recurrent.weight[1].any()
    assert rates_of(network, inputs)[0][1] == 0


def test_slower_neurons_and_layers_without_a_linear_head_are_not_folded():
    network = make()
    before = {name: x.clone() for name, x in network.state_dict().items()}
    rates = [torch.full((6,), 0.94), torch.ones(5)]
    assert fold(list(network.layers), rates, 0.95, None, 1.0) == 0
    for name, x in network.state_dict().items():
        assert torch.equal(x, before[name]), name
