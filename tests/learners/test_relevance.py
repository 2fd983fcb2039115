"""Tests of shedding by the whole cost: relevance, prices and cuts, worked by hand."""

import dataclasses
import math

import pytest
import torch
from torch import tensor

from snn_gym.learners.whole_cost import (
    EventPrices,
    Halving,
    Signal,
    Synapses,
    bias_cost,
    event_prices,
    means_of,
    relevances,
    shed,
    signal_of,
)
from snn_gym.spiking.assembly import configured_neuron
from snn_gym.spiking.network_config import NetworkConfig
from snn_gym.spiking.spiking_layer import SpikingLayer, SynapticLinear


@pytest.mark.parametrize(
    ("price", "synop", "mac", "update", "spike"),
    [
        ("operations", 1.0, 1.0, 1.0, 0.0),
        # A synapse; an access and an update; a spike and its message.
        ("loihi", 35.5, 35.5, 51.2 + 21.6, 69.3 + 111.0),
        # An addition and a multiplication; 4 bytes at 1.25 pJ, of a state twice.
        ("cmos45", 0.9 + 5.0, 4.6 + 5.0, 4.6 + 10.0, 0.0),
    ],
)
def test_events_cost_what_the_published_prices_say(price, synop, mac, update, spike):
    found = dataclasses.astuple(event_prices(price))
    assert found == pytest.approx((synop, mac, update, spike))


PRICES = EventPrices(synop=2.0, mac=3.0, update=5.0)


def signal(variance, mean=None, price=1.0):
    variance = tensor(variance)
    mean = torch.zeros_like(variance) if mean is None else tensor(mean)
    return Signal(mean, variance, torch.full_like(variance, price))


def test_signal_of_spikes_is_rate_variance_over_decisions_and_price_of_a_synapse():
    # Two decisions of two time steps, three neurons: always, in the first decision only, never.
    spikes = tensor([[[1.0, 1, 0], [1, 0, 0]], [[1, 1, 0], [1, 0, 0]]])
    found = signal_of(spikes, 2, PRICES, spikes=True)
    torch.testing.assert_close(found.mean, tensor([1.0, 0.5, 0.0]))
    torch.testing.assert_close(found.variance, tensor([0.0, 0.25, 0.0]))
    torch.testing.assert_close(found.price, tensor([4.0, 2.0, 0.0]))


def test_signal_of_a_sequence_varies_over_its_decisions():
    spikes = tensor([1.0, 1, 0, 0]).view(4, 1, 1)  # two decisions in a row, two steps each
    assert signal_of(spikes, 2, PRICES, spikes=True).variance.tolist() == [0.25]


def test_signal_of_analogue_values_costs_a_product_where_it_is_not_zero():
    values = tensor([[1.0, 0], [3, 0], [0, 0], [0, 4]]).unsqueeze(0)
    found = signal_of(values, 1, PRICES, spikes=False)
    torch.testing.assert_close(found.price, tensor([1.5, 0.75]))
    torch.testing.assert_close(found.mean, tensor([1.0, 1.0]))
    torch.testing.assert_close(found.variance, tensor([1.5, 3.0]))


def test_running_means_are_those_of_all_decisions():
    # An input that is there in one decision of eight, all of them in the second batch.
    rare, never = tensor([1.0, 1, 0, 0]), torch.zeros(4)
    batches = [torch.stack([x, 3 * x], -1).unsqueeze(0) for x in (never, rare)]
    first, second = (signal_of(x, 1, PRICES, spikes=False) for x in batches)
    found = means_of(first).step(second, 0.5).signal
    together = signal_of(torch.cat(batches, 1), 1, PRICES, spikes=False)
    for one, other in zip(found, together, strict=True):
        torch.testing.assert_close(one, other)


def two_layers():
    """Two inputs, two neurons, one neuron, one output."""
    first = Synapses(0, 1, tensor([[1.0, 2.0], [3.0, 0.0]]), tensor([0.0, 0.0]))
    second = Synapses(1, 2, tensor([[1.0, 1.0]]), tensor([0.0]))
    head = Synapses(2, 3, tensor([[2.0]]), tensor([0.0]), gain=0.5)
    return [first, second, head]


def test_relevance_flows_from_outputs_to_inputs_by_shares_of_variance():
    signals = [signal([1.0, 1.0]), signal([3.0, 1.0]), signal([0.5])]
    neurons, synapses = relevances(two_layers(), signals)
    torch.testing.assert_close(synapses[2], tensor([[1.0]]))
    torch.testing.assert_close(neurons[1], tensor([1.0]))
    torch.testing.assert_close(synapses[1], tensor([[0.75, 0.25]]))
    torch.testing.assert_close(neurons[0], tensor([0.75, 0.25]))
    # 1 and 4 parts of the first neuron's current, 9 and 0 of the second's.
    torch.testing.assert_close(synapses[0], tensor([[0.15, 0.6], [0.25, 0.0]]))


def test_outputs_count_by_their_variance():
    head = [Synapses(0, 1, tensor([[1.0]]), None), Synapses(1, 2, tensor([[1.0], [3.0]]), None)]
    _, synapses = relevances(head, [signal([1.0]), signal([1.0])])
    torch.testing.assert_close(synapses[1], tensor([[0.1], [0.9]]))


