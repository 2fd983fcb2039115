"""Products of weights with spikes by events, with gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from snn_gym.spiking.neurons.event_kernels import (
    Array,
    Source,
    add_products,
    event_room,
    strips_of,
    synapse_gradients,
)


def array_of(tensor: Tensor) -> Array:
    """View a tensor whose rows are in order, or copy it into such an array."""
    array: Array = tensor.detach().contiguous().numpy()
    return array


def gradients_of_synapses(source: Source, grad_currents: Array) -> tuple[Tensor, Tensor]:
    """Return the gradients of weights (N, D) and biases (N,).

    Args:
        source: (R, D), what the synapses got.
        grad_currents: (R, N), gradients of what they gave.
    """
    channels, size = source.shape[1], grad_currents.shape[1]
    weight, bias = np.empty((size, channels), np.float32), np.empty(size, np.float32)
    synapse_gradients(source, grad_currents, weight, bias)
    return torch.from_numpy(weight), torch.from_numpy(bias)


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
        currents = np.repeat(array_of(bias)[None], len(source), axis=0)
        room = event_room(source.shape[1])
        add_products(source, strips_of(array_of(weight)), currents, room)
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
