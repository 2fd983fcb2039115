"""Rules of plasticity: traces worked by hand, locality, and life in ``LocalActorCritic``."""

import itertools
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose

from snn_gym.learners import LocalActorCritic, PlasticityRule, register_rule
from snn_gym.learners import plasticity as module
from snn_gym.learners.local_core import LocalCore, Rule
from snn_gym.learners.local_ruled import RuledCore, make_core
from snn_gym.learners.plasticity import RULES, Seen, STDPConstants, check_locality, r_stdp
from snn_gym.vector import make_vec_env
from snn_gym.zoo import load_agent, save_agent
from tests.learners.test_local_core import NOTHING, make_policy, one, outcome, tiny


@pytest.fixture(autouse=True)
def rules(monkeypatch):
    """Those that there are, without the seconds that numba takes to compile each of them."""
    stepped = {name: replace(rule, compiled=False) for name, rule in RULES.items()}
    monkeypatch.setattr(module, "RULES", stepped)
    for user in ("snn_gym.learners.settings", "snn_gym.learners.local_ruled"):
        monkeypatch.setattr(f"{user}.RULES", module.RULES)
    return module.RULES


def core(policy, plasticity, samples=1, feedback="random"):
    return make_core(policy, samples, Rule(feedback, 0.9, 0.5, "sgd", 1.0, plasticity))


def seen(pre, post):
    numbers = (pre, post, 0.0, 0.0, 0.0, 0.5)
    return Seen(*(np.full((1, 1), float(x)) for x in numbers))


HALVES = STDPConstants(kept=0.5, potentiation=1.0, depression=0.25)


def paired(events, constants=HALVES):
    """Return the eligibilities of r_stdp along (pre, post) events."""
    state, found = (np.zeros((1, 1)), np.zeros((1, 1))), []
    for pre, post in events:
        state, eligible = r_stdp(seen(pre, post), state, constants)
        found.append(float(eligible[0, 0]))
    return found


def test_a_spike_after_the_input_is_potentiated_and_one_before_it_is_depressed():
    # Two steps apart: half of a half is left of a trace.
    assert paired([(1, 0), (0, 0), (0, 1)]) == [0.0, 0.0, 0.25]
    assert paired([(0, 1), (0, 0), (1, 0)]) == [0.0, 0.0, -0.25 * 0.25 * 2]


def test_simultaneous_spikes_are_potentiated_and_all_pairs_count():
    assert paired([(1, 1)]) == [1.0]
    # The second input meets what half a step has left of the spike; the last spike both inputs.
    assert paired([(1, 1), (1, 0), (0, 1)]) == [1.0, -0.25, 0.25 + 0.5]


def test_constants_have_their_places():
    events = [(1, 0), (0, 1), (1, 0)]
    assert paired(events, STDPConstants(0.5, 3.0, 0.0)) == [0.0, 1.5, 0.0]
    assert paired(events, STDPConstants(0.25, 0.0, 4.0)) == [0.0, 0.0, -4.0 * 1.0 * 1.0]


@pytest.mark.parametrize("hidden", [(6,), (5, 4)])
@pytest.mark.parametrize("feedback", ["random", "symmetric", "broadcast", "none"])
def test_the_three_factor_rule_is_that_of_the_kernels(hidden, feedback):
    rng, policy = np.random.default_rng(0), make_policy(hidden)
    rule = Rule(feedback, 0.9, 0.5, "sgd", 1.0)
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


def test_the_stepped_rule_knows_the_constants_of_the_neuron_and_the_decoder():
    constants = {"tau_mem_ms": 3.0, "v_threshold": 0.7, "v_reset": -0.3, "v_leak": 0.2}
    policy = make_policy((6, 5), neuron_parameters=constants, decoder="last_voltage", time_steps=7)
    rng, rule = np.random.default_rng(0), Rule("random", 0.9, 0.5, "sgd", 1.0)
    kernel, ruled = LocalCore(policy, 1, rule), RuledCore(policy, 1, rule)
    for _ in range(4):
        observed = rng.uniform(-1, 1, (1, 3)).astype(np.float32)
        for each in (kernel, ruled):
            each.step(observed, np.array([[0.4]]), outcome(), NOTHING)
        assert_allclose(ruled.traces, kernel.traces, rtol=1e-4, atol=1e-6)
    assert np.abs(ruled.traces[:, : ruled._hidden]).max() > 0.01


