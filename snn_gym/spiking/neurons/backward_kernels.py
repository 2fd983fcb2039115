"""Fused T-step neuron kernels, backward (numba, CPU, float32).

Arrays are those of ``snn_gym.spiking.neurons.forward_kernels``. A kernel walks the steps in
reverse from the saved ``voltages``: with the initial state they tell every spike and every
threshold.
``grad_state`` holds the gradient of the final state on entry and of the initial state on return;
``grad_voltages`` without rows means that nobody differentiates the recorded voltages.
``grad_currents`` of shape ``(1, M)``, a sum over time steps, must be zero on entry.

The reset ``v' = (1 - z) v + z v_reset`` and the jump of an adaptive threshold let the gradient
through ``z``, as Norse's feed-forward steps do. (Of its recurrent ones, those of the LIF and the
LSNN do not, that of the IAF does.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
    THRESHOLD,
    VARIABLES,
    Array,
)

SURROGATE_CODES = {"superspike": 0, "arctan": 1, "triangle": 2, "sigmoid": 3}

_MINUS_64TH = np.float32(-1.0 / 64.0)
# Reciprocal factorials 1/2! to 1/7!
_F2, _F3, _F4, _F5, _F6, _F7 = (np.float32(1.0 / n) for n in (2, 6, 24, 120, 720, 5040))


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
    voltage: Array, grad_spike: Array, grad_v: Array, derivative: Array, v_threshold: np.float32,
    v_reset: np.float32,
) -> None:  # fmt: skip
    """Turn ``grad_v`` (after the reset) into the gradient at the voltage before the reset."""
    zero, one = np.float32(0.0), np.float32(1.0)
    for m in range(voltage.size):
        z = np.float32(voltage[m] - v_threshold > zero)
        through_spike = grad_spike[m] + grad_v[m] * (v_reset - voltage[m])
        grad_v[m] = (one - z) * grad_v[m] + through_spike * derivative[m]


@njit(cache=True, error_model="numpy")
def _before_jump(
    voltage: Array, threshold: Array, grad_spike: Array, grad_v: Array, grad_b: Array,
    derivative: Array, v_reset: np.float32, beta: np.float32,
) -> None:  # fmt: skip
    """Turn gradients after reset and jump into those at the potential and threshold before."""
    zero, one = np.float32(0.0), np.float32(1.0)
    for m in range(voltage.size):
        z = np.float32(voltage[m] - threshold[m] > zero)
        through_spike = grad_spike[m] + grad_v[m] * (v_reset - voltage[m]) + grad_b[m] * beta
        through_margin = through_spike * derivative[m]
        grad_v[m] = (one - z) * grad_v[m] + through_margin
        grad_b[m] = grad_b[m] - through_margin


@njit(cache=True, error_model="numpy")
def _add_recorded(grad_voltages: Array, t: int, grad_v: Array) -> None:
    """Add the gradient of the recorded voltages, where there is one."""
    if grad_voltages.shape[0]:
        for m in range(grad_v.size):
            grad_v[m] += grad_voltages[t, m]


@njit(cache=True, error_model="numpy")
def _keep_input_gradient(gain: np.float32, grad_input: Array, t: int, grad_currents: Array) -> None:
    """Write the gradient of time step t's input, or add it to that of a constant input."""
    if grad_currents.shape[0] > 1:
        for m in range(grad_input.size):
            grad_currents[t, m] = gain * grad_input[m]
    else:
        for m in range(grad_input.size):
            grad_currents[0, m] += gain * grad_input[m]


@njit(cache=True, error_model="numpy")
def _box_backward(
    constants: Array, keep: np.float32, surrogate: tuple[int, np.float32], voltages: Array,
    grad_spikes: Array, grad_voltages: Array, grad_v: Array, grad_currents: Array,
) -> None:  # fmt: skip
    """Back-propagate through LIFBox (``keep = 1 - gain``) or IAF (``gain = keep = 1``)."""
    gain, v_threshold, v_reset = constants[GAIN], constants[THRESHOLD], constants[RESET]
    derivative = np.empty(grad_v.size, dtype=np.float32)
    for t in range(voltages.shape[0] - 1, -1, -1):
        surrogate_derivative(surrogate[0], surrogate[1], v_threshold, voltages[t], derivative)
        _before_reset(voltages[t], grad_spikes[t], grad_v, derivative, v_threshold, v_reset)
        _add_recorded(grad_voltages, t, grad_v)
        _keep_input_gradient(gain, grad_v, t, grad_currents)
        for m in range(grad_v.size):
            grad_v[m] = keep * grad_v[m]


