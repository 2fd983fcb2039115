"""Export of an agent without a state as ONNX: one decision, from observations to actions.

Time steps are unrolled, as ONNX (https://onnx.ai/onnx/intro/concepts.html) knows no neurons: a
spike is a comparison, a reset a choice between two values. All of it is float32, in the order of
the project's own kernels, but for the order of sums in matrix products.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from snn_gym.export.portable_agent import (
    Portable,
    PortableAgent,
    PortableANN,
    PortableLayer,
    portable,
)
from snn_gym.spiking.neurons.forward_kernels import (
    ALIF,
    CURRENT_GAIN,
    GAIN,
    IAF,
    LEAK,
    LIF,
    RESET,
    THRESHOLD,
)
from snn_gym.storage import write_bytes_atomic

OPSET = 17
"""Version of ONNX's operators."""


def to_onnx(model: BaseAlgorithm | BasePolicy, path: str | os.PathLike[str]) -> Path:
    """Write an agent as an ONNX model.

    Its input ``observation`` is (B, D), or (B, T * D) for spike trains, float32; its outputs are
    ``action``, (B,) int64 or (B, A) float32 within the limits of the action space, and ``values``,
    (B, O), that it was chosen from.

    Args:
        model: Algorithm with a policy of snn_gym, or the policy; without a state.
        path: File to write.

    Raises:
        ValueError: A part of the agent has no such form; the message names the nearest one.
        ImportError: The package ``onnx`` is not installed.
    """
    agent = portable(model)
    _check(agent)
    _check_installed()
    data: bytes = _Builder().model(agent).SerializeToString()
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_bytes_atomic(file, data)
    return file


def _check_installed() -> None:
    if find_spec("onnx") is None:
        raise ImportError(
            'export as ONNX needs onnx, which is not installed: pip install "snn-gym[deploy]"'
        )


def _check(agent: Portable) -> None:
    if not isinstance(agent, PortableAgent):
        return
    if agent.stateful:
        raise ValueError(
            "agents with a state are not exported as ONNX; export it as C, or train one without"
        )
    if len(agent.coefficients) != 1:
        raise ValueError(
            "decoder 'last_voltage' is not exported as ONNX; train with 'mean_rate', or export as C"
        )
    if any(layer.kind == ALIF for layer in agent.layers):
        raise ValueError("neuron 'alif' is not exported as ONNX; train with 'lif_box' or 'lif'")


