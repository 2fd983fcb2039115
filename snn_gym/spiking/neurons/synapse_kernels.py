"""Backward kernels of what stands between neurons: products with spikes, and decoders.

Arrays are those of ``snn_gym.spiking.neurons.forward_kernels``. Numba caches machine code by the
file it was written in, so kernels call none of another file.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snn_gym.compilation import njit
from snn_gym.spiking.neurons.forward_kernels import Array

Source = NDArray[np.float32] | NDArray[np.uint8]

_ROWS = 64


@njit(cache=True, error_model="numpy")
def spread(coefficients: Array, grad_decoded: Array, chunk: int, grad_spikes: Array) -> None:
    """Back-propagate through ``decode``: ``grad_decoded`` (Q, B, N) to spikes (T * B * N,).

    These lie as the voltages of ``network_forward``, chunk by chunk.
    """
    (outputs, batch, size), steps, r = grad_decoded.shape, coefficients.shape[1], 0
    for first in range(0, batch, chunk):
        for t in range(steps):
            for b in range(first, min(first + chunk, batch)):
                row = grad_spikes[r : r + size]
                row[:] = np.float32(0.0)
                for q in range(outputs):
                    share, grad = coefficients[q, t], grad_decoded[q, b]
                    for n in range(size):
                        row[n] += share * grad[n]
                r += size


@njit(cache=True, error_model="numpy")
def _add_outer(source: Source, grad: Array, grad_weight: Array) -> None:
    """Add ``source`` (R, D) transposed times ``grad`` (R, N) to ``grad_weight`` (D, N).

    A spike costs a row of ``grad``, silence nothing.
    """
    float32 = np.float32
    places = np.empty(source.shape[0] + 1, dtype=np.int64)
    for d in range(source.shape[1]):
        count, total = 0, grad_weight[d]
        for r in range(source.shape[0]):
            places[count] = r
            count += int(source[r, d] != 0)
        k = 0
        while k + 4 <= count:
            a, b, c, e = places[k], places[k + 1], places[k + 2], places[k + 3]
            va, vb = float32(source[a, d]), float32(source[b, d])
            vc, ve = float32(source[c, d]), float32(source[e, d])
            ga, gb, gc, ge = grad[a], grad[b], grad[c], grad[e]
            for n in range(total.size):
                total[n] += (va * ga[n] + vb * gb[n]) + (vc * gc[n] + ve * ge[n])
            k += 4
        while k < count:
            va, ga = float32(source[places[k], d]), grad[places[k]]
            for n in range(total.size):
                total[n] += va * ga[n]
            k += 1


@njit(cache=True, error_model="numpy")
def synapse_gradients(
    source: Source, grad_currents: Array, grad_weight: Array, grad_bias: Array
) -> None:
    """Back-propagate through ``products``, adding to ``grad_weight`` (D, N) and ``grad_bias``.

    ``source`` (R, D), float32, or uint8 for spikes, and ``grad_currents`` (R, N) are taken a few
    rows at a time, which stay in the processor's cache.
    """
    for first in range(0, len(source), _ROWS):
        grads = grad_currents[first : first + _ROWS]
        _add_outer(source[first : first + _ROWS], grads, grad_weight)
        for r in range(len(grads)):
            for n in range(grad_bias.size):
                grad_bias[n] += grads[r, n]
