"""Tests of eligibilities: by hand on a tiny network, and against a loop over synapses."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from snn_gym.envs.synapses import local_measures as module
from snn_gym.envs.synapses.local_measures import eligibilities, local_measures
from snn_gym.envs.synapses.plasticity import (
    LOCAL_MEASURES,
    RULE_ELIGIBILITY,
    RULES,
    PlasticityRule,
    Seen,
)
from snn_gym.spiking.network_config import NetworkConfig
from snn_gym.spiking.population import Population, start_weights, surrogate_window

SAMPLES = np.array([[1], [-1], [0.5]], np.float32)
WEIGHTS = np.array([2, 1, 1, -1, 0, 0], np.float32)
"""Input 2 x + 1, head (r, -r). Two time steps of gain 1/2 from rest: x = 1 fires twice (potentials
1.5 and 1.5), x = -1 never (-0.5, -0.75), x = 0.5 at the second (1, which is no more than the
threshold, and 1.5). Windows 1 / (1 + 2 |v - 1|)²: 1/4, 1/4; 1/16, 1/20.25; 1, 1/4."""
BY_HAND = {
    # Charge of the input: 1/2 before each of the spikes; -1/2, -3/4; 1/4, 3/8.
    "three_factor": [
        [(0.5 / 4 + 0.5 / 4) / 2, (0.5 / 4 + 0.5 / 4) / 2],
        [-(0.5 / 16 + 0.75 / 20.25) / 2, (0.5 / 16 + 0.75 / 20.25) / 2],
        [(0.25 + 0.375 / 4) / 2, (0.5 + 0.75 / 4) / 2],
    ],
    # Traces of the input: x, 1.8 x. The trace of a spike at the next input is 1.
    "r_stdp": [[(1 + 1.8 - 0.5) / 2, (1 + 1.8 - 0.5) / 2], [0, 0], [0.9 / 2, 1.8 / 2]],
}
"""Of the three samples, the input's synapse and the bias, a mean over both time steps."""


def tiny(**network):
    values = {"hidden_sizes": (1,), "time_steps": 2, "surrogate_slope": 2.0, **network}
    return Population(NetworkConfig(**values), 1, 2)


@pytest.mark.parametrize("name", BY_HAND)
def test_a_tiny_network_by_hand(name):
    hidden, head = eligibilities(RULES[name], tiny(), WEIGHTS, SAMPLES)
    assert_allclose(hidden[:, :, 0], BY_HAND[name], rtol=1e-6)
    assert head.tolist() == [[1.0, 1.0], [0.0, 1.0], [0.5, 1.0]]


def test_time_steps_have_the_decoders_weights():
    population = tiny(decoder="last_voltage")
    first, last = population.coefficients
    assert 0 < first < last
    hidden, head = eligibilities(RULES["r_stdp"], population, WEIGHTS, SAMPLES)
    expected = [[first + 1.3 * last] * 2, [0, 0], [0.9 * last, 1.8 * last]]
    assert_allclose(hidden[:, :, 0], expected, rtol=1e-6)
    assert_allclose(head[:, 0], [first + last, 0, last], rtol=1e-6)


def test_the_measure_is_the_covariance_with_the_signal_and_the_advantage():
    population, owners = tiny(), np.zeros(3, np.int64)
    activity = population.run(population.arrange(WEIGHTS[None]), owners, SAMPLES)
    actions, advantages = np.array([0, 1, 0]), np.array([1.0, -1.0, 0.0])
    values = local_measures(
        population, WEIGHTS[None], owners, activity, actions, advantages, RULES["r_stdp"]
    )
    assert values.shape == (1, 6, 7)
    # The first action of odds p = 1 / (1 + exp(-2)) by head weights of 1 and -1; then the second of
    # even odds, which was worse than usual; the third counts nothing.
    signals = [2 * (1 - 1 / (1 + math.exp(-2))), 1.0, 0.0]
    by_hand = np.array(BY_HAND["r_stdp"])
    gradient = [
        sum(s * (e - column.mean()) for s, e in zip(signals, column, strict=True)) / 3
        for column in by_hand.T
    ]
    assert gradient[0] == pytest.approx((0.2384058 * (1.15 - 1.6 / 3) - 1.6 / 3) / 3, abs=1e-7)
    size = math.hypot(*gradient) / math.sqrt(2)
    assert_allclose(values[0, :2, 6], np.tanh(np.array(gradient) / size), rtol=1e-5)
    assert gradient[0] < 0 > gradient[1]
    # A readout follows no rule: its rate and score alone, as before.
    assert_allclose(values[0, 2:, 6], values[0, 2:, LOCAL_MEASURES.index("eligibility")], rtol=1e-6)
    plain = local_measures(population, WEIGHTS[None], owners, activity, actions, advantages)
    assert np.array_equal(values[..., :6], plain)
    assert RULE_ELIGIBILITY not in LOCAL_MEASURES


