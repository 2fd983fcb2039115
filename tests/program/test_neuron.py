"""Equations, gradients, traces and properties of neurons' texts, worked by hand."""

import numpy as np
import pytest

from snn_gym.program.builtin_neurons import (
    ALIF,
    IAF,
    LIF,
    NEURONS,
    LIFBox,
    LIFBoxParameters,
    SoftIAF,
    SoftLIF,
)
from snn_gym.program.expressions import evaluate
from snn_gym.program.neuron import (
    autonomous,
    backward,
    equations,
    feels_at_once,
    gain,
    is_affine,
    is_monotone,
    threshold,
)
from tests.program.own_neurons import OWN, Quadratic, Resonator

ALL = {**NEURONS, **OWN}


def test_constants_are_the_parameters_and_shares_of_a_time_step():
    found = LIFBox.constants(LIFBoxParameters(tau_mem_ms=4.0, v_leak=-0.5), 1.0)
    assert found["v_leak"] == -0.5
    assert found["mem_gain"] == 0.25
    # Norse multiplies dt in seconds by an inverse of float32.
    assert gain(1.0, 3.0) == float(np.float32(0.001) * np.float32(1000.0 / 3.0))
    assert equations(LIFBox).constants == ("mem_gain", "v_threshold", "v_reset", "v_leak")
    assert equations(IAF).constants == ("v_threshold", "v_reset")


def test_a_time_step_of_the_adaptive_lif_by_hand():
    text = equations(ALIF)
    p = {"mem_gain": 0.5, "syn_gain": 0.25, "adapt_gain": 0.5, "beta": 0.1, "v_threshold": 1.0,
         "v_reset": -0.5, "v_leak": 0.0}  # fmt: skip
    moved = evaluate(text.moved, {**p, "v": 1.0, "i": 2.0, "b": 1.2, "x": 0.5})
    # v + (0 - v + i) / 2, i - i / 4 + x, b + (1 - b) / 2
    assert moved == pytest.approx([1.5, 2.0, 1.1])
    values = {**p, **dict(zip(text.moved_names, moved, strict=True)), "z": 1.0}
    assert evaluate([text.margin], values) == pytest.approx([0.4])
    assert evaluate(text.after, values) == pytest.approx([-0.5, 2.0, 1.2])
    assert evaluate(text.decided(fires=True), values) == pytest.approx([-0.5, 2.0, 1.2])
    assert evaluate(text.decided(fires=False), values) == pytest.approx([1.5, 2.0, 1.1])
    assert evaluate(text.rest, p) == [0.0, 0.0, 1.0]


def test_gradients_of_a_lif_box_by_hand():
    found = backward(equations(LIFBox))
    p = {"mem_gain": 0.5, "v_threshold": 1.0, "v_reset": 0.0, "v_leak": 0.25}
    given = {**p, "v": 0.5, "x": 2.0, "moved_v": 1.375, "z": 1.0, "surrogate": 0.2,
             "grad_spike": 3.0, "grad_recorded": 0.5, "grad_v": 2.0}  # fmt: skip
    # (3 + 2 (reset - 1.375)) psi
    (through,) = evaluate([found.through], given)
    assert through == pytest.approx(0.25 * 0.2)
    (before,) = evaluate(found.before, {**given, "through": through})
    assert before == pytest.approx(0.0 + 0.05 + 0.5)  # the reset lets nothing by
    after = {**given, "through": through, "grad_moved_v": before}
    assert evaluate(found.state, after) == pytest.approx([0.5 * before])
    assert evaluate([found.input], after) == pytest.approx([0.5 * before])
    # by mem_gain (x + leak - v), by threshold -through, by reset z grad_v, by leak gain
    by_hand = [1.75 * before, -through, 2.0, 0.5 * before]
    assert evaluate(found.constants, after) == pytest.approx(by_hand)


def test_properties_of_neurons():
    texts = {name: equations(neuron) for name, neuron in ALL.items()}
    assert {x: autonomous(y) for x, y in texts.items() if autonomous(y)} == {"alif": ("b",)}
    assert {x for x, y in texts.items() if not feels_at_once(y)} == {"alif", "resonator"}
    bent = {x for x, y in texts.items() if not is_affine(y)}
    assert bent == {"quadratic", "izhikevich", "exponential"}
    labels = {x: getattr(threshold(y), "label", None) for x, y in texts.items()}
    assert labels == {**dict.fromkeys(ALL, "v_threshold"), "alif": "moved_b"}


@pytest.mark.parametrize(("neuron", "numbers", "monotone"), [
    (LIFBox, {"mem_gain": 0.5}, True),
    (LIFBox, {"mem_gain": 1.5}, False),
    (LIF, {"mem_gain": 0.5, "syn_gain": 1.25}, False),
    (ALIF, {"mem_gain": 0.5, "syn_gain": 0.5, "adapt_gain": 0.1}, True),
    (SoftIAF, {}, True),
    (SoftLIF, {"mem_gain": 0.5}, True),
    (Resonator, {"decay": 0.9, "turn": 0.4}, False),
    (Quadratic, {}, False),
])  # fmt: skip
def test_more_input_brings_a_monotone_neuron_nearer(neuron, numbers, monotone):
    given = {**neuron.constants(neuron.Parameters(), 1.0), **numbers}
    assert is_monotone(neuron, given) == monotone
