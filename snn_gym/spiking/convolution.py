"""Linear layers whose weights are those of a convolution, the same at every place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from snn_gym.program.convolution import Convolution, receptive_fields


class _Spread:
    """Values that stand at many places, in memory that stays the same: who reads it sees changes.

    A value of ``which`` (M,), times ``scale``, stands at each of the flat places ``at`` (M,).
    """

    def __init__(self, shape: tuple[int, ...], scale: float) -> None:
        self._shape, self._scale = shape, scale
        self._memory = self._seen = torch.empty(0)

    def of(self, values: Tensor, at: Tensor, which: Tensor) -> Tensor:
        """Return the tensor of values, differentiable where gradients are."""
        if torch.is_grad_enabled() and values.requires_grad:
            spread: Tensor = _Spreading.apply(values, self, at, which)  # type: ignore[no-untyped-call]
            return spread
        return self.memory(values.detach(), at, which)

    def memory(self, values: Tensor, at: Tensor, which: Tensor) -> Tensor:
        """Return the memory with the present values."""
        seen = self._seen
        if seen.shape != values.shape or (seen.device, seen.dtype) != (values.device, values.dtype):
            self._memory = values.new_zeros(self._shape)
            self._seen = torch.full_like(values, torch.nan)
        if not torch.equal(self._seen, values):
            self._memory.view(-1).index_copy_(0, at, values.reshape(-1)[which] * self._scale)
            self._seen.copy_(values)
        return self._memory

    def gradient(self, grad: Tensor, values: Tensor, at: Tensor, which: Tensor) -> Tensor:
        """Return the gradient of the values for that of the memory."""
        taken = grad.reshape(-1)[at] * self._scale
        return taken.new_zeros(values.numel()).index_add(0, which, taken).view(values.shape)


class _Spreading(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, spread: _Spread, at: Tensor, which: Tensor) -> Tensor:
        ctx.save_for_backward(values, at, which)
        ctx.spread = spread
        # Another tensor of the same memory, for this one gets a gradient.
        return spread.memory(values.detach(), at, which).detach()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        return ctx.spread.gradient(grads[0], *ctx.saved_tensors), None, None, None


class SharedLinear(nn.Linear):
    """A linear layer from flattened planes (C, H, W) to flattened planes of filters.

    ``weight`` (out, in) and ``bias`` (out,) are those of the equivalent dense layer, zero outside
    of receptive fields; what is learned are ``filters`` (F, C * kernel * kernel) and
    ``filter_biases`` (F,). Average pooling is a part of the weights.

    Args:
        layer: Filters, stride, padding and pooling.
        planes: Number, rows and columns of the input planes.
    """

    at: Tensor
    """(M,) int64, places in the flattened weights that are not zero."""
    which: Tensor
    """(M,) int64, the elements of the flattened filters that stand there."""
    units: Tensor
    planes_of_units: Tensor

    def __init__(self, layer: Convolution, planes: tuple[int, int, int]) -> None:
        # nn.Linear's own would make parameters of ``weight`` and ``bias``.
        nn.Module.__init__(self)
        self.layer, self.planes, self.shape = layer, planes, layer.shape(planes)
        self.in_features, self.out_features = math.prod(planes), math.prod(self.shape)
        fields = receptive_fields(layer, planes)
        elements = fields.shape[1]
        self.filters = nn.Parameter(torch.empty(layer.filters, elements))
        self.filter_biases = nn.Parameter(torch.empty(layer.filters))
        # Axes: filter, place, element, part of the pool.
        filters = np.arange(layer.filters)[:, np.newaxis, np.newaxis, np.newaxis]
        rows = filters * len(fields) + np.arange(len(fields))[:, np.newaxis, np.newaxis]
        which = filters * elements + np.arange(elements)[:, np.newaxis]
        at, which, reads = np.broadcast_arrays(rows * self.in_features + fields, which, fields)
        inside = reads < self.in_features  # the rest is padding
        self.register_buffer("at", torch.from_numpy(at[inside]), persistent=False)
        self.register_buffer("which", torch.from_numpy(which[inside]), persistent=False)
        units = torch.arange(self.out_features)
        self.register_buffer("units", units, persistent=False)
        self.register_buffer("planes_of_units", units // len(fields), persistent=False)
        # No buffers, which who acts would compare with their last values.
        self._weight = _Spread((self.out_features, self.in_features), 1.0 / layer.pool**2)
        self._bias = _Spread((self.out_features,), 1.0)
        nn.init.kaiming_uniform_(self.filters, a=5**0.5)  # as nn.Conv2d
        bound = 1.0 / elements**0.5
        nn.init.uniform_(self.filter_biases, -bound, bound)

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """Weights (out, in) of the equivalent dense layer, differentiable where gradients are."""
        return self._weight.of(self.filters, self.at, self.which)

    @property
    def bias(self) -> Tensor:  # type: ignore[override]
        """Biases (out,) of the equivalent dense layer."""
        return self._bias.of(self.filter_biases, self.units, self.planes_of_units)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return planes of filters (..., out) for flattened planes (..., in)."""
        count, side = self.planes[0], self.layer.kernel
        planes = inputs.reshape(-1, *self.planes)
        if self.layer.pool > 1:
            planes = functional.avg_pool2d(planes, self.layer.pool)
        filters = self.filters.view(-1, count, side, side)
        found = functional.conv2d(
            planes, filters, self.filter_biases, self.layer.stride, self.layer.padding
        )
        return found.reshape(*inputs.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        """Return what the layer is made of."""
        return f"{self.planes} to {self.shape}, {self.layer}"


def learned_synapses(linear: nn.Linear) -> tuple[Tensor, Tensor]:
    """Return the parameters behind a layer's weights and biases: of a convolution, its filters."""
    if isinstance(linear, SharedLinear):
        return linear.filters, linear.filter_biases
    return linear.weight, linear.bias
