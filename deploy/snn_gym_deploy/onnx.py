"""Export of an agent as ONNX: one decision, from observations to actions.

Time steps are unrolled, as ONNX (https://onnx.ai/onnx/intro/concepts.html) has no neurons: a spike
is a comparison, a reset a choice between two values. All arithmetic is float32, in the order of our
kernels, except for sums in matrix products and gates. The state of a stateful agent is an input and
an output of one row of numbers.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, checker, helper, numpy_helper
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from snn_gym.policies import program_of
from snn_gym.program import (
    GATES,
    INPUT,
    INTEGRATED,
    INTENSITY_RANGE,
    DenseLayer,
    Expression,
    GatedLayer,
    LatencyEncoder,
    LeakyLayer,
    NeuronLayer,
    PopulationEncoder,
    Program,
    ReceptiveFields,
    SpikeEncoder,
    equations,
    parts_at_rest,
    walk,
)
from snn_gym_deploy.c_spiking import check_encoder
from snn_gym_deploy.files import write_files

_OPERATORS = {
    "+": "Add", "-": "Sub", "*": "Mul", "/": "Div", "-x": "Neg", "abs": "Abs", "exp": "Exp",
    "exp_of_negative": "Exp", "log": "Log", "sqrt": "Sqrt", "tanh": "Tanh", "minimum": "Min",
    "maximum": "Max", ">": "Greater", ">=": "GreaterOrEqual", "where": "Where",
}  # fmt: skip
OPSET = 17  # version of ONNX's operators


def to_onnx(model: BaseAlgorithm | BasePolicy, path: str | os.PathLike[str]) -> Path:
    """Write an agent as an ONNX model.

    The input is ``observation``, (B, D), or (B, T * D) for spike trains, float32. The outputs are
    ``action``, (B,) int64 or (B, A) float32 within the limits of the action space, and ``values``
    (B, O), from which it is chosen. A stateful agent has two more inputs, ``state`` (B, S) float32
    and ``episode_start`` (B,) bool, which resets the state as in ``predict`` of Stable-Baselines3,
    and one more output, ``next_state`` (B, S).

    Args:
        model: Algorithm with a policy of snn_gym, or the policy.
        path: File to write.

    The model is checked in full before it is written; onnxruntime loads it where it is installed.

    Raises:
        ValueError: A part of the agent cannot be exported; the message names the nearest one.
    """
    program = program_of(model)
    data: bytes = _Builder().model(program).SerializeToString()
    if find_spec("onnxruntime") is not None:
        from onnxruntime import InferenceSession

        InferenceSession(data, providers=["CPUExecutionProvider"])
    write_files({Path(path): data})
    return Path(path)


class _Builder:
    """Nodes and constants of a graph; methods add nodes and return the names of their results."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._batched = {"observation", "state"}
        """Names of values with an axis of samples; all others are the same for each sample."""

    def model(self, program: Program) -> Any:
        """Return the checked ONNX model of a program; call it once."""
        signal = self._standardised(program)
        decide = self._spiking if program.spiking else self._ann
        decoded, carried = decide(program, signal)
        values = self._affine(decoded, program.head.weights.T, program.head.biases)
        self._named("Identity", "values", values)
        self._named(*self._action(program, values))

        def tensor(name: str, *shape: int, kind: int = TensorProto.FLOAT) -> Any:
            return helper.make_tensor_value_info(name, kind, ["B", *shape])

        inputs = [tensor("observation", program.observation_size)]
        outputs = [tensor("values", program.outputs)]
        if program.choice.discrete:
            outputs.append(tensor("action", kind=TensorProto.INT64))
        else:
            outputs.append(tensor("action", program.outputs))
        if carried:
            inputs += [tensor("state", carried), tensor("episode_start", kind=TensorProto.BOOL)]
            outputs.append(tensor("next_state", carried))
        graph = helper.make_graph(self._nodes, "agent", inputs, outputs, self._constants)
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, producer_name="snn_gym", ir_version=9)
        checker.check_model(model, full_check=True)
        return model

    def _standardised(self, program: Program) -> str:
        seen = "observation"
        if program.rows_per_step > 1:
            axes = (-1, program.time_steps, program.rows_per_step, program.inputs)
            rows = self._op("Reshape", seen, np.array(axes))
            summed = self._op("ReduceSum", rows, np.array([2]))
            size = program.time_steps * program.inputs
            seen = self._op("Reshape", summed, np.array([-1, size]))
        for scale in program.normalisers:
            seen = self._op("Div", self._op("Sub", seen, scale.mean), scale.std)
            seen = self._op("Clip", seen, _f(-scale.clip), _f(scale.clip))
        return seen

    def _action(self, program: Program, values: str) -> tuple[Any, ...]:
        """Return operator, name (``action``) and inputs of the node that chooses actions."""
        low, high = program.choice.low, program.choice.high
        if program.choice.discrete:
            return "ArgMax", "action", values
        if program.choice.rule == "clip":
            return "Min", "action", self._op("Max", values, low), high
        if program.choice.limit is not None:
            limit = _f(program.choice.limit)
            values = self._op("Clip", values, -limit, limit)
        share = self._op("Mul", self._op("Add", self._op("Tanh", values), _f(1)), _f(0.5))
        return "Add", "action", low, self._op("Mul", share, high - low)

    def _ann(self, program: Program, seen: str) -> tuple[str, int]:
        """Return the inputs (B, N) of an ANN's head, and the size S of the carried state."""
        parts = parts_at_rest(program)
        states: list[dict[str, Any]] = [dict(zip(names, x, strict=True)) for names, x in parts]
        size = sum(x.size for state in states for x in state.values())
        if size:
            self._resume(states)
        for layer, state in zip(program.layers, states, strict=True):
            total = self._affine(seen, layer.weights, layer.biases)
            if isinstance(layer, GatedLayer):
                seen = self._gated(layer, state, total)
            elif isinstance(layer, LeakyLayer):
                state["h"] = self._op("Add", self._op("Mul", layer.decay, state["h"]), total)
                seen = self._op("Relu", state["h"]) if layer.rectified else state["h"]
            else:
                assert isinstance(layer, DenseLayer)  # of an ANN
                seen = self._activated(layer, total)
        if size:
            self._named("Concat", "next_state", *(x for state in states for x in state.values()))
        return seen, size

    def _activated(self, layer: DenseLayer, total: str) -> str:
        """Return the outputs (B, N) of units for their sums."""
        if layer.activation == "threshold":
            return self._op("Where", self._op("Greater", total, _f(0)), _f(1), _f(0))
        values = self._op({"tanh": "Tanh", "relu": "Relu"}[layer.activation], total)
        if layer.levels is None:
            return values
        levels = self._op("Mul", self._op("Min", values, _f(1)), _f(layer.levels))
        return self._op("Div", self._op("Round", levels), _f(layer.levels))

    def _gated(self, layer: GatedLayer, state: dict[str, Any], total: str) -> str:
        """Return the outputs (B, N) of gated units, and advance their state."""
        looped = self._affine(state["h"], layer.recurrent, layer.recurrent_biases)
        n, gates = layer.size, range(GATES[layer.gates])
        x, h = ([self._columns(y, k * n, (k + 1) * n) for k in gates] for y in (total, looped))

        def gate(k: int, unit: str = "Sigmoid") -> str:
            return self._op(unit, self._op("Add", x[k], h[k]))

        if layer.gates in ("rnn", "rnn_relu"):
            state["h"] = gate(0, "Tanh" if layer.gates == "rnn" else "Relu")
        elif layer.gates == "gru":
            reset, update = gate(0), gate(1)
            new = self._op("Tanh", self._op("Add", x[2], self._op("Mul", reset, h[2])))
            kept = self._op("Mul", update, self._op("Sub", state["h"], new))
            state["h"] = self._op("Add", new, kept)
        else:
            kept = self._op("Mul", gate(1), state["c"])
            state["c"] = self._op("Add", kept, self._op("Mul", gate(0), gate(2, "Tanh")))
            state["h"] = self._op("Mul", gate(3), self._op("Tanh", state["c"]))
        output: str = state["h"]
        return output

    def _spiking(self, program: Program, seen: str) -> tuple[Any, int]:
        """Return the decoder's value (B, N), and the size S of the carried state."""
        layers, parts = program.neurons, parts_at_rest(program)
        states: list[dict[str, Any]] = [dict(zip(names, x, strict=True)) for names, x in parts]
        if not program.stateful:
            states[-1] = {}  # the decoder begins every decision at 0
        size = sum(x.size for state in states for x in state.values()) if program.stateful else 0
        if size:
            self._resume(states)
        decoded: list[Any] = [_f(0)] * (1 + len(states[-1]))
        # ONNX has no state within a graph, so that the time steps stand one after the other.
        for t, entering in enumerate(self._entering(program, seen)):
            signal = entering
            for k, (layer, state) in enumerate(zip(layers, states, strict=False)):
                signal = self._layer(layer, state, signal, driven=k == 0 and program.held)
            for r, total in enumerate(decoded):
                weighed = self._op("Mul", signal, program.readout.coefficients[r, t])
                decoded[r] = self._op("Add", total, weighed)
        decoded = self._carried(program, decoded, states[-1])
        if size:
            self._named("Concat", "next_state", *(x for state in states for x in state.values()))
        return decoded[0], size

    def _layer(self, layer: NeuronLayer, state: dict[str, Any], signal: str, driven: bool) -> str:
        """Return the spikes (B, N) of a layer for spikes (B, D), or for currents if ``driven``."""
        current = signal if driven else self._affine(signal, layer.weights, layer.biases)
        if layer.recurrent is not None:
            looped = self._op("MatMul", state["z"], layer.recurrent)
            current = self._op("Add", current, looped)
        spikes = self._neurons(layer, state, current)
        if layer.recurrent is not None:
            state["z"] = spikes
        return spikes

    def _entering(self, program: Program, seen: str) -> Sequence[str]:
        """Return the spikes or held currents of the first layer at each time step."""
        first, steps, coder = program.neurons[0], program.time_steps, program.coder
        if program.held:
            return [self._affine(seen, first.weights, first.biases)] * steps
        if coder is not None:
            return self._encoded(program, coder, seen)
        size = program.inputs
        return [self._columns(seen, t * size, (t + 1) * size) for t in range(steps)]

    def _encoded(
        self, program: Program, encoder: SpikeEncoder | ReceptiveFields, seen: str
    ) -> list[str]:
        """Return the spikes (B, channels) of each time step."""
        check_encoder(encoder)
        steps = range(program.time_steps)
        if isinstance(encoder, ReceptiveFields):
            activity = self._fields(program, seen, encoder.centres, "Div", encoder.widths)
            summed, spikes = self._op("Mul", activity, _f(0)), []
            for _ in steps:
                summed = self._op("Add", summed, activity)
                spikes.append(self._spikes("Greater", summed, _f(INTEGRATED)))
                summed = self._op("Sub", summed, self._op("Mul", spikes[-1], _f(INTEGRATED)))
            return spikes
        scaled = self._op("Div", seen, _f(2.0 * INTENSITY_RANGE))
        values = self._op("Clip", self._op("Add", scaled, _f(0.5)), _f(0), _f(1))
        if isinstance(encoder, LatencyEncoder):
            late = self._op("Mul", self._op("Sub", _f(1), values), _f(program.time_steps - 1))
            time = self._op("Floor", self._op("Add", late, _f(0.5)))
            return [self._spikes("Equal", time, _f(t)) for t in steps]
        if isinstance(encoder, PopulationEncoder):
            centres = np.tile(encoder.centres, (program.inputs, 1))
            values = self._fields(program, values, centres, "Mul", _f(encoder.steepness))
        until = [self._op("Floor", self._op("Mul", _f(t), values)) for t in range(len(steps) + 1)]
        return [self._spikes("Greater", after, before) for before, after in pairwise(until)]

    def _fields(
        self, program: Program, seen: str, centres: NDArray[Any], scale: str, by: Any
    ) -> str:
        """Return the activity (B, D * n) of receptive fields with centres (D, n)."""
        column = self._op("Unsqueeze", seen, np.array([2], np.int64))
        away = self._op(scale, self._op("Sub", column, centres), by)
        square = self._op("Mul", self._op("Mul", _f(-0.5), away), away)
        shape = np.array([-1, program.channels], np.int64)
        return self._op("Reshape", self._op("Exp", square), shape)

    def _spikes(self, comparison: str, a: Any, b: Any) -> str:
        return self._op("Where", self._op(comparison, a, b), _f(1), _f(0))

    def _resume(self, states: list[dict[str, Any]]) -> None:
        """Replace states at rest by the parts of the input ``state``, unless an episode starts."""
        rest = np.concatenate([x for state in states for x in state.values()])
        starts = self._op("Unsqueeze", "episode_start", np.array([1], np.int64))
        before, first = self._op("Where", starts, rest, "state"), 0
        for state in states:
            for name, x in state.items():
                state[name] = self._columns(before, first, first + x.size)
                first += x.size

    def _carried(self, program: Program, decoded: list[Any], before: dict[str, Any]) -> list[Any]:
        """Return decoded values plus those of the decoder's state, and advance this state."""
        rows = list(decoded)
        for s, value in enumerate(before.values()):
            for r, share in enumerate(program.readout.transition[: len(rows), s]):
                rows[r] = self._op("Add", rows[r], self._op("Mul", share, value))
        before.update(zip(list(before), rows[1:], strict=True))
        return rows

    def _columns(self, table: str, first: int, end: int) -> str:
        ends = (np.array([x], np.int64) for x in (first, end, 1))
        return self._op("Slice", table, *ends)

    def _neurons(self, layer: NeuronLayer, state: dict[str, Any], current: str) -> str:
        """Advance a layer's neurons by a time step; return their spikes (B, N)."""
        text = equations(layer.neuron)
        values = {
            **dict(zip(text.constants, layer.constants, strict=True)),
            INPUT: current,
            **{x: state[x] for x in text.state},
        }
        nodes: dict[int, Any] = {}
        for label, moved in zip(text.moved_names, text.moved, strict=True):
            values[label] = self._expression(moved, values, nodes)
        margin = self._expression(text.margin, values, nodes)
        fires = self._op("Greater", margin, _f(0))
        pairs = zip(text.state, text.decided(True), text.decided(False), strict=True)
        for name, spiked, silent in pairs:
            yes, no = (self._expression(x, values, nodes) for x in (spiked, silent))
            decided = yes if yes is no else self._op("Where", fires, yes, no)
            state[name] = self._of_each(decided, current)
        return self._of_each(self._op("Where", fires, _f(1), _f(0)), current)

    def _of_each(self, value: Any, like: str) -> str:
        """Return values (B, N), repeated for each sample where they are constants."""
        return (
            value
            if isinstance(value, str) and value in self._batched
            else self._op("Expand", value, self._op("Shape", like))
        )

    def _expression(
        self, root: Expression, values: Mapping[str, Any], nodes: dict[int, Any]
    ) -> Any:
        """Return the result of an expression; ``nodes`` has results by id, and gets its own."""
        for node in walk(root):
            if id(node) in nodes:
                continue
            inputs = [nodes[id(x)] for x in node.inputs]
            if node.operator == "name":
                nodes[id(node)] = values[node.label]
            elif node.operator == "constant":
                nodes[id(node)] = _f(node.number)
            else:
                nodes[id(node)] = self._op(_OPERATORS[node.operator], *inputs)
        return nodes[id(root)]

    def _affine(self, seen: Any, weights: NDArray[Any], biases: NDArray[Any]) -> str:
        return self._op("Add", self._op("MatMul", seen, weights), biases)

    def _op(self, operator: str, *inputs: Any) -> str:
        return self._named(operator, f"n{len(self._nodes)}", *inputs)

    def _named(self, operator: str, name: str, *inputs: Any) -> str:
        names = [x if isinstance(x, str) else self._constant(x) for x in inputs]
        if self._batched.intersection(names):
            self._batched.add(name)
        options: dict[str, Any] = {"axis": 1} if operator in ("ArgMax", "Concat") else {}
        if operator == "ArgMax":
            options["keepdims"] = 0
        self._nodes.append(helper.make_node(operator, names, [name], **options))
        return name

    def _constant(self, value: Any) -> str:
        name = f"c{len(self._constants)}"
        array = np.ascontiguousarray(value) if np.ndim(value) else np.asarray(value)
        self._constants.append(numpy_helper.from_array(array, name))
        return name


def _f(value: float) -> np.float32:
    return np.float32(value)
