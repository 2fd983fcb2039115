"""Fused T-step neuron kernels (numba, CPU, float32), forward and backward.

Each kernel runs all ``T`` time steps of one layer in a single compiled call. A layer of ``N``
neurons on a batch of ``B`` is seen as ``M = B * N`` independent elements; arrays are ``(T, M)``,
contiguous, float32. The arithmetic of the forward kernels repeats Norse's step functions operation
by operation (no fused multiply-add, no reassociation), so for equal input currents spikes and
voltages are equal to Norse's bit for bit. It is written without branches, which is also what lets
the compiler turn the inner loops into vector instructions.

A forward kernel writes ``voltages`` (the membrane potential that is compared with the threshold,
before the reset) and ``spikes``, and updates the state arrays in place. A backward kernel walks
the steps in reverse from the saved ``voltages`` alone, because ``spike = v - v_threshold > 0``.
``currents`` of shape ``(1, M)`` mean the same input at every time step; its gradient is summed.

Reference: Norse 1.1.0, ``norse.torch.functional`` (``lif_box``, ``lif``, ``iaf``),
https://github.com/norse/norse.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float32]

SURROGATE_CODES = {"superspike": 0, "arctan": 1, "triangle": 2, "sigmoid": 3}

_MINUS_64TH = np.float32(-1.0 / 64.0)
# Reciprocal factorials 1/2! to 1/7!
_F2, _F3, _F4, _F5, _F6, _F7 = (np.float32(1.0 / n) for n in (2, 6, 24, 120, 720, 5040))


@njit(cache=True, error_model="numpy")
def lif_box_forward(
    currents: Array,
    v: Array,
    gain: np.float32,
    v_leak: np.float32,
    v_threshold: np.float32,
    v_reset: np.float32,
    voltages: Array,
    spikes: Array,
) -> None:
    """Run ``dv = gain * ((x + v_leak) - v)``, threshold and hard reset for all time steps."""
    zero, one = np.float32(0.0), np.float32(1.0)
    moving = 1 if currents.shape[0] > 1 else 0
    for t in range(voltages.shape[0]):
        s = t * moving
        for m in range(v.size):
            decayed = v[m] + gain * ((currents[s, m] + v_leak) - v[m])
            z = np.float32(decayed - v_threshold > zero)
            voltages[t, m] = decayed
            spikes[t, m] = z
            v[m] = (one - z) * decayed + z * v_reset


@njit(cache=True, error_model="numpy")
def iaf_forward(
    currents: Array,
    v: Array,
    v_threshold: np.float32,
    v_reset: np.float32,
    voltages: Array,
    spikes: Array,
) -> None:
    """Run ``v = v + x``, threshold and hard reset for all time steps."""
    zero, one = np.float32(0.0), np.float32(1.0)
    moving = 1 if currents.shape[0] > 1 else 0
    for t in range(voltages.shape[0]):
        s = t * moving
        for m in range(v.size):
            summed = v[m] + currents[s, m]
            z = np.float32(summed - v_threshold > zero)
            voltages[t, m] = summed
            spikes[t, m] = z
            v[m] = (one - z) * summed + z * v_reset


@njit(cache=True, error_model="numpy")
def lif_forward(
    currents: Array,
    v: Array,
    i: Array,
    gain: np.float32,
    current_gain: np.float32,
    v_leak: np.float32,
    v_threshold: np.float32,
    v_reset: np.float32,
    voltages: Array,
    spikes: Array,
) -> None:
    """Run the current-based LIF for all time steps; ``current_gain = -dt / tau_syn``."""
    zero, one = np.float32(0.0), np.float32(1.0)
    moving = 1 if currents.shape[0] > 1 else 0
    for t in range(voltages.shape[0]):
        s = t * moving
        for m in range(v.size):
            jumped = i[m] + currents[s, m]
            decayed = v[m] + gain * ((v_leak - v[m]) + jumped)
            i[m] = jumped + current_gain * jumped
            z = np.float32(decayed - v_threshold > zero)
            voltages[t, m] = decayed
            spikes[t, m] = z
            v[m] = (one - z) * decayed + z * v_reset


@njit(cache=True, error_model="numpy")
def surrogate_derivative(
    code: int, slope: np.float32, v_threshold: np.float32, voltage: Array, derivative: Array
) -> None:
    """Fill ``derivative`` ``(M,)`` with the surrogate's at ``voltage - v_threshold``."""
    zero, one = np.float32(0.0), np.float32(1.0)
    if code == 0:
        for m in range(voltage.size):
            root = slope * abs(voltage[m] - v_threshold) + one
            derivative[m] = one / (root * root)
    elif code == 1:
        half, scale = np.float32(0.5) * slope, np.float32(np.pi / 2.0) * slope
        for m in range(voltage.size):
            scaled = scale * (voltage[m] - v_threshold)
            derivative[m] = half / (one + scaled * scaled)
    elif code == 2:
        for m in range(voltage.size):
            derivative[m] = slope * max(zero, one - abs(voltage[m] - v_threshold))
    else:
        # slope * e / (1 + e)^2 with e = exp(-slope |x|); the exponential as a Taylor polynomial
        # of 1/64 of the argument, squared six times, because a call would not vectorise.
        for m in range(voltage.size):
            r = min(slope * abs(voltage[m] - v_threshold), np.float32(40.0)) * _MINUS_64TH
            tail = _F7 * r + _F6
            e = one + r * (one + r * (_F2 + r * (_F3 + r * (_F4 + r * (_F5 + r * tail)))))
            e = e * e
            e = e * e
            e = e * e
            e = e * e
            e = e * e
            e = e * e
            derivative[m] = slope * e / ((one + e) * (one + e))