@njit(cache=True, error_model="numpy")
def _lif_backward(
    constants: Array, surrogate: tuple[int, np.float32], voltages: Array, grad_spikes: Array,
    grad_voltages: Array, grad_v: Array, grad_i: Array, grad_currents: Array,
) -> None:  # fmt: skip
    """Back-propagate through the current-based LIF."""
    one = np.float32(1.0)
    gain, v_threshold, v_reset = constants[GAIN], constants[THRESHOLD], constants[RESET]
    keep, current_keep = one - gain, one + constants[CURRENT_GAIN]
    derivative = np.empty(grad_v.size, dtype=np.float32)
    for t in range(voltages.shape[0] - 1, -1, -1):
        surrogate_derivative(surrogate[0], surrogate[1], v_threshold, voltages[t], derivative)
        _before_reset(voltages[t], grad_spikes[t], grad_v, derivative, v_threshold, v_reset)
        _add_recorded(grad_voltages, t, grad_v)
        for m in range(grad_v.size):
            grad_i[m] = gain * grad_v[m] + current_keep * grad_i[m]
            grad_v[m] = keep * grad_v[m]
        _keep_input_gradient(one, grad_i, t, grad_currents)


@njit(cache=True, error_model="numpy")
def alif_thresholds(constants: Array, voltages: Array, b: Array, thresholds: Array) -> None:
    """Fill ``thresholds`` (T, M) with what ``voltages`` were compared with, from the initial b."""
    zero = np.float32(0.0)
    v_threshold, adapt_gain, beta = constants[THRESHOLD], constants[ADAPT_GAIN], constants[BETA]
    b = b.copy()
    for t in range(voltages.shape[0]):
        for m in range(b.size):
            threshold = b[m] + adapt_gain * (v_threshold - b[m])
            z = np.float32(voltages[t, m] - threshold > zero)
            thresholds[t, m] = threshold
            b[m] = threshold + z * beta


@njit(cache=True, error_model="numpy")
def _alif_backward(
    constants: Array, surrogate: tuple[int, np.float32], voltages: Array, thresholds: Array,
    grad_spikes: Array, grad_voltages: Array, grad_state: Array, grad_currents: Array,
) -> None:  # fmt: skip
    """Back-propagate through the adaptive LIF."""
    zero, one = np.float32(0.0), np.float32(1.0)
    gain, v_reset, beta = constants[GAIN], constants[RESET], constants[BETA]
    keep, current_keep = one - gain, one + constants[CURRENT_GAIN]
    adapt_keep = one - constants[ADAPT_GAIN]
    grad_v, grad_i, grad_b = grad_state[0], grad_state[1], grad_state[2]
    margin, derivative = np.empty_like(grad_v), np.empty_like(grad_v)
    for t in range(voltages.shape[0] - 1, -1, -1):
        for m in range(margin.size):
            margin[m] = voltages[t, m] - thresholds[t, m]
        surrogate_derivative(surrogate[0], surrogate[1], zero, margin, derivative)
        _before_jump(
            voltages[t], thresholds[t], grad_spikes[t], grad_v, grad_b, derivative, v_reset, beta
        )
        _add_recorded(grad_voltages, t, grad_v)
        # The potential moved before the input jumped the current.
        _keep_input_gradient(one, grad_i, t, grad_currents)
        for m in range(margin.size):
            grad_i[m] = current_keep * grad_i[m] + gain * grad_v[m]
            grad_v[m] = keep * grad_v[m]
            grad_b[m] = adapt_keep * grad_b[m]


