"""Tests of the homeostatic controller: its rule by hand, its effects, and its times."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from snn_gym.spiking import (
    ControllerParameters,
    NetworkConfig,
    RegulationParameters,
    SpikingNetwork,
)
from snn_gym.spiking.bookkeeping import full_state
from tests.spiking.strategies import normal


def regulation(**changes):
    controller = ControllerParameters(min_samples=8, **changes)
    return RegulationParameters(min_rate=0.2, max_rate=0.4, controller=controller)


def build(parameters, **changes):
    torch.manual_seed(0)
    return SpikingNetwork(NetworkConfig((6, 5), 4, regulation=parameters, **changes), 3, 2)


def weights(network):
    return {name: x.detach().clone() for name, x in network.named_parameters()}


X = normal(0, 16, 3, scale=2.0)


@pytest.mark.parametrize(
    ("neuron", "recurrent"), [("lif_box", False), ("lif_box", True), ("alif", True)]
)
def test_all_synapses_of_a_neuron_are_multiplied(neuron, recurrent):
    network = build(regulation(), neuron=neuron, recurrent=recurrent)
    before, moves = weights(network), []
    for layer in network.record(X).layers:  # -step times the distance of each rate from its range
        rate = layer.spikes.double().mean((0, 1))
        moves.append(-0.5 * (torch.relu(rate - 0.4) - torch.relu(0.2 - rate)))
    network(X)
    network.rollout_started()
    for k, move in enumerate(moves):
        assert float(move.detach().abs().max()) > 0.01
        gain, layer = move.exp().float(), network.layers[k]
        assert torch.equal(layer.linear.bias, before[f"layers.{k}.linear.bias"])
        old = before[f"layers.{k}.linear.weight"]
        torch.testing.assert_close(layer.linear.weight, gain[:, None] * old)
        if recurrent:
            old = before[f"layers.{k}.recurrent.weight"]
            torch.testing.assert_close(layer.recurrent.weight, gain[:, None] * old)


def test_no_change_goes_beyond_the_limit():
    network = build(regulation(step=100.0, limit=0.7))
    before = weights(network)["layers.0.linear.weight"]
    for _ in range(3):
        network(X)
        network.rollout_started()
    for controller in network.regulation.controllers:
        assert float(controller.moved.abs().max()) == 0.7
    ratio = network.layers[0].linear.weight[:, 0] / before[:, 0]
    moved = network.regulation.controllers[0].moved
    torch.testing.assert_close(ratio.double(), moved.exp(), rtol=1e-4, atol=0)


def test_controllers_wait_for_enough_samples_and_restart():
    network = build(regulation())
    before = weights(network)
    network(X[:5])
    network.rollout_started()
    assert all(torch.equal(before[name], x) for name, x in weights(network).items())
    network(X[5:8])
    # Two batches count as the one that they make up.
    together = build(regulation())
    together(X[:8])
    for one in (network, together):
        one.rollout_started()
    for name, x in weights(network).items():
        torch.testing.assert_close(x, weights(together)[name])
    after = weights(network)
    assert not torch.equal(before["layers.0.linear.weight"], after["layers.0.linear.weight"])
    network.rollout_started()
    assert all(torch.equal(after[name], x) for name, x in weights(network).items())


def test_only_optimised_training_passes_count():
    network = build(regulation())
    before = {name: x.clone() for name, x in full_state(network).items()}
    with torch.no_grad():
        network(X)
    network.record(X)
    network(X, optimised=False)
    network.eval()
    network(X)
    network.rollout_started()
    assert all(torch.equal(before[name], x) for name, x in full_state(network).items())


def test_shuffle_uses_the_rate_of_another_neuron():
    own, shuffled = build(regulation()), build(replace(regulation(), shuffle_seed=2))
    for network in (own, shuffled):
        network(X)
        network.rollout_started()
    pairs = zip(own.regulation.controllers, shuffled.regulation.controllers, strict=True)
    for mine, others in pairs:
        assert not torch.equal(mine.moved, others.moved)
        torch.testing.assert_close(mine.moved.sort().values, others.moved.sort().values)


def test_measurements_of_a_controller_are_saved():
    network, loaded = build(regulation()), build(regulation())
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


def test_settings_of_older_rows_are_read():
    older = {
        "voltage_strength": 0.0, "rescue_strength": 2.0,
        "controller": {"controlled": "synapses", "min_window_share": 0.1, "max_window_share": 0.5},
    }  # fmt: skip
    config = NetworkConfig.from_dict({"regulation": older})
    assert config.regulation == RegulationParameters(
        rescue_strength=2.0, controller=ControllerParameters()
    )
    with pytest.raises(ValueError, match="unknown key voltage_strength"):
        NetworkConfig.from_dict({"regulation": {**older, "voltage_strength": 1.0}})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"controlled": "slope"}, "controller: unknown key controlled"),
        ({"step": 0.0}, "step must be above 0, got 0.0"),
        ({"limit": math.inf}, "limit must be finite, got inf"),
        ({"min_samples": 0}, "min_samples must be at least 1, got 0"),
        ({"rate": 0.1}, "unknown key rate; allowed keys: step"),
    ],
)
def test_bad_parameters_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        NetworkConfig.from_dict({"regulation": {"controller": values}})
