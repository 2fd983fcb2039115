"""Whole costs of ten agents of all families, and their prices, worked out by hand."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from snn_gym.program import (
    Choice,
    Decoder,
    DenseLayer,
    GatedLayer,
    Head,
    NeuronLayer,
    Normaliser,
    Program,
    count_costs,
)
from snn_gym.program.builtin_neurons import ALIF, LIFBox
from snn_gym.program.encoders import DeltaEncoder, RateEncoder, ReceptiveFields
from snn_gym.program.prices import PRICES, known_price


def array(*rows):
    return np.array(rows, np.float32)


NONE = array()
DISCRETE = Choice("argmax", NONE, NONE)
MEANS = Normaliser(array(0.0, 0.0), array(1.0, 1.0), 10.0)
HEAD = Head(array([1, 1, 0], [0, 1, 0]), array(0.5, 0.0))
"""Two outputs, one with a bias, that read 1, 2 and 0 synapses of three units."""


def neurons(weights, biases, recurrent=None, kind=LIFBox):
    """Return neurons that fire if and only if their input is above 1: nothing lasts."""
    size = len(biases)
    if kind is ALIF:  # gains of potential, current and threshold; beta, threshold, reset, leak
        constants, rest = array(1, 1, 0, 0, 1, 0, 0), np.zeros((3, size))
    else:  # gain, threshold, reset, leak
        constants, rest = array(1, 1, 0, 0), np.zeros((1, size))
    return NeuronLayer(
        kind, constants, np.array(weights, np.float32), np.array(biases, np.float32),
        None if recurrent is None else np.array(recurrent, np.float32), rest.astype(np.float32),
    )  # fmt: skip


def program(*layers, inputs=2, time_steps=1, encoder="constant", head=HEAD, **changes):
    spiking = isinstance(layers[0], NeuronLayer)
    rate = Decoder(np.full((1, time_steps), 1 / time_steps, np.float32), np.zeros((1, 0), "f"))
    parts = {
        "inputs": inputs,
        "encoder": encoder,
        "normalisers": (MEANS,) if inputs == 2 and encoder != "spikes" else (),
        "layers": layers,
        "time_steps": time_steps,
        "decoder": rate if spiking else None,
        "head": head,
        "choice": DISCRETE,
    }
    return Program(**{**parts, **changes})


@dataclass(frozen=True)
class Agent:
    """A program, what it sees (B, ...), the state before, and its costs by hand."""

    program: Program
    seen: np.ndarray
    costs: dict
    state: np.ndarray | None = None


# Input 1 reaches two units and input 2 all three. The inputs are 1 and 2, so that all 5 weights
# count. Unit 3 is at -2 and cut to 0 by the ReLU. Units 1 and 2 have 1 and 2 weights to outputs.
RELU = Agent(
    program(DenseLayer("relu", array([1, 1, 0], [1, 1, -1]), array(0, 1, 0))),
    array([1, 2]),
    {
        "macs": {"normaliser": 2, "dense": 5, "readout": 3},
        "neuron_updates": {"dense": 3},
        # mean and deviation of 2 values; 5 weights and the one bias that is not 0; 3 and 1.
        "parameter_bytes": {"normaliser": 16, "dense": 4 * 6, "readout": 4 * 4},
    },
)
# The action of a squashed output is scaled: one product, with two limits.
TANH = Agent(
    program(
        DenseLayer("tanh", array([1, 0], [1, 1]), array(1, 1)),
        DenseLayer("tanh", array([1], [1]), array(0)),
        head=Head(array([1]), array(0)),
        choice=Choice("squash", array(-2), array(2)),
    ),
    array([1, 0], [1, 3]),
    {
        # Two standardised values; the second is 0 in one of two decisions: 1 and 3 products.
        "macs": {"normaliser": 2, "dense_1": 2, "dense_2": 2, "readout": 1, "action": 1},
        "neuron_updates": {"dense_1": 2, "dense_2": 1},
        "parameter_bytes": {
            "normaliser": 16, "dense_1": 4 * (2 + 2), "dense_2": 8, "readout": 4, "action": 8,
        },
    },
)  # fmt: skip
# Three time steps of two channels, 2 spikes: the first reaches both units, the last one of them.
TRAIN = np.zeros((1, 3, 2), np.float32)
TRAIN[0, 0, 0] = TRAIN[0, 2, 1] = 1
FLAT = np.ones((6, 2), np.float32)
FLAT[5, 1] = 0
ANN_ON_SPIKES = Agent(
    program(DenseLayer("relu", FLAT, array(0, 0)), inputs=6, encoder="spikes", head=Head(
        array([1, 1]), array(0)
    )),
    TRAIN.reshape(1, 1, 6),
    {
        "spikes": {"input": 2},
        "messages": {"input": 2},
        "synops": {"input": 2 + 1},
        "macs": {"readout": 2},
        "neuron_updates": {"dense": 2},
        "parameter_bytes": {"input": 4 * 3, "readout": 4 * 2},
    },
)  # fmt: skip
ONES = np.ones((4, 8), np.float32)
# Two units of 3 gates on 2 inputs: 12 weights. One of the two units was active before: 6 weights.
GRU = Agent(
    program(
        GatedLayer("gru", ONES[:2, :6], 0 * ONES[0, :6], ONES[:2, :6], ONES[0, :6]),
        head=Head(array([1, 1]), array(0)),
        stateful=True,
    ),
    array([1, 1]),
    {
        # 3 products of the gates of each unit.
        "macs": {"normaliser": 2, "gru": 12 + 6 + 3 * 2, "readout": 2},
        "neuron_updates": {"gru": 2},
        "parameter_bytes": {"normaliser": 16, "gru": 4 * (18 + 6), "readout": 8},
        "state_bytes": {"gru": 4 * 2},
    },
    array([0.5, 0.0]),
)  # fmt: skip
LSTM = Agent(
    program(
        GatedLayer("lstm", ONES[:2], ONES[0], ONES[:2], 0 * ONES[0]),
        head=Head(array([1, 1]), array(0)),
        stateful=True,
    ),
    array([1, 0]),
    {
        # One input of two is 0, and at rest no output is fed back: 8 weights of 4 gates.
        "macs": {"normaliser": 2, "lstm": 8 + 3 * 2, "readout": 2},
        "neuron_updates": {"lstm": 2},
        "parameter_bytes": {"normaliser": 16, "lstm": 4 * (8 + 8), "readout": 8},
        "state_bytes": {"lstm": 4 * 2 * 2},  # h and c
    },
)  # fmt: skip
# A held observation (1, 2), 4 time steps: inputs of the three neurons are 3, 3 and 0.5. Neurons 1
# and 2 fire at every time step, to 1 and 2 outputs; neuron 3 is silent.
LIF = Agent(
    program(neurons([[1, 1, 0], [1, 1, 0]], [0, 0, 0.5]), time_steps=4),
    array([1, 2]),
    {
        "spikes": {"hidden": 4 * 2},
        "messages": {"hidden": 4 * 2},
        "synops": {"hidden": 4 * (1 + 2)},
        "macs": {"normaliser": 2, "hidden": 4},
        "neuron_updates": {"hidden": 4 * 3},
        # 4 weights of MACs, 12 of SynOps, a bias at 4 updates; the bias of an output.
        "parameter_bytes": {"normaliser": 16, "hidden": 4 * (4 + 12 + 4), "readout": 4},
        "state_bytes": {"hidden": 4 * 4 * 3},
    },
)
# The train's 2 spikes reach both neurons of the first layer, which fire 2 times together with it:
# each to itself, and to the neuron of the second layer, whose leaky integrator is the output's.
DEEP = Agent(
    program(
        neurons([[2, 2], [2, 2]], [0, 0], [[0.1, 0], [0, 0.1]]),
        neurons([[1], [1]], [0]),
        time_steps=3,
        encoder="spikes",
        decoder=Decoder(ONES[:2, :3], ONES[:2, :1]),
        head=Head(array([1], [1]), array(0, 0)),
        stateful=True,
    ),
    TRAIN,
    {
        "spikes": {"input": 2, "hidden_1": 4, "hidden_2": 2},
        # A spike of the first layer goes to two layers.
        "messages": {"input": 2, "hidden_1": 8, "hidden_2": 2},
        "synops": {"input": 2 * 2, "hidden_1": 4 * 2, "hidden_2": 2 * 2},
        "neuron_updates": {"hidden_1": 6, "hidden_2": 3, "readout": 6},
        "parameter_bytes": {"input": 16, "hidden_1": 32, "hidden_2": 16},
        # The first layer keeps its last spikes, too.
        "state_bytes": {"hidden_1": 4 * 2 * 6, "hidden_2": 4 * 3, "readout": 4 * 6},
    },
)
# A silent neuron of three variables, and a fourth for its last spike.
SILENT = Agent(
    program(neurons([[1], [1]], [-1], [[1]], ALIF), time_steps=2, head=Head(array([1]), array(0))),
    array([0, 0]),
    {
        "spikes": {"hidden": 0},
        "messages": {"hidden": 0},
        "synops": {"hidden": 0},
        "macs": {"normaliser": 2, "hidden": 0},
        "neuron_updates": {"hidden": 2},
        "parameter_bytes": {"normaliser": 16, "hidden": 8},
        "state_bytes": {"hidden": 4 * 4 * 2},
    },
)
# Intensities are 0.5 and 1 (values 0 and 3); before, they were 0.25 and 1: the first rose by two
# thresholds. Of 4 channels, ON of the first value fires twice, and has 1 synapse.
DELTA = Agent(
    program(
        neurons([[2], [0], [0], [0]], [0]),
        time_steps=4,
        encoder=DeltaEncoder(0.125),
        head=Head(array([1]), array(0)),
        stateful=True,
    ),
    array([0, 3]),
    {
        "spikes": {"input": 2, "hidden": 2},
        "messages": {"input": 2, "hidden": 2},
        "synops": {"input": 2, "hidden": 2},
        # 2 intensities, and 4 divisions by the threshold.
        "macs": {"normaliser": 2, "encoder": 2 + 4},
        "neuron_updates": {"hidden": 4},
        "parameter_bytes": {"normaliser": 16, "input": 8, "hidden": 8},
        "state_bytes": {"encoder": 4 * 2, "hidden": 4 * 4},
    },
    array([0, 0.25, 1]),
)
# Two values with one field each, at their centres: activity 1 fires at each of 3 time steps. The
# one neuron's spikes reach the integrators of two outputs.
FIELDS = Agent(
    program(
        neurons([[2], [2]], [0]),
        time_steps=3,
        encoder=ReceptiveFields(array([1], [2]), array([1], [1])),
        decoder=Decoder(ONES[:2, :3], ONES[:2, :1]),
        head=Head(array([1], [1]), array(0, 1)),
    ),
    array([1, 2]),
    {
        "spikes": {"input": 6, "hidden": 3},
        "messages": {"input": 6, "hidden": 3},
        "synops": {"input": 6, "hidden": 3 * 2},
        # 3 products of each field and 3 additions of its activity.
        "macs": {"normaliser": 2, "encoder": 2 * (3 + 3)},
        "neuron_updates": {"hidden": 3, "readout": 3 * 2},
        "parameter_bytes": {
            "normaliser": 16, "input": 24, "encoder": 4 * 4, "hidden": 24, "readout": 4,
        },
        # The fields' activity, the potential and the integrators.
        "state_bytes": {"encoder": 4 * 2 * 3, "hidden": 12, "readout": 4 * 2 * 3},
    },
)  # fmt: skip
# Regular spikes of the intensities 0.5 and 1 in 4 time steps: 2 and 4.
RATE = Agent(
    program(
        neurons([[2], [0]], [0]),
        time_steps=4,
        encoder=RateEncoder("regular"),
        head=Head(array([1]), array(0)),
    ),
    array([0, 3]),
    {
        "spikes": {"input": 6, "hidden": 2},
        "messages": {"input": 6, "hidden": 2},
        "synops": {"input": 2, "hidden": 2},
        "macs": {"normaliser": 2, "encoder": 2 + 2 * 4},
        "neuron_updates": {"hidden": 4},
        "parameter_bytes": {"normaliser": 16, "input": 8, "hidden": 8},
        "state_bytes": {"hidden": 16},
    },
)
AGENTS = {
    "relu": RELU, "tanh": TANH, "ann on spikes": ANN_ON_SPIKES, "gru": GRU, "lstm": LSTM,
    "lif": LIF, "deep": DEEP, "silent": SILENT, "delta": DELTA, "fields": FIELDS, "rate": RATE,
}  # fmt: skip


@pytest.mark.parametrize("name", AGENTS)
def test_costs_by_hand(name):
    agent = AGENTS[name]
    costs = count_costs(agent.program, agent.seen, agent.state)
    counts = (
        "spikes",
        "messages",
        "synops",
        "macs",
        "neuron_updates",
        "parameter_bytes",
        "state_bytes",
    )
    found = {x: getattr(costs, f"{x}_per_decision") for x in counts}
    # One layer of a kind needs no number.
    expected = {
        count: {
            layer + "_1" * (layer in ("dense", "gru", "lstm", "hidden")): value
            for layer, value in agent.costs.get(count, {}).items()
        }
        for count in counts
    }
    assert found == expected


def test_prices_by_hand():
    costs = count_costs(LIF.program, LIF.seen)
    # 12 SynOps, 6 MACs, 12 updates, 8 spikes and messages, 16 + 80 + 4 bytes read, 48 of state.
    assert PRICES["operations"].of(costs) == 12 + 6 + 12
    arithmetic = 12 * 0.9 + (6 + 12) * (3.7 + 0.9)
    assert PRICES["cmos45"].of(costs) == pytest.approx(arithmetic + 100 * 1.25 + 48 * 2 * 1.25)
    chip = (12 + 6) * 35.5 + 12 * (51.2 + 21.6) + 8 * (69.3 + 111)
    assert PRICES["loihi"].of(costs) == pytest.approx(chip)


def test_a_synop_reads_its_weight_and_an_anns_messages_are_free():
    each = PRICES["cmos45"].each
    synop = each["synops_per_decision"] + 4 * each["parameter_bytes_per_decision"]
    assert synop == pytest.approx(0.9 + 5.0)
    costs = count_costs(RELU.program, RELU.seen)
    # 10 MACs and 3 updates.
    assert PRICES["loihi"].of(costs) == pytest.approx(10 * 35.5 + 3 * 72.8)


def test_prices_of_nothing_and_unknown_prices():
    costs = count_costs(RELU.program, RELU.seen)
    for name in PRICES:
        assert PRICES[name].of(replace(costs, uncounted=("Softmax",))) is None
        assert known_price(name).name == name
    assert known_price("operations").in_words(costs) == "13 operations of a decision"
    assert known_price("loihi").in_words(costs) == "573 pJ of a decision by loihi"
    known = "operations, cmos45, loihi"
    with pytest.raises(ValueError, match=rf"'joules' is unknown; known: {known}$"):
        known_price("joules")
