"""Neurons of NIR as neurons of ours: explicit Euler steps of the same equations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.export.nir_file import Node
from snn_gym.export.nir_graph import node_numbers
from snn_gym.program.neuron import NeuronParameters
from snn_gym.program.neurons import NEURONS, IAFParameters, LIFBoxParameters, LIFParameters

Array = NDArray[np.float64]
DT_MS = 1.0
"""Time step (ms) that imported networks have, whatever the graph's: only ratios matter."""
_EXACT = 1e-6
_DIGITS = range(1, 10)


@dataclass(frozen=True)
class Neurons:
    """A layer's neurons, in terms of ours."""

    neuron: str
    """Registered name."""
    parameters: NeuronParameters
    """Its parameters, at time steps of ``DT_MS``."""
    scale: Array
    """(N,), what their inputs are multiplied by."""


def neurons_of(node: Node, name: str, size: int, dt_s: float) -> Neurons:
    """Return what a node's neurons are among ours.

    Args:
        node: LIF, CubaLIF or IF.
        name: Its name in the graph.
        size: Number of neurons N.
        dt_s: Time step (s) that its constants are meant for.

    Raises:
        ValueError: No neuron of ours has its equations; one line names the node.
    """
    values = {field: _each(x, field, name, size) for field, x in node.arrays.items()}
    try:
        return {"LIF": _lif_box, "CubaLIF": _lif, "IF": _iaf}[node.kind](values, dt_s)
    except ValueError as error:
        raise ValueError(f"{node.kind} {name!r}: {error}") from error


def _each(values: Array, field: str, name: str, size: int) -> Array:
    if values.size not in (1, size):
        raise ValueError(
            f"{field} of {name!r} has the shape {values.shape}; expected one value for each of "
            f"{size} neurons"
        )
    return np.broadcast_to(values.reshape(-1), (size,))


def _lif_box(values: Mapping[str, Array], dt_s: float) -> Neurons:
    tau = _time_constant(values, "tau")
    potentials, scale = _potentials(values, np.ones_like(values["r"]))
    simple = _Simple("lif_box", {"tau_mem_ms": tau / dt_s * DT_MS, **potentials})
    simple.settle("tau_mem_ms", {"tau": tau})
    return Neurons("lif_box", LIFBoxParameters(**simple.values), scale * values["r"])


def _lif(values: Mapping[str, Array], dt_s: float) -> Neurons:
    tau_mem, tau_syn = (_time_constant(values, x) for x in ("tau_mem", "tau_syn"))
    if (values["r"] <= 0).any():
        raise ValueError("r must be above 0; turn the weights' sign instead")
    # In units of r the potential moves by the current itself.
    potentials, scale = _potentials(values, values["r"])
    simple = _Simple(
        "lif",
        {"tau_mem_ms": tau_mem / dt_s * DT_MS, "tau_syn_ms": tau_syn / dt_s * DT_MS, **potentials},
    )
    simple.settle("tau_mem_ms", {"tau_mem": tau_mem})
    simple.settle("tau_syn_ms", {"tau_syn": tau_syn})
    stored = {x: float(values[x][0]) for x in ("v_threshold", "r")}
    simple.settle("v_threshold", stored)
    jump = np.where(
        np.float32(simple.stored("w_in")) == values["w_in"].astype(np.float32),
        1.0,
        values["w_in"] * dt_s / tau_syn,
    )
    return Neurons("lif", LIFParameters(**simple.values), scale * jump)


def _iaf(values: Mapping[str, Array], dt_s: float) -> Neurons:
    potentials, scale = _potentials({**values, "v_leak": values["v_reset"]}, np.ones(1))
    del potentials["v_leak"]
    jump = values["r"] * dt_s
    return Neurons(
        "iaf", IAFParameters(**potentials), scale * np.where(np.abs(jump - 1) < _EXACT, 1.0, jump)
    )


def _time_constant(values: Mapping[str, Array], field: str) -> float:
    tau = values[field]
    if (tau != tau[0]).any() or tau[0] <= 0:
        raise ValueError(
            f"{field} is {tau.min():g} to {tau.max():g}; expected one time constant above 0 for "
            "all neurons of a layer"
        )
    return float(tau[0])


def _potentials(values: Mapping[str, Array], unit: Array) -> tuple[dict[str, float], Array]:
    """Return threshold, reset and rest of a layer, and what scales its neurons to them."""
    found = {x: values[x] / unit for x in ("v_threshold", "v_reset", "v_leak")}
    if all((x == x[0]).all() for x in found.values()):
        same = {name: float(np.float32(x[0])) for name, x in found.items()}
        return same, np.ones_like(values["r"])
    threshold = found["v_threshold"]
    if values["v_leak"].any() or values["v_reset"].any() or (threshold <= 0).any():
        raise ValueError(
            "v_leak, v_reset and v_threshold differ between neurons; expected the same ones for "
            "a layer, or thresholds above 0 alone that differ"
        )
    return {"v_threshold": 1.0, "v_reset": 0.0, "v_leak": 0.0}, 1.0 / threshold


class _Simple:
    """Parameters of a neuron, one of which after the other is made simple."""

    def __init__(self, neuron: str, values: dict[str, float]) -> None:
        self._neuron, self.values = neuron, values

    def stored(self, field: str) -> float:
        """Return what ``to_nir`` would write in a field of the node."""
        return self._written(self.values)[field]

    def _written(self, values: Mapping[str, Any]) -> dict[str, float]:
        neuron = NEURONS[self._neuron]
        found = neuron.constants(neuron.Parameters(**values), DT_MS)
        rounded = {name: float(np.float32(x)) for name, x in found.items()}
        return node_numbers(neuron, rounded)

    def settle(self, parameter: str, stored: Mapping[str, float]) -> None:
        """Take the simplest number of which ``to_nir`` would make what is stored, if one is."""

        def fits(value: float) -> bool:
            written = self._written({**self.values, parameter: value})
            return all(np.float32(written[x]) == np.float32(y) for x, y in stored.items())

        self.values[parameter] = _simplest(self.values[parameter], fits)


def _simplest(value: float, fits: Callable[[float], bool]) -> float:
    for digits in _DIGITS:
        near = float(f"{value:.{digits}g}")
        if near > 0 and fits(near):
            return near
    return value
