"""Tests of the rate penalty in the backward pass, against the same penalty in the loss."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_gym.spiking import NetworkConfig, RegulationParameters, SpikingNetwork
from snn_gym.spiking.network_config import LeanParameters
from snn_gym.spiking.regulation import RatePenalty, rate_error, shuffled_order
from tests.spiking.strategies import normal

RATES = RegulationParameters(min_rate=0.2, max_rate=0.4, rate_strength=3.0)
NEURONS = ("lif_box", "lif", "iaf", "alif")


def build(config, seed=0):
    torch.manual_seed(seed)
    return SpikingNetwork(config, 3, 2)


def explicit_penalty(recording, parameters):
    """Return the penalty by its definition, for autograd."""
    total = 0.0
    for layer in recording.layers:
        if layer.name != "input":
            rates = layer.spikes.mean((0, 1))
            high = torch.relu(rates - parameters.max_rate).square().sum()
            low = torch.relu(parameters.min_rate - rates).square().sum()
            total = total + parameters.rate_strength / 2 * (high + low)
    return total


def gradients(network, loss):
    return list(torch.autograd.grad(loss, list(network.parameters())))


def objective(output, how):
    return {"mean": output.square().mean(), "sum": output.sum(), "scaled": 1e3 * output[0, 0]}[how]


@settings(max_examples=12, deadline=None)
@given(
    neuron=st.sampled_from(NEURONS),
    recurrent=st.booleans(),
    backend=st.sampled_from(("fused", "norse")),
    encoder=st.sampled_from(("constant", "latency")),
    batch=st.sampled_from((1, 2, 7, 64)),
    how=st.sampled_from(("mean", "sum", "scaled")),
    seed=st.integers(0, 2**16),
)
def test_gradients_equal_the_penalty_in_the_loss(
    neuron, recurrent, backend, encoder, batch, how, seed
):
    plain = NetworkConfig(
        (6, 5), 4, neuron=neuron, recurrent=recurrent, backend=backend, encoder=encoder
    )
    regulated = build(replace(plain, regulation=RATES), seed)
    reference = build(plain, seed)
    x = normal(seed, batch, 3, scale=2.0)
    recording = reference.record(x)
    assert torch.equal(regulated(x)[0], recording.output)
    penalty = explicit_penalty(recording, RATES)
    expected = gradients(reference, objective(recording.output, how) + penalty)
    found = gradients(regulated, objective(regulated(x)[0], how))
    scale = max(1.0, *(float(part.abs().max()) for part in expected))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * scale)


def penalised_gradients(network, **options):
    return gradients(network, network(normal(0, 8, 3, scale=2.0), **options)[0].sum())


def test_penalties_are_inactive_in_evaluation_and_without_optimisation():
    regulated, plain = (build(NetworkConfig((6, 5), 4, regulation=x)) for x in (RATES, None))
    expected = penalised_gradients(plain)
    assert not torch.equal(penalised_gradients(regulated)[0], expected[0])
    assert regulated.state_dict().keys() == plain.state_dict().keys()
    recorded = gradients(regulated, regulated.record(normal(0, 8, 3, scale=2.0)).output.sum())
    elsewhere = penalised_gradients(regulated, optimised=False)
    regulated.eval()
    for found in (recorded, elsewhere, penalised_gradients(regulated)):
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs)  # sums in another order


def test_shedding_alone_does_not_change_gradients():
    lean = RegulationParameters(lean=LeanParameters())
    shedding, plain = (build(NetworkConfig((6, 5), 4, regulation=x)) for x in (lean, None))
    pairs = zip(penalised_gradients(shedding), penalised_gradients(plain), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


@pytest.mark.parametrize("backend", ["fused", "norse"])
def test_second_derivatives_name_ppo(backend):
    network = build(NetworkConfig((6,), 4, regulation=RATES, backend=backend))
    loss = network(normal(0, 8, 3))[0].sum()
    with pytest.raises(RuntimeError, match=r"create_graph=True.*TRPO.*train with PPO"):
        torch.autograd.grad(loss, list(network.parameters()), create_graph=True)


def test_literal_gradients_of_three_neurons():
    # T = 2, B = 1. Rates 0, 0.5 and 1 over the range [0.25, 0.5]: errors -0.25, 0 and 0.5, each
    # over T B = 2 and times 4.
    spikes = torch.tensor([[[0.0, 1.0, 1.0]], [[0.0, 0.0, 1.0]]])
    parameters = RegulationParameters(0.25, 0.5, rate_strength=4.0)
    (layer,) = build(NetworkConfig((3,), 2)).layers
    assert RatePenalty(parameters, layer, None).gradient(spikes).tolist() == [-0.5, 0.0, 1.0]
    # Neuron 0 hears neuron 1, 1 hears 2, 2 hears 0.
    shuffled = RatePenalty(parameters, layer, torch.tensor([1, 2, 0]))
    assert shuffled.gradient(spikes).tolist() == [0.0, 1.0, -0.5]


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
    shuffled = replace(RATES, shuffle_seed=3)
    networks = [
        build(NetworkConfig((6,), 4, regulation=regulation))
        for regulation in (RATES, shuffled, shuffled, replace(RATES, shuffle_seed=4))
    ]
    own, first, same, other = map(penalised_gradients, networks)
    assert torch.equal(first[0], same[0])
    assert not torch.allclose(first[0], own[0])
    assert not torch.allclose(first[0], other[0])


def test_the_penalty_alone_brings_rates_into_range():
    parameters = RegulationParameters(0.2, 0.4, rate_strength=1.0)
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


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "does nothing: give rate_strength or rescue_strength above 0"),
        ({"rate_strength": -1.0}, "rate_strength must be at least 0, got -1"),
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
