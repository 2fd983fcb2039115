"""Fused T-step kernels of layers, backward (numba, CPU, float32).

Arrays are those of ``snn_gym.spiking.neurons.forward_kernels``. A kernel walks the steps in
reverse from what was ``kept``. ``grad_state`` holds the gradient of the final state on entry and of
the initial state on return; ``grad_voltages`` are those of the recorded variable, for kernels that
take it. ``grad_currents`` of shape ``(1, M)``, a sum over time steps, must be zero on entry.

The reset ``v' = (1 - z) v + z v_reset`` and the jump of an adaptive threshold let the gradient
through ``z``, as Norse's feed-forward steps do. (Of its recurrent ones, those of the LIF and the
LSNN do not, that of the IAF does.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snn_gym.compilation import njit
from snn_gym.program.calls import call
from snn_gym.spiking.neurons.forward_kernels import Array

Neuron = tuple[int, Array, np.float32, Array]
"""A layer's neurons: address of the backward kernel, constants (P, 1) or (P, N), slope of the
surrogate gradient, and the gradients (P, N) of the constants, (0, 0) where they are shared."""


@njit(cache=True, error_model="numpy")
def backward(
    neuron: Neuron, kept: Array, grad_spikes: Array, grad_voltages: Array, grad_state: Array,
    grad_currents: Array,
) -> None:  # fmt: skip
    """Back-propagate through ``forward``."""
    kernel, constants, slope, grad_constants = neuron
    elements = grad_state.shape[1]
    call(
        kernel, constants, slope, 1 if grad_currents.shape[0] > 1 else 0, kept,
        max(kept.strides[0] // 4, 1), grad_spikes, grad_voltages, grad_state, grad_currents,
        grad_constants, kept.shape[1], elements, constants.shape[1], elements,
    )  # fmt: skip


@njit(cache=True, error_model="numpy")
def surrogate_derivative(
    kernel: int, slope: np.float32, distances: Array, derivatives: Array
) -> None:
    """Fill ``derivatives`` (M,) with a surrogate's at ``distances``; ``kernel`` is its address."""
    size = distances.size
    call(kernel, slope, distances, derivatives, 1, size, 1, size)


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
    neuron: Neuron, weight: Array, kept: Array, grad_spikes: Array, grad_voltages: Array,
    grad_state: Array, grad_currents: Array,
) -> None:  # fmt: skip
    """Back-propagate through ``recurrent_forward``.

    ``weight`` is (N, N), row i the synapses **onto** neuron i; ``grad_spikes`` is (1 + T, M), row 0
    for the spikes of the step before the first, and gathers what comes back through the recurrence.
    ``grad_currents`` (T, M), every step's own, are written.
    """
    size = weight.shape[0]
    for t in range(kept.shape[1] - 1, -1, -1):
        for m in range(grad_currents.shape[1]):
            grad_currents[t, m] = np.float32(0.0)
        # A slice beyond the end of an array without rows has none.
        backward(
            neuron, kept[:, t : t + 1], grad_spikes[t + 1 : t + 2], grad_voltages[t : t + 1],
            grad_state, grad_currents[t : t + 1],
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
    neuron: Neuron, weight: Array, blocked: NDArray[np.bool_], kept: Array, grad_spikes: Array,
    grad_voltages: Array, grad_state: Array, grad_currents: Array,
) -> None:  # fmt: skip
    """Back-propagate through ``sequence_forward``.

    ``weight`` is that of ``recurrent_backward``, without rows for no recurrence; with it the last
    row of ``grad_state`` is that of the spikes of the time step before. ``blocked`` (L, B) says
    into which environment steps no gradient passes from the state.
    """
    rounds = blocked.shape[0]
    steps, held = kept.shape[1] // rounds, grad_currents.shape[0] // rounds
    gathered = np.empty((steps + 1, kept.shape[2]), dtype=np.float32)
    for k in range(rounds - 1, -1, -1):
        a, z, inputs = k * steps, (k + 1) * steps, grad_currents[k * held : (k + 1) * held]
        if weight.shape[0] == 0:
            backward(neuron, kept[:, a:z], grad_spikes[a:z], grad_voltages[a:z], grad_state, inputs)
        else:
            gathered[0] = np.float32(0.0)
            gathered[1:] = grad_spikes[a:z]
            gathered[-1] += grad_state[-1]
            recurrent_backward(
                neuron, weight, kept[:, a:z], gathered, grad_voltages[a:z], grad_state[:-1],
                inputs,
            )  # fmt: skip
            grad_state[-1] = gathered[0]
        _block(blocked[k], grad_state)


@njit(cache=True, error_model="numpy")
def layer_backward(
    neuron: Neuron, shape: tuple[int, int, int], place: int, kept: Array, grad_spikes: Array,
    chunk: int, grad_states: Array, grad_currents: Array,
) -> None:  # fmt: skip
    """Back-propagate through a layer's neurons in ``network_forward``, chunk by chunk.

    ``shape`` are the layer's N neurons, its state variables S and the numbers K that it keeps;
    ``grad_states`` (B, F) holds the gradient of the final flat states on entry and of the first
    ones on return, of which S * N from ``place`` on are the layer's. ``kept`` (K * T * B * N,),
    ``grad_spikes`` and ``grad_currents`` (T * B * N,) are flat; the last is (B * N,) for a held
    input, and must be zero then.
    """
    (size, variables, rows), batch = shape, len(grad_states)
    steps = kept.size // (rows * batch * size)
    moving = grad_currents.size == steps * batch * size
    unseen = np.empty((0, 0), dtype=np.float32)
    for first in range(0, batch, chunk):
        count = min(first + chunk, batch) - first
        a, across = steps * first * size, count * size
        z = a + steps * across
        grad_state = np.empty((variables, across), dtype=np.float32)
        for s in range(variables):
            for c in range(count):
                b, i, k = first + c, place + s * size, c * size
                for n in range(size):  # of slices, an assignment takes longer
                    grad_state[s, k + n] = grad_states[b, i + n]
        if moving:
            inputs = grad_currents[a:z].reshape(steps, across)
        else:
            inputs = grad_currents[first * size : first * size + across].reshape(1, across)
        backward(
            neuron, kept[rows * a : rows * z].reshape(rows, steps, across),
            grad_spikes[a:z].reshape(steps, across), unseen, grad_state, inputs,
        )  # fmt: skip
        for s in range(variables):
            for c in range(count):
                b, i, k = first + c, place + s * size, c * size
                for n in range(size):
                    grad_states[b, i + n] = grad_state[s, k + n]
