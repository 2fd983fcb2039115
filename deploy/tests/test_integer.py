"""Integer programs by hand: neurons, units, ranges and refusals."""

from dataclasses import replace

import numpy as np
import pytest

from snn_gym.program import Decoder, DenseLayer, Head, Normaliser, Program
from snn_gym.program.layers import GatedLayer, LeakyLayer
from snn_gym_deploy import to_integer
from snn_gym_deploy.fixed_point import bits_of
from tests.made import DISCRETE, ZERO, one_neuron, row

ONE = (Normaliser(ZERO, ZERO + 1.0, 5.0),)
PAIR = np.array([[1.0], [-1.0]], np.float32)


def ann(*layers, head=PAIR, **changes):
    """Return an ANN of one standardised input, whose outputs are its result and the negative."""
    parts = {
        "inputs": 1,
        "encoder": "constant",
        "normalisers": ONE,
        "layers": layers,
        "time_steps": 1,
        "decoder": None,
        "head": Head(head, np.zeros(len(head), np.float32)),
        "choice": DISCRETE,
    }
    return Program(**{**parts, **changes})


def test_a_neuron_by_hand():
    # As in the test of scales: threshold 6,400, bias 1,600, a weight is 127 in units of 0.01, and
    # potentials are in units of 0.01 / 64. Inputs have units of 2^-12: 0.25 is 1,024, of which
    # 127 * 1,024 / 64 = 2,032 remain: current 3,632. Potentials 1,816, 2,724, 3,178, 3,405: silent.
    agent = one_neuron(1.27, normalisers=ONE)
    integer = to_integer(agent, [1.5])
    assert integer.input_bits == 12
    made = integer.decide(np.array([[0.25], [1.5]], np.float32))
    assert made.state[0][0].tolist()[0] == [3405]
    # Of 1.5 the current is 12,192 + 1,600 = 13,792 and half of it, 6,896, fires; so each time.
    # The other output is 0.6 in units of 1 / 127 / 4: 304.8.
    assert made.outputs.tolist() == [[0, 305], [4 * 127, 305]]
    assert made.actions.tolist() == [1, 0]


def test_the_first_of_equal_outputs_wins_and_a_threshold_is_strict():
    agent = one_neuron(1.27, normalisers=ONE, head=Head(PAIR * 0, np.ones(2, np.float32)))
    assert to_integer(agent, [1.5]).decide(np.ones((1, 1), np.float32)).actions.tolist() == [0]
    layer = replace(agent.layers[0], biases=ZERO + 2.0, weights=row(1.27))
    still = to_integer(replace(agent, layers=(layer,)), [1.5]).layers[0]
    state, fired = still.fire(np.array([[0]]), np.array([12_800]))
    assert (state.tolist(), fired.tolist()) == ([[6400]], [0])  # half of 12,800 is the threshold
    assert still.fire(np.array([[0]]), np.array([12_802]))[1].tolist() == [1]


def test_weights_of_few_levels_are_whole_numbers():
    weights = np.array([[0.3, -0.3, 0.0, 0.9]], np.float32)  # multiples of 0.3, of at most 3
    integer = to_integer(
        ann(
            DenseLayer("tanh", weights, np.zeros(4, np.float32)),
            head=PAIR @ np.ones((1, 4), np.float32),
        )
    )
    assert integer.layers[0].weights.tolist() == [[1, -1, 0, 3]]
    assert integer.head_weights.tolist() == [[1, 1, 1, 1], [-1, -1, -1, -1]]


@pytest.mark.parametrize(("activation", "levels", "expected"), [
    ("relu", None, 2.0), ("relu", 4, 1.0), ("tanh", None, np.tanh(2.0)), ("tanh", 4, 1.0),
])  # fmt: skip
def test_an_activation_by_hand(activation, levels, expected):
    layer = DenseLayer(activation, row(2.0), ZERO, levels=levels)
    integer = to_integer(ann(layer))
    made = integer.decide(np.array([[1.0], [-1.0]], np.float32)).outputs * integer.output_unit
    negative = 0.0 if activation == "relu" else -expected
    np.testing.assert_allclose(made[:, 0], [expected, negative], atol=5e-4)
    np.testing.assert_array_equal(made[:, 1], -made[:, 0])


@pytest.mark.parametrize(("rectified", "sign"), [(False, 1), (False, -1), (True, 1), (True, -1)])
def test_a_leaky_integrator_is_a_geometric_series(rectified, sign):
    layer = LeakyLayer(row(1.0), ZERO, ZERO + 0.75, rectified=rectified)
    integer = to_integer(ann(layer, stateful=True), [4.0])
    state, seen = None, []
    for _ in range(20):
        made = integer.decide(np.full((1, 1), sign, np.float32), state)
        state = made.state
        seen.append(made.outputs[0, 0] * integer.output_unit)
    series = sign * 4.0 * (1.0 - 0.75 ** np.arange(1, 21))
    np.testing.assert_allclose(seen, np.maximum(series, 0) if rectified else series, atol=1e-3)


def test_a_threshold_unit_is_1_above_0():
    integer = to_integer(ann(DenseLayer("threshold", row(2.0), ZERO)))
    made = integer.decide(np.array([[0.001], [0.0], [-3.0]], np.float32)).outputs
    assert (made[:, 0] * integer.output_unit).tolist() == [1.0, 0.0, 0.0]


