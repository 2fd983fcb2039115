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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from snn_gym.config import to_mapping
from snn_gym.export.host import DT_S, host_of
from snn_gym.policies.frozen import program_of
from snn_gym.program.encoders import encoder_name
from snn_gym.program.network import NeuronLayer, Program
from snn_gym.program.neuron import Neuron, equations, matched
from snn_gym.program.neurons import IAF, LIF, LIFBox, name_of
from snn_gym.storage import write_text_atomic

if TYPE_CHECKING:
    import nir


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

    program = program_of(model)
    if not program.spiking:
        raise ValueError("an ANN has no spikes to export as NIR; export it as C")
    file = Path(path)
    graph, host = nir_graph(program), host_of(program)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.partial")
    nir.write(partial, graph)
    partial.replace(file)
    described = file.with_suffix(".json")
    write_text_atomic(described, json.dumps(to_mapping(host), indent=2) + "\n")
    return NIRFiles(file, described)


def nir_graph(program: Program) -> nir.NIRGraph:
    """Return the graph: affine maps and neurons in turn, the head last.

    Args:
        program: The agent as one value.

    Raises:
        ValueError: A neuron or the decoder has no form that importers agree on.
    """
    import nir

    _check(program)
    nodes: dict[str, Any] = {"input": nir.Input(np.array([program.inputs]))}
    edges, source = [], "input"
    for k, layer in enumerate(program.neurons, start=1):
        affine, neurons = f"affine_{k}", f"neurons_{k}"
        nodes[affine] = nir.Affine(np.ascontiguousarray(layer.weights.T), layer.biases)
        nodes[neurons] = _neurons(layer)
        edges += [(source, affine), (affine, neurons)]
        if layer.recurrent is not None:
            nodes[f"recurrent_{k}"] = nir.Linear(np.ascontiguousarray(layer.recurrent.T))
            edges += [(neurons, f"recurrent_{k}"), (f"recurrent_{k}", neurons)]
        source = neurons
    nodes["head"] = nir.Affine(program.head.weights, program.head.biases)
    nodes["output"] = nir.Output(np.array([program.outputs]))
    return nir.NIRGraph(nodes, [*edges, (source, "head"), ("head", "output")])


def _check(program: Program) -> None:
    if program.coder is not None:
        raise ValueError(
            f"encoder {encoder_name(program.coder)!r} is not exported to NIR, whose hosts hold "
            "values or pass spikes on; train with encoder 'constant', or export as C"
        )
    if program.choice.limit is not None:
        raise ValueError(
            "actions whose mean is clipped before it is squashed, as use_sde has it, are not "
            "exported to NIR; train without use_sde, or export as C"
        )
    if program.readout.values > 1:
        raise ValueError(
            "decoder 'max_voltage' is not exported to NIR, whose hosts take means; train with "
            "'mean_rate', or export as C"
        )
    for layer in program.neurons:
        _, numbers = node_of(layer.neuron, layer.numbers)
        leak, reset = numbers["v_leak"], numbers["v_reset"]
        if leak != 0.0 or reset != 0.0:
            raise ValueError(
                f"v_leak={leak:g} and v_reset={reset:g} are not exported to NIR, as importers "
                "ignore them; train with both 0"
            )
    if np.any(program.readout.coefficients != np.float32(1.0 / program.time_steps)):
        raise ValueError(
            "decoder 'last_voltage' is not exported to NIR, as importers read leaky integrators in "
            "different ways; train with 'mean_rate'"
        )


def node_of(
    neuron: type[Neuron], numbers: Mapping[str, float]
) -> tuple[type[Neuron], dict[str, float]]:
    """Return which neuron with a node in NIR has a neuron's equations, found on their graph.

    Args:
        neuron: The neuron.
        numbers: Its constants by name.

    Returns:
        ``LIFBox`` or ``LIF``, and the constants by its names.

    Raises:
        ValueError: None has.
    """
    for pattern in (LIFBox, LIF):
        names = matched(equations(neuron), equations(pattern))
        if names is not None:
            return pattern, {x: float(numbers[y]) for x, y in names.items()}
    if matched(equations(neuron), equations(IAF)) is not None:
        raise ValueError(
            f"neuron {name_of(neuron)!r} has no form that importers of NIR agree on; train with "
            "neuron 'lif_box'"
        )
    raise ValueError(
        f"neuron {name_of(neuron)!r} has no node in NIR; train with neuron 'lif_box' or 'lif'"
    )


def node_numbers(neuron: type[Neuron], numbers: Mapping[str, float]) -> dict[str, float]:
    """Return the numbers by which a node of NIR has a neuron's equations.

    Args:
        neuron: ``LIFBox`` or ``LIF``.
        numbers: Its constants by name.
    """
    gain, threshold = numbers["mem_gain"], numbers["v_threshold"]
    rest = {"v_leak": 0.0, "v_reset": 0.0}
    if neuron is LIFBox:
        return {"tau": DT_S / gain, "r": 1.0, "v_threshold": threshold, **rest}
    decay = numbers["syn_gain"]
    return {
        "tau_syn": DT_S / decay,
        "tau_mem": DT_S / gain,
        "r": 1.0 / gain,
        "v_threshold": threshold / gain,
        "w_in": 1.0 / decay,
        **rest,
    }


def _neurons(layer: NeuronLayer) -> Any:
    import nir

    neuron, numbers = node_of(layer.neuron, layer.numbers)
    node = nir.CubaLIF if neuron is LIF else nir.LIF
    return node(
        **{
            name: np.full(layer.size, value, np.float32)
            for name, value in node_numbers(neuron, numbers).items()
        }
    )