@njit(cache=True, error_model="numpy")
def _backward(
    kind: int, constants: Array, surrogate: tuple[int, np.float32], voltages: Array,
    thresholds: Array, grad_spikes: Array, grad_voltages: Array, grad_state: Array,
    grad_currents: Array,
) -> None:  # fmt: skip
    if kind == ALIF:
        _alif_backward(
            constants, surrogate, voltages, thresholds, grad_spikes, grad_voltages, grad_state,
            grad_currents,
        )  # fmt: skip
    elif kind == LIF:
        _lif_backward(
            constants, surrogate, voltages, grad_spikes, grad_voltages, grad_state[0],
            grad_state[1], grad_currents,
        )  # fmt: skip
    else:
        one = np.float32(1.0)
        _box_backward(
            constants, one if kind == IAF else one - constants[GAIN], surrogate, voltages,
            grad_spikes, grad_voltages, grad_state[0], grad_currents,
        )  # fmt: skip


@njit(cache=True, error_model="numpy")
def _thresholds(kind: int, constants: Array, voltages: Array, state: Array) -> Array:
    """Return the thresholds (T, M) of neurons that adapt, else none."""
    steps, elements = voltages.shape
    thresholds = np.empty((steps if kind == ALIF else 0, elements), dtype=np.float32)
    if kind == ALIF:
        alif_thresholds(constants, voltages, state[2], thresholds)
    return thresholds


@njit(cache=True, error_model="numpy")
def backward(
    kind: int, constants: Array, surrogate: tuple[int, np.float32], voltages: Array, state: Array,
    grad_spikes: Array, grad_voltages: Array, grad_state: Array, grad_currents: Array,
) -> None:  # fmt: skip
    """Back-propagate through ``forward``; ``surrogate`` is code and slope, ``state`` the first."""
    thresholds = _thresholds(kind, constants, voltages, state)
    _backward(
        kind, constants, surrogate, voltages, thresholds, grad_spikes, grad_voltages, grad_state,
        grad_currents,
    )  # fmt: skip


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _add_product(left: Array, weight: Array, total: Array) -> None:
    """Add ``left @ weight`` to ``total``, both (B, N): two rows and four weights at a time."""
    batch, size = left.shape
    spare = np.zeros(size, dtype=np.float32)
    for b in range(0, batch, 2):
        paired = b + 1 < batch
        a, row = left[b], total[b]
        c, other = (left[b + 1], total[b + 1]) if paired else (left[b], spare)
        k = 0
        while k + 4 <= size:
            w0, w1, w2, w3 = weight[k], weight[k + 1], weight[k + 2], weight[k + 3]
            a0, a1, a2, a3 = a[k], a[k + 1], a[k + 2], a[k + 3]
            c0, c1, c2, c3 = c[k], c[k + 1], c[k + 2], c[k + 3]
            for n in range(size):
                row[n] += a0 * w0[n] + a1 * w1[n] + a2 * w2[n] + a3 * w3[n]
                other[n] += c0 * w0[n] + c1 * w1[n] + c2 * w2[n] + c3 * w3[n]
            k += 4
        while k < size:
            w0, a0, c0 = weight[k], a[k], c[k]
            for n in range(size):
                row[n] += a0 * w0[n]
                other[n] += c0 * w0[n]
            k += 1


@njit(cache=True, error_model="numpy")
def recurrent_backward(
    kind: int, constants: Array, surrogate: tuple[int, np.float32], weight: Array, voltages: Array,
    state: Array, grad_spikes: Array, grad_voltages: Array, grad_state: Array,
    grad_currents: Array,
) -> None:  # fmt: skip
    """Back-propagate through ``recurrent_forward``.

    ``weight`` is (N, N), row i the synapses **onto** neuron i; ``grad_spikes`` is (1 + T, M), row 0
    for the spikes of the step before the first, and gathers what comes back through the recurrence.
    ``grad_currents`` (T, M), every step's own, are written.
    """
    size = weight.shape[0]
    thresholds = _thresholds(kind, constants, voltages, state)
    for t in range(voltages.shape[0] - 1, -1, -1):
        for m in range(grad_currents.shape[1]):
            grad_currents[t, m] = np.float32(0.0)
        # A slice beyond the end of an array without rows has none.
        _backward(
            kind, constants, surrogate, voltages[t : t + 1], thresholds[t : t + 1],
            grad_spikes[t + 1 : t + 2], grad_voltages[t : t + 1], grad_state,
            grad_currents[t : t + 1],
        )  # fmt: skip
        _add_product(grad_currents[t].reshape(-1, size), weight, grad_spikes[t].reshape(-1, size))


