"""Energy of a decision as a band, by published costs of an operation, and where spikes pay.

No energy is measured: operations are multiplied with what others found one to take, from a bare
adder to a chip with its memory, so that a band that is high says as much of the assumption as of
the network.
"""

from __future__ import annotations

from typing import Literal

Regime = Literal["inside", "between", "outside"]
"""Whether spiking is found to take less than an ANN: by all memories, by some, or by none."""

SYNOP_PJ = (0.9, 23.6)
"""Energy of a synaptic operation (pJ): an addition of 32-bit floats in 45 nm without memory
(Horowitz 2014, https://doi.org/10.1109/ISSCC.2014.6757323), and Loihi's in 14 nm with memory and
routing (Davies et al. 2018, https://doi.org/10.1109/MM.2018.112130359)."""
MAC_PJ = (0.23, 4.6)
"""Energy of a multiply-accumulate (pJ): of 8-bit integers and of 32-bit floats in 45 nm, without
memory (Horowitz 2014)."""
UPDATE_PJ = (52.0, 81.0)
"""Energy of an update of a spiking neuron in one time step (pJ): of an inactive and of an active
neuron of Loihi (Davies et al. 2018). SANA-FE's model of that chip has 51.2 pJ for the access to a
neuron and 21.6 more for its update (https://github.com/SLAM-Lab/SANA-FE, loihi.yaml), and
keras-spiking 81 (https://github.com/nengo/keras-spiking, model_energy.py). None of a bare update is
published, so that both ends are of a chip with its memory."""

COMPETITIVE_SPIKES = (0.15, 1.38)
"""Spikes per synapse and decision below which a spiking network takes less energy than an ANN, by
how its memory is built (Dampfhoffer et al. 2023, https://doi.org/10.1109/TETCI.2022.3214509, for
integrate-and-fire neurons; other neurons need fewer)."""
COMPETITIVE_RATE = 0.057
"""Spikes per neuron and time step below which one takes less than an ANN with activations of
as many levels (Yan et al., https://arxiv.org/abs/2409.08290v4, for 5 time steps)."""


def energy_nj(synops: float, macs: float, updates: float) -> tuple[float, float]:
    """Return the band of energy of a decision (nJ).

    It is ``synops * SYNOP_PJ + macs * MAC_PJ + updates * UPDATE_PJ``. A silent neuron is updated at
    every time step as any other one is; once it is removed from the network, as
    ``snn_gym.export.without_silent`` does, it costs nothing. A chip's power at rest is left out,
    and so are the activation functions of an ANN, whose units have no state.

    Args:
        synops: Synaptic operations of a decision, at least 0.
        macs: Multiply-accumulates of a decision, at least 0.
        updates: Updates of spiking neurons and of a readout's integrators in a decision, at least
            0; 0 for an ANN.
    """
    prices = zip(SYNOP_PJ, MAC_PJ, UPDATE_PJ, strict=True)
    low, high = (
        (synops * synop + macs * mac + updates * update) / 1000 for synop, mac, update in prices
    )
    return low, high


def regimes(spikes_per_synapse: float, rate: float) -> tuple[Regime, Regime]:
    """Say where a network stands by ``COMPETITIVE_SPIKES`` and by ``COMPETITIVE_RATE``.

    Args:
        spikes_per_synapse: Spikes that a synapse passes in a decision.
        rate: Spikes of a neuron in a time step, 0 to 1.

    Returns:
        ``inside``, ``between`` or ``outside``, and ``inside`` or ``outside``.
    """
    low, high = COMPETITIVE_SPIKES
    inner: Regime = "inside" if spikes_per_synapse < low else "between"
    first = inner if spikes_per_synapse < high else "outside"
    return first, "inside" if rate < COMPETITIVE_RATE else "outside"
