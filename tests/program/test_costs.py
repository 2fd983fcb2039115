"""Costs of a decision, each counted by hand, for every kind of network."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.utils import ConstantSchedule
from torch import nn

from snn_gym.policies.networks import DenseNetwork, GatedNetwork
from snn_gym.program import compact
from snn_gym.program.costs import COST_COLUMNS, Costs, count_costs, mean_costs
from snn_gym.program.encoders import ENCODERS, DeltaEncoder, PopulationEncoder, RateEncoder
from snn_gym.spiking import NetworkConfig, SpikingNetwork
from snn_gym.spiking.decoders import make_head
from snn_gym.spiking.network_config import (
    LastVoltageParameters,
    LearnablePopulationParameters,
    PopulationDecoderParameters,
)
from tests.made import CHOSEN, DENSE, SEEN, STATELESS, build_ann, observe
from tests.policies.firing import made_to_fire

# Two decisions on spike trains of 3 time steps and 2 channels, with 3 and 1 spikes.
TRAINS = torch.zeros(2, 3, 2)
TRAINS[0, 0, 0] = TRAINS[0, 2, 0] = TRAINS[0, 1, 1] = TRAINS[1, 2, 1] = 1.0

TINY = 1e-9
"""Weight of a synapse that changes nothing and yet is one."""


def always(config, inputs, outputs, **options):
    """Return a network whose neurons all spike at every time step, whatever comes in."""
    network = SpikingNetwork(config, inputs, outputs, **options)
    for layer in network.layers:
        layer.linear.weight.data.fill_(TINY)
        layer.linear.bias.data.fill_(1e3)
        if layer.recurrent is not None:
            layer.recurrent.weight.data.fill_(TINY)
    return network


def totals(network, inputs, **options):
    """Return all costs summed over layers, in the order of `COST_COLUMNS`."""
    costs = network.record(inputs, **options).costs
    return [costs.total(name) for name in COST_COLUMNS]


def test_constant_currents_into_spiking_layers():
    network = always(NetworkConfig(hidden_sizes=(3, 2), time_steps=4), 5, 6)
    costs = network.record(torch.ones(2, 5)).costs
    # Every neuron at every one of 4 time steps; 3 neurons reach 2, and 2 reach the 6 outputs.
    assert costs.spikes_per_decision == {"hidden_1": 4 * 3, "hidden_2": 4 * 2}
    assert costs.synops_per_decision == {"hidden_1": 12 * 2, "hidden_2": 8 * 6}
    # One product with the constant current; a mean rate is no arithmetic of its own.
    assert costs.macs_per_decision == {"hidden_1": 5 * 3}
    assert costs.neuron_updates_per_decision == {"hidden_1": 4 * 3, "hidden_2": 4 * 2}
    # The weights under the layer whose signals pass them, at every spike, the biases under their
    # own at every update.
    assert costs.parameter_bytes_per_decision == {
        "hidden_1": 4 * (5 * 3 + 12 + 24),
        "hidden_2": 4 * (8 + 48),
        "readout": 4 * 6,
    }
    # Each neuron is a layer's to one layer, and has the state variables of its equations: v alone.
    assert costs.messages_per_decision == {"hidden_1": 12, "hidden_2": 8}
    assert costs.state_bytes_per_decision == {"hidden_1": 4 * 12, "hidden_2": 4 * 8}
    assert costs.synapses == {"hidden_1": 3 * 2, "hidden_2": 2 * 6}
    assert costs.spikes_per_synapse == (24 + 48) / (6 + 12)
    assert (costs.hidden_spikes, costs.firing_rate) == (12 + 8, 1.0)


def test_recurrent_synapses():
    config = NetworkConfig(hidden_sizes=(3,), time_steps=4, recurrent=True)
    operations, synops, macs, updates, spikes, messages, parameter_bytes, state, per_synapse = (
        totals(always(config, 5, 2), torch.ones(1, 5))
    )
    assert (spikes, synops) == (12, 12 * (3 + 2))
    assert messages == 2 * 12  # to the layer itself and to the readout
    assert state == 4 * 12 * 2  # the potential and the last spike
    assert (macs, updates) == (15, 12)
    assert operations == 60 + 15 + 12
    assert parameter_bytes == 4 * (15 + 60 + 12 + 2)
    assert per_synapse == 4.0


def test_spikes_of_the_environment_into_spiking_layers():
    network = always(NetworkConfig(hidden_sizes=(4,)), 2, 5, spike_steps=3)
    costs = network.record(TRAINS).costs
    assert costs.spikes_per_decision == {"input": (3 + 1) / 2, "hidden_1": 3 * 4}
    assert costs.synops_per_decision == {"input": 2 * 4, "hidden_1": 12 * 5}
    assert costs.macs_per_decision == {}
    assert costs.neuron_updates_per_decision == {"hidden_1": 12}
    assert costs.parameter_bytes_per_decision == {
        "input": 4 * 8,
        "hidden_1": 4 * (12 + 60),
        "readout": 4 * 5,
    }
    assert costs.synapses == {"input": 2 * 4, "hidden_1": 4 * 5}


def test_a_silent_network_costs_updates_state_and_biases_that_are_not_zero():
    network = SpikingNetwork(NetworkConfig(hidden_sizes=(4,)), 2, 5, spike_steps=3)
    network.layers[0].linear.bias.data.zero_()
    assert totals(network, torch.zeros(2, 3, 2)) == [12, 0, None, 12, 0, 0, 4 * 5, 4 * 12, 0]


@pytest.mark.parametrize(
    ("parameters", "head_inside"),
    [(LastVoltageParameters(4.0), True), (LastVoltageParameters(4.0, 2.0), False)],
)
def test_readouts_that_leak(parameters, head_inside):
    config = NetworkConfig(
        hidden_sizes=(3,), time_steps=4, decoder="last_voltage", decoder_parameters=parameters
    )
    network = always(config, 5, 2 if head_inside else None)
    head = None if head_inside else nn.Linear(3, 2)
    costs = network.record(torch.ones(1, 5), head=head).costs
    # 12 spikes reach the integrators of 2 outputs.
    assert costs.synops_per_decision == {"hidden_1": 12 * 2}
    assert costs.synapses == {"hidden_1": 3 * 2}
    assert costs.macs_per_decision == {"hidden_1": 15}
    assert costs.neuron_updates_per_decision == {"hidden_1": 12, "readout": 4 * 2}
    # Weights of inputs, biases at 4 updates, those of the outputs, and synapses.
    assert costs.total("parameter_bytes_per_decision") == 4 * (15 + 12 + 2 + 24)
    # A second time constant has a variable of its own.
    variables = 2 if parameters.tau_syn_ms else 1
    assert costs.state_bytes_per_decision == {
        "hidden_1": 4 * 12, "readout": 4 * variables * 4 * 2
    }  # fmt: skip
    assert costs.spikes_reach_outputs


@pytest.mark.parametrize(
    ("decoder", "head_inside"),
    [("mean_rate", True), ("last_voltage", False), ("population", True), ("population", False)],
)
def test_spikes_without_synapses_to_outputs_are_not_counted(decoder, head_inside):
    config = NetworkConfig(hidden_sizes=(3,), time_steps=4, decoder=decoder)
    network = always(config, 5, 2 if head_inside else None, population_outputs=2)
    head = network.head
    if head is None:
        head = make_head(config.decoder_parameters, network.output_size, 2)
    outside = None if head_inside else head
    heard = network.record(torch.ones(1, 5), head=outside).costs
    assert heard.spikes_reach_outputs
    assert heard.total("synops_per_decision") > 0
    head.weight.data.zero_()
    unheard = network.record(torch.ones(1, 5), head=outside).costs
    assert not unheard.spikes_reach_outputs
    assert unheard.hidden_spikes == heard.hidden_spikes > 0
    assert unheard.macs_per_decision.get("readout", 0) == 0
    # No luck of the episode: a silent network whose synapses lead on is a spiking one.
    head.weight.data.fill_(1.0)
    for layer in network.layers:
        layer.linear.bias.data.fill_(-1e3)
    silent = network.record(torch.ones(1, 5), head=outside).costs
    assert (silent.hidden_spikes, silent.spikes_reach_outputs) == (0, True)


def test_a_population_of_output_neurons():
    config = NetworkConfig(
        (3,), 4, decoder="population", decoder_parameters=PopulationDecoderParameters(2)
    )
    costs = always(config, 5, 6).record(torch.ones(1, 5)).costs
    # 3 neurons reach 12; each of these serves one output.
    assert costs.synops_per_decision == {"hidden_1": 12 * 12, "output": 4 * 12 * 1}
    assert costs.neuron_updates_per_decision == {"hidden_1": 12, "output": 48}
    assert costs.total("parameter_bytes_per_decision") == 4 * (15 + 12 + 144 + 48 + 48 + 6)


@pytest.mark.parametrize(("encoder", "parameters", "macs"), [
    ("rate", RateEncoder("regular"), 5 + 5 * 4),
    ("rate", RateEncoder("poisson"), 5),
    ("latency", ENCODERS["latency"](), 5 + 5),
    ("population", PopulationEncoder(3), 5 + (3 + 4) * 15),
    ("population", PopulationEncoder(3, timing="poisson"), 5 + 3 * 15),
    ("delta", DeltaEncoder(), 5 + 2 * 5),
    ("learnable_population", LearnablePopulationParameters(3), (3 + 4) * 15),
])  # fmt: skip
def test_arithmetic_of_encoders(encoder, parameters, macs):
    config = NetworkConfig(
        hidden_sizes=(2,), time_steps=4, encoder=encoder, encoder_parameters=parameters
    )
    network = always(config, 5, 1)
    recording = network.record(torch.linspace(-1, 1, 10).view(2, 5))
    costs = recording.costs
    assert costs.macs_per_decision == {"encoder": macs}
    given = int(recording["input"].spikes.count_nonzero()) / 2
    assert costs.synops_per_decision["input"] == pytest.approx(2 * given)
    learned = costs.parameter_bytes_per_decision.get("encoder", 0.0)
    assert learned == (4 * 2 * 15 if encoder == "learnable_population" else 0.0)


def test_a_dense_network_on_values():
    network = DenseNetwork(5, (3, 4), 2, nn.Tanh)
    macs = 5 * 3 + 3 * 4 + 4 * 2
    everything = 4 * sum(x.numel() for x in network.parameters())
    expected = [macs + 3 + 4, None, macs, 3 + 4, None, None, everything, None, None]
    assert totals(network, torch.ones(2, 5)) == expected
    headless, head = DenseNetwork(5, (3, 4), None, nn.Tanh), nn.Linear(4, 2)
    assert totals(headless, torch.ones(2, 5), head=head) == totals(network, torch.ones(2, 5))


@pytest.mark.parametrize("size", [None, 2])
def test_a_linear_network(size):
    network, head = DenseNetwork(6, (), size, nn.Tanh), nn.Linear(6, 2)
    everything = 4 * (6 * 2 + 2)
    expected = [6 * 2, None, 6 * 2, None, None, None, everything, None, None]
    assert totals(network, torch.ones(2, 6), head=head) == expected
    spikes = DenseNetwork(6, (), size, nn.Tanh, spike_input=True)
    costs = spikes.record(TRAINS.flatten(1), head=head).costs
    assert costs.synops_per_decision == {"input": 2.0 * 2}
    assert costs.macs_per_decision == {}
    assert costs.total("parameter_bytes_per_decision") == 4 * (2 * 2 + 2)


def test_quantised_weights_by_hand():
    network = DenseNetwork(2, (2,), 1, nn.Tanh)
    network.quantise(2)
    for layer, weights in ((network[0], [[0.9, 0.1], [0.8, -0.7]]), (network[2], [[0.5, 0.5]])):
        layer.parametrizations.weight.original.data = torch.tensor(weights)
        layer.bias.data.zero_()
    # 0.1 becomes 0. The units' sums are 0.8 and 0 for the first input, 0.8 and -1.6 for both.
    costs = network.record(torch.tensor([[1.0, 1.0], [1.0, 3.0]])).costs
    assert costs.macs_per_decision == {"dense_1": 3, "dense_2": (1 + 2) / 2}
    # 2 bits a weight are 0.25 bytes; a bias that is not zero is a float.
    assert costs.parameter_bytes_per_decision == {"dense_1": 0.25 * 3, "dense_2": 0.25 * 1.5}
    network[2].bias.data.fill_(1.0)
    costs = network.record(torch.tensor([[1.0, 1.0], [1.0, 3.0]])).costs
    assert costs.parameter_bytes_per_decision["dense_2"] == 0.25 * 1.5 + 4


@settings(max_examples=25)
@given(
    values=st.lists(st.sampled_from([0.0, -2.0, 0.5]), min_size=4, max_size=4),
    weights=st.lists(st.sampled_from([0.0, 1.0, -3.0]), min_size=12, max_size=12),
)
def test_the_same_layer_costs_the_same_in_every_network(values, weights):
    inputs, weight = torch.tensor([values]), torch.tensor(weights).view(3, 4)
    expected = sum(
        1 for row in weight.tolist() for w, x in zip(row, values, strict=True) if w != 0 and x != 0
    )
    spiking = SpikingNetwork(NetworkConfig(hidden_sizes=(3,), time_steps=2), 4, 1)
    spiking.layers[0].linear.weight.data = weight
    dense = DenseNetwork(4, (3,), 1, nn.ReLU)
    dense[0].weight.data = weight
    gated = GatedNetwork("gru", 4, (3,), 1)
    gated.units[0].weight_ih_l0.data = weight.repeat(3, 1)
    found = [network.record(inputs).costs for network in (spiking, dense, gated)]
    macs = [costs.macs_per_decision for costs in found]
    assert macs[0]["hidden_1"] == macs[1]["dense_1"] == expected
    # From rest, the loop multiplies zeros; each of 3 units has 3 products of its gates.
    assert macs[2]["gru_1"] == 3 * expected + 3 * 3
    # Spikes through the same weights, whoever receives them.
    ones = (inputs != 0).float()
    receivers = [
        (SpikingNetwork(NetworkConfig(hidden_sizes=(3,)), 4, 1, spike_steps=1), ones[:, None]),
        (DenseNetwork(4, (3,), 1, nn.ReLU, spike_input=True), ones),
    ]
    receivers[0][0].layers[0].linear.weight.data = weight
    receivers[1][0][0].weight.data = weight
    for network, train in receivers:
        assert network.record(train).costs.synops_per_decision["input"] == expected


def test_modules_with_unknown_arithmetic_are_named_as_uncounted():
    class Mixing(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix = nn.Linear(3, 3)

        def forward(self, values):
            return self.mix(values)

    costs = DenseNetwork(5, (3,), 2, Mixing).record(torch.ones(1, 5)).costs
    assert costs.uncounted == ("Mixing",)
    assert costs.macs_per_decision["dense_1"] == 15
    assert all(costs.total(name) is None for name in COST_COLUMNS)
    assert DenseNetwork(5, (3,), 2, nn.PReLU).record(torch.ones(1, 5)).costs.uncounted == ()


class Matrix(nn.Module):
    """A map by a matrix that is not trained."""

    def __init__(self):
        super().__init__()
        self.register_buffer("matrix", torch.eye(3))

    def forward(self, values):
        return values @ self.matrix


def test_a_matrix_that_is_not_trained_is_not_counted_as_none():
    dense = DenseNetwork(5, (3,), 2, Matrix)
    assert dense.record(torch.ones(1, 5)).costs.uncounted == ("Matrix",)


@pytest.mark.parametrize(("kind", "gates"), [
    ("gru", 3), ("lstm", 4), ("rnn", 1), ("leaky", 1),
])  # fmt: skip
def test_gated_networks(kind, gates):
    network = GatedNetwork(kind, 6, (4, 3), 2)
    # 3 products of gates for each unit: r * h, (1 - z) * n and z * h of a GRU, or f * c, i * g and
    # o * tanh(c) of an LSTM. The decay of a leaky integrator is in its update.
    products = 3 if kind in ("gru", "lstm") else 0
    own, onward = products * 4, products * 3
    loops = (0, 0) if kind == "leaky" else (4, 3)
    first, second = gates * 4 * (6 + loops[0]) + own, gates * 3 * (4 + loops[1]) + onward
    carried = torch.ones(2, network.state_size)
    costs = network.record(torch.ones(2, 6), carried).costs
    assert costs.macs_per_decision == {
        f"{kind}_1": first, f"{kind}_2": second, "readout": 3 * 2
    }  # fmt: skip
    assert costs.neuron_updates_per_decision == {f"{kind}_1": 4, f"{kind}_2": 3}
    everything = 4 * sum(x.numel() for x in network.parameters())
    assert costs.total("parameter_bytes_per_decision") == everything
    variables = 2 if kind == "lstm" else 1
    assert costs.state_bytes_per_decision == {
        f"{kind}_1": 4 * variables * 4, f"{kind}_2": 4 * variables * 3
    }  # fmt: skip
    assert costs.spikes_per_synapse is None
    # At rest there is nothing to carry: of the loops no product is left.
    rest = network.record(torch.ones(2, 6)).costs
    assert rest.macs_per_decision == {
        f"{kind}_1": gates * 4 * 6 + own, f"{kind}_2": gates * 3 * 4 + onward, "readout": 3 * 2
    }  # fmt: skip

    spiking = GatedNetwork(kind, 6, (4, 3), 2, spike_input=True)
    spiked = spiking.record(TRAINS.flatten(1), carried).costs
    # The gates' products with what the units carry remain.
    carrying = gates * 4 * loops[0] + own
    left = {} if kind == "leaky" else {f"{kind}_1": carrying}
    assert spiked.macs_per_decision == {**left, f"{kind}_2": second, "readout": 3 * 2}
    assert spiked.synops_per_decision == {"input": 2.0 * gates * 4}
    assert spiked.synapses == {"input": 6.0 * gates * 4}
    unread = 4 * (6 - 2) * gates * 4
    assert spiked.total("parameter_bytes_per_decision") == everything - unread


def test_a_mixed_stack_by_hand():
    """Rectified integrators at -1, 0 and 2 pass one product a unit on; tanh units all of theirs."""
    network = GatedNetwork(("rectified_leaky", "tanh"), 2, (3, 4), 5)
    leaky = network.units[0]
    with torch.no_grad():
        leaky.weight.zero_()
        leaky.bias.copy_(torch.tensor([-1.0, 0.0, 2.0]))
    costs = network.record(torch.ones(1, 2)).costs
    assert costs.macs_per_decision == {"leaky_1": 0.0, "dense_2": 4.0, "readout": 20.0}
    assert costs.neuron_updates_per_decision == {"leaky_1": 3, "dense_2": 4}
    assert costs.state_bytes_per_decision == {"leaky_1": 12.0}


def test_means_weigh_parts_by_their_decisions():
    few = Costs(macs_per_decision={"a": 21.0})
    many = Costs(macs_per_decision={"a": 13.0}, neuron_updates_per_decision={"b": 8.0})
    costs = mean_costs([(1, few), (3, many)])
    assert costs.macs_per_decision == {"a": 15.0}
    assert costs.neuron_updates_per_decision == {"b": 6.0}
    assert mean_costs([]) == Costs()
    few = replace(few, uncounted=("NatureCNN",))
    assert mean_costs([(1, few), (3, many)]).uncounted == ("NatureCNN",)


@pytest.mark.parametrize(("kind", "seen", "chosen", "network", "spiking"), [
    (*made, k % 3 != 2) for k, made in enumerate(STATELESS)
])  # fmt: skip
def test_a_program_has_the_costs_of_its_policy(kind, seen, chosen, network, spiking):
    flag = {"spiking" if "DQN" in kind.__name__ else "spiking_actor": spiking}
    config = NetworkConfig(**{"hidden_sizes": (12, 9), "time_steps": 5, **network})
    torch.manual_seed(0)
    policy = kind(SEEN[seen], CHOSEN[chosen], ConstantSchedule(0.1), network=config, **flag)
    observations = observe(seen, 40)
    recorded = made_to_fire(policy).record(observations).costs
    counted = count_costs(policy.program(), observations)
    if "QRDQN" in kind.__name__:  # a program has the means of quantiles as outputs
        bytes_read = [x.total("parameter_bytes_per_decision") for x in (counted, recorded)]
        assert bytes_read[0] < bytes_read[1]
        return
    for name in COST_COLUMNS:
        one, other = counted.total(name), recorded.total(name)
        assert one == other or one == pytest.approx(other, rel=1e-3), name


@pytest.mark.parametrize(("seen", "arguments"), [
    (("analogue", "spikes")[k % 2], x) for k, x in enumerate(DENSE.values())
])  # fmt: skip
def test_a_program_has_the_costs_of_an_ann(seen, arguments):
    policy, observations = build_ann(seen, **arguments), observe(seen, 40)
    assert count_costs(policy.program(), observations) == policy.record(observations).costs


def test_a_smaller_program_costs_less():
    network = always(NetworkConfig(hidden_sizes=(3, 4), time_steps=2), 5, 2)
    network.head.weight.data.fill_(0.5)
    network.head.weight.data[:, 1:3] = 0.0
    program, seen = network.program(), np.ones((2, 5), np.float32)
    whole, small = count_costs(program, seen), count_costs(compact(program), seen)
    assert whole.neuron_updates_per_decision == {"hidden_1": 2 * 3, "hidden_2": 2 * 4}
    assert small.neuron_updates_per_decision == {"hidden_1": 2 * 3, "hidden_2": 2 * 2}
    # Every neuron fires: 3 of the first layer pass 2 synapses less each, at 2 time steps.
    assert whole.synops_per_decision["hidden_1"] == 2 * 3 * 4
    assert small.synops_per_decision["hidden_1"] == 2 * 3 * 2
    assert whole.synops_per_decision["hidden_2"] == small.synops_per_decision["hidden_2"]


def test_learned_constants_are_read():
    read = []
    for learnable in ((), ("v_threshold",)):
        torch.manual_seed(0)  # equal weights, and so equal spikes
        network = SpikingNetwork(NetworkConfig(hidden_sizes=(3,), learnable=learnable), 5, 2)
        costs = network.record(torch.zeros(1, 5)).costs
        read.append(costs.parameter_bytes_per_decision["hidden_1"])
    # Each of 3 neurons has the 4 constants of its equations, at each of 8 time steps.
    assert read[1] - read[0] == 4 * 3 * 4 * 8