class _Builder:
    """Nodes and constants of a graph, in order."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def model(self, agent: Portable) -> Any:
        """Return the model of an agent."""
        from onnx import TensorProto, checker, helper

        seen = "observation"
        if agent.normaliser is not None:
            scale = agent.normaliser
            seen = self._op("Div", self._op("Sub", seen, scale.mean), scale.std)
            limit = np.float32(scale.clip)
            seen = self._op("Clip", seen, -limit, limit)
        assert isinstance(agent, PortableAgent | PortableANN)  # which portable returns
        if isinstance(agent, PortableAgent):
            last = self._spiking(agent, seen)
        else:
            last = self._ann(agent, seen)
        values = self._affine(last, agent.head_weights.T, agent.head_biases)
        self._named("Identity", "values", values)
        discrete = agent.choice == "argmax"
        self._named(*self._action(agent, values))
        width = agent.inputs
        if isinstance(agent, PortableAgent) and agent.spike_input:
            width *= agent.time_steps
        kind = TensorProto.INT64 if discrete else TensorProto.FLOAT
        shape = ["B"] if discrete else ["B", agent.outputs]
        graph = helper.make_graph(
            self._nodes,
            "agent",
            [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["B", width])],
            [
                helper.make_tensor_value_info("action", kind, shape),
                helper.make_tensor_value_info("values", TensorProto.FLOAT, ["B", agent.outputs]),
            ],
            self._constants,
        )
        opset = [helper.make_opsetid("", OPSET)]
        made = helper.make_model(graph, opset_imports=opset, producer_name="snn_gym", ir_version=9)
        checker.check_model(made)
        return made

    def _action(self, agent: Portable, values: str) -> tuple[Any, ...]:
        """Return operator, name and inputs of the last node."""
        if agent.choice == "argmax":
            return "ArgMax", "action", values
        if agent.choice == "clip":
            return "Min", "action", self._op("Max", values, agent.low), agent.high
        share = self._op("Mul", self._op("Add", self._op("Tanh", values), _f(1)), _f(0.5))
        return "Add", "action", agent.low, self._op("Mul", share, agent.high - agent.low)

    def _ann(self, agent: PortableANN, seen: str) -> str:
        unit = {"tanh": "Tanh", "relu": "Relu"}[agent.activation]
        for weights, biases in zip(agent.weights, agent.biases, strict=True):
            seen = self._op(unit, self._affine(seen, weights, biases))
        return seen

    def _spiking(self, agent: PortableAgent, seen: str) -> str:
        """Return the weighed sum (B, N) of the last layer's spikes."""
        layers, held = agent.layers, None
        if not agent.spike_input:
            held = self._affine(seen, layers[0].weights, layers[0].biases)
        states: list[dict[str, Any]] = [{"v": x.rest[:1], "i": _f(0), "z": None} for x in layers]
        total: Any = _f(0)
        for t in range(agent.time_steps):
            signal = None if held is not None else self._step_of(seen, t, agent.inputs)
            for k, (layer, state) in enumerate(zip(layers, states, strict=True)):
                current = held if k == 0 and held is not None else None
                if current is None:
                    current = self._affine(signal, layer.weights, layer.biases)
                if layer.recurrent is not None and state["z"] is not None:
                    current = self._op(
                        "Add", current, self._op("MatMul", state["z"], layer.recurrent)
                    )
                signal = state["z"] = self._neurons(layer, state, current)
            total = self._op("Add", total, self._op("Mul", signal, agent.coefficients[0, t]))
        return str(total)

    def _step_of(self, seen: str, t: int, channels: int) -> str:
        start, end = (np.array([x * channels], np.int64) for x in (t, t + 1))
        return self._op("Slice", seen, start, end, np.array([1], np.int64))

    def _neurons(self, layer: PortableLayer, state: dict[str, Any], current: str) -> str:
        """Advance a layer's neurons by a time step; return their spikes (B, N)."""
        constants = layer.constants
        v: Any = state["v"]
        if layer.kind == IAF:
            moved = self._op("Add", v, current)
        elif layer.kind == LIF:
            jumped = self._op("Add", state["i"], current)
            drive = self._op("Add", self._op("Sub", constants[LEAK], v), jumped)
            state["i"] = self._op("Add", jumped, self._op("Mul", constants[CURRENT_GAIN], jumped))
            moved = self._op("Add", v, self._op("Mul", constants[GAIN], drive))
        else:
            drive = self._op("Sub", self._op("Add", current, constants[LEAK]), v)
            moved = self._op("Add", v, self._op("Mul", constants[GAIN], drive))
        fires = self._op("Greater", moved, constants[THRESHOLD])
        state["v"] = self._op("Where", fires, constants[RESET], moved)
        return self._op("Where", fires, _f(1), _f(0))

    def _affine(self, seen: Any, weights: NDArray[Any], biases: NDArray[Any]) -> str:
        return self._op("Add", self._op("MatMul", seen, weights), biases)

    def _op(self, operator: str, *inputs: Any) -> str:
        return self._named(operator, f"n{len(self._nodes)}", *inputs)

    def _named(self, operator: str, name: str, *inputs: Any) -> str:
        from onnx import helper

        names = [x if isinstance(x, str) else self._constant(x) for x in inputs]
        options = {"axis": 1, "keepdims": 0} if operator == "ArgMax" else {}
        self._nodes.append(helper.make_node(operator, names, [name], **options))
        return name

    def _constant(self, value: Any) -> str:
        from onnx import numpy_helper

        name = f"c{len(self._constants)}"
        array = np.ascontiguousarray(value) if np.ndim(value) else np.asarray(value)
        self._constants.append(numpy_helper.from_array(array, name))
        return name


def _f(value: float) -> np.float32:
    return np.float32(value)
