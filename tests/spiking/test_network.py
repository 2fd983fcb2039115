"""Tests of the network: equal paths, state, noise, recordings by hand, errors."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_gym.program.encoders import DeltaEncoder
from snn_gym.spiking.assembly import todays_names
from snn_gym.spiking.bookkeeping import full_state
from snn_gym.spiking.decoders import make_head
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.network_config import NetworkConfig, PopulationDecoderParameters
from tests.spiking.strategies import ENCODERS, network_configs, normal
from tests.spiking.tally import few_excused

MARGIN = 1e-5
encoders = st.sampled_from(ENCODERS)


def with_backend(network, backend):
    """Copy a network, weights and noise included, onto another execution path."""
    other = SpikingNetwork(
        replace(network.config, backend=backend), network.input_size,
        None if network.head is None else network.output_size,
    )  # fmt: skip
    other.load_state_dict(network.state_dict())
    return other


def make(config, seed=0, outputs=2):
    torch.manual_seed(seed)
    return SpikingNetwork(config, 3, outputs)


def stepwise(network, x):
    """Spikes of each layer and distances to threshold, by stepping with T separate products."""
    layers = network.layers
    rest = [layer.neuron.initial_state(len(x), layer.size, x) for layer in layers]
    states = list(rest)
    spikes = [[torch.zeros(len(x), layer.size)] for layer in layers]
    voltages: list[list[torch.Tensor]] = [[] for _ in layers]
    for _ in range(network.config.time_steps):
        signal = x
        for k, layer in enumerate(layers):
            current = layer.linear(signal)
            if layer.recurrent is not None:
                current = current + layer.recurrent(spikes[k][-1])
            signal, voltage, states[k] = layer.neuron.step(current, states[k])
            spikes[k].append(signal)
            voltages[k].append(voltage)
    traces = []
    for k, layer in enumerate(layers):
        fired = torch.stack(spikes[k][1:])
        traces.append((fired, torch.stack(voltages[k]) - layer.neuron.thresholds(fired, rest[k])))
    return traces


def test_whole_networks_differ_from_norse_first_at_a_tiny_margin():
    @settings(max_examples=40, deadline=None)
    @given(network_configs(), st.integers(0, 2**20), st.integers(1, 6))
    def compare(config, seed, batch):
        network = make(config, seed)
        x = normal(seed, batch, 3)
        with torch.no_grad():
            layers = network.record(x).layers
            reference = stepwise(network, x)
        tally.made += 1
        for layer, (spikes, distances) in zip(layers, reference, strict=True):
            different = layer.spikes != spikes
            if not different.any():
                continue
            tally.excused += 1
            # Later differences follow from the first one; only that one must be excused.
            first = int(different.flatten(1).any(1).nonzero()[0])
            assert float(distances[first][different[first]].abs().max()) < MARGIN
            return

    with few_excused() as tally:
        compare()


@st.composite
def cases(draw, **fixed):
    """Draw a network of any encoder, observations (1 to 5, 3), and the seed of both."""
    config, seed = draw(network_configs(**fixed)), draw(st.integers(0, 2**20))
    config = replace(config, encoder=draw(encoders), encoder_parameters=None)
    return make(config, seed), normal(seed, draw(st.integers(1, 5)), 3), seed


@settings(max_examples=20, deadline=None)
@given(cases(recurrent=False))
def test_both_backends_give_the_same_bits(case):
    fused, x, seed = case
    stepped = with_backend(fused, "norse")
    state = fused.rest_state(len(x)) + normal(seed + 1, len(x), fused.state_size, scale=0.2)
    for ours, theirs in zip(fused(x, state), stepped(x, state), strict=True):
        assert torch.equal(ours, theirs)


@settings(max_examples=20, deadline=None)
@given(cases())
def test_acting_shortcut_gives_the_same_bits(case):
    network, x, seed = case
    other = copy.deepcopy(network)
    with torch.no_grad():
        short = network(x)[0]
    assert torch.equal(short, other(x)[0].detach())
    assert torch.equal(short, copy.deepcopy(make(network.config, seed)).record(x).output.detach())


@settings(max_examples=20, deadline=None)
@given(network_configs(encoder="constant"), st.integers(0, 2**20), st.integers(1, 5))
def test_carried_state_equals_one_long_run(config, seed, batch):
    short = make(replace(config, decoder="last_voltage", decoder_parameters=None), seed)
    long = SpikingNetwork(replace(short.config, time_steps=2 * config.time_steps), 3, 2)
    for name, parameter in long.named_parameters():
        parameter.data.copy_(short.get_parameter(name))
    x = normal(seed, batch, 3)
    _, state = short(x)
    output, state = short(x, state)
    expected_output, expected_state = long(x)
    torch.testing.assert_close(output, expected_output, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state, expected_state, rtol=1e-4, atol=1e-5)


def test_a_recording_by_hand():
    # One neuron with weight 1, bias 0.5 on input 1: current 1.5, spikes at the 2nd and 4th step.
    network = SpikingNetwork(NetworkConfig(hidden_sizes=(1,), time_steps=5), 1, 3)
    linear = network.layers[0].linear
    linear.weight.data.fill_(1.0)
    linear.bias.data.fill_(0.5)
    recording = network.record(torch.ones(1, 1))
    (layer,) = recording.layers
    assert layer.name == "hidden_1"
    assert layer.spikes.flatten().tolist() == [0.0, 1.0, 0.0, 1.0, 0.0]
    assert layer.voltages.flatten().tolist() == [0.75, 1.125, 0.75, 1.125, 0.75]
    assert recording.spikes_per_decision() == {"hidden_1": 2.0}
    assert recording.synops_per_decision() == {"hidden_1": 6.0}  # 2 spikes x 3 outputs
    assert recording.macs_per_decision() == {"hidden_1": 1.0}  # 1 input x 1 neuron, once
    assert recording["hidden_1"] is layer
    with pytest.raises(KeyError, match="no layer 'hidden_2'; recorded layers: hidden_1"):
        recording["hidden_2"]


def test_a_population_of_output_neurons():
    config = NetworkConfig(
        hidden_sizes=(6,), decoder="population", decoder_parameters=PopulationDecoderParameters(4)
    )
    owner = make(config, outputs=3)
    assert [layer.size for layer in owner.layers] == [6, 12]
    assert owner.output_size == 3
    x = normal(0, 5, 3)
    recording = owner.record(x)
    assert [(layer.name, layer.fan_out) for layer in recording.layers] == [
        ("hidden_1", 12), ("output", 1),
    ]  # fmt: skip
    rates = recording["output"].spikes.mean(0)
    torch.testing.assert_close(owner(x)[0], owner.head(rates))

    torch.manual_seed(0)
    bare = SpikingNetwork(config, 3, population_outputs=3)
    assert bare.output_size == 12
    bare.layers.load_state_dict(owner.layers.state_dict())
    torch.testing.assert_close(bare(x)[0], rates)
    assert make_head(config.decoder_parameters, bare.output_size, 3)(bare(x)[0]).shape == (5, 3)
    fan_outs = [layer.fan_out for layer in bare.record(x, head=owner.head).layers]
    assert fan_outs == [12, 1]
    with pytest.raises(ValueError, match="needs the number of outputs, got neither output_size"):
        SpikingNetwork(config, 3)
    # Other decoders ignore the number.
    assert (
        SpikingNetwork(NetworkConfig(hidden_sizes=(6,)), 3, population_outputs=3).output_size == 6
    )


def test_delta_compares_with_the_decision_before():
    config = NetworkConfig(
        hidden_sizes=(8,), encoder="delta", encoder_parameters=DeltaEncoder(0.125), time_steps=4
    )
    network = make(config)
    assert config.needs_state
    assert network.state_size == 8 + 3
    first = torch.tensor([[0.0, 1.5, 9.0]])  # intensities 0.5, 0.75, 1 (clipped)
    silent = network.record(first)
    assert float(silent["input"].spikes.sum()) == 0.0
    _, state = network(first)
    assert state[0, 8:].tolist() == [0.5, 0.75, 1.0]
    # 0.5, 0.25, 1: no change, a fall by 4 thresholds on the OFF channel, no change beyond the limit
    spikes = network.record(torch.tensor([[0.0, -1.5, 4.0]]), state)["input"].spikes
    assert spikes[:, 0].sum(0).tolist() == [0.0, 0.0, 0.0, 4.0, 0.0, 0.0]
    assert not NetworkConfig().needs_state
    assert NetworkConfig(neuron="alif", time_steps=1).needs_state
    # A spike train is no intensity: no encoder touches it.
    assert SpikingNetwork(config, 3, spike_steps=4).state_size == 8


@settings(max_examples=30, deadline=None)
@given(cases())
def test_no_state_means_the_rest_state(case):
    network, x, seed = case
    network.reseed_noise(seed)
    without = network(x)
    network.reseed_noise(seed)
    for ours, expected in zip(network(x, network.rest_state(len(x))), without, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)


def test_noise_has_a_separate_random_stream():
    network = make(NetworkConfig(encoder="rate", hidden_sizes=(32,)))
    x = normal(0, 4, 3)
    before = torch.get_rng_state()
    network.reseed_noise(7)
    saved = copy.deepcopy(network)
    first, second = network(x)[0], network(x)[0]
    assert not torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)
    saved.record(x)  # recording does not advance the stream
    assert torch.equal(saved(x)[0], first)
    network.reseed_noise(7)
    assert torch.equal(network(x)[0], first)


def test_wrong_shapes_are_named():
    network = make(NetworkConfig())
    with pytest.raises(ValueError, match=r"inputs must have shape \(batch, 3\), got \(2, 4\)"):
        network(torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"state must have shape \(2, 128\), got \(1, 128\)"):
        network(torch.zeros(2, 3), torch.zeros(1, 128))
    spiking = SpikingNetwork(NetworkConfig(), 5, spike_steps=4)
    with pytest.raises(ValueError, match=r"inputs must have shape \(batch, 4, 5\), got \(2, 5\)"):
        spiking(torch.zeros(2, 5))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden_sizes": (0,)}, "must be at least 1, got 0"),
        ({"time_steps": 0}, "time_steps must be at least 1, got 0"),
        ({"dt_ms": 0.0}, "dt_ms must be above 0"),
        ({"surrogate_slope": math.inf}, "surrogate_slope must be finite, got inf"),
        (
            {"neuron": "izhikevich"},
            "neuron 'izhikevich' is unknown; allowed: lif_box, lif, iaf, alif",
        ),
        ({"encoder": "dlta"}, "encoder 'dlta' is unknown; did you mean 'delta'"),
        ({"decoder": "max"}, "decoder 'max' is unknown; allowed: mean_rate, last_voltage"),
        ({"decoder_parameters": {"k": 1}, "decoder": "max"}, "decoder 'max' is unknown"),
        ({"recurrent": 1}, r"recurrent: expected bool, got 1"),
        ({"neuron": "alif", "neuron_parameters": {"tau_adapt_ms": 0.5}}, "below dt_ms=1.0"),
        ({"neuron": "alif", "neuron_parameters": {"beta": -0.1}}, "beta must be at least 0"),
        ({"surrogate": "relu"}, "surrogate"),
        ({"backend": "cuda"}, "backend"),
        ({"neuron_parameters": {"tau_ms": 1.0}}, "unknown key tau_ms"),
        ({"neuron_parameters": {"tau_mem_ms": 0.5}}, "below dt_ms=1.0"),
        ({"neuron_parameters": {"v_reset": 1.0}}, "v_reset must be below v_threshold"),
        ({"neuron_parameters": {"v_leak": 1.5}}, "v_leak must be below v_threshold"),
        ({"layers": 3}, "unknown key layers"),
    ],
)
def test_bad_configurations_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        NetworkConfig.from_dict(values)


@settings(max_examples=50, deadline=None)
@given(network_configs(), encoders)
def test_configurations_survive_plain_types(config, encoder):
    config = replace(config, encoder=encoder, encoder_parameters=None)
    assert NetworkConfig.from_dict(config.to_dict()) == config


def test_weights_saved_under_older_names_load():
    network = make(NetworkConfig((4,)))
    today = full_state(network)
    older = {name.replace("neuron_constants", "dynamics"): x for name, x in today.items()}
    assert "dynamics" in older
    assert todays_names(older).keys() == today.keys()
    other = make(NetworkConfig((4,)), seed=1)
    torch.nn.Sequential(other).load_state_dict({f"0.{name}": x for name, x in older.items()})
    for name, x in full_state(other).items():
        assert torch.equal(x, today[name])
    older["dynamics"] = older["dynamics"] + 1.0
    with pytest.raises(RuntimeError, match="neuron_constants: saved under other dynamics"):
        other.load_state_dict(older)
