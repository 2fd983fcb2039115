"""Tests of the terms of local regulation, and of the performance measure for shedding."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from snn_gym.envs.synapses.plasticity import check_elementwise
from snn_gym.learners.local.regulator import TERMS, Performance, TermConstants, TermInputs, changes
from snn_gym.learners.settings import LocalRegulation

OFF = TermConstants(0.0, 0.0, 0.0, 10.0, 0.0)
SOME = TermConstants(0.01, 0.02, 0.3, 10.0, 0.4)


def lived(**numbers):
    """Return inputs of a layer of one input, its bias and three neurons."""
    given = {
        "weight": [[2.0, -1.0, 0.5], [0.5, 0.25, -0.5]],
        "is_bias": [[0.0], [1.0]],
        "eligibility": [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]],
        "beyond_hz": [[0.0, 10.0, -20.0]],
        "rate": [[0.25, 0.5, 0.0]],
        "silent_for": [[0.0, 15.0, 20.0]],
        "price": [[2.0, 2.0, 3.0]],
        "permission": [[1.0]],
        **numbers,
    }
    return TermInputs(**{name: np.array(value) for name, value in given.items()})


def chance(rng, inputs, neurons):
    shape, row = (inputs + 1, neurons), (1, neurons)
    is_bias = np.zeros((inputs + 1, 1))
    is_bias[-1] = 1.0
    return TermInputs(
        weight=rng.normal(size=shape),
        is_bias=is_bias,
        eligibility=rng.random(shape),
        beyond_hz=rng.normal(0, 100, row),
        rate=rng.random(row),
        silent_for=rng.integers(0, 4, row) * 5.0,
        price=rng.integers(1, 9, row).astype(float),
        permission=rng.integers(0, 2, (1, 1)).astype(float),
    )


def test_homeostasis_moves_the_bias_against_the_distance_from_the_range():
    found = TERMS["homeostasis"](lived(), SOME)
    assert_allclose(found, [[0, 0, 0], [0, -0.1, 0.2]])


def test_scaling_multiplies_all_weights_of_a_neuron_equally():
    found = TERMS["scaling"](lived(), SOME)
    assert_allclose(found, [[0, 0.2, 0.2], [0, -0.05, -0.2]])
    # 1 - 0.02 * 10 and 1 + 0.02 * 20
    assert_allclose((lived().weight + found) / lived().weight, [[1, 0.8, 1.4]] * 2)


def test_revival_raises_the_bias_after_lasting_silence():
    assert_allclose(TERMS["revival"](lived(), SOME), [[0, 0, 0], [0, 0, 0.3]])
    silent = lived(silent_for=[[9.0, 10.0, 11.0]])
    assert_allclose(TERMS["revival"](silent, SOME), [[0, 0, 0], [0, 0.3, 0]])


def test_lean_term_is_price_times_slope_times_eligibility_if_permitted():
    found = TERMS["lean"](lived(), SOME)
    # price (1/2 + 2 rate): 2, 3, 1.5
    assert_allclose(found, -0.4 * np.array([[0.2, 0.6, 0.45], [0.8, 1.5, 0.9]]))
    assert not TERMS["lean"](lived(permission=[[0.0]]), SOME).any()


def test_the_lean_term_goes_downhill_on_the_cost_of_shedding():
    import torch

    from snn_gym.learners.lean_rules import spike_cost

    rate = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64, requires_grad=True)
    time_steps, fan_out = 8, 3
    # Spikes are what they are; the cost's gradient by them sums to that by the rate.
    spikes = rate.expand(time_steps, 1, 3)
    cost, _ = spike_cost([spikes], [fan_out], time_steps)
    (slope,) = torch.autograd.grad(cost, rate)
    seen = lived(rate=[[0.25, 0.5, 0.75]], price=[[3.0] * 3], eligibility=np.ones((2, 3)))
    found = TERMS["lean"](seen, SOME._replace(lean_step=1.0))
    assert_allclose(found, np.tile(-slope.numpy() / time_steps, (2, 1)))


@settings(max_examples=30, deadline=None)
@given(inputs=st.integers(1, 4), neurons=st.integers(1, 5), seed=st.integers(0, 99))
def test_compiled_terms_equal_numpy(inputs, neurons, seed):
    seen = chance(np.random.default_rng(seed), inputs, neurons)
    stepped = [term(seen, SOME) for term in TERMS.values()]
    assert_allclose(changes(seen, SOME), sum(stepped), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", TERMS)
def test_terms_are_switched_on_separately(name):
    seen = lived()
    alone = OFF._replace(**{f"{name}_step": getattr(SOME, f"{name}_step")})
    assert_allclose(changes(seen, alone), TERMS[name](seen, SOME), rtol=1e-12)
    assert not changes(seen, OFF).any()


@pytest.mark.parametrize("name", TERMS)
def test_terms_are_local(name):
    rng = np.random.default_rng(0)
    for _ in range(5):
        check_elementwise(
            name, lambda *parts: (TERMS[name](TermInputs(*parts), SOME),), chance(rng, 3, 4), (4, 4)
        )


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (lambda seen: seen.weight - seen.weight.mean(), "cheat is not local"),
        (lambda seen: np.sort(seen.rate) * seen.is_bias, "cheat is not local"),
        (lambda seen: np.multiply(seen.rate, 2, out=seen.rate), "changes its arguments"),
    ],
)
def test_terms_that_read_other_neurons_are_refused(term, message):
    parts = chance(np.random.default_rng(0), 3, 4)
    with pytest.raises(ValueError, match=message):
        check_elementwise("cheat", lambda *given: (term(TermInputs(*given)),), parts, (4, 4))


PARAMETERS = LocalRegulation(lean_strength=1.0, episodes=2, patience=3, tolerance=0.25)


def after(returns):
    """Return the measure after each episode."""
    steps = itertools.accumulate(returns, lambda x, y: x.step(y, PARAMETERS), initial=Performance())
    return list(steps)[1:]


def test_levels_are_running_means():
    # The first two count alike; from then on each has a half.
    assert [x.level for x in after([0.0, 8.0, 8.0, 0.0])] == [0.0, 4.0, 6.0, 3.0]


def test_spikes_may_not_be_shed_while_the_return_rises():
    found = after([0.0, 8.0, 16.0, 32.0, 64.0])
    assert [x.level for x in found] == [0.0, 4.0, 10.0, 21.0, 42.5]
    assert [x.waited for x in found] == [0] * 5
    assert not any(x.permits(PARAMETERS) for x in found)


def test_spikes_may_be_shed_after_the_patience():
    found = after([0.0, 8.0, *[4.0] * 4])
    assert [x.waited for x in found] == [0, 0, 1, 2, 3, 4]
    assert [x.permits(PARAMETERS) for x in found] == [False] * 4 + [True] * 2


def test_spikes_may_not_be_shed_while_the_return_is_lower():
    # Best 4, worst 0: a level below 3 is a loss.
    found = after([0.0, 8.0, *[4.0] * 4, 1.0, 5.0, 4.0])
    assert [x.level for x in found][-4:] == [4.0, 2.5, 3.75, 3.875]
    assert [x.permits(PARAMETERS) for x in found][-4:] == [True, False, True, True]


def test_an_improvement_restarts_the_patience():
    # A quarter of 5 counts where the level is 5, and of 5.5 where it is that.
    found = after([0.0, 8.0, *[4.0] * 4, 6.0, 6.0])
    assert [x.level for x in found][-2:] == [5.0, 5.5]
    assert [(x.best, x.waited) for x in found][-2:] == [(4.0, 5), (5.5, 0)]
    assert [x.permits(PARAMETERS) for x in found][-2:] == [True, False]


@pytest.mark.parametrize("returns", [[], [-200.0] * 50])
def test_shedding_requires_a_gain_in_return(returns):
    found = [Performance(), *after(returns)][-1]
    assert not found.permits(PARAMETERS)