def test_a_broadcast_error_is_the_same_to_every_synapse():
    """The one neuron of ``tiny``: the trace is the eligibility alone, whatever the feedback is."""
    made = core(tiny(), "three_factor", feedback="broadcast")
    made.step(one(1.0), np.array([[0.1]]), outcome(), NOTHING)
    gate = (4 / 9 * 0.5 + 0.64 * 0.75) / 2
    assert_allclose(made.traces[0, :2], [gate, gate], rtol=1e-6)


def test_r_stdp_in_a_network_worked_by_hand():
    # tiny() fires at its second time step, T = 2; input 1 at both. Traces of the input 1, then 1.8.
    made = core(tiny(), "r_stdp", feedback="broadcast")
    made.step(one(1.0), np.array([[0.1]]), outcome(), NOTHING)
    assert_allclose(made.traces[0, :2], [1.8 / 2, 1.8 / 2], rtol=1e-6)
    # Four time steps: spikes at the second and the last.
    made = core(tiny(time_steps=4), "r_stdp", feedback="broadcast")
    made.step(one(1.0), np.array([[0.1]]), outcome(), NOTHING)
    traces = list(itertools.accumulate([1.0] * 4, lambda x, pre: 0.8 * x + pre))
    spikes, after, total = made._spikes.reshape(4, 1)[:, 0], 0.0, 0.0
    for t in range(4):
        total += traces[t] * spikes[t] - 0.5 * after
        after = 0.8 * after + spikes[t]
    assert spikes.sum() == 2
    assert_allclose(made.traces[0, 0], total / 4, rtol=1e-6)


def test_stepped_and_compiled_are_one(rules):
    rules["quick"] = RULES["r_stdp"]
    assert rules["quick"].compiled
    policy, rng = make_policy((5, 4)), np.random.default_rng(1)
    made = [core(policy, name) for name in ("r_stdp", "quick")]
    for _ in range(3):
        observed, noise = rng.uniform(-1, 1, (1, 3)).astype(np.float32), rng.random((1, 1))
        for each in made:
            each.step(observed, noise, outcome(), NOTHING)
        assert_allclose(made[0].traces, made[1].traces, rtol=1e-5, atol=1e-7)
    assert np.abs(made[0].traces).max() > 0.1


class Few(NamedTuple):
    kept: float = 0.8


def hebb(seen, state, constants):
    trace = constants.kept * state[0] + seen.pre
    return (trace,), trace * seen.post


def test_a_rule_of_ones_own_learns_and_is_saved_by_its_name(rules, tmp_path):
    register_rule("hebb", PlasticityRule(hebb, ("trace",), Few(), compiled=False))
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


def sums_over_inputs(seen, state, _):
    return state, seen.window * seen.pre.sum()


def looks_at_its_neighbour(seen, state, _):
    return state, seen.weight + np.roll(seen.weight, 1)


def keeps_a_sum(seen, state, _):
    return (state[0] + seen.post.mean(),), seen.pre * seen.post


def writes(seen, state, _):
    state[0][:] = 1.0
    return state, seen.pre * seen.post


def reads_what_is_elsewhere(seen, state, _):
    return state, seen.pre * seen.target_error


def forgets_its_state(seen, _, __):
    return (), seen.pre * seen.post


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (sums_over_inputs, "rule 'mine' is not local: what synapse"),
        (looks_at_its_neighbour, "rule 'mine' is not local: what synapse"),
        (keeps_a_sum, "rule 'mine' is not local: what synapse"),
        (writes, "rule 'mine' changes its arguments"),
        (reads_what_is_elsewhere, "reads 'target_error', which no synapse sees; it sees pre, post"),
        (forgets_its_state, r"has 1 numbers of state \(kept\) and returns 0"),
    ],
)
def test_what_is_not_local_is_refused(rules, step, message):
    with pytest.raises(ValueError, match=message):
        register_rule("mine", PlasticityRule(step, ("kept",)))
    assert "mine" not in rules


def test_names_are_identifiers_and_not_taken(rules):
    for name, message in (("r_stdp", "registered already"), ("r stdp", "must be an identifier")):
        with pytest.raises(ValueError, match=message):
            register_rule(name, PlasticityRule(hebb, ("trace",), Few()))
    with pytest.raises(ValueError, match="names no state"):
        register_rule("mine", PlasticityRule(hebb, ()))


@pytest.mark.parametrize("name", RULES)
def test_the_rules_that_are_there_are_local(name):
    check_locality(name, RULES[name])
