"""Hardware demand of a network, and published limits of neuromorphic chips.

Only these limits are compared. Neuron models, input currents and speed are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snn_gym.program import Program
from snn_gym_deploy.visits import Visits

_STATE_BYTES = 2
_INDEXED_SYNAPSE_BYTES = 2


@dataclass(frozen=True)
class Demand:
    """Neurons, synapses and memory of a network; a weight of exactly 0 is no synapse."""

    inputs: int
    """Values or channels of an observation."""
    outputs: int
    neurons: int
    layers: int
    """Layers of neurons, and the readout."""
    widest: int
    """Largest number of inputs, of neurons of a layer, or of outputs."""
    fan_in: int
    """Largest number of synapses onto one neuron or output, recurrent ones included."""
    fan_out: int
    """Largest number of synapses from one neuron, recurrent ones included."""
    synapses: int
    """Those from inputs and to outputs included."""
    memory_bytes: int
    """Weights of 8 bits; biases and state variables of 16."""

    @property
    def sources(self) -> int:
        """Inputs and neurons: the senders of spikes."""
        return self.inputs + self.neurons

    @property
    def indexed_synapse_bytes(self) -> int:
        """Bytes of synapses of 8 bits with an index of 8 bits each."""
        return _INDEXED_SYNAPSE_BYTES * self.synapses


@dataclass(frozen=True)
class Chip:
    """Published limits of a chip or a core."""

    core: str
    """Part that an agent has to fit into."""
    limits: Mapping[str, int]
    """Largest value of fields of `Demand`."""
    source: str


CHIPS: Mapping[str, Chip] = {
    "Loihi": Chip(
        "one core",
        {"neurons": 1024, "sources": 4096, "indexed_synapse_bytes": 131_072},
        "1,024 compartments: Davies et al. 2018, https://doi.org/10.1109/MM.2018.112130359; "
        "4,096 input axons and 1,048,576 bits of synapses: nengo-loihi, "
        "https://github.com/nengo/nengo-loihi/blob/main/nengo_loihi/block.py. A synapse takes 8 "
        "bits and its index; 16 together is our figure, after a dense network that nengo-loihi "
        "gave 15.7",
    ),
    "SpiNNaker2": Chip(
        "one core",
        {"memory_bytes": 131_072},
        "128 KiB of local memory for code and data: datasheet 0.03 of 2021, "
        "https://github.com/SpiNNakerManchester/SpiNNMachine/files/14848134/SpiNN2datasheet.pdf. "
        "What the program takes of it is not counted",
    ),
    "Xylo": Chip(
        "the chip",
        {"inputs": 16, "neurons": 1000, "outputs": 8, "fan_in": 63, "synapses": 64_000},
        "Xylo Audio 2 (SYNS61201): 16 inputs, 1,000 hidden and 8 output neurons are the limits of "
        "https://github.com/synsense/rockpool, devices/xylo/syns61201/xylo_mapper.py; fan-in 63 "
        "and 64,000 weights: https://rockpool.ai/devices/xylo-overview.html",
    ),
    "Speck": Chip(
        "a core for each layer",
        {"widest": 1024, "layers": 9},
        "9 cores, each a layer of at most 1,024 channels: "
        "https://github.com/synsense/sinabs/blob/main/docs/speck/overview.md. Its memory, which "
        "differs between cores, is not compared",
    ),
}
"""Chips by name. Limits of neurons are of hidden ones: except on Xylo the host reads outputs."""


def demand_of(program: Program) -> Demand:
    """Return the neurons, fan-in, fan-out, synapses and bytes that a program asks of a chip."""
    layers, head = program.neurons, program.head.weights != 0  # (O, N)
    inward = [x.weights != 0 for x in layers]  # (D, N)
    loops = [np.zeros((x.size,) * 2) if x.recurrent is None else x.recurrent != 0 for x in layers]
    into = [_most(w.sum(0) + r.sum(0)) for w, r in zip(inward, loops, strict=True)]
    onward = [*(w.sum(1) for w in inward[1:]), head.sum(0)]
    out = [_most(w + r.sum(1)) for w, r in zip(onward, loops, strict=True)]
    synapses = int(sum(x.sum() for x in (*inward, *loops, head)))
    states = sum(x.rest.size + x.each * x.constants.size for x in layers)
    neurons = sum(program.sizes)
    # A weight takes 8 bits, a bias or a state variable 16.
    return Demand(
        inputs=program.channels,
        outputs=program.outputs,
        neurons=neurons,
        layers=len(layers) + 1,
        widest=max(program.channels, program.outputs, *program.sizes),
        fan_in=max(*into, _most(head.sum(1))),
        fan_out=max(out),
        synapses=synapses,
        memory_bytes=synapses + _STATE_BYTES * (neurons + program.outputs + states),
    )


def _most(counts: NDArray[np.generic]) -> int:
    return int(counts.max())


def misfits(demand: Demand, chip: Chip) -> tuple[str, ...]:
    """Describe each limit of a chip that a network exceeds; empty if it fits."""
    return tuple(
        f"{name.replace('_', ' ')} {getattr(demand, name):,} of {most:,}"
        for name, most in chip.limits.items()
        if getattr(demand, name) > most
    )


def describe(program: Program, visits: Visits) -> Iterator[str]:
    """Yield the requirements of a spiking agent as lines of text."""
    demand, costs = demand_of(program), visits.costs
    mean = costs.hidden_spikes / program.time_steps
    yield (
        f"{demand.neurons:,} neurons, {demand.synapses:,} synapses, fan-in {demand.fan_in:,} and "
        f"fan-out {demand.fan_out:,} at most"
    )
    yield f"{demand.memory_bytes:,} bytes: weights of 8 bits, biases and states of 16"
    yield (
        f"spikes per time step: {visits.peak_spikes:,} at most, {mean:.2f} on average, "
        f"{mean / sum(program.sizes):.1%} of the neurons"
    )
    silent = sum(int((~fired).sum()) for fired in visits.fired)
    yield f"neurons that never fired, which --drop-silent leaves out: {silent:,}"
    for name, chip in CHIPS.items():
        missing = ", ".join(misfits(demand, chip))
        yield f"{name}, {chip.core}: {f'no room: {missing}' if missing else 'fits'}"
