"""Eligibility traces of a layer's synapses, forward in time (numba, CPU, float32).

A trace is what a synapse's weight did to its neuron's own state: one number for each state variable
(potential; synaptic current; threshold), synapse and sample. For a synapse that brings the signal x
to an adaptive LIF, with the layer's constants as in ``forward_kernels`` and the surrogate's
derivative psi at the margin v' - h,

    d v' = (1 - gain) d v + gain d i,  d h = (1 - adapt_gain) d b,  e = psi (d v' - d h)
    d i <- (1 + current_gain) d i + x,  d v <- (1 - z) d v' + (v_reset - v') e,  d b <- d h + beta e

and e is what the weight did to the spike, if recurrent spikes are taken as given (Bellec et al.
2020, https://doi.org/10.1038/s41467-020-17236-y, the local derivative of equation 1; their
eligibility vectors leave out the reset).

Numba caches machine code by the file it was written in, so kernels call none of another file.
"""

from __future__ import annotations

import numpy as np

from snn_gym.compilation import njit
from snn_gym.spiking.neurons.forward_kernels import (
    ADAPT_GAIN,
    ALIF,
    BETA,
    CURRENT_GAIN,
    GAIN,
    IAF,
    LIF,
    RESET,
    Array,
)


@njit(cache=True, error_model="numpy")
def _integrate(kind: int, constants: Array, source: Array, trace: Array, moved: Array) -> None:
    """Advance traces (S, C) but for spike, reset and jump; ``moved`` (C,) gets d v' - d h."""
    gain, keep, current_keep = constants[GAIN], 1 - constants[GAIN], 1 + constants[CURRENT_GAIN]
    adapt_keep = 1 - constants[ADAPT_GAIN]
    v = trace[0]
    if kind == ALIF:
        i, b = trace[1], trace[2]
        for c in range(source.size):
            v[c] = keep * v[c] + gain * i[c]
            i[c] = current_keep * i[c] + source[c]
            b[c] = adapt_keep * b[c]
            moved[c] = v[c] - b[c]
    elif kind == LIF:
        i = trace[1]
        for c in range(source.size):
            jumped = i[c] + source[c]
            v[c] = keep * v[c] + gain * jumped
            i[c] = current_keep * jumped
            moved[c] = v[c]
    else:
        keep = keep + gain if kind == IAF else keep  # an IAF's gain is one, and it keeps all
        for c in range(source.size):
            v[c] = keep * v[c] + gain * source[c]
            moved[c] = v[c]


@njit(cache=True, error_model="numpy")
def follow(
    kind: int, constants: Array, coefficients: Array, sources: Array, derivatives: Array,
    voltages: Array, spikes: Array, traces: Array, gathered: Array,
) -> None:  # fmt: skip
    """Follow the traces of a layer through the T time steps of a decision.

    Args:
        kind: Kind of the neurons.
        constants: Of the neurons.
        coefficients: (Q, T), the weights with which a decoder sums spikes.
        sources: (T, B, C), what the C synapses onto every neuron bring: 1 for a bias, the spikes of
            the time step before for recurrent ones.
        derivatives: (T, B, N), the surrogate's derivative.
        voltages: (T, B, N), potentials before the reset.
        spikes: (T, B, N).
        traces: (B, N, S, C), updated in place.
        gathered: (Q, B, N, C), written with the coefficients times the spikes' traces.
    """
    steps, batch, channels = sources.shape
    moved = np.empty(channels, dtype=np.float32)
    gathered[:] = np.float32(0.0)
    for b in range(batch):
        for n in range(voltages.shape[2]):
            trace = traces[b, n]
            for t in range(steps):
                _integrate(kind, constants, sources[t, b], trace, moved)
                psi, kept = derivatives[t, b, n], 1 - spikes[t, b, n]
                through_reset = (constants[RESET] - voltages[t, b, n]) * psi
                v = trace[0]
                for c in range(channels):
                    v[c] = kept * v[c] + through_reset * moved[c]
                if kind == ALIF:
                    jump, threshold = constants[BETA] * psi, trace[2]
                    for c in range(channels):
                        threshold[c] += jump * moved[c]
                for q in range(len(coefficients)):
                    share, total = coefficients[q, t] * psi, gathered[q, b, n]
                    for c in range(channels):
                        total[c] += share * moved[c]


@njit(cache=True, error_model="numpy")
def add_products(signal: Array, traces: Array, gradient: Array) -> None:
    """Add learning signals (B, N) times traces (B, N, C), summed over samples, to (N, C)."""
    for b in range(signal.shape[0]):
        for n in range(signal.shape[1]):
            strength, row, total = signal[b, n], traces[b, n], gradient[n]
            for c in range(row.size):
                total[c] += strength * row[c]
