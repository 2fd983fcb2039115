"""Eligibility traces of a layer's synapses, forward in time (numba, CPU, float32).

A trace is what a synapse's weight did to its neuron's own state: one number for each state
variable, synapse and sample. How it moves follows from the neuron's text
(``snn_gym.program.neuron.trace``); what the weight did to the spike is the trace of the margin
times the surrogate's derivative there, if recurrent spikes are taken as given (Bellec et al. 2020,
https://doi.org/10.1038/s41467-020-17236-y, the local derivative of equation 1; their eligibility
vectors leave out the reset).
"""

from __future__ import annotations

import numpy as np

from snn_gym.compilation import njit
from snn_gym.program.calls import call
from snn_gym.spiking.neurons.forward_kernels import Array


@njit(cache=True, error_model="numpy")
def follow(
    kernel: int, constants: Array, slope: np.float32, coefficients: Array, sources: Array,
    kept: Array, traces: Array, gathered: Array,
) -> None:  # fmt: skip
    """Follow the traces of a layer through the T time steps of a decision.

    Args:
        kernel: Address of the neuron's ``trace_kernel``.
        constants: (P, 1) of the neurons.
        slope: Slope of the surrogate gradient.
        coefficients: (Q, T), the weights with which a decoder sums spikes.
        sources: (T, B, C), what the C synapses onto every neuron bring: 1 for a bias, the spikes of
            the time step before for recurrent ones.
        kept: (B, N, K, T), what the kernel reads of a time step.
        traces: (B, N, S, C), updated in place.
        gathered: (Q, B, N, C), written with the coefficients times the spikes' traces.
    """
    steps, batch, channels = sources.shape
    margins = np.empty((steps, channels), dtype=np.float32)
    derivatives = np.empty(steps, dtype=np.float32)
    gathered[:] = np.float32(0.0)
    for b in range(batch):
        for n in range(kept.shape[1]):
            call(
                kernel, constants, slope, (sources, b * channels), batch * channels, kept[b, n],
                steps, traces[b, n], margins, derivatives, steps, channels, 1, channels,
            )  # fmt: skip
            for q in range(len(coefficients)):
                total = gathered[q, b, n]
                for t in range(steps):
                    share = coefficients[q, t] * derivatives[t]
                    for c in range(channels):
                        total[c] += share * margins[t, c]


@njit(cache=True, error_model="numpy")
def add_products(signal: Array, traces: Array, gradient: Array) -> None:
    """Add learning signals (B, N) times traces (B, N, C), summed over samples, to (N, C)."""
    for b in range(signal.shape[0]):
        for n in range(signal.shape[1]):
            strength, row, total = signal[b, n], traces[b, n], gradient[n]
            for c in range(row.size):
                total[c] += strength * row[c]
