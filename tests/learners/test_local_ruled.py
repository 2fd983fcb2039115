"""Tests of plasticity rules in ``LocalActorCritic``: traces by hand, and against kernels."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose

from snn_gym.envs.stable_baselines import make_vec_env
from snn_gym.envs.synapses.local_measures import eligibilities
from snn_gym.learners import RULES, LocalActorCritic, PlasticityRule, register_rule
from snn_gym.learners.local.online import (
    LocalCore,
    RuleConstants,
    RuledCore,
    eligibility_function,
    make_core,
)
from snn_gym.spiking import NetworkConfig
from snn_gym.spiking.population import Population, start_weights
from snn_gym.zoo import load_agent, save_agent
from tests.learners.test_local_core import GATE, NOTHING, make_policy, one, outcome, tiny

R_STDP = RULES["r_stdp"]


@pytest.fixture(autouse=True)
def rules(stepped_rules):
    """Registered rules without compilation, which would take seconds."""
    return stepped_rules


def core(policy, plasticity, samples=1, feedback="random"):
    return make_core(policy, samples, RuleConstants(feedback, 0.9, 0.5, "sgd", 1.0, plasticity))


@pytest.mark.parametrize("hidden", [(6,), (5, 4)])
@pytest.mark.parametrize("feedback", ["random", "symmetric", "broadcast", "none"])
def test_three_factor_rule_equals_the_kernels(hidden, feedback):
    rng, policy = np.random.default_rng(0), make_policy(hidden)
    rule = RuleConstants(feedback, 0.9, 0.5, "sgd", 1.0)
    kernel, ruled = LocalCore(policy, 2, rule), RuledCore(policy, 2, rule)
    for step in range(8):
        observed = rng.uniform(-1, 1, (2, 3)).astype(np.float32)
        noise, given = rng.random((2, 1)), outcome(rng.normal(size=2), [step == 4, False], [0, 0])
        actions = [each.step(observed, noise, given, NOTHING).copy() for each in (kernel, ruled)]
        assert np.array_equal(*actions)
        assert_allclose(ruled.traces, kernel.traces, rtol=1e-4, atol=1e-6)
        assert_allclose(ruled.errors, kernel.errors, rtol=1e-6)
    hidden_part = ruled.traces[:, : ruled._hidden]
    assert (np.abs(hidden_part).max() > 0) == (feedback != "none")


def test_broadcast_error_is_equal_for_every_synapse():
    made = core(tiny(), "three_factor", feedback="broadcast")
    made.step(one(1.0), np.array([[0.1]]), outcome(), NOTHING)
    assert_allclose(made.traces[0, :2], [GATE, GATE], rtol=1e-6)


def test_r_stdp_in_a_network_worked_by_hand():
    # tiny() fires at its second time step, T = 2; input 1 at both. Traces of the input 1, then 1.8.
    made = core(tiny(), "r_stdp", feedback="broadcast")
    made.step(one(1.0), np.array([[0.1]]), outcome(), NOTHING)
    assert_allclose(made.traces[0, :2], [1.8 / 2, 1.8 / 2], rtol=1e-6)
    # Four time steps: spikes at the second and the last.
    made = core(tiny(time_steps=4), "r_stdp", feedback="broadcast")
    made.step(one(1.0), np.array([[0.1]]), outcome(), NOTHING)
    traces = list(itertools.accumulate([1.0] * 4, lambda x, pre: 0.8 * x + pre))
    spikes, after, total = made._activity.spikes.reshape(4, 1)[:, 0], 0.0, 0.0
    for t in range(4):
        total += traces[t] * spikes[t] - 0.5 * after
        after = 0.8 * after + spikes[t]
    assert spikes.sum() == 2
    assert_allclose(made.traces[0, 0], total / 4, rtol=1e-6)


def hebb(seen, state, _):
    trace = 0.8 * state[0] + seen.pre
    return (trace,), trace * seen.post


def test_a_registered_rule_learns_and_is_saved_by_name(rules, tmp_path):
    register_rule("hebb", PlasticityRule(hebb, ("trace",), compiled=False))
    env = make_vec_env("CartPole-v1", seed=0, mode="sync")
    model = LocalActorCritic("LocalActorCriticPolicy", env, seed=0, rule="hebb")
    before = model.policy.learned_parts()[0][0].weight.clone()
    model.learn(300)
    assert not np.array_equal(before, model.policy.learned_parts()[0][0].weight)
    save_agent(model, tmp_path)
    assert load_agent(tmp_path).rule == "hebb"
    del rules["hebb"]
    with pytest.raises(ValueError, match=r"rule 'hebb' is unknown.*register_rule"):
        load_agent(tmp_path)


@pytest.mark.parametrize("name", ["r_stdp", pytest.param("compiled", marks=pytest.mark.slow)])
def test_observed_eligibilities_equal_learning_eligibilities(rules, name):
    rules["compiled"] = R_STDP
    config = NetworkConfig((5, 4), time_steps=6, surrogate_slope=2.0, decoder="last_voltage")
    population, rng = Population(config, 3, 2), np.random.default_rng(0)
    weights = start_weights(population, rng, 1)
    inputs = rng.uniform(-1, 1, (7, 3)).astype(np.float32)
    layers = population.arrange(weights)
    activity = population.run(layers, np.zeros(7, np.int64), inputs)
    assert 0 < np.mean(activity.spikes[1]) < 1
    found = eligibilities(rules[name], population, weights[0], inputs)
    for m in range(7):
        signal = np.repeat(inputs[m][np.newaxis], 6, 0)
        for layer, (weight, bias) in enumerate(layers[:-1]):
            driven = np.concatenate([weight[0], bias]).astype(np.float64)
            local = np.empty(driven.shape, np.float32)
            states = tuple(np.empty(driven.shape) for _ in R_STDP.state)
            spikes, potentials = (
                x[layer][m].astype(np.float64) for x in (activity.spikes, activity.voltages)
            )
            derivatives = 1.0 / (1.0 + 2.0 * np.abs(potentials - 1.0)) ** 2
            eligibility_function(rules[name])(
                0.5, population.coefficients.astype(np.float64), driven,
                (np.append(signal, np.ones((6, 1)), 1), spikes, potentials, derivatives),
                states, local,
            )  # fmt: skip
            assert_allclose(found[layer][m], local, rtol=1e-5, atol=1e-6)
            signal = spikes
    assert all(np.abs(part).max() > 0.1 for part in found)