@njit(cache=True, error_model="numpy")
def _block(blocked: NDArray[np.bool_], grad_state: Array) -> None:
    """Let no gradient of the samples in ``blocked`` (B,) pass to the environment step before."""
    size = grad_state.shape[1] // blocked.size
    for b in range(blocked.size):
        if blocked[b]:
            grad_state[:, b * size : (b + 1) * size] = np.float32(0.0)


@njit(cache=True, error_model="numpy")
def sequence_backward(
    neuron: tuple[int, Array, tuple[int, np.float32]], weight: Array, blocked: NDArray[np.bool_],
    voltages: Array, entered: Array, grad_spikes: Array, grad_voltages: Array, grad_state: Array,
    grad_currents: Array,
) -> None:  # fmt: skip
    """Back-propagate through ``sequence_forward``; ``neuron`` is kind, constants and surrogate.

    ``weight`` is that of ``recurrent_backward``, without rows for no recurrence; with it the last
    row of ``grad_state`` is that of the spikes of the time step before. ``blocked`` (L, B) says
    into which environment steps no gradient passes from the state.
    """
    kind, constants, surrogate = neuron
    rounds = blocked.shape[0]
    steps, held = voltages.shape[0] // rounds, grad_currents.shape[0] // rounds
    gathered = np.empty((steps + 1, voltages.shape[1]), dtype=np.float32)
    for k in range(rounds - 1, -1, -1):
        a, z, inputs = k * steps, (k + 1) * steps, grad_currents[k * held : (k + 1) * held]
        if weight.shape[0] == 0:
            backward(
                kind, constants, surrogate, voltages[a:z], entered[k], grad_spikes[a:z],
                grad_voltages[a:z], grad_state, inputs,
            )  # fmt: skip
        else:
            gathered[0] = np.float32(0.0)
            gathered[1:] = grad_spikes[a:z]
            gathered[-1] += grad_state[-1]
            recurrent_backward(
                kind, constants, surrogate, weight, voltages[a:z], entered[k], gathered,
                grad_voltages[a:z], grad_state[:-1], inputs,
            )  # fmt: skip
            grad_state[-1] = gathered[0]
        _block(blocked[k], grad_state)


@njit(cache=True, error_model="numpy")
def layer_backward(
    neuron: tuple[int, Array, tuple[int, np.float32]], entered: Array, places: tuple[int, int],
    voltages: Array, grad_spikes: Array, chunk: int, grad_states: Array, grad_currents: Array,
) -> None:  # fmt: skip
    """Back-propagate through a layer's neurons in ``network_forward``, chunk by chunk.

    ``entered`` (B, F) are the flat states in which it began, of which the S * N from place a to z
    are the layer's; ``grad_states`` (B, F) holds the gradient of the final ones on entry and of
    the first ones on return. ``voltages``, ``grad_spikes`` and ``grad_currents`` are (T * B * N,);
    the last is (B * N,) for a held input, and must be zero then.
    """
    (kind, constants, surrogate), batch = neuron, len(entered)
    variables = VARIABLES[kind]
    size = (places[1] - places[0]) // variables
    steps, moving = voltages.size // (batch * size), grad_currents.size == voltages.size
    unseen = np.empty((0, 0), dtype=np.float32)
    for first in range(0, batch, chunk):
        count = min(first + chunk, batch) - first
        a, across = steps * first * size, count * size
        z = a + steps * across
        state = np.empty((variables, across), dtype=np.float32)
        grad_state = np.empty((variables, across), dtype=np.float32)
        for s in range(variables):
            for c in range(count):
                b, i, k = first + c, places[0] + s * size, c * size
                for n in range(size):  # of slices, an assignment takes longer
                    state[s, k + n] = entered[b, i + n]
                    grad_state[s, k + n] = grad_states[b, i + n]
        if moving:
            inputs = grad_currents[a:z].reshape(steps, across)
        else:
            inputs = grad_currents[first * size : first * size + across].reshape(1, across)
        backward(
            kind, constants, surrogate, voltages[a:z].reshape(steps, across), state,
            grad_spikes[a:z].reshape(steps, across), unseen, grad_state, inputs,
        )  # fmt: skip
        for s in range(variables):
            for c in range(count):
                b, i, k = first + c, places[0] + s * size, c * size
                for n in range(size):
                    grad_states[b, i + n] = grad_state[s, k + n]
