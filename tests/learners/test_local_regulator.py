"""Tests of local regulation in a network: traces by hand, equal paths, and effects."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from snn_gym import load_agent, make_vec_env, save_agent
from snn_gym.learners.local.online import LocalCore, RuleConstants, RuledCore
from snn_gym.learners.local.regulator import (
    TERMS,
    LocalRegulator,
    TermConstants,
    TermInputs,
    follow_rates,
    regulate,
    watch,
)
from snn_gym.learners.settings import LocalRegulation
from tests.learners.test_contract import weights
from tests.learners.test_local_actor_critic import make
from tests.learners.test_local_core import GATE, NOTHING, make_policy, one, outcome, tiny

IDLE = LocalRegulation(scaling_step=1e-300)
# Regulates by less than a float can show.
HALVES = (0.5, 0.25)


def make_core(policy, regulation=None, samples=1, kind=LocalCore, **rule):
    regulator = None if regulation is None else LocalRegulator(regulation, policy)
    constants = RuleConstants("random", 0.9, 0.5, rule.pop("optimiser", "sgd"), 1.0)
    return kind(policy, samples, constants, None, regulator)


def hidden(policy):
    """Return weights and biases of the first layer."""
    (first, *_), *_ = policy.learned_parts()
    return first.weight.numpy().copy(), first.bias.numpy().copy()


def live(core, steps, seed=0, sizes=HALVES, inputs=3, reward=0.0):
    rng, samples = np.random.default_rng(seed), core.noise_shape[0]
    core.forget()
    for _ in range(steps):
        seen = rng.uniform(-1, 1, (samples, inputs)).astype(np.float32)
        given = outcome([reward] * samples, [False] * samples, [0.0] * samples)
        core.step(seen, rng.random(core.noise_shape), given, sizes)


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("shape", [(6,), (5, 4)])
def test_an_idle_regulator_changes_no_bit(shape, optimiser):
    plain, watched = (
        make_core(make_policy(shape), regulation, 2, optimiser=optimiser)
        for regulation in (None, IDLE)
    )
    for core in (plain, watched):
        live(core, 20)
    assert np.array_equal(plain._theta, watched._theta)
    assert np.array_equal(plain.traces, watched.traces)


def test_spikes_and_eligibilities_of_the_neuron_worked_by_hand():
    # tiny(): a spike at the second of two time steps; the eligibility is its gate.
    core = make_core(tiny(), replace(IDLE, rate_decisions=4))
    core.step(one(1.0), np.array([[0.1]]), outcome(), NOTHING)
    fired, eligible = core._regulator.watched
    assert fired.tolist() == [1.0]
    assert_allclose(eligible, [GATE, GATE], rtol=1e-6)
    core.step(one(-9.0), np.array([[0.1]]), outcome(), NOTHING)
    assert fired.tolist() == [0.0]


def test_rates_are_running_means_and_silence_is_counted():
    rate, silent_for = np.array([0.0, 0.5]), np.array([3.0, 7.0])
    fired = np.array([2.0, 0.0], np.float32)
    follow_rates(fired, rate, silent_for, (0.25, 0.5, 0.3))
    assert rate.tolist() == [0.25, 0.25]
    assert silent_for.tolist() == [4.0, 8.0]
    follow_rates(fired, rate, silent_for, (0.25, 0.5, 0.3))
    assert rate.tolist() == [0.375, 0.125]
    assert silent_for.tolist() == [0.0, 9.0]


def test_first_decisions_have_equal_weight():
    core = make_core(tiny(), replace(IDLE, rate_decisions=3))
    found = []
    for observed in (1.0, -9.0, -9.0, -9.0):
        core.step(one(observed), np.array([[0.1]]), outcome(), (1e-30, 1e-30))
        found.append(float(core._regulator.traces.rate[0]))
    assert_allclose(found, [1 / 2, 1 / 4, 1 / 6, 1 / 9])


def test_homeostasis_in_a_network_worked_by_hand():
    # One spike in two steps of 1 ms is 500 Hz: 400 above. The rheobase of two steps is 4/3.
    given = LocalRegulation(max_rate_hz=100.0, homeostasis_step=1e-4)
    policy = tiny()
    make_core(policy, given).step(one(1.0), np.array([[0.1]]), outcome(), (1e-30, 1e-30))
    weight, bias = hidden(policy)
    assert weight[0, 0] == 1.0
    assert_allclose(bias, [0.5 - 1e-4 * 400 * 4 / 3], rtol=1e-6)


def test_lean_price_is_the_fan_out_and_uses_the_hidden_step_size():
    given = LocalRegulation(lean_strength=0.5)
    policy = tiny()
    core = make_core(policy, given)
    core._regulator.performance = replace(
        core._regulator.performance, level=1.0, worst=0.0, best=1.0, waited=99
    )
    core.step(one(1.0), np.array([[0.1]]), outcome(), (0.25, 1e-30))
    # Two outputs read the neuron, whose rate is 1/2.
    expected = 0.25 * 0.5 * 2 * (0.5 + 2 * 0.5) * GATE
    assert_allclose(hidden(policy)[0], [[1.0 - expected]], rtol=1e-6)


@settings(max_examples=20, deadline=None)
@given(
    shape=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    shuffled=st.booleans(),
    seed=st.integers(0, 99),
)
def test_layers_of_any_shape_change_as_the_stepped_terms_say(shape, shuffled, seed):
    rng, sizes = np.random.default_rng(seed), np.array(shape)
    neurons, synapses = sizes[1:].sum(), ((sizes[:-1] + 1) * sizes[1:]).sum()
    theta = rng.normal(size=synapses + 7).astype(np.float32)
    before, eligible = theta.astype(float), rng.random(synapses).astype(np.float32)
    rate, silent_for = rng.random(neurons), rng.integers(0, 3, neurons) * 10.0
    orders = [rng.permutation(n) if shuffled else np.arange(n) for n in sizes[1:]]
    prices = rng.integers(1, 9, len(sizes) - 1)
    constants = TermConstants(1e-4, 1e-4, 0.1, 10.0, 0.1)
    layers = (sizes, prices, np.concatenate(orders))
    numbers = (0.3, 0.6, 0.001, 0.5, 1.0)
    regulate(layers, theta, eligible, (rate, silent_for), numbers, constants)
    at = place = 0
    for k, order in enumerate(orders):
        block = slice(at, at + (sizes[k] + 1) * sizes[k + 1])
        told = slice(place, place + sizes[k + 1])
        f = rate[told][order]
        is_bias = np.zeros((sizes[k] + 1, 1))
        is_bias[-1] = 1.0
        lived = TermInputs(
            before[block].reshape(-1, sizes[k + 1]), is_bias,
            0.5 * eligible[block].reshape(-1, sizes[k + 1])[:, order],
            (f - np.clip(f, 0.3, 0.6)) / 0.001, f, silent_for[told][order],
            np.full(sizes[k + 1], float(prices[k])), np.ones((1, 1)),
        )  # fmt: skip
        expected = lived.weight + sum(term(lived, constants) for term in TERMS.values())
        assert_allclose(theta[block], expected.ravel(), rtol=1e-5, atol=1e-6)
        at, place = block.stop, told.stop
    assert_allclose(theta[at:], before[at:])  # readouts are left alone


def test_all_layers_are_watched_in_their_order():
    sizes, spikes = np.array([1, 2, 1]), np.arange(9, dtype=np.float32)  # T = 3: 6 of two, 3 of one
    watched = (np.zeros(3, np.float32), np.ones(7, np.float32))
    watch(sizes, 3, spikes, np.arange(9, dtype=np.float32), watched)
    assert watched[0].tolist() == [0 + 2 + 4, 1 + 3 + 5, 6 + 7 + 8]
    assert watched[1].tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_environments_are_regulated_by_their_mean():
    given = LocalRegulation(homeostasis_step=1e-4, max_rate_hz=100.0)
    policy = tiny()
    seen = np.array([[1.0], [-9.0]], np.float32)
    no = outcome([0.0] * 2, [False] * 2, [0.0] * 2)
    make_core(policy, given, 2).step(seen, np.array([[0.1], [0.1]]), no, (1e-30, 1e-30))
    assert_allclose(hidden(policy)[1], [0.5 - 1e-4 * 150 * 4 / 3], rtol=1e-6)


@pytest.mark.usefixtures("stepped_rules")
def test_both_cores_have_equal_regulation():
    shape = (5, 4)
    given = LocalRegulation(
        homeostasis_step=1e-4, scaling_step=1e-4, revival_step=0.1, silent_decisions=3
    )
    policies = [make_policy(shape), make_policy(shape)]
    kernel, ruled = (
        make_core(policy, given, 2, kind)
        for policy, kind in zip(policies, (LocalCore, RuledCore), strict=True)
    )
    for core in (kernel, ruled):
        live(core, 12, sizes=(1e-30, 1e-30))
    assert not np.array_equal(hidden(policies[0])[1], hidden(make_policy(shape))[1])
    assert_allclose(ruled._theta, kernel._theta, rtol=1e-5, atol=1e-6)


RANGES = {
    "homeostasis": LocalRegulation(100.0, 200.0, 100, homeostasis_step=1e-5),
    "scaling": LocalRegulation(100.0, 200.0, 100, scaling_step=1e-5),
}


@pytest.mark.parametrize("name", RANGES)
def test_rates_reach_their_range(name):
    policy = make_policy((12,), time_steps=8)
    core = make_core(policy, RANGES[name])
    live(core, 4_000, sizes=(1e-30, 1e-30))
    found = core._regulator.traces.rate * 1000.0
    assert found.min() > (70.0 if name == "homeostasis" else -1.0)  # negative weights stay negative
    assert found.max() < 230.0
    idle = make_core(make_policy((12,), time_steps=8), IDLE)
    live(idle, 4_000, sizes=(1e-30, 1e-30))
    before = idle._regulator.traces.rate * 1000.0
    assert before.min() < 50.0
    assert before.max() > 300.0


def silenced():
    policy = make_policy((8,), time_steps=8)
    (first,), *_ = policy.learned_parts()
    first.weight[:4], first.bias[:4] = 0.0, -1.0
    return policy


def test_only_silent_neurons_are_revived():
    policy = silenced()
    before = hidden(policy)[1]
    given = LocalRegulation(revival_step=0.5, silent_decisions=50, rate_decisions=20)
    core = make_core(policy, given)
    live(core, 50, sizes=(1e-30, 1e-30))
    assert (core._regulator.traces.rate[:4] == 0).all()
    live(core, 1_000, sizes=(1e-30, 1e-30))
    after = hidden(policy)[1]
    assert (core._regulator.traces.rate[:4] > 0.01).all()
    busy = core._regulator.traces.silent_for == 0
    assert busy[:4].all()
    assert np.array_equal(after[4:][before[4:] > 0.2], before[4:][before[4:] > 0.2])


def test_a_shuffled_regulation_reaches_another_neuron():
    given = LocalRegulation(revival_step=0.5, silent_decisions=50, rate_decisions=20)
    own, shuffled = silenced(), silenced()
    for policy, seed in ((own, None), (shuffled, 3)):
        live(make_core(policy, replace(given, shuffle_seed=seed)), 60, sizes=(1e-30, 1e-30))
    raised = [hidden(x)[1] - hidden(silenced())[1] > 0.1 for x in (own, shuffled)]
    order = LocalRegulator(replace(given, shuffle_seed=3), own)._layers[2]
    assert raised[0][:4].all()
    assert (order != np.arange(8)).all()
    assert raised[0][order].tolist() == raised[1].tolist()


def test_spikes_are_shed_once_the_return_no_longer_rises():
    # Its returns rise and fall by chance, and half of that counts for nothing.
    given = {"lean_strength": 1.0, "patience": 2, "tolerance": 0.5}
    model = make(regulation=given, reward_scale=1e-9)
    model.learn(3_000)
    assert model.regulator.performance.episodes > 20
    plain = make(reward_scale=1e-9).learn(3_000)
    seen = np.random.default_rng(0).normal(0, 1, (200, 4)).astype(np.float32)
    spikes = [x.policy.record(seen).layers[0].spikes.mean() for x in (model, plain)]
    assert spikes[0] < 0.8 * spikes[1]


REGULATION = {"homeostasis_step": 1e-5, "revival_step": 0.1, "lean_strength": 0.1}


def test_zip_files_and_state_tensors_store_the_slow_traces(tmp_path):
    model = make(regulation=REGULATION).learn(600)
    model.save(tmp_path / "model.zip")
    loaded = type(model).load(tmp_path / "model.zip", env=make_vec_env("CartPole-v1", mode="sync"))
    fresh = make(regulation=REGULATION)
    fresh.policy.load_state_dict(model.policy.state_dict())
    fresh.load_state_tensors(model.state_tensors())
    assert fresh.regulator.performance == model.regulator.performance
    for each in (model, loaded, fresh):
        each.set_env(make_vec_env("CartPole-v1", mode="sync"))
        each.rng = np.random.default_rng(1)
        each.get_env().seed(7)
        each.learn(600)
    assert np.array_equal(weights(loaded), weights(model))
    assert np.array_equal(weights(fresh), weights(model))
    with pytest.raises(ValueError, match="LocalRegulator carries"):
        fresh.load_state_tensors({"regulation.traces.rate": np.zeros(1)})


def test_regulation_is_saved_and_a_change_makes_a_new_regulator(tmp_path):
    model = make(regulation=REGULATION).learn(300)
    save_agent(model, tmp_path)
    loaded = load_agent(tmp_path)
    assert loaded.regulation == model.regulation == LocalRegulation(**REGULATION)
    before = model.regulator
    model.learn(10, reset_num_timesteps=False)
    assert model.regulator is before
    model.regulation = replace(model.regulation, homeostasis_step=0.5)
    model.learn(10, reset_num_timesteps=False)
    assert model.regulator is not before
    model.regulation = None
    model.learn(10, reset_num_timesteps=False)
    assert model.regulator is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "regulation does nothing: give homeostasis_step, scaling_step"),
        ({"lean_strength": 1.0, "min_rate_hz": 9.0, "max_rate_hz": 8.0}, "most max_rate_hz, got 9"),
        ({"lean": 1.0}, "unknown key lean"),
        ({"lean_strength": -1.0}, "lean_strength must be at least 0, got -1"),
    ],
)
def test_invalid_regulation_settings_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        make(regulation=given)
