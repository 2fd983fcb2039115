"""Tests of the homeostatic controller: its rule by hand, its effects, and its times."""

from __future__ import annotations

import math
from dataclasses import replace

import norse.torch as norse
import pytest
import torch

from snn_gym.spiking import (
    ControllerParameters,
    NetworkConfig,
    RegulationParameters,
    SpikingNetwork,
)
from snn_gym.spiking.bookkeeping import full_state
from snn_gym.spiking.measures.definitions import window_share
from tests.spiking.strategies import normal

CONTROLLED = ("gain", "synapses", "threshold", "slope")


def regulation(controlled, **changes):
    controller = ControllerParameters(controlled, min_samples=8, **changes)
    return RegulationParameters(min_rate=0.2, max_rate=0.4, controller=controller)


def build(parameters, **changes):
    torch.manual_seed(0)
    return SpikingNetwork(NetworkConfig((6, 5), 4, regulation=parameters, **changes), 3, 2)


def weights(network):
    return {name: x.detach().clone() for name, x in network.named_parameters()}


X = normal(0, 16, 3, scale=2.0)


def controlled(what, **changes):
    """Let a controller act once; return the network, the expected moves, and old weights."""
    network = build(regulation(what), **changes)
    moves, before = expected_moves(network, 0.5), weights(network)
    network(X)
    network.rollout_started()
    return network, moves, before


def expected_moves(network, step):
    """Return the moves of the rule: -step times the distance of each rate from its range."""
    moves = []
    for layer in network.record(X).layers:
        rate = layer.spikes.double().mean((0, 1))
        above, below = torch.relu(rate - 0.4), torch.relu(0.2 - rate)
        moves.append(-step * (above - below))
    return moves


@pytest.mark.parametrize("what", ["gain", "synapses"])
@pytest.mark.parametrize("recurrent", [False, True])
def test_all_synapses_of_a_neuron_are_multiplied(what, recurrent):
    network, moves, before = controlled(what, recurrent=recurrent)
    for k, move in enumerate(moves):
        assert float(move.detach().abs().max()) > 0.01
        gain = move.exp().float()
        layer = network.layers[k]
        of_bias = gain if what == "gain" else 1.0
        torch.testing.assert_close(layer.linear.bias, of_bias * before[f"layers.{k}.linear.bias"])
        old = before[f"layers.{k}.linear.weight"]
        torch.testing.assert_close(layer.linear.weight, gain[:, None] * old)
        if recurrent:
            old = before[f"layers.{k}.recurrent.weight"]
            torch.testing.assert_close(layer.recurrent.weight, gain[:, None] * old)


@pytest.mark.parametrize("neuron", ["lif_box", "lif", "iaf", "alif"])
def test_the_threshold_falls_by_rheobases_of_the_bias(neuron):
    network, moves, before = controlled("threshold", neuron=neuron)
    for k, move in enumerate(moves):
        layer = network.layers[k]
        shift = (layer.neuron.rheobase(4) * move).float()
        expected = before[f"layers.{k}.linear.bias"] + shift
        torch.testing.assert_close(layer.linear.bias, expected)
        assert torch.equal(layer.linear.weight, before[f"layers.{k}.linear.weight"])


@pytest.mark.parametrize("surrogate", ["superspike", "arctan", "sigmoid"])
@pytest.mark.parametrize("ends", [(0.9, 1.0), (0.0, 0.01)])
def test_the_slope_follows_the_share_within_the_window(surrogate, ends):
    low, high = ends
    network = build(
        regulation("slope", min_window_share=low, max_window_share=high), surrogate=surrogate
    )
    # where the derivative is half of its maximum
    width = {"superspike": math.sqrt(2) - 1, "arctan": 2 / math.pi, "sigmoid": 2 * math.asinh(1)}
    shares = [
        float(window_share(x.voltages.detach().numpy(), 1.0, width[surrogate] / 5).mean())
        for x in network.record(X).layers
        if x.voltages is not None
    ]
    before = weights(network)
    network(X)
    network.rollout_started()
    network(X)
    for layer, share in zip(network.layers, shares, strict=True):
        distance = share - min(max(share, low), high)
        assert distance != 0
        assert math.isclose(layer.neuron.slope, 5 * math.exp(0.5 * distance), rel_tol=1e-6)
    assert all(torch.equal(before[name], x) for name, x in weights(network).items())


def test_the_controlled_slope_reaches_both_backends():
    parameters = regulation("slope", min_window_share=0.9, max_window_share=1.0)
    gradients = []
    for backend in ("fused", "norse"):
        network = build(parameters, backend=backend)
        network(X)
        network.rollout_started()
        loss = network(X)[0].square().sum()
        gradients.append(torch.autograd.grad(loss, network.parameters()))
    for fused, stepped in zip(*gradients, strict=True):
        torch.testing.assert_close(fused, stepped, rtol=1e-4, atol=1e-5)
    unmoved = build(None)
    plain = torch.autograd.grad(unmoved(X)[0].square().sum(), unmoved.parameters())
    assert not torch.allclose(plain[0], gradients[0][0])


