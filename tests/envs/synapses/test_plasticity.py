"""Tests of plasticity rules: spike pairs by hand, locality, names."""

from typing import NamedTuple

import numpy as np
import pytest

from snn_gym.envs.synapses.plasticity import (
    RULES,
    PlasticityRule,
    Seen,
    STDPConstants,
    check_locality,
    check_rule,
    r_stdp,
    register_rule,
)


@pytest.fixture(autouse=True)
def rules(stepped_rules):
    return stepped_rules


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


def test_post_after_pre_potentiates_and_post_before_pre_depresses():
    # Two steps apart: half of a half is left of a trace.
    assert paired([(1, 0), (0, 0), (0, 1)]) == [0.0, 0.0, 0.25]
    assert paired([(0, 1), (0, 0), (1, 0)]) == [0.0, 0.0, -0.25 * 0.25 * 2]


def test_simultaneous_spikes_are_potentiated_and_all_pairs_count():
    assert paired([(1, 1)]) == [1.0]
    # The second input meets the halved trace of the spike; the last spike meets both inputs.
    assert paired([(1, 1), (1, 0), (0, 1)]) == [1.0, -0.25, 0.25 + 0.5]


def test_constants_by_hand():
    events = [(1, 0), (0, 1), (1, 0)]
    assert paired(events, STDPConstants(0.5, 3.0, 0.0)) == [0.0, 1.5, 0.0]
    assert paired(events, STDPConstants(0.25, 0.0, 4.0)) == [0.0, 0.0, -4.0 * 1.0 * 1.0]


class Few(NamedTuple):
    kept: float = 0.8


def hebb(seen, state, constants):
    trace = constants.kept * state[0] + seen.pre
    return (trace,), trace * seen.post


def sums_over_inputs(seen, state, _):
    return state, seen.window * seen.pre.sum()


def looks_at_its_neighbour(seen, state, _):
    return state, seen.weight + np.roll(seen.weight, 1)


def keeps_a_sum(seen, state, _):
    return (state[0] + seen.post.mean(),), seen.pre * seen.post


def writes(seen, state, _):
    state[0][:] = 1.0
    return state, seen.pre * seen.post


def reads_another_decision(seen, state, _):
    return state, seen.pre * seen.post[0]  # fits a layer, too, where decisions are one


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
        (reads_another_decision, r"rule 'mine' is not local: what synapse \(1, "),
        (writes, "rule 'mine' changes its arguments"),
        (reads_what_is_elsewhere, "reads 'target_error', which no synapse sees; it sees pre, post"),
        (forgets_its_state, r"has 1 numbers of state \(kept\) and returns 0"),
    ],
)
def test_non_local_rules_are_refused(rules, step, message):
    with pytest.raises(ValueError, match=message):
        register_rule("mine", PlasticityRule(step, ("kept",)))
    assert "mine" not in rules


def test_names_are_identifiers_and_not_taken(rules):
    for name, message in (("r_stdp", "registered already"), ("r stdp", "must be an identifier")):
        with pytest.raises(ValueError, match=message):
            register_rule(name, PlasticityRule(hebb, ("trace",), Few()))
    with pytest.raises(ValueError, match="names no state"):
        register_rule("mine", PlasticityRule(hebb, ()))


def test_unknown_rule_names_are_refused(rules):
    check_rule("r_stdp", "rule")
    with pytest.raises(
        ValueError,
        match=r"rule 'hebb' is unknown; allowed: three_factor, r_stdp; one of your own is regis",
    ):
        check_rule("hebb", "rule")


@pytest.mark.parametrize("name", RULES)
def test_built_in_rules_are_local(name):
    check_locality(name, RULES[name])