def by_synapse(rule, population, weights, inputs):
    """Return ``eligibilities`` by plain loops over decisions, synapses and time steps."""
    layers = population.arrange(weights[None])
    activity = population.run(layers, np.zeros(len(inputs), np.int64), inputs)
    gain = {"iaf": 1.0}.get(population.config.neuron, population.config.dt_ms / 2.0)
    signal = np.repeat(inputs[:, None], population.config.time_steps, 1)
    found = []
    for layer, (weight, bias) in enumerate(layers[:-1]):
        spikes, voltages = activity.spikes[layer], activity.voltages[layer]
        windows = surrogate_window(population, voltages)
        shape = (len(inputs), weight.shape[1] + 1, weight.shape[2])
        sums = np.zeros(shape)
        for m, i, j in itertools.product(*map(range, shape)):
            is_bias = i == shape[1] - 1
            state = (np.zeros((1, 1)),) * len(rule.state)
            for t, coefficient in enumerate(population.coefficients):
                numbers = (
                    1.0 if is_bias else signal[m, t, i], spikes[m, t, j], voltages[m, t, j],
                    windows[m, t, j], bias[0, j] if is_bias else weight[0, i, j], gain,
                )  # fmt: skip
                seen = Seen(*(np.full((1, 1), float(x)) for x in numbers))
                state, eligible = rule.step(seen, state, rule.constants)
                sums[m, i, j] += coefficient * eligible[0, 0]
        found.append(sums)
        signal = spikes
    return found


def sees_all(seen, state, _):
    kept = 0.5 * state[0] + seen.pre * seen.potential
    return (kept,), kept * seen.window + seen.weight * seen.post - 0.1 * seen.gain


ALL = PlasticityRule(sees_all, ("kept",))


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 999),
    hidden=st.sampled_from([(3,), (2, 4), (2, 3, 2)]),
    neuron=st.sampled_from(["lif_box", "lif", "iaf", "alif"]),
    decoder=st.sampled_from(["mean_rate", "last_voltage"]),
    surrogate=st.sampled_from(["superspike", "triangle"]),
    rule=st.sampled_from([*RULES.values(), ALL]),
)
def test_eligibilities_equal_a_loop_over_synapses(seed, hidden, neuron, decoder, surrogate, rule):
    config = NetworkConfig(
        hidden, time_steps=3, neuron=neuron, decoder=decoder, surrogate=surrogate
    )
    population, rng = Population(config, 2, 2), np.random.default_rng(seed)
    weights = start_weights(population, rng, 1)[0]
    inputs = rng.uniform(-1, 1, (3, 2)).astype(np.float32)
    found = eligibilities(rule, population, weights, inputs)
    expected = by_synapse(rule, population, weights, inputs)
    assert len(found) == len(hidden) + 1
    for ours, theirs in zip(found[:-1], expected, strict=True):
        assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_chunk_size_does_not_change_eligibilities(monkeypatch):
    population, rng = tiny(hidden_sizes=(4,)), np.random.default_rng(0)
    weights = start_weights(population, rng, 1)[0]
    inputs = rng.uniform(-1, 1, (7, 1)).astype(np.float32)
    whole = eligibilities(RULES["r_stdp"], population, weights, inputs)
    monkeypatch.setattr(module, "_AT_ONCE", 2 * 8 + 1)  # two decisions of eight synapses
    assert np.array_equal(whole[0], eligibilities(RULES["r_stdp"], population, weights, inputs)[0])
    monkeypatch.setattr(module, "_AT_ONCE", 1)
    assert np.array_equal(whole[0], eligibilities(RULES["r_stdp"], population, weights, inputs)[0])


def explodes(seen, state, _):
    return state, (1.0 + seen.pre * seen.post) ** 1e9


def test_non_finite_eligibilities_are_refused():
    with (
        np.errstate(over="ignore"),
        pytest.raises(ValueError, match=r"explodes.* gave eligibilities that are not finite"),
    ):
        eligibilities(PlasticityRule(explodes, ("unused",)), tiny(), WEIGHTS, SAMPLES)


def test_other_neurons_and_higher_layers_do_not_change_eligibility():
    """Other neurons' synapses, and those above, change nothing of a synapse's eligibility."""
    population, rng = tiny(hidden_sizes=(3, 2)), np.random.default_rng(1)
    weights, table = start_weights(population, rng, 1)[0], population.synapses
    inputs = rng.uniform(-1, 1, (5, 1)).astype(np.float32)
    moved = weights.copy()
    mine = (table.layer == 0) & (table.post == 0)
    moved[~mine] *= -1.0
    for rule in (*RULES.values(), ALL):
        first, second = (eligibilities(rule, population, w, inputs)[0] for w in (weights, moved))
        assert np.array_equal(first[:, :, 0], second[:, :, 0])
        assert not np.array_equal(first[:, :, 1], second[:, :, 1])


def test_constant_actions_have_zero_eligibility():
    # Every neuron of the first layer fires at all times, so the second sees no difference.
    population = tiny(hidden_sizes=(2, 3))
    table, rng = population.synapses, np.random.default_rng(0)
    weights = start_weights(population, rng, 1)
    weights[:, table.layer == 0] = np.where(table.is_bias, 4.0, 0.1)[table.layer == 0]
    inputs = rng.uniform(-1, 1, (6, 1)).astype(np.float32)
    owners = np.zeros(6, np.int64)
    activity = population.run(population.arrange(weights), owners, inputs)
    values = local_measures(
        population, weights, owners, activity, rng.integers(0, 2, 6), rng.normal(size=6),
        RULES["three_factor"],
    )  # fmt: skip
    assert np.abs(values[0, table.layer == 0, 6]).max() > 0.1
    assert (values[0, table.layer > 0, 6] == 0).all()
    nobody = local_measures(
        population, weights, owners + 1, activity, np.zeros(6, np.int64), np.ones(6), ALL
    )
    assert np.isfinite(nobody).all()
