"""Export of a spiking agent as a NIR graph, with what belongs to the host beside it.

NIR (Pedersen et al. 2024, https://doi.org/10.1038/s41467-024-52259-9; https://neuroir.org) stores
neurons as differential equations, without a time step, and simulators differ in how they read them.
The contract here is one by which explicit Euler steps of 1e-4 s give the spikes of our networks:
``lif_box`` is LIF with r = 1; ``lif`` is CubaLIF with r = tau_mem / dt and w_in = tau_syn / dt,
whose potentials are in units of dt / tau_mem. The graph sees what the network sees at each time
step and returns what the head gives for the spikes of that time step. The host standardises
observations, repeats them, averages outputs and chooses, as the JSON file beside the graph says.

Nodes are written by ``nir`` itself, not by ``nirtorch``'s default maps, whose biases are random up
to 2.6 (https://github.com/neuromorphs/NIRTorch/pull/55).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from snn_gym.export.portable import PortableAgent, PortableLayer, portable
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
from snn_gym.storage import write_text_atomic

if TYPE_CHECKING:
    import nir

DT_S = 1e-4
"""Time step (s) that the graph's time constants are meant for."""
HOST_FORMAT = "snn_gym.host/1"
_REFUSED = {
    IAF: "'iaf' has no form that importers of NIR agree on; train with neuron 'lif_box'",
    ALIF: "'alif' has no node in NIR; train with neuron 'lif_box' or 'lif'",
}


@dataclass(frozen=True)
class NIRFiles:
    """What ``to_nir`` wrote."""

    graph: Path
    """HDF5 file."""
    host: Path
    """JSON file of what the host does."""


def to_nir(model: BaseAlgorithm | BasePolicy, path: str | os.PathLike[str]) -> NIRFiles:
    """Write an agent as a NIR graph, and what belongs to the host beside it.

    Args:
        model: Algorithm with a spiking policy, or the policy.
        path: File to write, such as ``agent.nir``; the host's is called ``agent.json``.

    Raises:
        ValueError: A part of the agent has no form that importers agree on; the message names the
            nearest one.
        ModuleNotFoundError: The package ``nir`` is not installed.
    """
    import nir

    agent = portable(model)
    if not isinstance(agent, PortableAgent):
        raise ValueError("an ANN has no spikes to export as NIR; export it as C")
    file = Path(path)
    graph, host = nir_graph(agent), host_of(agent)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.partial")
    nir.write(partial, graph)
    partial.replace(file)
    described = file.with_suffix(".json")
    write_text_atomic(described, json.dumps(host, indent=2) + "\n")
    return NIRFiles(file, described)


def nir_graph(agent: PortableAgent) -> nir.NIRGraph:
    """Return the graph: affine maps and neurons in turn, the head last.

    Args:
        agent: The agent.

    Raises:
        ValueError: A neuron or the decoder has no form that importers agree on.
    """
    import nir

    _check(agent)
    nodes: dict[str, Any] = {"input": nir.Input(np.array([agent.inputs]))}
    edges, source = [], "input"
    for k, layer in enumerate(agent.layers, start=1):
        affine, neurons = f"affine_{k}", f"neurons_{k}"
        nodes[affine] = nir.Affine(np.ascontiguousarray(layer.weights.T), layer.biases)
        nodes[neurons] = _neurons(layer)
        edges += [(source, affine), (affine, neurons)]
        if layer.recurrent is not None:
            nodes[f"recurrent_{k}"] = nir.Linear(np.ascontiguousarray(layer.recurrent.T))
            edges += [(neurons, f"recurrent_{k}"), (f"recurrent_{k}", neurons)]
        source = neurons
    nodes["head"] = nir.Affine(agent.head_weights, agent.head_biases)
    nodes["output"] = nir.Output(np.array([agent.outputs]))
    return nir.NIRGraph(nodes, [*edges, (source, "head"), ("head", "output")])


def host_of(agent: PortableAgent) -> dict[str, Any]:
    """Return what the host of the graph does, as plain JSON types.

    Args:
        agent: The agent.
    """
    normaliser = agent.normaliser
    return {
        "format": HOST_FORMAT,
        "dt_s": DT_S,
        "time_steps": agent.time_steps,
        "observation": {
            "values": agent.inputs,
            "is": "spikes" if agent.spike_input else "held",
            "standardised": None
            if normaliser is None
            else {
                "mean": normaliser.mean.tolist(),
                "std": normaliser.std.tolist(),
                "clip": normaliser.clip,
            },
        },
        "state": "carried" if agent.stateful else "reset",
        "output": "mean",
        "action": {"choice": agent.choice, "low": agent.low.tolist(), "high": agent.high.tolist()},
    }


def _check(agent: PortableAgent) -> None:
    for layer in agent.layers:
        if layer.kind in _REFUSED:
            raise ValueError(f"neuron {_REFUSED[layer.kind]}")
        if layer.constants[LEAK] != 0.0 or layer.constants[RESET] != 0.0:
            raise ValueError(
                f"v_leak={layer.constants[LEAK]:g} and v_reset={layer.constants[RESET]:g} are not "
                "exported to NIR, as importers ignore them; train with both 0"
            )
    if np.any(agent.coefficients != np.float32(1.0 / agent.time_steps)):
        raise ValueError(
            "decoder 'last_voltage' is not exported to NIR, as importers read leaky integrators in "
            "different ways; train with 'mean_rate'"
        )


def _neurons(layer: PortableLayer) -> Any:
    import nir

    def each(value: float) -> NDArray[np.float32]:
        return np.full(layer.size, value, np.float32)

    gain, threshold = float(layer.constants[GAIN]), float(layer.constants[THRESHOLD])
    if layer.kind != LIF:
        return nir.LIF(
            tau=each(DT_S / gain), r=each(1.0), v_leak=each(0.0), v_threshold=each(threshold),
            v_reset=each(0.0),
        )  # fmt: skip
    decay = -float(layer.constants[CURRENT_GAIN])
    return nir.CubaLIF(
        tau_syn=each(DT_S / decay), tau_mem=each(DT_S / gain), r=each(1.0 / gain), v_leak=each(0.0),
        v_threshold=each(threshold / gain), v_reset=each(0.0), w_in=each(1.0 / decay),
    )  # fmt: skip