def test_each_neuron_has_its_own_constants():
    # Thresholds of 1 and 2, and 6,400 and 12,800 in units of 0.01 / 64. The unit holds twice the 2.
    agent = one_neuron(1.27, normalisers=ONE)
    one = agent.layers[0]
    constants = np.repeat(one.constants[:, np.newaxis], 2, axis=1)
    constants[1] = 1.0, 2.0
    twice = np.repeat(one.weights, 2, axis=1), np.repeat(one.biases, 2)
    layer = replace(
        one, constants=constants, weights=twice[0], biases=twice[1], rest=np.repeat(one.rest, 2, 1)
    )
    head = Head(np.repeat(agent.head.weights, 2, axis=1), agent.head.biases)
    made = to_integer(replace(agent, layers=(layer,), head=head), [1.5]).layers[0]
    assert made.constants[1].tolist() == [6400, 12_800]
    assert made.fire(np.zeros((1, 2), np.int64), np.array([12_802]))[1].tolist() == [1, 0]
    assert made.fire(np.zeros((1, 2), np.int64), np.array([25_602]))[1].tolist() == [1, 1]


def test_spikes_that_enter_together_are_counted():
    # A weight of 1.27 is 127 units: three spikes in the first step are 381, one in the second 127.
    head = Head(np.array([[1.0], [0.0]], np.float32), np.zeros(2, np.float32))
    layer = DenseLayer("relu", row(1.27), ZERO)
    integer = to_integer(
        ann(layer, normalisers=(), encoder="spikes", rows_per_step=4, head=head.weights)
    )
    assert integer.ranges["values"] == (0, 4)
    made = integer.decide(np.array([[[1], [1], [0], [1]], [[0], [0], [1], [0]]], np.float32))
    np.testing.assert_allclose(made.outputs[:, 0] * integer.output_unit, [3.81, 1.27], rtol=1e-3)


def test_inputs_without_a_normaliser_take_the_scale_of_visited_states():
    bare = ann(normalisers=())
    integer = to_integer(bare, inputs=[3.0])
    made = integer.decide(np.array([[2.5], [100.0]], np.float32)).outputs * integer.output_unit
    np.testing.assert_allclose(made[:, 0], [2.5, 8.0], atol=1e-3)  # within twice 4, a power of two
    with pytest.raises(ValueError, match="have no scale in fixed point; train with"):
        to_integer(bare)


def test_no_sum_leaves_its_range():
    generator = np.random.default_rng(0)
    layers = [
        DenseLayer(x, *(generator.normal(0, 1, s).astype(np.float32) for s in (shape, shape[1])))
        for x, shape in (("relu", (1, 6)), ("tanh", (6, 5)))
    ]
    integer = to_integer(ann(*layers, head=generator.normal(0, 1, (2, 5)).astype(np.float32)))
    observations = np.linspace(-9.0, 9.0, 1001, dtype=np.float32)[:, np.newaxis]
    values = integer.enter(observations)[0]
    assert (values.min(), values.max()) == integer.ranges["values"]
    for k, layer in enumerate(integer.units, start=1):
        _, values = layer.advance(np.zeros((0, 1001, layer.size), np.int64), values)
        low, high = integer.ranges[f"units_{k}"]
        assert low <= values.min() <= values.max() <= high
    low, high = integer.ranges["outputs"]
    outputs = integer.decide(observations).outputs
    assert low <= outputs.min() <= outputs.max() <= high
    assert integer.widths["outputs"] == bits_of((low, high)) <= 31


def test_what_integers_do_not_hold_is_refused():
    wide = one_neuron(1.0, normalisers=ONE)
    fast = replace(wide.layers[0], constants=np.array([1.9, 1.0, 0.0, -1.0], np.float32))
    with pytest.raises(ValueError, match="leaves 32 bits, as a time constant is shorter than a"):
        to_integer(replace(wide, layers=(fast,)), [1.0])
    many = Decoder(np.full((1, 100_000), 0.5, np.float32), np.zeros((1, 0), np.float32))
    huge = Head(PAIR, np.array([3e7, 0.0], np.float32))
    agent = replace(wide, decoder=many, time_steps=100_000, head=huge)
    with pytest.raises(
        ValueError, match=r"outputs reach .*, more than 31 bits hold; export as C in float"
    ):
        to_integer(agent, [1.0])


def gated(kind, weights):
    """Return one unit that does not hear itself."""
    return GatedLayer(kind, weights, ZERO, row(0.0), ZERO)


LEAKY = LeakyLayer(row(1.0), ZERO, ZERO + 0.5)


@pytest.mark.parametrize(("layers", "lacking"), [
    ((gated("rnn_relu", row(1.0)),), "rnn_relu units"),
    ((LEAKY, DenseLayer("relu", row(1.0), ZERO)), "units of several kinds"),
])  # fmt: skip
def test_units_without_a_form_in_integers_are_refused(layers, lacking):
    agent = ann(*layers, stateful=True)
    with pytest.raises(ValueError, match=f"fixed point has no form of {lacking}; export as C in"):
        to_integer(agent, [1.0] * len(layers))