@njit(cache=True, error_model="numpy")
def _before_reset(
    voltage: Array,
    grad_spike: Array,
    grad_voltage: Array,
    grad_v: Array,
    derivative: Array,
    v_threshold: np.float32,
    v_reset: np.float32,
) -> None:
    """Turn ``grad_v`` (after the reset) into the gradient at the voltage before the reset.

    The reset ``v' = (1 - z) v + z v_reset`` lets the gradient through ``z``, as Norse's does.
    ``grad_voltage`` of size 0 means that nobody differentiates the recorded voltages.
    """
    zero, one = np.float32(0.0), np.float32(1.0)
    for m in range(voltage.size):
        z = np.float32(voltage[m] - v_threshold > zero)
        through_spike = grad_spike[m] + grad_v[m] * (v_reset - voltage[m])
        grad_v[m] = (one - z) * grad_v[m] + through_spike * derivative[m]
    if grad_voltage.size:
        for m in range(voltage.size):
            grad_v[m] += grad_voltage[m]


@njit(cache=True, error_model="numpy")
def box_backward(
    voltages: Array,
    grad_spikes: Array,
    grad_voltages: Array,
    grad_v: Array,
    gain: np.float32,
    keep: np.float32,
    v_threshold: np.float32,
    v_reset: np.float32,
    code: int,
    slope: np.float32,
    grad_currents: Array,
) -> None:
    """Back-propagate through LIFBox (``keep = 1 - gain``) or IAF (``gain = keep = 1``).

    ``grad_v`` holds the gradient of the final state on entry and of the initial state on return.
    ``grad_currents`` of shape ``(1, M)``, a sum over time steps, must be zero on entry.
    """
    steps, size = voltages.shape
    moving = grad_currents.shape[0] > 1
    watched = 1 if grad_voltages.shape[0] else 0
    derivative = np.empty(size, dtype=np.float32)
    nothing = np.empty(0, dtype=np.float32)
    for t in range(steps - 1, -1, -1):
        surrogate_derivative(code, slope, v_threshold, voltages[t], derivative)
        grad_voltage = grad_voltages[t] if watched else nothing
        _before_reset(
            voltages[t], grad_spikes[t], grad_voltage, grad_v, derivative, v_threshold, v_reset
        )
        if moving:
            for m in range(size):
                grad_currents[t, m] = gain * grad_v[m]
        else:
            for m in range(size):
                grad_currents[0, m] += gain * grad_v[m]
        for m in range(size):
            grad_v[m] = keep * grad_v[m]


@njit(cache=True, error_model="numpy")
def lif_backward(
    voltages: Array,
    grad_spikes: Array,
    grad_voltages: Array,
    grad_v: Array,
    grad_i: Array,
    gain: np.float32,
    current_gain: np.float32,
    v_threshold: np.float32,
    v_reset: np.float32,
    code: int,
    slope: np.float32,
    grad_currents: Array,
) -> None:
    """Back-propagate through :func:`lif_forward`; the gradients as in the box kernel."""
    steps, size = voltages.shape
    moving = grad_currents.shape[0] > 1
    watched = 1 if grad_voltages.shape[0] else 0
    keep, current_keep = np.float32(1.0) - gain, np.float32(1.0) + current_gain
    derivative = np.empty(size, dtype=np.float32)
    nothing = np.empty(0, dtype=np.float32)
    for t in range(steps - 1, -1, -1):
        surrogate_derivative(code, slope, v_threshold, voltages[t], derivative)
        grad_voltage = grad_voltages[t] if watched else nothing
        _before_reset(
            voltages[t], grad_spikes[t], grad_voltage, grad_v, derivative, v_threshold, v_reset
        )
        for m in range(size):
            grad_i[m] = gain * grad_v[m] + current_keep * grad_i[m]
            grad_v[m] = keep * grad_v[m]
        if moving:
            for m in range(size):
                grad_currents[t, m] = grad_i[m]
        else:
            for m in range(size):
                grad_currents[0, m] += grad_i[m]
