"""Tests of the initialisation: closed forms, and firing rates of every layer."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings

from snn_gym.program.builtin_neurons import IAFParameters, LIFBoxParameters
from snn_gym.spiking.assembly import configured_neuron, mean_square_rate, relay_weight
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.network_config import NetworkConfig
from tests.pairs import pairs
from tests.spiking.strategies import network_configs


def box(tau_mem_ms, v_leak=0.0, v_threshold=1.0):
    parameters = LIFBoxParameters(tau_mem_ms=tau_mem_ms, v_leak=v_leak, v_threshold=v_threshold)
    return configured_neuron(NetworkConfig(neuron_parameters=parameters))


def test_rheobase_in_closed_form():
    # LIFBox from rest: v_T = (1 - (1 - dt/tau)^T) I, so I = threshold / (1 - (1 - dt/tau)^T)
    for tau_ms, time_steps in ((2.0, 8), (5.0, 4), (20.0, 16)):
        expected = 1.5 / (1.0 - (1.0 - 1.0 / tau_ms) ** time_steps)
        assert box(tau_ms, v_threshold=1.5).rheobase(time_steps) == pytest.approx(expected)
    # The input adds to the resting potential
    assert box(2.0, v_leak=0.25).rheobase(8) == pytest.approx(0.75 / (1.0 - 0.5**8))
    integrator = configured_neuron(
        NetworkConfig(neuron="iaf", neuron_parameters=IAFParameters(v_threshold=2.0))
    )
    assert integrator.rheobase(16) == pytest.approx(2.0 / 16)


def test_mean_square_rate_of_a_memoryless_neuron_by_hand():
    # tau = dt: the neuron fires in every step or never, so the mean squared rate is the share of
    # currents above the threshold: I = N(0, 1) + U(0, 2) exceeds 1 half of the time.
    assert mean_square_rate(box(1.0), 8) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(("neuron", "encoder", "env_id", "shape"), pairs(
    ["lif_box", "lif", "iaf"], ["constant", "rate", "latency"], ["Acrobot-v1", "Pendulum-v1"],
    [((64, 64), 8), ((32, 32, 32), 4), ((128,), 16)],
))  # fmt: skip
def test_every_layer_fires_on_raw_observations(neuron, encoder, env_id, shape):
    env, (hidden_sizes, time_steps) = gym.make(env_id), shape
    env.action_space.seed(0)
    env.reset(seed=0)
    batch = np.stack([env.step(env.action_space.sample())[0] for _ in range(100)])
    torch.manual_seed(0)
    config = NetworkConfig(hidden_sizes, time_steps, neuron=neuron, encoder=encoder)
    recording = SpikingNetwork(config, batch.shape[1]).record(torch.from_numpy(batch).float())
    for layer in recording.layers[-len(hidden_sizes) :]:
        assert 0.02 < layer.spikes.mean().item() < 0.6
        assert float((layer.spikes.sum((0, 1)) == 0).float().mean()) < 0.75  # silent neurons


@pytest.mark.parametrize("encoder", ["population", "rate", "latency"])
def test_every_layer_fires_on_spike_trains(encoder):
    import snn_gym  # noqa: F401  registers the ids

    env = gym.make("snn/Acrobot-v1", encoder=encoder)
    batch = torch.from_numpy(np.stack([env.reset(seed=k)[0] for k in range(30)])).float()
    torch.manual_seed(0)
    network = SpikingNetwork(NetworkConfig(), batch.shape[2], spike_steps=batch.shape[1])
    for layer in network.record(batch).layers[1:]:
        assert 0.02 < layer.spikes.mean().item() < 0.6


@settings(max_examples=20, deadline=None)
@given(network_configs(hidden_sizes=(48, 48)))
def test_every_layer_fires_under_any_parameters(config):
    # An adaptive LIF feels its input one step late.
    assume(config.neuron != "alif" or config.time_steps > 1)
    torch.manual_seed(0)
    recording = SpikingNetwork(config, 5, 2).record(torch.randn(64, 5))
    for layer in recording.layers:
        assert float(layer.spikes.sum()) > 0


def test_a_recurrent_layer_starts_with_half_the_spread_of_its_input():
    torch.manual_seed(0)
    network = SpikingNetwork(NetworkConfig(hidden_sizes=(64,), recurrent=True), 64)
    norms = [w.weight.norm(dim=1) for w in (network.layers[0].linear, network.layers[0].recurrent)]
    # Orthogonal: every row has the same norm; rates are below 1, so their weights are larger.
    neuron = configured_neuron(network.config)
    expected = 0.5 * neuron.rheobase(8) / mean_square_rate(neuron, 8) ** 0.5
    torch.testing.assert_close(norms[0], torch.full((64,), neuron.rheobase(8)))
    torch.testing.assert_close(norms[1], torch.full((64,), expected))


def test_the_relay_weight_of_a_memoryless_neuron_by_hand():
    # tau = dt: a spike fires the neuron if 0.5 + weight exceeds the threshold of 1, and no spike
    # does not: every weight above 0.5 relays, and the middle of 0.5 to 2 is 1.
    assert relay_weight(box(1.0), 8) == pytest.approx(1.0, rel=0.03)


@pytest.mark.parametrize(("neuron", "time_steps"), [("lif_box", 8), ("lif_box", 1), ("iaf", 16)])
@pytest.mark.parametrize("sizes", [(32,) * 12, (32, 48) * 6])
def test_relays_keep_distances_at_any_depth(neuron, time_steps, sizes):
    observations, random = torch.randn(64, 5), torch.randn(64, 5)
    for initial_weights, keeps in (("relay", True), ("orthogonal", False)):
        torch.manual_seed(0)
        config = NetworkConfig(sizes, time_steps, neuron=neuron, initial_weights=initial_weights)
        network, shares = SpikingNetwork(config, 5), []
        layers = [network.record(x).layers for x in (observations, observations + 0.05 * random)]
        for one, other in zip(*layers, strict=True):
            near = (one.spikes - other.spikes).abs().mean()
            shares.append(float(near / (one.spikes - one.spikes.roll(1, 1)).abs().mean()))
        assert (shares[-1] < 2 * shares[0]) == keeps


def test_relays_are_between_hidden_layers_alone():
    torch.manual_seed(0)
    config = NetworkConfig((8, 8), decoder="population", initial_weights="relay")
    network = SpikingNetwork(config, 8, population_outputs=4)
    diagonal = [float(layer.linear.weight.diagonal().min()) for layer in network.layers]
    assert [x > 1.0 for x in diagonal] == [False, True, False]
