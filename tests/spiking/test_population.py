"""Tests of populations: equality with ``SpikingNetwork``, and parts by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils import vector_to_parameters

from snn_gym.program.builtin_neurons import IAFParameters, LIFBoxParameters
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.network_config import NetworkConfig
from snn_gym.spiking.population import Population, finite_or_raise, start_weights, surrogate_window
from tests.spiking.strategies import network_configs
from tests.spiking.tally import few_excused

# Sums in another order differ by this much; a potential as near to its threshold may fire or not.
MARGIN = 1e-5
NEURONS = ("lif_box", "lif", "iaf", "alif")


def make_networks(config, networks, inputs=3, outputs=2, seed=0):
    torch.manual_seed(seed)
    return [SpikingNetwork(config, inputs, outputs) for _ in range(networks)]


def first_difference(recording, activity, samples):
    """Return time step and layer of the first spike that differs, or None."""
    firsts = []
    for index, spikes in enumerate(activity.spikes):
        ours = spikes[samples].transpose(1, 0, 2)
        different = ours != recording.layers[index].spikes.numpy()
        if different.any():
            firsts.append((int(different.any(axis=(1, 2)).argmax()), index, different))
    return min(firsts, key=lambda first: first[:2]) if firsts else None


def assert_equal_until_the_first_difference(recording, outputs, activity, samples, tally):
    first = first_difference(recording, activity, samples)
    tally.made += 1
    for index, voltages in enumerate(activity.voltages):
        end = voltages.shape[1] if first is None else first[0]
        ours = voltages[samples].transpose(1, 0, 2)[:end]
        theirs = recording.layers[index].voltages.numpy()[:end]
        assert np.allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    if first is None:
        assert np.allclose(activity.outputs[samples], outputs, rtol=1e-4, atol=1e-5)
        return
    tally.excused += 1
    step, index, different = first
    layer = recording.layers[index]
    voltages = layer.voltages.numpy()
    distances = np.abs(voltages - np.broadcast_to(layer.v_threshold, voltages.shape))[step]
    assert (distances / (1.0 + np.abs(voltages[step])))[different[step]].max() < MARGIN


def test_outputs_and_activity_equal_the_network():
    @settings(max_examples=30, deadline=None)
    @given(
        config=st.sampled_from(["mean_rate", "last_voltage"]).flatmap(
            lambda decoder: network_configs(recurrent=False, decoder=decoder)
        ),
        sizes=st.lists(st.integers(1, 12), min_size=1, max_size=2),
        networks=st.integers(1, 3),
        samples=st.integers(1, 4),
        seed=st.integers(0, 2**20),
    )
    def compare(config, sizes, networks, samples, seed):
        config = NetworkConfig(**{**vars(config), "hidden_sizes": tuple(sizes)})
        singles = make_networks(config, networks, seed=seed)
        population = Population(config, 3, 2)
        weights = np.stack([population.flatten(network) for network in singles])
        inputs = np.random.default_rng(seed).normal(0, 2, (networks, samples, 3)).astype(np.float32)
        owners = np.repeat(np.arange(networks), samples)
        activity = population.run(population.arrange(weights), owners, inputs.reshape(-1, 3))
        for index, network in enumerate(singles):
            x = torch.from_numpy(inputs[index])
            with torch.no_grad():
                recording, outputs = network.record(x), network(x)[0].numpy()
            mine = slice(index * samples, (index + 1) * samples)
            assert_equal_until_the_first_difference(recording, outputs, activity, mine, tally)

    with few_excused() as tally:
        compare()


@settings(max_examples=20, deadline=None)
@given(networks=st.integers(1, 4), samples=st.integers(1, 4), seed=st.integers(0, 2**20))
def test_batched_samples_equal_single_samples(networks, samples, seed):
    population = Population(NetworkConfig(hidden_sizes=(5, 4), time_steps=4), 3, 2)
    rng = np.random.default_rng(seed)
    weights = start_weights(population, rng, networks)
    x = rng.normal(0, 1, (networks, samples, 3)).astype(np.float32)
    together = population.outputs(weights, x)
    for network in range(networks):
        for sample in range(samples):
            alone = population.outputs(weights[[network]], x[[network], sample : sample + 1])
            assert np.array_equal(alone[0, 0], together[network, sample])


def test_a_network_by_hand():
    # Integrate-and-fire, reset to 0: the input 0.4 with weight 1 and bias 0.2 adds 0.6 a step, so
    # that the neuron stands at 0.6, 1.2 (spike), 0.6, 1.2 (spike); the other gets 0.25.
    config = NetworkConfig(
        hidden_sizes=(2,), time_steps=4, neuron="iaf",
        neuron_parameters=IAFParameters(v_threshold=1.0, v_reset=0.0),
    )  # fmt: skip
    population = Population(config, 1, 1)
    hidden, head = [1.0, 0.5, 0.2, 0.05], [3.0, 100.0, -1.0]
    weights = np.array([hidden + head], np.float32)
    inputs = np.array([[0.4]], np.float32)
    activity = population.run(population.arrange(weights), np.array([0]), inputs)
    assert activity.spikes[0][0].T.tolist() == [[0, 1, 0, 1], [0, 0, 0, 0]]
    expected = [[0.6, 1.2, 0.6, 1.2], [0.25, 0.5, 0.75, 1.0]]
    assert np.allclose(activity.voltages[0][0].T, expected)
    assert activity.features.tolist() == [[0.5, 0.0]]
    assert activity.outputs.tolist() == [[0.5]]  # 3 * 0.5 - 1
    assert activity.inputs is inputs


def test_the_table_of_synapses_by_hand():
    table = Population(NetworkConfig(hidden_sizes=(3,), time_steps=2), 2, 1).synapses
    # weights of hidden neurons row by row, their biases, weights of the output, its bias
    assert len(table) == 3 * 2 + 3 + 3 + 1
    assert table.layer.tolist() == [0] * 9 + [1] * 4
    assert table.pre.tolist() == [0, 1, 0, 1, 0, 1, 2, 2, 2, 0, 1, 2, 3]
    assert table.post.tolist() == [0, 0, 1, 1, 2, 2, 0, 1, 2, 0, 0, 0, 0]
    assert table.is_bias.tolist() == [False] * 6 + [True] * 3 + [False] * 3 + [True]
    assert table.fan_in.tolist() == [3] * 9 + [4] * 4
    assert table.fan_out.tolist() == [3] * 9 + [1] * 4


def test_synapse_table_matches_the_network():
    config = NetworkConfig(hidden_sizes=(3, 4), time_steps=2)
    population, table = Population(config, 2, 2), Population(config, 2, 2).synapses
    network = SpikingNetwork(config, 2, 2)
    weights = np.arange(population.parameter_count, dtype=np.float32)
    vector_to_parameters(torch.from_numpy(weights), network.parameters())
    assert np.array_equal(population.flatten(network), weights)
    linears = [*(layer.linear for layer in network.layers), network.head]
    for synapse in range(len(table)):
        linear, post = linears[table.layer[synapse]], table.post[synapse]
        if table.is_bias[synapse]:
            assert linear.bias[post] == synapse
        else:
            assert linear.weight[post, table.pre[synapse]] == synapse


@pytest.mark.parametrize("neuron", NEURONS)
def test_start_weights_make_neurons_fire(neuron):
    population = Population(NetworkConfig(hidden_sizes=(40, 30), neuron=neuron), 4, 2)
    weights = start_weights(population, np.random.default_rng(0), 20)
    table, current = population.synapses, population.rheobase
    biases = weights[:, table.is_bias & (table.layer < 2)]
    assert biases.min() >= 0.0
    assert biases.max() <= 2.0 * current
    assert biases.mean() == pytest.approx(current, rel=0.1)
    first = weights[:, ~table.is_bias & (table.layer == 0)]
    assert first.std() == pytest.approx(current / np.sqrt(4), rel=0.1)
    head = weights[:, table.layer == 2]
    assert head.std() == pytest.approx(0.1 / np.sqrt(30), rel=0.1)
    x = np.random.default_rng(1).normal(0, 1, (20 * 10, 4)).astype(np.float32)
    activity = population.run(population.arrange(weights), np.repeat(np.arange(20), 10), x)
    for spikes in activity.spikes:
        assert 0.02 < spikes.mean() < 0.9


@pytest.mark.parametrize(
    ("surrogate", "share"),
    [
        # half a unit from the threshold at slope 5, as shares of the maxima 1, 5 / 2, 5 and 5 / 4
        ("superspike", 1 / 3.5**2),
        ("arctan", 1 / (1 + (1.25 * math.pi) ** 2)),
        ("triangle", 1 / 2),
        ("sigmoid", 1 / math.cosh(1.25) ** 2),
    ],
)
def test_surrogate_windows(surrogate, share):
    config = NetworkConfig(
        surrogate=surrogate,
        surrogate_slope=5.0,
        neuron_parameters=LIFBoxParameters(v_threshold=0.5),
    )
    voltages = np.array([[0.5], [1.0], [0.0]], np.float32)
    window = surrogate_window(Population(config, 1, 1), voltages)
    assert window.dtype == np.float32
    assert window[:, 0].tolist() == pytest.approx([1.0, share, share], rel=1e-5)


def test_non_finite_weights_are_counted():
    finite_or_raise(np.zeros(3, np.float32), "es")
    with pytest.raises(
        ValueError, match=r"^es: 2 of 3 weights are not finite; lower the step size"
    ):
        finite_or_raise(np.array([0.0, np.nan, np.inf], np.float32), "es")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"encoder": "rate"}, "can't run encoder='rate'; use encoder='constant'"),
        ({"recurrent": True}, "can't run recurrent=True; use recurrent=False"),
        ({"decoder": "population"}, "can't run decoder='population'; use decoder='mean_rate' or"),
    ],
)
def test_parts_without_population_kernels_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Population(NetworkConfig(**arguments), 3, 2)
