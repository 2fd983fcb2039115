"""The network of desynchronisation: leaky integrate-and-fire neurons in batches, by numba.

Voltages are in thresholds above rest, currents in thresholds per membrane resistance. Synapses are
all to all, so that a population's filtered spikes are one number. No fused multiply-adds and no
reordered sums: a network of a batch equals the same network alone, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.compilation import njit

NEURONS = 40
EXCITATORY = 32
"""Neurons, and how many of them, the first ones, are excitatory; the others are inhibitory."""

MEMBRANE_MS = 20.0
EXCITATION_MS = 5.4
INHIBITION_MS = 9.75
REFRACTORY_MS = 2
"""Time constants of membranes and synapses, and the dead time after a spike (ms)."""
EXCITATORY_DRIVE = 1.79
INHIBITORY_DRIVE = 0.68
"""Mean currents from outside; only the excitatory neurons would fire by theirs alone."""
TO_INHIBITORY = 4.8
FROM_INHIBITORY = 2.17
"""Weights from excitatory to inhibitory neurons and back, at coupling 1."""
STIMULATION = 1.0
"""Current of a full stimulation into each excitatory neuron."""

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_MIDDLE_BYTE = np.float32(127.5)


@dataclass
class Network:
    """State of B networks, first axis the environment."""

    voltage: NDArray[np.float32]
    """(B, 40), thresholds."""
    waiting: NDArray[np.int8]
    """(B, 40), time steps until a neuron can charge again."""
    excitation: NDArray[np.float32]
    """(B,), filtered spikes of the excitatory neurons."""
    inhibition: NDArray[np.float32]
    """(B,), likewise of the inhibitory neurons."""
    drive: NDArray[np.float32]
    """(B, 40), current from outside."""

    @classmethod
    def silent(cls, num_envs: int) -> Network:
        """Return networks at rest without drive."""
        shape = (num_envs, NEURONS)
        return cls(
            voltage=np.zeros(shape, np.float32),
            waiting=np.zeros(shape, np.int8),
            excitation=np.zeros(num_envs, np.float32),
            inhibition=np.zeros(num_envs, np.float32),
            drive=np.zeros(shape, np.float32),
        )

    def start(
        self,
        rows: NDArray[np.int64],
        voltage: NDArray[np.float64],
        drive_factor: NDArray[np.float64],
    ) -> None:
        """Set some networks to given voltages (n, 40) and drives, without synaptic currents."""
        self.voltage[rows] = voltage
        self.waiting[rows] = 0
        self.excitation[rows] = 0.0
        self.inhibition[rows] = 0.0
        drive = np.full(NEURONS, INHIBITORY_DRIVE)
        drive[:EXCITATORY] = EXCITATORY_DRIVE
        self.drive[rows] = drive * drive_factor

    def copy(self) -> Network:
        """Return networks in the same state that share nothing with these."""
        return Network(
            self.voltage.copy(),
            self.waiting.copy(),
            self.excitation.copy(),
            self.inhibition.copy(),
            self.drive.copy(),
        )


def run_network(
    network: Network,
    rows: NDArray[np.int64],
    amplitude: NDArray[np.float64],
    noise: NDArray[np.uint8],
    noise_size: float,
    coupling: float,
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Run some networks, which changes their state.

    Args:
        network: All networks.
        rows: Indices (n,) of those to run.
        amplitude: Stimulation (n,) throughout, in [-1, 1].
        noise: (n, T * 40) bytes, uint8; time steps outside, neurons inside.
        noise_size: Kick to a voltage that the byte 255 stands for; 0 stands for the opposite one.
        coupling: Factor of all weights.

    Returns:
        Spikes (n, T * 40), bool, and the number (n,) of the excitatory neurons' spikes, int64.
    """
    spikes = np.empty(noise.shape, np.bool_)
    counts = np.empty(len(rows), np.int64)
    excitation_decay, inhibition_decay = (
        np.exp(-1.0 / ms) for ms in (EXCITATION_MS, INHIBITION_MS)
    )
    constants = np.array(
        [
            1.0 / MEMBRANE_MS,
            noise_size / 127.5,
            coupling * TO_INHIBITORY,
            coupling * FROM_INHIBITORY,
            excitation_decay,
            inhibition_decay,
            # A spike of one of n neurons moves their filtered sum by ms / n in total.
            (1.0 - excitation_decay) * EXCITATION_MS / EXCITATORY,
            (1.0 - inhibition_decay) * INHIBITION_MS / (NEURONS - EXCITATORY),
        ],
        np.float32,
    )
    _run(
        (
            network.voltage,
            network.waiting,
            network.excitation,
            network.inhibition,
            network.drive,
        ),
        rows,
        (STIMULATION * amplitude).astype(np.float32),
        np.ascontiguousarray(noise),
        constants,
        spikes,
        counts,
    )
    return spikes, counts


@njit(cache=True, error_model="numpy")
def _run(
    state: Any,
    rows: Any,
    current: Any,
    noise: Any,
    constants: Any,
    spikes: Any,
    counts: Any,
) -> None:
    """Run networks ``rows``; ``state`` holds the arrays of a ``Network`` in their order."""
    voltage, waiting, excitation, inhibition, drive = state
    leak, kick = constants[0], constants[1]
    for n in range(rows.size):
        b = rows[n]
        v, wait, force, kicks, fired = voltage[b], waiting[b], drive[b], noise[n], spikes[n]
        total = 0
        for t in range(noise.shape[1] // NEURONS):
            start = t * NEURONS
            to_excitatory = current[n] - constants[3] * inhibition[b]
            to_inhibitory = constants[2] * excitation[b]
            for i in range(NEURONS):
                shared = to_excitatory if i < EXCITATORY else to_inhibitory
                noisy = kick * (np.float32(kicks[start + i]) - _MIDDLE_BYTE)
                charged = v[i] + leak * (force[i] + shared - v[i]) + noisy
                level = charged if wait[i] == 0 else v[i]
                fires = level >= _ONE
                v[i] = _ZERO if fires else level
                wait[i] = REFRACTORY_MS if fires else max(wait[i] - 1, 0)
                fired[start + i] = fires
            volley, answer = 0, 0
            for i in range(EXCITATORY):
                volley += fired[start + i]
            for i in range(EXCITATORY, NEURONS):
                answer += fired[start + i]
            excitation[b] = constants[4] * excitation[b] + constants[6] * np.float32(volley)
            inhibition[b] = constants[5] * inhibition[b] + constants[7] * np.float32(answer)
            total += volley
        counts[n] = total
