"""Products of weights with spikes, with gradients: dense, or by events where spikes are few.

A product by events adds the weights of the neurons that fired, and its gradient those of their
currents; silence costs nothing. Which of the two is made follows from the share of spikes alone, so
that a training gives the same bits again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snn_gym.spiking.neurons.forward_kernels import DENSE_ROWS, DENSE_SHARE, Array, spike_products
from snn_gym.spiking.neurons.synapse_kernels import synapse_gradients


def array_of(tensor: Tensor) -> Array:
    """View a tensor whose rows are in order, or copy it into such an array."""
    array: Array = tensor.detach().contiguous().numpy()
    return array


def is_dense(source: Array | NDArray[np.uint8]) -> bool:
    """Tell whether the gradient of dense weights is faster than that by events, for (R, D).

    By the rule that ``spike_products`` has for the product itself.
    """
    if len(source) < DENSE_ROWS:
        return False
    return bool(np.count_nonzero(source) > DENSE_SHARE * source.size)


def gradients_of_synapses(
    source: Array | NDArray[np.uint8], grad_currents: Array
) -> tuple[Tensor, Tensor]:
    """Return the gradients of weights (N, D) and biases (N,).

    Args:
        source: (R, D), what the synapses got.
        grad_currents: (R, N), gradients of what they gave.
    """
    channels, size = source.shape[1], grad_currents.shape[1]
    weight, bias = np.zeros((channels, size), np.float32), np.zeros(size, np.float32)
    if is_dense(source):
        np.matmul(source.T.astype(np.float32), grad_currents, out=weight)
        np.sum(grad_currents, axis=0, out=bias)
    else:
        synapse_gradients(source, grad_currents, weight, bias)
    return torch.from_numpy(weight).t(), torch.from_numpy(bias)


def spike_product(signal: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return ``signal @ weight.T + bias``, with gradients.

    Args:
        signal: (K, B, D) float32 on the CPU, spikes or others.
        weight: (N, D) float32.
        bias: (N,) float32.
    """
    currents: Tensor = _SpikeProduct.apply(signal, weight, bias)  # type: ignore[no-untyped-call]
    return currents


class _SpikeProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, signal: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(signal, weight)
        source = array_of(signal).reshape(-1, signal.shape[2])
        currents = np.empty((len(source), len(weight)), np.float32)
        spike_products(source, array_of(weight.t()), array_of(bias), currents)
        return torch.from_numpy(currents).view(*signal.shape[:2], -1)

    @staticmethod
    def backward(ctx: Any, grad_currents: Tensor) -> tuple[Tensor | None, ...]:
        signal, weight = ctx.saved_tensors
        wants_signal = ctx.needs_input_grad[0]
        # As in ``fused``: a second derivative goes through operations of PyTorch.
        if torch.is_grad_enabled():
            flat = grad_currents.flatten(0, 1)
            return (
                grad_currents @ weight if wants_signal else None,
                flat.t() @ signal.flatten(0, 1),
                flat.sum(0),
            )
        rows = array_of(grad_currents).reshape(-1, len(weight))
        source = array_of(signal).reshape(-1, signal.shape[2])
        grad_signal = None
        if wants_signal:
            grad_signal = torch.from_numpy(rows @ array_of(weight)).view_as(signal)
        return grad_signal, *gradients_of_synapses(source, rows)
