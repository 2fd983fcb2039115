"""Event-driven execution: closed forms, equality with the clocked form, and costs by hand."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_gym.policies import StatefulActorCriticPolicy, program_of
from snn_gym.program import (
    Choice,
    CompiledProgram,
    Decoder,
    DenseLayer,
    GatedLayer,
    Head,
    LeakyLayer,
    NeuronLayer,
    Program,
    count_costs,
    decide,
    with_events,
)
from snn_gym.program.expressions import evaluate
from snn_gym.program.neuron import equations, idle_equations
from snn_gym.program.neurons import IAF, LIF, NEURONS, LIFBox
from tests.made import DISCRETE, build, row, scattered
from tests.program.own_neurons import Resonator

SHARES = st.floats(1 / 64, 1.0, width=32)
VALUES = st.floats(-2.0, 2.0, width=32)
CONSTANTS = {"v_threshold": 1.0, "v_reset": 0.0, "v_leak": -0.25, "beta": 0.1}


def moved(neuron, numbers, state):
    """Return the state after a time step without input or spike, and its margin."""
    text = equations(neuron)
    values = evaluate(text.moved, {**numbers, **state, "x": 0.0})
    pairs = dict(zip(text.moved_names, values, strict=True))
    (margin,) = evaluate([text.margin], {**numbers, **pairs})
    after = evaluate(text.decided(fires=False), {**numbers, **pairs})
    return dict(zip(text.state, after, strict=True)), margin


@pytest.mark.parametrize("name", NEURONS)
@settings(max_examples=20, deadline=None)
@given(
    gains=st.lists(SHARES, min_size=3, max_size=3),
    equal=st.booleans(),
    given=st.lists(VALUES, min_size=3, max_size=3),
    steps=st.integers(1, 60),
)
def test_a_closed_form_equals_as_many_time_steps(name, gains, equal, given, steps):
    neuron = NEURONS[name]
    slow, fast, adapting = gains
    numbers = {**CONSTANTS, "mem_gain": slow, "syn_gain": slow if equal else fast}
    numbers["adapt_gain"] = adapting
    text, state = idle_equations(neuron), dict(zip(neuron.state, given, strict=False))
    after = evaluate(text.state, {**numbers, **state, "silent_steps": np.float64(steps)})
    (limit,) = evaluate([text.margin], {**numbers, **state})
    stepped = state
    for _ in range(steps):
        stepped, margin = moved(neuron, numbers, stepped)
        assert margin <= limit + 1e-9
    np.testing.assert_allclose(after, list(stepped.values()), rtol=1e-7, atol=1e-9)
    # The function that the interpreter calls is the same text.
    called = neuron.idle(SimpleNamespace(**numbers), SimpleNamespace(**state), np.float64(steps))
    np.testing.assert_array_equal(after, called)


@pytest.mark.parametrize(("name", "bias"), list(zip(NEURONS, [0.0, 0.05, -0.05] * 2, strict=True)))
def test_spikes_equal_those_of_the_clocked_form(name, bias):
    learnable = ("tau_mem_ms",) if name == "lif" else ()
    policy = build(
        StatefulActorCriticPolicy, "spikes", neuron=name, recurrent=True, learnable=learnable,
        decoder="last_voltage",
    )  # fmt: skip
    clocked = program_of(scattered(policy))
    layers = (replace(x, biases=np.full_like(x.biases, bias)) for x in clocked.layers)
    clocked = replace(clocked, layers=tuple(layers))
    program, generator = with_events(clocked), np.random.default_rng(1)
    state = lazy = None
    fired, updates = 0.0, []
    for k in range(150):
        rate = 0.1 if k % 20 < 5 else 0.0
        observations = (generator.random((3, 5, 6)) < rate).astype(np.float32)
        expected, found = decide(clocked, observations, state), decide(program, observations, lazy)
        for a, b in zip(expected.spikes, found.spikes, strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(found.outputs, expected.outputs, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(found.actions, expected.actions)
        assert not any(
            (~x & (y > 0)).any() for x, y in zip(found.events.updated, found.spikes, strict=True)
        )
        fired += found.spikes[-1].sum()
        updates += [x.mean() for x in found.events.updated]
        state, lazy = expected.state, found.state
    assert fired > 10
    leaks = "iaf" not in name
    assert np.mean(updates) < 0.6 if leaks or bias == 0 else np.mean(updates) == 1.0


def one_neuron(neuron=LIFBox, constants=(0.5, 1.0, 0.0, 0.0), bias=0.0, **changes):
    """Return a neuron that two channels of a spike train drive, by the weights 3 and 0."""
    layer = NeuronLayer(
        neuron=neuron,
        constants=np.array(constants, np.float32),
        weights=np.array([[3.0], [0.0]], np.float32),
        biases=np.array([bias], np.float32),
        recurrent=None,
        rest=np.zeros((len(neuron.state), 1), np.float32),
    )
    parts = {
        "inputs": 2,
        "encoder": "spikes",
        "normalisers": (),
        "layers": (layer,),
        "time_steps": 4,
        "decoder": Decoder(np.full((1, 4), 0.25, np.float32), np.zeros((1, 0), np.float32)),
        "head": Head(np.array([[1.0], [0.0]], np.float32), np.array([0.0, 0.1], np.float32)),
        "choice": DISCRETE,
        "stateful": True,
    }
    return Program(**{**parts, **changes})


def train(*events):
    """Return a spike train (1, 4, 2) with spikes at (time step, channel)."""
    spikes = np.zeros((1, 4, 2), np.float32)
    for place in events:
        spikes[(0, *place)] = 1.0
    return spikes


def test_updates_of_a_neuron_by_hand():
    program = with_events(one_neuron())
    first = decide(program, train((0, 0), (2, 1), (3, 0)))
    # The synapse of channel 1 has the weight 0, so that its spike updates nobody.
    assert first.events.updated[0].ravel().tolist() == [True, False, False, True]
    assert first.spikes[0].ravel().tolist() == [1, 0, 0, 1]
    costs = count_costs(program, train((0, 0), (2, 1), (3, 0)))
    # 2 spikes of channel 0, 2 of the neuron to the first output; 2 updates.
    assert costs.total("synops_per_decision") == 4
    assert costs.neuron_updates_per_decision == {"hidden_1": 2}
    assert costs.operations_per_decision == 6
    assert count_costs(one_neuron(), train((0, 0), (2, 1), (3, 0))).operations_per_decision == 8
    silent = count_costs(program, train(), first.state)
    assert silent.operations_per_decision == 0
    assert not silent.total("parameter_bytes_per_decision")


def test_a_neuron_without_synaptic_current_decays_in_one_update():
    weak = one_neuron(constants=(0.5, 2.0, 0.0, 0.0))
    program = with_events(weak)
    # To 1.5, then 11 time steps without input, then to (1.5 / 2^11 + 3) / 2.
    begun = decide(program, train((0, 0)))
    assert begun.state.tolist() == [[1.5, 3.0]]  # potential, and time steps since
    for _ in range(2):
        begun = decide(program, train(), begun.state)
    assert begun.state.tolist() == [[1.5, 11.0]]
    ended = decide(program, train((0, 0)), begun.state)
    assert ended.state.tolist() == [[(1.5 / 2**11 + 3) / 2, 3.0]]


def test_a_neuron_is_updated_until_its_current_cannot_make_it_fire():
    # The current 3 halves; while more than 2 is left the neuron may still fire.
    constants = (0.5, 0.5, 2.0, 0.0, 0.0)
    program = with_events(one_neuron(LIF, constants))
    assert equations(LIF).constants == (
        "mem_gain", "syn_gain", "v_threshold", "v_reset", "v_leak",
    )  # fmt: skip
    found = decide(program, train((0, 0)))
    assert found.events.updated[0].ravel().tolist() == [True, False, False, False]
    strong = replace(program, layers=(replace(program.layers[0], weights=row(9.0, 0.0).T),))
    found = decide(strong, train((0, 0)))
    # Currents 4.5, 2.25, 1.125 are left: two more updates.
    assert found.events.updated[0].ravel().tolist() == [True, True, True, False]


def test_a_bias_moves_the_state_at_which_a_neuron_settles():
    # With the bias 0.5 potentials settle at 0.5, from 0: 0.5 - 0.5 / 2^n.
    program = with_events(one_neuron(bias=0.5, constants=(0.5, 9.0, 0.0, 0.0)))
    found = decide(program, train((3, 0)))
    assert found.events.updated[0].ravel().tolist() == [False, False, False, True]
    assert found.state[0, 0] == ((0.5 - 0.5 / 8) + 3.5) / 2
    # A bias above the threshold, and any bias without leak, updates at every time step.
    for other in (one_neuron(bias=1.5), one_neuron(IAF, (9.0, 0.0), bias=0.5)):
        assert decide(with_events(other), train()).events.updated[0].all()


def test_a_held_current_that_is_not_zero_is_an_event():
    program = with_events(one_neuron(encoder="constant"))
    for value, expected in ((0.0, False), (0.1, True)):
        found = decide(program, np.array([[value, 1.0]], np.float32))
        assert found.events.updated[0].ravel().tolist() == [expected] * 4


def leaky(biases):
    """Return a neuron whose readout, of gain 0.5, is carried on."""
    shares = np.array([[1 / 16, 1 / 8, 1 / 4, 1 / 2]] * 2, np.float32)
    decoder = Decoder(shares, np.full((2, 1), 1 / 16, np.float32))
    head = Head(np.array([[1.0], [0.0]], np.float32), np.array(biases, np.float32))
    return with_events(one_neuron(decoder=decoder, head=head))


def test_a_readout_is_read_while_its_action_may_change():
    # The potential 0.5 decays below the bias 0.1 of the other output, at 0.03.
    program, state, actions, reads = leaky([0.0, 0.1]), None, [], []
    for k in range(4):
        found = decide(program, train((3, 0)) if k == 0 else train(), state)
        state = found.state
        actions.append(int(found.actions[0]))
        reads.append(bool(found.events.read[0]))
    assert actions == [0, 1, 1, 1]
    assert reads == [True, True, False, False]
    # Equal biases: the output that is larger stays larger.
    program = leaky([0.0, 0.0])
    begun = decide(program, train((3, 0)))
    assert not decide(program, train(), begun.state).events.read[0]
    # A read decision updates one integrator for each output, beside those that a spike reaches.
    costs = count_costs(program, train((3, 0)))
    assert costs.neuron_updates_per_decision == {"hidden_1": 1, "readout": 1 + 2}
    assert costs.state_bytes_per_decision == {"hidden_1": 8 * 1, "readout": 8 * 3}


def test_parts_without_an_event_driven_form_are_named():
    with pytest.raises(ValueError, match="'Resonator' has no idle"):
        with_events(one_neuron(Resonator, (0.9, 0.4, 1.0, 0.0)))
    gated = GatedLayer(
        "rnn", row(1.0, 1.0).T, row(0.0)[0], row(0.5), row(0.0)[0]
    )  # fmt: skip
    behind = LeakyLayer(row(1.0), row(0.0)[0], row(0.5)[0])
    (first,) = integrators([0.5]).layers
    for layers in ((gated,), (first, behind)):
        with pytest.raises(ValueError, match="train one layer of leaky integrators"):
            with_events(integrators([0.5], layers=layers))


def test_compiled_calls_are_clocked():
    with pytest.raises(ValueError, match="compiled calls are clocked; replace execution"):
        CompiledProgram(with_events(one_neuron()))


# ---- ANNs ---------------------------------------------------------------------------------------
def integrators(decay, head=((1.0,), (0.0,)), outputs=(0.0, 0.1), **changes):
    """Return leaky integrators of two channels, of which the first reaches all by the weight 1."""
    size = len(decay)
    layer = LeakyLayer(
        np.array([[1.0] * size, [0.0] * size], np.float32),
        np.zeros(size, np.float32),
        np.array(decay, np.float32),
    )
    parts = {
        "inputs": 2,
        "encoder": "spikes",
        "normalisers": (),
        "layers": (layer,),
        "time_steps": 1,
        "decoder": None,
        "head": Head(np.array(head, np.float32), np.array(outputs, np.float32)),
        "choice": DISCRETE,
        "stateful": True,
    }
    return Program(**{**parts, **changes})


def played(program, inputs):
    """Return decisions on the values of the first channel, one after the other."""
    decisions, state = [], None
    for value in inputs:
        decisions.append(decide(program, row(value, 0.0), state))
        state = decisions[-1].state
    return decisions


def test_an_integrator_is_read_while_its_action_may_change():
    # 1, 1/2, 1/4, 1/8 and 1/16, which is below the 0.1 of the other output.
    found = played(with_events(integrators([0.5])), [1, 0, 0, 0, 0, 0, 0, 1])
    assert [int(x.actions[0]) for x in found] == [0, 0, 0, 0, 1, 1, 1, 0]
    reads = [bool(x.events.read[0]) for x in found]
    assert reads == [True, True, True, True, True, False, False, True]
    assert found[6].state.tolist() == [[1 / 16, 2.0]]
    assert found[7].state.tolist() == [[1 + 1 / 128, 0.0]]


def test_an_integrator_costs_nothing_where_nothing_happens():
    program = with_events(integrators([0.5], outputs=(0.0, 0.0)))
    begun = decide(program, row(1.0, 0.0))
    # The second channel has no synapse that is not zero.
    for silent in (row(0.0, 0.0), row(0.0, 1.0)):
        costs = count_costs(program, silent, begun.state)
        assert costs.operations_per_decision == 0
        assert not costs.total("parameter_bytes_per_decision")
    costs = count_costs(program, row(1.0, 0.0), begun.state)
    # 1 spike, 1 product of the head, 1 update, which has the decay.
    assert costs.total("synops_per_decision") == 1
    assert costs.macs_per_decision == {"readout": 1}
    assert costs.neuron_updates_per_decision == {"leaky_1": 1}
    # The integrator and the time of its last update.
    assert costs.state_bytes_per_decision == {"leaky_1": 8}


@pytest.mark.parametrize("continuous", [False, True])
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000), rates=st.lists(st.sampled_from([0.5, 0.9]), min_size=3, max_size=3)
)
def test_lazy_integrators_decide_as_clocked_ones(continuous, seed, rates):
    generator = np.random.default_rng(seed)

    def drawn(*shape):
        return generator.normal(size=shape).astype(np.float32)

    layer = LeakyLayer(drawn(4, 3), 0.1 * drawn(3), np.array(rates, np.float32))
    limits = np.ones(3, np.float32)
    choice = Choice("clip", -limits, limits) if continuous else DISCRETE
    clocked = integrators(
        rates, inputs=4, layers=(layer,), head=drawn(3, 3), outputs=drawn(3), choice=choice
    )
    program, state, lazy, last = with_events(clocked), None, None, None
    for k in range(60):
        values = (generator.random((4, 4)) < 0.3 * (k % 30 < 3)).astype(np.float32)
        expected, found = decide(clocked, values, state), decide(program, values, lazy)
        np.testing.assert_allclose(found.outputs, expected.outputs, atol=1e-5)
        read = found.events.read
        if last is not None:  # elsewhere the last action is kept
            np.testing.assert_allclose(found.actions[~read], last[~read], atol=1e-5)
        # A decision that is read costs what a clocked one does, but for the look ahead.
        costs = count_costs(program, values, lazy), count_costs(clocked, values, state)
        more = found.layers[0][read].size * 3 / 4 if len(set(rates)) > 1 and not continuous else 0
        assert costs[0].operations_per_decision <= costs[1].operations_per_decision + more
        last, state, lazy = found.actions, expected.state, found.state


def test_an_ann_without_a_state_decides_where_it_receives():
    dense = DenseLayer("relu", row(1.0, 0.0).T, row(0.5)[0])
    # A SynOp, 2 products of the head and an update; 2 SynOps, without a hidden layer.
    for layers, head, operations in (((dense,), np.ones((2, 1)), 4), ((), np.ones((2, 2)), 2)):
        program = with_events(integrators([0.5], layers=layers, head=head, stateful=False))
        costs = count_costs(program, np.array([[1.0, 0.0], [0.0, 0.0]], np.float32))
        assert costs.operations_per_decision == operations / 2
