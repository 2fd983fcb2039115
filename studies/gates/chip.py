"""Decisions of an agent on SANA-FE's model of Loihi, with their energy and time.

SANA-FE (https://github.com/SLAM-Lab/SANA-FE) runs
``v = bias + (1 - gain) v + u`` with the spikes of the step before as ``u``. So a layer begins one
step after the layer before it, and its bias waits as long. Potentials are stored in units of 1/64:
all are scaled, or they would be truncated.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.program.layers import NeuronLayer
from snn_gym.program.neurons import LIFBox
from snn_gym.program.program import Program

_SCALE = 1000.0


@dataclass(frozen=True)
class ChipDecision:
    """A decision on the chip."""

    action: int | NDArray[np.float32]
    """The action's number, or the outputs of a continuous one."""
    energy_nj: float
    time_us: float


class Loihi:
    """A feed-forward program of LIF-box neurons on one core for each layer.

    Args:
        program: The program, whose observations are values.

    Raises:
        ValueError: The program has other neurons, recurrence or a carried state.
    """

    def __init__(self, program: Program) -> None:
        import sanafe

        plain = all(x.neuron is LIFBox and x.recurrent is None for x in program.neurons)
        if not (program.spiking and plain and program.held) or program.stateful:
            raise ValueError("only feed-forward layers of lif_box without a carried state are run")
        self._program = program
        architecture, network = sanafe.load_loihi(), sanafe.Network()
        groups = [
            self._group(network, k, layer, architecture.tiles[k].cores[0])
            for k, layer in enumerate(program.neurons)
        ]
        for k, layer in enumerate(program.neurons[1:], start=1):
            pairs = np.argwhere(layer.weights != 0)
            weights = _SCALE * layer.numbers["mem_gain"] * layer.weights[tuple(pairs.T)]
            places = [(int(a), int(b)) for a, b in pairs]
            groups[k - 1].connect_neurons_sparse(groups[k], {"weight": weights.tolist()}, places)
        self._chip = sanafe.SpikingChip(architecture)
        self._chip.load(network)

    @staticmethod
    def _group(network: Any, k: int, layer: NeuronLayer, core: Any) -> Any:
        numbers = layer.numbers
        group = network.create_neuron_group(
            f"layer{k}",
            layer.size,
            model_attributes={
                "threshold": _SCALE * numbers["v_threshold"],
                "reset": _SCALE * numbers["v_reset"],
                "leak_decay": 1.0 - numbers["mem_gain"],
                "force_update": True,
            },
            soma_hw_name="loihi_lif",
            default_synapse_hw_name="loihi_dense_synapse",
            default_dendrite_hw_name="loihi_dendrites",
            log_spikes=True,
        )
        group.map_to_core(core)
        return group

    def decide(self, observation: NDArray[np.float32]) -> ChipDecision:
        """Decide on an observation (D,), in the environment's units."""
        program, layers = self._program, self._program.neurons
        values = observation.astype(np.float32)
        for x in program.normalisers:
            values = np.clip((values - x.mean) / x.std, -x.clip, x.clip)
        self._chip.reset()
        energy = time = 0.0
        spikes = np.zeros(layers[-1].size)
        for k, layer in enumerate(layers):
            self._set_biases(k, np.zeros(layer.size))
        for k, layer in enumerate(layers):
            entering = values @ layer.weights if k == 0 else 0.0
            self._set_biases(k, layer.biases + layer.numbers["v_leak"] + entering)
            steps = program.time_steps if k == len(layers) - 1 else 1
            with _quiet():
                result = self._chip.sim(steps, spike_trace=True)
            energy, time = energy + result["energy"]["total"], time + result["sim_time"]
            if k == len(layers) - 1:
                addresses = [str(x) for step in result["spike_trace"] for x in step]
                own = [x.split(".")[1] for x in addresses if x.startswith(f"layer{k}.")]
                np.add.at(spikes, [int(x) for x in own], 1.0)
        rates = spikes * program.readout.coefficients[0, 0]
        outputs = program.head.biases + program.head.weights @ rates
        action = int(outputs.argmax()) if program.choice.discrete else outputs.astype(np.float32)
        return ChipDecision(action, energy * 1e9, time * 1e6)

    def _set_biases(self, k: int, currents: NDArray[Any]) -> None:
        biases = _SCALE * self._program.neurons[k].numbers["mem_gain"] * currents
        for neuron, bias in zip(self._chip.mapped_neuron_groups[f"layer{k}"], biases, strict=True):
            neuron.set_attributes(model_attributes={"bias": float(bias)})


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drop what the simulator's C++ prints."""
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
