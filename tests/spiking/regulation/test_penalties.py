"""Tests of penalties in the backward pass, against the same penalties in the loss."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import norse.torch as norse
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from snn_gym.spiking import NetworkConfig, RegulationParameters, SpikingNetwork
from snn_gym.spiking.regulation.parameters import LeanParameters
from snn_gym.spiking.regulation.penalties import penalty_gradients, rate_error, shuffled_order
from tests.spiking.strategies import normal

BOTH = RegulationParameters(min_rate=0.2, max_rate=0.4, rate_strength=3.0, voltage_strength=0.7)
NEURONS = ("lif_box", "lif", "iaf", "alif")


def build(config, seed=0, **options):
    torch.manual_seed(seed)
    return SpikingNetwork(config, 3, 2, **options)


def explicit_penalty(recording, parameters, v_rest):
    """Return the penalty by its definition, for autograd."""
    total: Any = 0.0
    for layer in recording.layers:
        if layer.voltages is None:
            continue
        rates = layer.spikes.mean((0, 1))
        high = torch.relu(rates - parameters.max_rate).square().sum()
        low = torch.relu(parameters.min_rate - rates).square().sum()
        total = total + parameters.rate_strength / 2 * (high + low)
        threshold = layer.v_threshold
        if isinstance(threshold, Tensor):
            threshold = threshold.detach()
        u = (layer.voltages - v_rest) / (threshold - v_rest)
        excess = torch.relu(u - 1).square() + torch.relu(-u - 1).square()
        # summed over neurons, mean over time steps and samples
        total = total + parameters.voltage_strength / 2 * excess.sum(-1).mean()
    return total


def gradients(network, loss):
    return list(torch.autograd.grad(loss, list(network.parameters())))


def objective(output, how):
    return {"mean": output.square().mean(), "sum": output.sum(), "scaled": 1e3 * output[0, 0]}[how]


@settings(max_examples=40, deadline=None)
@given(
    neuron=st.sampled_from(NEURONS),
    recurrent=st.booleans(),
    backend=st.sampled_from(("fused", "norse")),
    encoder=st.sampled_from(("constant", "latency")),
    batch=st.sampled_from((1, 2, 7, 64)),
    how=st.sampled_from(("mean", "sum", "scaled")),
    v_leak=st.sampled_from((0.0, -0.5)),
    seed=st.integers(0, 2**16),
)
def test_gradients_equal_the_penalty_in_the_loss(
    neuron, recurrent, backend, encoder, batch, how, v_leak, seed
):
    parameters: Any = {} if neuron == "iaf" else {"v_leak": v_leak}
    plain = NetworkConfig(
        (6, 5), 4, neuron=neuron, neuron_parameters=parameters, recurrent=recurrent,
        backend=backend, encoder=encoder,
    )  # fmt: skip
    regulated = build(replace(plain, regulation=BOTH), seed)
    reference = build(plain, seed)
    x = normal(seed, batch, 3, scale=2.0)
    recording = reference.record(x)
    assert torch.equal(regulated(x)[0], recording.output)
    penalty = explicit_penalty(recording, BOTH, parameters.get("v_leak", 0.0))
    expected = gradients(reference, objective(recording.output, how) + penalty)
    found = gradients(regulated, objective(regulated(x)[0], how))
    scale = max(1.0, *(float(part.abs().max()) for part in expected))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * scale)


def penalised_gradients(network, **options):
    return gradients(network, network(normal(0, 8, 3, scale=2.0), **options)[0].sum())


def test_penalties_are_inactive_in_evaluation_and_without_optimisation():
    regulated, plain = (
        build(NetworkConfig((6, 5), 4, regulation=BOTH)),
        build(NetworkConfig((6, 5), 4)),
    )
    expected = penalised_gradients(plain)
    assert not torch.equal(penalised_gradients(regulated)[0], expected[0])
    recorded = gradients(regulated, regulated.record(normal(0, 8, 3, scale=2.0)).output.sum())
    elsewhere = penalised_gradients(regulated, optimised=False)
    regulated.eval()
    for found in (recorded, elsewhere, penalised_gradients(regulated)):
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs)  # sums in another order


def test_shedding_alone_does_not_change_gradients():
    shedding = build(
        NetworkConfig((6, 5), 4, regulation=RegulationParameters(lean=LeanParameters()))
    )
    plain = build(NetworkConfig((6, 5), 4))
    pairs = zip(penalised_gradients(shedding), penalised_gradients(plain), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_penalties_change_neither_acting_nor_state_dict():
    regulated, plain = (
        build(NetworkConfig((6, 5), 4, regulation=BOTH)),
        build(NetworkConfig((6, 5), 4)),
    )
    x = normal(0, 8, 3, scale=2.0)
    with torch.no_grad():
        assert torch.equal(regulated(x)[0], plain(x)[0])
    assert regulated(x)[0].equal(plain(x)[0])
    assert regulated.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.parametrize("backend", ["fused", "norse"])
def test_second_derivatives_name_ppo(backend):
    network = build(NetworkConfig((6,), 4, regulation=BOTH, backend=backend))
    loss = network(normal(0, 8, 3))[0].sum()
    with pytest.raises(RuntimeError, match=r"create_graph=True.*TRPO.*train with PPO"):
        torch.autograd.grad(loss, list(network.parameters()), create_graph=True)


def test_literal_gradients_of_three_neurons():
    # T = 2, B = 1. Rates 0, 0.5 and 1 over the range [0.25, 0.5]: errors -0.25, 0 and 0.5, each
    # over T B = 2 and times 4. Potentials: 3 is 2 beyond the threshold, -1.5 is 0.5 below -1.
    spikes = torch.tensor([[[0.0, 1.0, 1.0]], [[0.0, 0.0, 1.0]]])
    voltages = torch.tensor([[[0.0, 3.0, 1.0]], [[-1.5, 0.5, -1.0]]])
    parameters = RegulationParameters(0.25, 0.5, rate_strength=4.0, voltage_strength=2.0)
    by_spikes, by_voltages = penalty_gradients(spikes, voltages, 0.0, 1.0, parameters)
    assert by_spikes.tolist() == [-0.5, 0.0, 1.0]
    assert by_voltages.tolist() == [[[0.0, 2.0, 0.0]], [[-0.5, 0.0, 0.0]]]
    # Neuron 0 hears neuron 1, 1 hears 2, 2 hears 0.
    order = torch.tensor([1, 2, 0])
    by_spikes, by_voltages = penalty_gradients(spikes, voltages, 0.0, 1.0, parameters, order)
    assert by_spikes.tolist() == [0.0, 1.0, -0.5]
    assert by_voltages.tolist() == [[[2.0, 0.0, 0.0]], [[0.0, 0.0, -0.5]]]


@given(st.integers(1, 50), st.integers(0, 2**31))
def test_shuffled_orders_are_single_cycles(size, seed):
    order = shuffled_order(size, torch.Generator().manual_seed(seed)).tolist()
    place, seen = 0, []
    for _ in range(size):
        seen.append(place)
        place = order[place]
    assert place == 0
    assert sorted(seen) == list(range(size))


def test_shuffle_permutes_only_the_addressees():
    shuffled = replace(BOTH, shuffle_seed=3)
    networks = [
        build(NetworkConfig((6,), 4, regulation=regulation))
        for regulation in (BOTH, shuffled, shuffled, replace(BOTH, shuffle_seed=4), None)
    ]
    for network in networks[1:]:
        assert torch.equal(network.layers[0].linear.weight, networks[0].layers[0].linear.weight)
    own, first, same, other, _ = map(penalised_gradients, networks)
    assert torch.equal(first[0], same[0])
    assert not torch.allclose(first[0], own[0])
    assert not torch.allclose(first[0], other[0])


def test_penalties_alone_bring_rates_and_potentials_into_range():
    parameters = RegulationParameters(0.2, 0.4, rate_strength=1.0, voltage_strength=0.1)
    network = build(NetworkConfig((20, 20), 8, regulation=parameters))
    x = normal(0, 64, 3, scale=3.0)

    def outside():
        with torch.no_grad():
            layers = network.record(x).layers
        errors = [rate_error(layer.spikes.mean((0, 1)), parameters) for layer in layers]
        return [float(error.abs().mean()) for error in errors]

    before = outside()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(150):
        optimiser.zero_grad()
        (0.0 * network(x)[0].sum()).backward()
        optimiser.step()
    for start, end in zip(before, outside(), strict=True):
        assert start > 0.05
        assert end < 0.2 * start


def test_cells_of_a_factory_have_rates_and_no_threshold():
    def cell(size):
        return norse.LIFBoxCell()

    rates = RegulationParameters(0.2, 0.4, rate_strength=1.0)
    network = build(NetworkConfig((6,), 4, regulation=rates), cell_factory=cell)
    plain = build(NetworkConfig((6,), 4), cell_factory=cell)
    found, expected = penalised_gradients(network), penalised_gradients(plain)
    assert not torch.allclose(found[0], expected[0])
    with pytest.raises(ValueError, match=r"threshold above their resting.*rate_strength alone"):
        build(NetworkConfig((6,), 4, regulation=BOTH), cell_factory=cell)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "does nothing: give rate_strength, rescue_strength or voltage_strength above 0"),
        ({"rate_strength": -1.0}, "rate_strength must be at least 0, got -1"),
        ({"voltage_strength": float("nan")}, "voltage_strength must be finite, got nan"),
        ({"min_rate": 0.5, "max_rate": 0.4}, "min_rate must be at most max_rate, got 0.5 and 0.4"),
        ({"max_rate": 1.5}, "max_rate must be at least 0 and at most 1, got 1.5"),
        ({"shuffle_seed": -1}, "shuffle_seed must be at least 0 and below .*, got -1"),
        ({"strength": 1.0}, "regulation: unknown key strength; did you mean"),
    ],
)
def test_bad_parameters_are_refused(values, message):
    if values and "rate_strength" not in values and "strength" not in values:
        values = {"rate_strength": 1.0, **values}
    with pytest.raises(ValueError, match=message):
        NetworkConfig(regulation=values)