def test_relevance_flows_along_recurrent_synapses():
    # The outputs read the second neuron, which hears the first alone; a third one is not heard.
    synapses = [
        Synapses(0, 1, tensor([[1.0], [0.0], [1.0]]), None),
        Synapses(1, 1, tensor([[0.0, 0, 0], [1, 0, 0], [0, 0, 0]]), None),
        Synapses(1, 2, tensor([[0.0, 1.0, 0.0]]), None),
    ]
    (neurons,), found = relevances(synapses, [signal([1.0]), signal([1.0, 1.0, 1.0])])
    torch.testing.assert_close(neurons, tensor([0.5, 0.5, 0.0]))
    torch.testing.assert_close(found[0][:, 0], tensor([0.5, 0.0, 0.0]))


def test_nothing_is_relevant_where_no_output_varies():
    neurons, synapses = relevances(
        two_layers(), [signal([1.0, 1]), signal([1.0, 1]), signal([0.0])]
    )
    assert not any(x.any() for x in (*neurons, *synapses))


@pytest.mark.parametrize(
    ("limit", "left"),
    [
        (0.01, [[1.0, 2.0], [3.0, 0.0]]),
        (0.16, [[0.0, 2.0], [3.0, 0.0]]),  # the synapse of relevance 0.15
    ],
)
def test_synapses_are_cut_below_the_limit(limit, left):
    synapses = two_layers()
    signals = [signal([1.0, 1.0]), signal([3.0, 1.0], price=0.1), signal([0.5])]
    units = [tensor([0.1, 0.1]), tensor([0.1])]
    price = shed(synapses, signals, units, limit)
    assert synapses[0].weight.tolist() == left
    assert price == pytest.approx(0.3 + int((synapses[0].weight != 0).sum()) + 0.2 + 1)


def test_a_neuron_is_cut_whose_relevance_is_below_its_price_with_all_synapses():
    synapses = two_layers()
    signals = [signal([1.0, 1.0], [5.0, 5.0]), signal([3.0, 1.0], [0.5, 0.25]), signal([0.5])]
    # The first costs 10 + 3, the second 10 + 2: 0.25 < 0.03 * 12 < 0.75.
    price = shed(synapses, signals, [tensor([10.0, 10.0]), tensor([10.0])], 0.03)
    assert synapses[1].weight.tolist() == [[1.0, 0.0]]
    assert synapses[1].bias.tolist() == [0.25]  # its mean goes on
    assert synapses[0].weight.tolist() == [[1.0, 2.0], [3.0, 0.0]]
    assert price == pytest.approx(10 + 10 + 3 + 1 + 1)
    # Without synapses to others, it no longer hears anything either.
    shed(synapses, signals, [tensor([10.0, 10.0]), tensor([10.0])], 0.03)
    assert synapses[0].weight.tolist() == [[1.0, 2.0], [0.0, 0.0]]


def test_the_decoded_mean_goes_to_the_biases_of_outputs():
    synapses = two_layers()
    signals = [signal([1.0, 1.0]), signal([3.0, 1.0]), signal([0.5], [0.8])]
    shed(synapses, signals, [tensor([0.0, 0.0]), tensor([9.0])], 1.0)
    assert synapses[2].weight.tolist() == [[0.0]]
    torch.testing.assert_close(synapses[2].bias, tensor([2 * 0.5 * 0.8]))


def test_means_go_to_biases_once_and_fixed_layers_stay():
    synapses = two_layers()
    signals = [signal([1.0, 1.0], [5.0, 7.0]), signal([3.0, 1.0]), signal([0.5])]
    before = [torch.tensor([[False, True], [True, True]]), *(x.weight != 0 for x in synapses[1:])]
    shed(synapses, signals, [tensor([9.0, 9.0]), tensor([9.0])], 0.4, before, cuttable=0)
    # Relevances 0.15 and 0.25 are below 0.4 * 1; the first was cut in an update before.
    assert synapses[0].weight.tolist() == [[0.0, 2.0], [0.0, 0.0]]
    assert synapses[0].bias.tolist() == [0.0, 15.0]
    assert synapses[1].weight.tolist() == [[1.0, 0.0]]


def test_biases_that_fire_alone_cost_their_excess():
    layer = SpikingLayer(SynapticLinear(1, 3), configured_neuron(NetworkConfig()), "auto")
    with torch.no_grad():
        layer.linear.bias.copy_(tensor([0.0, 1.8, 3.0]))
    cost = bias_cost([layer], [10.0], [2.0])  # in units of 2: 0, 0.9 and 1.5
    assert cost.item() == pytest.approx(10 * 0.55)
    cost.backward()
    torch.testing.assert_close(layer.linear.bias.grad, tensor([0.0, 0.0, 5.0]))


def test_halving_is_tried_within_the_bound_and_accepted_once_it_is_back():
    assert not Halving().may_begin(8, math.nan, 0.1, 0.0)  # nothing was measured
    assert not Halving().may_begin(8, 0.2, 0.1, 0.0)
    assert not Halving().may_begin(1, 0.0, 0.1, 0.0)
    assert not Halving().may_begin(8, 0.0, 0.1, 0.5)
    assert Halving().may_begin(8, 0.1, 0.1, 0.49)
    trial = Halving(100, 1.0)
    assert trial.tries
    assert not trial.may_begin(8, 0.0, 0.1, 0.0)
    assert trial.verdict(121, 0.5, 0.49, 1000) is None
    assert trial.verdict(121, 0.5, 0.51, 1000) is True
    assert trial.verdict(109, 0.5, 1.0, 1000) is None  # too early
    assert trial.verdict(200, 0.5, 0.01, 1000) is False
    assert not Halving(refused=True).may_begin(8, 0.0, 0.1, 0.0)
