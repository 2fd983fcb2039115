"""Fused T-step kernels of the adaptive LIF (Norse's LSNN), forward and backward.

Arrays and conventions are those of ``snn_gym.spiking.kernels``. The threshold ``b`` of every
element adapts; what a forward run compared the potentials with can be found again from the spikes
and the initial ``b`` alone (``thresholds``), so it is not stored on the way.

Reference: Norse 1.1.0, ``lsnn_feed_forward_step``, https://github.com/norse/norse.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from snn_gym.spiking.kernels import Array, surrogate_derivative


@njit(cache=True, error_model="numpy")
def alif_forward(
    currents: Array,
    v: Array,
    i: Array,
    b: Array,
    constants: Array,
    voltages: Array,
    spikes: Array,
) -> None:
    """Run the adaptive LIF for all time steps.

    ``constants`` are gain, current gain ``-dt / tau_syn``, adaptation gain, leak, threshold at
    rest, reset and beta.
    """
    zero, one = np.float32(0.0), np.float32(1.0)
    gain, current_gain, adapt_gain = constants[0], constants[1], constants[2]
    v_leak, v_threshold, v_reset, beta = constants[3], constants[4], constants[5], constants[6]
    moving = 1 if currents.shape[0] > 1 else 0
    for t in range(voltages.shape[0]):
        s = t * moving
        for m in range(v.size):
            decayed = v[m] + gain * ((v_leak - v[m]) + i[m])
            threshold = b[m] + adapt_gain * (v_threshold - b[m])
            z = np.float32(decayed - threshold > zero)
            voltages[t, m] = decayed
            spikes[t, m] = z
            i[m] = (i[m] + current_gain * i[m]) + currents[s, m]
            v[m] = (one - z) * decayed + z * v_reset
            b[m] = threshold + z * beta


@njit(cache=True, error_model="numpy")
def alif_thresholds(voltages: Array, b: Array, constants: Array, thresholds: Array) -> None:
    """Fill ``thresholds`` (T, M) with what ``voltages`` were compared with, from the initial b."""
    zero = np.float32(0.0)
    adapt_gain, v_threshold, beta = constants[2], constants[4], constants[6]
    b = b.copy()
    for t in range(voltages.shape[0]):
        for m in range(b.size):
            threshold = b[m] + adapt_gain * (v_threshold - b[m])
            z = np.float32(voltages[t, m] - threshold > zero)
            thresholds[t, m] = threshold
            b[m] = threshold + z * beta


@njit(cache=True, error_model="numpy")
def _before_jump(
    voltage: Array,
    threshold: Array,
    grad_spike: Array,
    grad_v: Array,
    grad_b: Array,
    constants: Array,
    derivative: Array,
) -> None:
    """Turn gradients after reset and jump into those at the potential and threshold before.

    ``derivative`` holds the surrogate's and the gradient flows through reset and jump, as in
    Norse's feed-forward step.
    """
    zero, one = np.float32(0.0), np.float32(1.0)
    v_reset, beta = constants[5], constants[6]
    for m in range(voltage.size):
        z = np.float32(voltage[m] - threshold[m] > zero)
        through = grad_spike[m] + grad_v[m] * (v_reset - voltage[m]) + grad_b[m] * beta
        distance = through * derivative[m]
        grad_v[m] = (one - z) * grad_v[m] + distance
        grad_b[m] = grad_b[m] - distance


@njit(cache=True, error_model="numpy")
def alif_backward(
    voltages: Array,
    thresholds: Array,
    grad_spikes: Array,
    grad_voltages: Array,
    grad_state: tuple[Array, Array, Array],
    constants: Array,
    code: int,
    slope: np.float32,
    grad_currents: Array,
) -> None:
    """Back-propagate through :func:`alif_forward`; ``grad_state`` is that of v, i and b."""
    zero, one = np.float32(0.0), np.float32(1.0)
    steps, size = voltages.shape
    moving = grad_currents.shape[0] > 1
    gain, current_keep = constants[0], one + constants[1]
    keep, adapt_keep = one - gain, one - constants[2]
    grad_v, grad_i, grad_b = grad_state
    distance, derivative = np.empty(size, dtype=np.float32), np.empty(size, dtype=np.float32)
    for t in range(steps - 1, -1, -1):
        for m in range(size):
            distance[m] = voltages[t, m] - thresholds[t, m]
        surrogate_derivative(code, slope, zero, distance, derivative)
        _before_jump(
            voltages[t], thresholds[t], grad_spikes[t], grad_v, grad_b, constants, derivative
        )
        if grad_voltages.shape[0]:
            for m in range(size):
                grad_v[m] += grad_voltages[t, m]
        if moving:
            for m in range(size):
                grad_currents[t, m] = grad_i[m]
        else:
            for m in range(size):
                grad_currents[0, m] += grad_i[m]
        for m in range(size):
            grad_i[m] = current_keep * grad_i[m] + gain * grad_v[m]
            grad_v[m] = keep * grad_v[m]
            grad_b[m] = adapt_keep * grad_b[m]
