"""Programs of policies: decisions, refusals and compaction."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.utils import ConstantSchedule

from snn_gym.policies import (
    SpikingActorCriticPolicy,
    SpikingControllerPolicy,
    SpikingSACPolicy,
    SpikingTD3Policy,
    StatefulActorCriticPolicy,
    StockActorCriticPolicy,
    StockDQNPolicy,
    StockSACPolicy,
    freeze,
    program_of,
)
from snn_gym.program import (
    Choice,
    CompiledProgram,
    Decoder,
    DenseLayer,
    GatedLayer,
    Head,
    LeakyLayer,
    NeuronLayer,
    Normaliser,
    Program,
    compact,
    count_costs,
    decide,
)
from snn_gym.program.builtin_neurons import ALIF, LIFBox
from snn_gym.program.interpreter import rest_state
from snn_gym.program.layers import GATES
from snn_gym.spiking import NetworkConfig
from snn_gym.spiking.execution import next_noise
from tests.made import (
    CHOSEN,
    DENSE,
    DISCRETE,
    RARE,
    SEEN,
    STATELESS,
    ZERO,
    build,
    build_ann,
    observe,
    one_neuron,
    row,
    scattered,
)


def test_a_decision_equals_a_hand_worked_trace():
    # 3 is standardised to 1: the current is 2.25. From 0 the potential is 1.125 at every time step,
    # fires and is reset: a rate of 1. For -5, which is -3, the current is -5.75: no spike.
    decision = decide(one_neuron(), row(3.0).T)
    assert decision.spikes[0].ravel().tolist() == [1, 1, 1, 1]
    np.testing.assert_array_equal(decision.outputs, [[1.0, np.float32(0.6)]])
    assert decision.actions.tolist() == [0]
    assert decide(one_neuron(), row(-5.0).T).actions.tolist() == [1]
    # 2 is 0.5: the current 1.25 takes the potential to 0.625, 0.9375, 1.09375, which fires, 0.625.
    slower = decide(one_neuron(stateful=True), row(2.0).T)
    assert slower.spikes[0].ravel().tolist() == [0, 0, 1, 0]
    assert slower.state.tolist() == [[0.625]]
    # From 0.625: 0.9375, 1.09375, which fires, 0.625, 0.9375.
    onward = decide(one_neuron(stateful=True), row(2.0).T, slower.state)
    assert onward.spikes[0].ravel().tolist() == [0, 1, 0, 0]


def test_rows_of_a_spike_train_enter_together_by_hand():
    # Rows 1 and 2 enter at the first time step, 3 and 4 at the second: currents 2 z + 0.25.
    together = one_neuron(
        normalisers=(), encoder="spikes", time_steps=2, rows_per_step=2,
        decoder=Decoder(np.float32([[0.5, 0.5]]), np.zeros((1, 0), np.float32)),
    )  # fmt: skip
    trains = np.float32([[1, 1, 0, 0], [1, 0, 0, 1]]).reshape(2, 4, 1)
    made = decide(together, trains)
    assert made.entered[..., 0].T.tolist() == [[2, 0], [1, 1]]
    # 4.25 takes the potential to 2.125, which fires, 0.25 to 0.125; 2.25 to 1.125, twice.
    assert made.spikes[0][..., 0].T.tolist() == [[1, 0], [1, 1]]
    np.testing.assert_array_equal(CompiledProgram(together).outputs(trains[..., 0]), made.outputs)
    # Each of two spikes passes one synapse, each neuron is updated twice.
    costs = count_costs(together, trains)
    assert (costs.synops_per_decision["input"], costs.spikes_per_decision["input"]) == (2.0, 2.0)
    with pytest.raises(ValueError, match="rows_per_step is 1 or, of spike trains, more, got 2"):
        one_neuron(rows_per_step=2)


def test_rows_that_do_not_fit_are_refused():
    for flags, rows, message in (
        ({}, 2, r"rows_per_step is 2 for spike trains of 5 rows; it must divide 5"),
        ({"spiking_actor": False}, 2, r"it must be 1 or 5 for networks that do not spike"),
    ):
        with pytest.raises(ValueError, match=message):
            SpikingActorCriticPolicy(
                SEEN["spikes"], CHOSEN["discrete"], ConstantSchedule(0.1),
                network={"rows_per_step": rows}, **flags,
            )  # fmt: skip


def test_continuous_actions_are_clipped_or_squashed():
    low, high = np.array([-1.0, 0.0], np.float32), np.array([0.5, 4.0], np.float32)
    clipped = decide(one_neuron(choice=Choice("clip", low, high)), row(3.0).T)
    np.testing.assert_array_equal(clipped.actions, [[0.5, np.float32(0.6)]])
    squashed = decide(one_neuron(choice=Choice("squash", low, high)), row(3.0).T)
    expected = [-1 + 1.5 * (np.tanh(1.0) + 1) / 2, 4 * (np.tanh(0.6) + 1) / 2]
    np.testing.assert_allclose(squashed.actions, [expected], rtol=1e-6)


@pytest.mark.parametrize(("kind", "seen", "chosen", "network"), [
    *STATELESS,
    (SpikingActorCriticPolicy, "analogue", "discrete", {"recurrent": True}),
    (SpikingActorCriticPolicy, "spikes", "discrete", {"backend": "norse"}),
    (SpikingActorCriticPolicy, "spikes", "continuous", {"rows_per_step": 5}),
    (SpikingActorCriticPolicy, "ten rows", "discrete", {"rows_per_step": 2, "recurrent": True}),
    (SpikingControllerPolicy, "analogue", "continuous", {}),
])  # fmt: skip
def test_policies_interpreter_compiled_call_and_frozen_policies_decide_alike(
    kind, seen, chosen, network
):
    policy, observations = build(kind, seen, chosen, **network), observe(seen, 60)
    program = policy.program()
    expected = policy.predict(observations, deterministic=True)[0]
    by_torch = policy.predict_by_torch(observations, deterministic=True)[0]
    assert (expected.shape, expected.dtype) == (by_torch.shape, by_torch.dtype)
    np.testing.assert_allclose(expected, by_torch, rtol=1e-6, atol=1e-6)
    read = decide(program, observations)
    np.testing.assert_allclose(read.actions.reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)
    rows = observations.reshape(len(observations), -1).astype(np.float32)
    fast = CompiledProgram(program).outputs(rows)
    np.testing.assert_allclose(fast, read.outputs, rtol=1e-4, atol=1e-5)
    assert len(np.unique(fast, axis=0)) > 10
    assert all(x.any() for x in read.spikes)
    actions = freeze(policy).predict(observations)[0]
    assert (actions.shape, actions.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(actions, expected, rtol=1e-5, atol=1e-5)
    single = freeze(policy).predict(observations[1])[0]
    assert np.shape(single) == CHOSEN[chosen].shape
    np.testing.assert_array_equal(single, actions[1])


@pytest.mark.parametrize(("seen", "arguments"), [
    (("spikes", "analogue")[k % 2], x) for k, x in enumerate(DENSE.values())
])  # fmt: skip
def test_the_interpreter_and_a_frozen_policy_decide_as_an_ann(seen, arguments):
    policy, observations = build_ann(seen, "continuous", **arguments), observe(seen, 40)
    expected = policy.predict(observations, deterministic=True)[0]
    read = decide(policy.program(), observations).actions
    for actions in (read.reshape(expected.shape), freeze(policy).predict(observations)[0]):
        np.testing.assert_allclose(actions, expected, rtol=1e-5, atol=1e-5)
    assert len(np.unique(expected)) > 5


@pytest.mark.parametrize(("algorithm", "policy", "env_id"), [
    (PPO, StockActorCriticPolicy, "CartPole-v1"), (DQN, StockDQNPolicy, "CartPole-v1"),
    (SAC, StockSACPolicy, "Pendulum-v1"),
])  # fmt: skip
def test_policies_of_stable_baselines3_are_programs(algorithm, policy, env_id):
    model = algorithm(policy, env_id, seed=0, policy_kwargs={"network": {"hidden_sizes": [9, 5]}})
    space = model.observation_space
    space.seed(0)
    observations = np.stack([np.clip(space.sample(), -3, 3) for _ in range(20)])
    expected = model.predict(observations, deterministic=True)[0]
    read = decide(program_of(model), observations).actions
    np.testing.assert_allclose(read.reshape(expected.shape), expected, rtol=1e-5, atol=1e-6)


def one_gated_unit(gates):
    """One unit of which every weight and bias is 1, with its output as the first output."""
    ones = np.ones((1, GATES[gates]), np.float32)
    return Program(
        inputs=1,
        encoder="constant",
        normalisers=(),
        layers=(GatedLayer(gates, ones, ones[0], ones, ones[0]),),
        time_steps=1,
        decoder=None,
        head=Head(np.array([[1.0], [0.0]], np.float32), np.array([0.0, 0.3], np.float32)),
        choice=DISCRETE,
        stateful=True,
    )


def test_gated_units_equal_a_hand_worked_trace():
    def logistic(x):
        return 1 / (1 + math.exp(-x))

    # From rest the input 2 adds 3 to each gate, and the loop its bias, 1.
    gate, new = logistic(4), math.tanh(3 + logistic(4) * 1)
    first = (1 - gate) * new
    made = decide(one_gated_unit("gru"), row(2.0).T)
    np.testing.assert_allclose(made.outputs, [[first, 0.3]], rtol=1e-5)
    assert made.actions.tolist() == [1]  # 0.018 is less than 0.3
    # Then the input 0 adds 1, and the loop the unit's output and 1.
    gate = logistic(2 + first)
    second = (1 - gate) * math.tanh(1 + gate * (1 + first)) + gate * first
    made = decide(one_gated_unit("gru"), row(0.0).T, made.state)
    np.testing.assert_allclose(made.outputs, [[second, 0.3]], rtol=1e-5)
    made = decide(one_gated_unit("lstm"), row(2.0).T)
    cell = logistic(4) * math.tanh(4)
    np.testing.assert_allclose(made.state, [[logistic(4) * math.tanh(cell), cell]], rtol=1e-5)


def test_leaky_integrators_equal_their_closed_form():
    # From rest a constant input makes h_k = (1 - decay**k) / (1 - decay) * (2 x + 1).
    program = replace(one_gated_unit("gru"), layers=(LEAKY,))
    state = None
    for k in range(1, 9):
        made = decide(program, row(3.0).T, state)
        state = made.state
        np.testing.assert_array_equal(made.outputs[0], [(1 - 0.5**k) / 0.5 * 7, np.float32(0.3)])


def test_rectified_units_with_a_state_by_hand():
    """From rest the input 2 adds 3 to each sum, then -9 adds -8, then 9 adds 10."""
    state, inputs = None, (2.0, -9.0, 9.0)
    unit = one_gated_unit("rnn_relu")
    for value, h in zip(inputs, (3 + 1, 0, 10 + 1), strict=True):  # the loop adds h + 1
        made = decide(unit, row(value).T, state)
        state = made.state
        assert made.outputs[0, 0] == h
    state, leaky = None, replace(unit, layers=(replace(LEAKY, weights=row(1.0), rectified=True),))
    for value, h in zip(inputs, (3, 1.5 - 8, -3.25 + 10), strict=True):  # half remains
        made = decide(leaky, row(value).T, state)
        state = made.state
        assert (made.outputs[0, 0], made.state[0, 0]) == (max(h, 0), h)


def test_thresholds_are_ones_above_zero():
    units = DenseLayer("threshold", row(1.0, -1.0, 1.0), np.float32([0.0, 0.5, -2.0]))
    head = Head(np.float32([[1.0, 2.0, 4.0], [0.0, 0.0, 0.0]]), ZERO[[0, 0]])
    program = replace(one_gated_unit("gru"), layers=(units,), head=head, stateful=False)
    made = decide(program, row(0.0, 0.5, 3.0).T)
    # At 0 and 0.5 a sum is exactly 0, which is not above it.
    assert made.outputs[:, 0].tolist() == [2.0, 1.0, 5.0]
    assert CompiledProgram(program).outputs(row(0.0, 0.5, 3.0).T)[:, 0].tolist() == [2.0, 1.0, 5.0]


def test_a_linear_program_equals_a_hand_worked_product():
    # 3 is standardised to 1 and -5 to -3: outputs 2 x - 1 and -x.
    head = Head(np.array([[2.0], [-1.0]], np.float32), np.array([-1.0, 0.0], np.float32))
    program = one_neuron(layers=(), decoder=None, time_steps=1, head=head)
    made = decide(program, np.array([[3.0], [-5.0]], np.float32))
    assert made.outputs.tolist() == [[1.0, -1.0], [-7.0, 3.0]]
    assert made.actions.tolist() == [0, 1]
    assert (program.sizes, compact(program).sizes, made.state.shape) == ((), (), (2, 0))


@pytest.mark.parametrize(("seen", "gates"), [
    ("analogue", "gru"), ("spikes", "lstm"), ("spikes", "rnn"), ("analogue", "leaky"),
    ("analogue", "rnn_relu"), ("five rows as one", ("leaky", "relu")),
    ("analogue", ("threshold", "lstm")), ("analogue", "rectified_leaky"),
])  # fmt: skip
def test_gated_units_decide_alike_in_every_runtime(seen, gates):
    torch.manual_seed(0)
    rows, seen = (5, "spikes") if seen == "five rows as one" else (1, seen)
    policy = StatefulActorCriticPolicy(
        SEEN[seen], CHOSEN["discrete"], ConstantSchedule(0.1), gated=gates,
        network={"hidden_sizes": [7, 5], "rows_per_step": rows}, spiking_actor=False,
    )  # fmt: skip
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(3.0)
    program = policy.program()
    assert program.inputs == {"analogue": 3, "spikes": 30 // rows}[seen]
    fast = CompiledProgram(program)
    frozen, state, read, kept, met = freeze(policy), None, None, None, set()
    carried = rest_state(program, 1)
    for observation in observe(seen, 40):
        expected, state = policy.predict_by_torch(observation, state, deterministic=True)
        rows = observation.reshape(1, -1).astype(np.float32)
        made = decide(program, rows, read)
        read = made.state
        outputs = fast.outputs(rows, carried)
        atol = 1e-6 * max(10.0, np.abs(read).max())  # integrators grow
        np.testing.assert_allclose(outputs, made.outputs, rtol=1e-4, atol=atol)
        np.testing.assert_allclose(carried, read, rtol=1e-4, atol=atol)
        np.testing.assert_allclose(state[0], read, rtol=1e-4, atol=atol)
        chosen, kept = frozen.predict(observation, kept)
        assert made.actions[0] == expected == chosen
        met.add(outputs.tobytes())
    assert len(met) > 20


@pytest.mark.parametrize("gates", sorted(GATES))
def test_gated_units_without_effect_are_cut(gates):
    generator, wide = np.random.default_rng(0), GATES[gates]
    drawn = iter(
        generator.normal(size=shape).astype(np.float32)
        for shape in ((3, wide * 4), (wide * 4,), (4, wide * 4), (wide * 4,), (2, 4))
    )
    layer, head = GatedLayer(gates, *(next(drawn) for _ in range(4))), next(drawn)
    loops = layer.recurrent.reshape(4, wide, 4).copy()
    # Unit 1 reaches nothing; unit 2 reaches the outputs through unit 0 alone.
    head[:, [1, 2]] = 0.0
    loops[1, :, [0, 2, 3]] = 0.0
    loops[2, :, 3] = 0.0
    layer = replace(layer, recurrent=loops.reshape(4, -1))
    whole = replace(one_gated_unit(gates), inputs=3, layers=(layer,), head=Head(head, ZERO[[0, 0]]))
    small, states = compact(whole), [None, None]
    assert small.sizes == (3,)
    for values in generator.normal(size=(6, 2, 3)):
        made = [decide(x, values, state) for x, state in zip((whole, small), states, strict=True)]
        np.testing.assert_allclose(made[0].outputs, made[1].outputs, rtol=1e-5, atol=1e-6)
        states = [x.state for x in made]


@pytest.mark.parametrize(("kind", "chosen", "network"), [
    ((SpikingActorCriticPolicy, "discrete"), (SpikingTD3Policy, "continuous"))[k % 2] + (x,)
    for k, x in enumerate(RARE)
])  # fmt: skip
def test_every_encoder_decoder_and_learned_constant_is_part_of_a_program(kind, chosen, network):
    policy = scattered(build(kind, "analogue", chosen, **network))
    program, observations = policy.program(), observe("analogue", 60)
    with torch.no_grad():
        seen = policy.network_inputs(policy.obs_to_tensor(observations)[0])
        recorded = policy.acting_network().record(seen, head=policy.readout())
    read, fast = decide(program, observations), CompiledProgram(program).outputs(observations)
    hidden = [x.spikes.numpy() for x in recorded.layers if x.name != "input"]
    for spikes, found in zip(hidden, read.spikes, strict=True):
        assert (spikes != found).mean() < 1e-3
        assert found.any()
    np.testing.assert_allclose(fast, read.outputs, rtol=1e-4, atol=1e-5)
    expected = policy.predict_by_torch(observations, deterministic=True)[0]
    np.testing.assert_allclose(read.actions.reshape(expected.shape), expected, rtol=1e-3, atol=1e-4)
    assert len(np.unique(fast.round(4), axis=0)) > 10
    np.testing.assert_array_equal(policy.predict(observations, deterministic=True)[0], expected)
    np.testing.assert_allclose(freeze(policy).predict(observations)[0], expected, rtol=1e-4)


@pytest.mark.parametrize("network", [
    {}, {"recurrent": True}, {"decoder": "last_voltage"}, {"neuron": "lif", "recurrent": True},
    {"encoder": "delta", "encoder_parameters": {"threshold": 0.05}},
    {"learnable": ("tau_mem_ms",), "recurrent": True},
    {"encoder": "population", "recurrent": True, "neuron": "alif"},
])  # fmt: skip
def test_a_program_carries_the_state_of_its_policy(network):
    policy = scattered(build(StatefulActorCriticPolicy, **network))
    program, state, own, read = policy.program(), None, None, None
    carried, frozen, kept = rest_state(program, 10), freeze(policy), None
    for observations in observe("analogue", 60).reshape(6, 10, -1):
        expected, state = policy.predict_by_torch(observations, state, deterministic=True)
        actions, own = policy.predict(observations, own, deterministic=True)
        np.testing.assert_array_equal(actions, expected)
        np.testing.assert_allclose(own[0], state[0], rtol=1e-5, atol=1e-5)
        made = decide(program, observations, read)
        read = made.state
        outputs = CompiledProgram(program).outputs(observations, carried)
        np.testing.assert_allclose(outputs, made.outputs, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(carried, read, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(state[0], read, rtol=1e-4, atol=1e-5)
        chosen, kept = frozen.predict(observations, kept)
        np.testing.assert_array_equal(chosen, expected)
        np.testing.assert_array_equal(made.actions, expected)
    starts = np.arange(10) < 5
    expected, _ = policy.predict_by_torch(observations, state, starts, deterministic=True)
    np.testing.assert_array_equal(frozen.predict(observations, kept, starts)[0], expected)


def test_noise_is_given_to_a_program():
    policy = build(
        SpikingActorCriticPolicy, encoder="rate", encoder_parameters={"timing": "poisson"}
    )
    program, observations = policy.program(), observe("analogue", 30)
    policy.reseed_noise(7)
    noise = next_noise(torch.tensor([7, 0]), (5, 30, 3), 1).numpy()
    expected = policy.predict_by_torch(observations, deterministic=True)[0]
    np.testing.assert_array_equal(decide(program, observations, noise=noise).actions, expected)
    found = CompiledProgram(program).actions(observations, noise=noise)
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match=r"RateEncoder needs noise: pass uniform numbers"):
        decide(program, observations)
    policy.reseed_noise(7)
    frozen = freeze(policy)
    frozen.reseed_noise(7)
    np.testing.assert_array_equal(frozen.predict(observations)[0], expected)


def test_the_mean_of_gsde_is_clipped_before_it_is_squashed():
    for kind in (SpikingSACPolicy, StockSACPolicy):
        policy = kind(
            SEEN["analogue"], CHOSEN["continuous"], ConstantSchedule(0.1), use_sde=True,
            network=NetworkConfig(hidden_sizes=(12, 9)),
        )  # fmt: skip
        with torch.no_grad():
            policy.actor.mu[0].bias.copy_(torch.tensor([3.0, -1.0]))
        assert policy.program().choice.limit == 2.0
        observations = observe("analogue", 20)
        expected = policy.predict(observations, deterministic=True)[0]
        found = decide(policy.program(), observations).actions
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found[:, 0], 2 * np.tanh(2.0), rtol=1e-3)


def test_a_program_is_a_copy():
    policy, observations = build(SpikingActorCriticPolicy), observe("analogue", 20)
    program = policy.program()
    before = decide(program, observations).outputs
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.neg_()
    np.testing.assert_array_equal(decide(program, observations).outputs, before)


LEAKY = LeakyLayer(row(2.0), ZERO + 1, ZERO + np.float32(0.5))


@pytest.mark.parametrize(("changes", "message"), [
    ({"encoder": "rate"}, "encoder 'rate' is unknown; known: constant, spikes"),
    ({"inputs": 2}, "a normaliser has 1 values, expected 2"),
    ({"normalisers": (), "inputs": 2}, "layer 1 has 1 inputs, expected 2"),
    ({"time_steps": 3}, "time_steps is 3, and the decoder reads 4"),
    ({"decoder": None}, "a program of neurons has a decoder, and an ANN has none"),
    ({"head": Head(row(1.0, 2.0), ZERO)}, "the head reads 2 values, expected 1"),
    ({"choice": Choice("clip", ZERO, ZERO)}, "actions by 'clip' have 1 limits, expected 2"),
    ({"layers": ()}, "a program of neurons has a decoder, and an ANN has none"),
    ({"bits": 9}, "bits must be 2 to 8, or None for floats, got 9"),
    ({"layers": (one_neuron().neurons[0], LEAKY)},
     "layers are all NeuronLayer, or each one of DenseLayer, .*, got LeakyLayer, NeuronLayer"),
])  # fmt: skip
def test_parts_that_do_not_fit_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        one_neuron(**changes)


NEURON, UNIT = one_neuron().neurons[0], one_gated_unit("gru").layers[0]


@pytest.mark.parametrize(("part", "changes", "message"), [
    (NEURON, {"operator": "convolution"}, "operator 'convolution' is unknown; known: linear"),
    (NEURON, {"neuron": ALIF, "constants": np.zeros(7, np.float32)},
     r"rest of 1 neurons 'ALIF' have the shape \(1, 1\)"),
    (NEURON, {"constants": ZERO}, r"constants of 1 neurons 'LIFBox' have .* expected \(4,\)"),
    (NEURON, {"recurrent": row(1.0, 2.0)}, r"recurrent weights of 1 neurons .* expected \(1, 1\)"),
    (DenseLayer("relu", row(1.0), ZERO), {"activation": "gelu"},
     "activation 'gelu' is unknown; known: tanh, relu"),
    (DenseLayer("relu", row(1.0), ZERO), {"levels": 0}, "levels must be at least 1, or None"),
    (LEAKY, {"decay": ZERO + 1}, r"decays must be at least 0 and below 1, got \[1.0\]"),
    (LEAKY, {"decay": row(0.5)}, r"decay of 1 leaky integrators .* \(1, 1\), expected \(1,\)"),
    (UNIT, {"gates": "mgu"}, "gates 'mgu' is unknown; known: gru, lstm, rnn"),
    (UNIT, {"recurrent": np.zeros((2, 3), np.float32)},
     r"recurrent weights of 1 units 'gru' .* \(2, 3\), expected \(1, 3\)"),
    (UNIT, {"recurrent": np.zeros(3, np.float32)},
     r"recurrent weights of .* \(3,\), expected \(1, 3\)"),
    (UNIT, {"recurrent_biases": np.zeros((1, 3), np.float32)},
     r"recurrent biases of .* \(1, 3\), expected \(3,\)"),
    (UNIT, {"weights": np.zeros((1, 4), np.float32), "biases": np.zeros(4, np.float32)},
     r"biases of 1 units 'gru' .* \(4,\), expected \(3,\)"),
    (one_gated_unit("gru"), {"stateful": False},
     "gated units and leaky integrators carry a state, and other ANNs carry none"),
    (Normaliser(ZERO, ZERO + 1, 5.0), {"std": ZERO}, "deviations and its clip must be above 0"),
    (DISCRETE, {"rule": "sample"}, "choice 'sample' is unknown"),
])  # fmt: skip
def test_unknown_names_and_wrong_shapes_are_named(part, changes, message):
    with pytest.raises(ValueError, match=message):
        replace(part, **changes)


def chain(recurrent):
    """Three neurons, of which the head reads the first; with a loop 2 -> 1 -> 0, and 0 -> 2."""
    loop = np.zeros((3, 3), np.float32)
    loop[1, 0], loop[2, 1] = 1.0, 1.0
    layer = NeuronLayer(
        LIFBox, np.array([0.5, 1.0, 0.0, 0.0], np.float32), np.ones((1, 3), np.float32),
        np.arange(3, dtype=np.float32), loop if recurrent else None, np.zeros((1, 3), np.float32),
    )  # fmt: skip
    return one_neuron(layers=(layer,), head=Head(np.array([[1, 0, 0]], np.float32), ZERO))


def test_neurons_without_effect_are_cut_unless_they_drive_others():
    assert compact(chain(recurrent=False)).sizes == (1,)
    assert compact(chain(recurrent=False)).layers[0].biases.tolist() == [0.0]
    assert compact(chain(recurrent=True)).sizes == (3,)
    silent = replace(chain(recurrent=False), head=Head(np.zeros((1, 3), np.float32), ZERO))
    assert compact(silent).sizes == (1,)  # a layer keeps one
    fired = [np.array([True, False, True])]
    # The second neuron was the third one's way to the first.
    assert compact(chain(recurrent=True), fired).sizes == (1,)
    with pytest.raises(ValueError, match=r"layers have \[3\] neurons, got masks of \[2\]"):
        compact(chain(recurrent=True), [np.array([True, False])])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), zeros=st.floats(0.3, 0.95), recurrent=st.booleans())
def test_a_compact_program_has_the_same_outputs(seed, zeros, recurrent):
    policy = build(SpikingActorCriticPolicy, recurrent=recurrent)
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if parameter.dim() == 2 and "critic" not in name:
                gone = rng.random(tuple(parameter.shape)) < zeros
                parameter[torch.from_numpy(gone)] = 0.0
    program, observations = policy.program(), observe("analogue", 20)
    small = compact(program)
    before, after = decide(program, observations).outputs, decide(small, observations).outputs
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)
    assert sum(small.sizes) <= sum(program.sizes)
    assert compact(small).sizes == small.sizes


def test_units_of_an_ann_without_effect_are_cut():
    dense = DenseLayer("relu", np.ones((1, 3), np.float32), np.arange(3, dtype=np.float32))
    program = one_neuron(
        layers=(dense,), decoder=None, time_steps=1,
        head=Head(np.array([[0, 2, 0]], np.float32), ZERO),
    )  # fmt: skip
    small = compact(program)
    assert small.sizes == (1,)
    assert decide(small, row(3.0).T).outputs.tolist() == [[4.0]]  # 2 (1 + 1)


def test_leaky_integrators_without_effect_are_cut():
    layer = LeakyLayer(row(1, 2, 3), np.arange(3, dtype=np.float32), np.float32([0.1, 0.5, 0.9]))
    head = Head(np.array([[0, 2, 0]], np.float32), ZERO)
    program = replace(one_gated_unit("gru"), layers=(layer,), head=head)
    small = compact(program)
    assert (small.sizes, small.layers[0].decay.tolist()) == ((1,), [0.5])
    made = decide(small, row(3.0), decide(small, row(1.0)).state)
    assert made.outputs.tolist() == [[2 * (0.5 * (2 + 1) + (6 + 1))]]
