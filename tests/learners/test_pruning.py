"""Tests of the cost of spikes and of pruning: by hand and against autograd."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.learners.lean_rules import prune, pruned, spike_cost
from snn_gym.spiking import NetworkConfig, SpikingNetwork
from tests.spiking.strategies import normal


def test_synapses_of_weight_zero_are_no_operations_and_keep_their_price():
    # T = 2, B = 1: rates 1, 0.5 and 0, to four neurons each, less 3 and 1 synapses.
    spikes = torch.tensor([[[1.0, 0.0, 0.0]], [[1.0, 1.0, 0.0]]])
    zeros = torch.tensor([3, 1, 4])
    cost, synops = spike_cost([spikes], [4], 2, [zeros])
    assert synops == 2 * (4 - 3) + 1 * (4 - 1)
    # 4 * 2 * (1 / 2 + 1 + 0.5 / 2 + 0.25)
    assert float(cost) == 16.0
    assert spike_cost([spikes], [4], 2) == (cost, 12.0)


def test_cost_adds_layers_weighted_by_fan_out():
    first, second = torch.ones(2, 3, 4), torch.ones(2, 3, 1)
    cost, synops = spike_cost([first, second], [10, 7], 2)
    assert synops == 2 * (4 * 10 + 1 * 7)
    assert float(cost) == 2 * 1.5 * (4 * 10 + 1 * 7)


@pytest.mark.parametrize(("spikes_in_two_decisions", "free"), [(0, True), (1, True), (2, False)])
def test_layers_with_less_than_one_spike_have_no_cost(spikes_in_two_decisions, free):
    quiet = torch.zeros(2, 2, 3)
    quiet.view(-1)[:spikes_in_two_decisions] = 1.0
    quiet.requires_grad_()
    busy = torch.ones(2, 2, 1, requires_grad=True)
    cost, synops = spike_cost([quiet, busy], [5, 4], 2)
    assert synops == pytest.approx(2 * 4 + 5 * spikes_in_two_decisions / 2)
    of_quiet, of_busy = torch.autograd.grad(cost, [quiet, busy])
    assert bool((of_quiet == 0).all()) == free
    assert bool((of_busy > 0).all())
    assert (float(cost.detach()) == pytest.approx(2 * 4 * 1.5)) == free


@given(
    steps=st.integers(1, 5), batch=st.integers(1, 6), fan_outs=st.lists(st.integers(1, 9),
    min_size=1, max_size=3), seed=st.integers(0, 999),
)  # fmt: skip
def test_gradients_equal_the_formula(steps, batch, fan_outs, seed):
    layers = [
        (normal(seed + k, steps, batch, 2 + k) > -0.5).float().requires_grad_()
        for k in range(len(fan_outs))
    ]
    cost, _ = spike_cost(layers, fan_outs, steps)
    found = torch.autograd.grad(cost, layers)
    for spikes, fan_out, gradient in zip(layers, fan_outs, found, strict=True):
        # d/dz of fan_out T (f / 2 + f^2), f = sum z / (T B)
        rates = spikes.detach().sum((0, 1)) / (steps * batch)
        expected = fan_out * (0.5 + 2 * rates) / batch
        if float(rates.sum()) * steps < 1:
            expected = torch.zeros_like(rates)
        torch.testing.assert_close(gradient, expected.expand_as(gradient))


@pytest.mark.parametrize(
    ("share", "left"),
    [
        (0.0, [[1.0, -4.0], [0.5, 2.0]]), (0.24, [[1.0, -4.0], [0.5, 2.0]]),
        (0.25, [[1.0, -4.0], [0.0, 2.0]]), (0.5, [[0.0, -4.0], [0.0, 2.0]]),
        (0.99, [[0.0, -4.0], [0.0, 0.0]]), (1.0, [[0.0, 0.0], [0.0, 0.0]]),
    ],
)  # fmt: skip
def test_weakest_synapses_are_pruned_first(share, left):
    weight = torch.tensor([[1.0, -4.0], [0.5, 2.0]])
    assert pruned(weight, share).tolist() == left
    assert weight.tolist() == [[1.0, -4.0], [0.5, 2.0]]


@given(st.integers(1, 9), st.integers(1, 9), st.floats(0.0, 1.0), st.integers(0, 99))
def test_remaining_weights_are_unchanged_and_the_largest(rows, columns, share, seed):
    weight = normal(seed, rows, columns)
    left = pruned(weight, share)
    kept = left != 0
    assert int((~kept).sum()) == int(share * (rows * columns))
    assert torch.equal(left[kept], weight[kept])
    if bool(kept.any()) and not bool(kept.all()):
        assert float(weight[kept].abs().min()) > float(weight[~kept].abs().max())
    assert torch.equal(pruned(left, share), left)  # pruned synapses are among the weakest


def test_layers_lose_the_same_share_of_synapses_and_no_bias():
    config = NetworkConfig((6, 5), 4, recurrent=True)
    network = SpikingNetwork(config, 3, 2)
    layers = list(network.layers)
    before = {name: x.detach().clone() for name, x in network.named_parameters()}
    weights = [x.weight for layer in layers for x in (layer.linear, layer.recurrent) if x]
    assert [x.numel() for x in weights] == [18, 36, 30, 25]
    prune(layers, 3.0, spikes_enter=False)  # three for each that is left
    # A constant current is multiplied once in a decision, whatever the spikes do.
    assert [int((x == 0).sum()) for x in weights] == [0, 27, 22, 18]
    prune(layers, 3.0, spikes_enter=True)
    assert [int((x == 0).sum()) for x in weights] == [13, 27, 22, 18]
    changed = {id(x) for x in weights}
    for name, x in network.named_parameters():
        if id(x) not in changed:
            assert torch.equal(x, before[name]), name
    untouched = [x.detach().clone() for x in weights]
    prune(layers, 0.0, spikes_enter=True)
    assert all(torch.equal(x, y) for x, y in zip(weights, untouched, strict=True))