@pytest.mark.parametrize("controlled", CONTROLLED)
def test_no_change_goes_beyond_the_limit(controlled):
    changes = {"min_window_share": 1.0, "max_window_share": 1.0} if controlled == "slope" else {}
    network = build(regulation(controlled, step=100.0, limit=0.7, **changes))
    before = weights(network)
    for _ in range(3):
        network(X)
        network.rollout_started()
    for controller in network.regulation.controllers:
        assert float(controller.moved.abs().max()) == 0.7
    if controlled == "gain":
        moved = network.regulation.controllers[0].moved
        ratio = network.layers[0].linear.bias / before["layers.0.linear.bias"]
        torch.testing.assert_close(ratio.double(), moved.exp(), rtol=1e-4, atol=0)


def test_controllers_wait_for_enough_samples_and_restart():
    network = build(regulation("threshold"))
    before = weights(network)
    network(X[:5])
    network.rollout_started()
    assert all(torch.equal(before[name], x) for name, x in weights(network).items())
    network(X[5:8])
    # Two batches count as the one that they make up.
    together = build(regulation("threshold"))
    together(X[:8])
    for one in (network, together):
        one.rollout_started()
    for name, x in weights(network).items():
        torch.testing.assert_close(x, weights(together)[name])
    assert not torch.equal(before["layers.0.linear.bias"], weights(network)["layers.0.linear.bias"])
    after = weights(network)
    network.rollout_started()
    assert all(torch.equal(after[name], x) for name, x in weights(network).items())


@pytest.mark.parametrize("controlled", CONTROLLED)
def test_only_optimised_training_passes_count(controlled):
    network = build(regulation(controlled))
    before = {name: x.clone() for name, x in full_state(network).items()}
    with torch.no_grad():
        network(X)
        network(X)
    network.record(X)
    network(X, optimised=False)
    network.eval()
    network(X)
    network.rollout_started()
    assert all(torch.equal(before[name], x) for name, x in full_state(network).items())


def test_silent_and_saturated_neurons_recover():
    network = build(regulation("threshold", step=0.5, limit=5.0))
    layer = network.layers[0]
    with torch.no_grad():
        layer.linear.weight.mul_(0.1)
        layer.linear.bias.copy_(torch.tensor([-1.0, -1.0, -1.0, 4.0, 4.0, 4.0]))

    def rates():
        return network.record(X).layers[0].spikes.detach().mean((0, 1))

    assert rates().tolist() == [0, 0, 0, 1, 1, 1]
    for _ in range(200):
        network(X)
        network.rollout_started()
    assert float(rates()[:3].min()) > 0.0
    assert float(rates()[3:].max()) < 1.0


def test_shuffle_uses_the_rate_of_another_neuron():
    own = build(regulation("threshold"))
    shuffled = build(replace(regulation("threshold"), shuffle_seed=2))
    for network in (own, shuffled):
        network(X)
        network.rollout_started()
    pairs = zip(own.regulation.controllers, shuffled.regulation.controllers, strict=True)
    for mine, others in pairs:
        assert not torch.equal(mine.moved, others.moved)
        torch.testing.assert_close(mine.moved.sort().values, others.moved.sort().values)


def test_measurements_of_a_controller_are_saved():
    network, loaded = build(regulation("gain")), build(regulation("gain"))
    network(X)
    network.rollout_started()
    network(X)
    loaded.load_state_dict(network.state_dict())
    for one in (network, loaded):
        one.rollout_started()
    for name, x in full_state(network).items():
        assert torch.equal(x, full_state(loaded)[name])
    extra = full_state(network).keys() - full_state(build(None)).keys()
    assert extra == {
        f"regulation.controllers.{k}.{name}" for k in (0, 1) for name in ("count", "total", "moved")
    }


def test_factory_cells_support_only_synapse_controllers():
    def make(controlled):
        config = NetworkConfig((6,), 4, regulation=regulation(controlled))
        return SpikingNetwork(config, 3, 2, cell_factory=lambda size: norse.LIFBoxCell())

    make("gain")(X)
    make("synapses")(X)
    for controlled in ("threshold", "slope"):
        with pytest.raises(ValueError, match="needs a registered neuron, got NorseCell"):
            make(controlled)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"controlled": "bias"},
            "controller: controlled: got 'bias'.*'gain', 'synapses', 'threshold', 'slope'",
        ),
        ({"step": 0.0}, "step must be above 0, got 0.0"),
        ({"limit": math.inf}, "limit must be finite, got inf"),
        ({"min_samples": 0}, "min_samples must be at least 1, got 0"),
        ({"min_window_share": 0.6}, "must be at most max_window_share, got 0.6 and 0.5"),
        ({"rate": 0.1}, "unknown key rate; allowed keys: controlled"),
    ],
)
def test_bad_parameters_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        NetworkConfig.from_dict({"regulation": {"controller": values}})


def test_controllers_without_effect_are_refused():
    slope = {"controller": {"controlled": "slope"}}
    with pytest.raises(ValueError, match=r"one of a whole layer.*'gain' or 'threshold'"):
        NetworkConfig.from_dict({"regulation": {**slope, "shuffle_seed": 0}})
    with pytest.raises(ValueError, match=r"'triangle' is as wide at every slope.*another surrog"):
        NetworkConfig.from_dict({"regulation": slope, "surrogate": "triangle"})
    with pytest.raises(ValueError, match=r"controlled: got 'bias'.*'gain', 'synapses', 'thr"):
        ControllerParameters("bias")
