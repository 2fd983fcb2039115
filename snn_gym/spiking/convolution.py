"""Linear layers whose weights are those of a convolution, the same at every place."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from snn_gym.program.convolution import Convolution, receptive_fields


class SharedLinear(nn.Linear):
    """A linear layer from flattened planes (C, H, W) to flattened planes of filters.

    ``weight`` (out, in) and ``bias`` (out,) are those of the equivalent dense layer, zero outside
    of receptive fields; what is learned are ``filters`` (F, C * kernel * kernel) and
    ``filter_biases`` (F,). Average pooling is a part of the weights.

    Args:
        layer: Filters, stride, padding and pooling.
        planes: Number, rows and columns of the input planes.
    """

    places: Tensor

    def __init__(self, layer: Convolution, planes: tuple[int, int, int]) -> None:
        # nn.Linear's own would make parameters of ``weight`` and ``bias``.
        nn.Module.__init__(self)
        self.layer, self.planes, self.shape = layer, planes, layer.shape(planes)
        self.in_features, self.out_features = math.prod(planes), math.prod(self.shape)
        fields = torch.from_numpy(receptive_fields(layer, planes))
        elements = fields.shape[1]
        self.filters = nn.Parameter(torch.empty(layer.filters, elements))
        self.filter_biases = nn.Parameter(torch.empty(layer.filters))
        self.register_buffer("places", fields.flatten(1), persistent=False)
        # Weights and the filters that they are of; no buffers, which who acts would compare.
        self._unrolled: tuple[Tensor, Tensor] | None = None
        nn.init.kaiming_uniform_(self.filters, a=5**0.5)  # as nn.Conv2d
        bound = 1.0 / elements**0.5
        nn.init.uniform_(self.filter_biases, -bound, bound)

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """Weights (out, in) of the equivalent dense layer, differentiable where gradients are."""
        if torch.is_grad_enabled() and self.filters.requires_grad:
            return self._unroll(self.filters)
        filters, kept = self.filters.detach(), self._unrolled
        if kept is None or kept[1].device != filters.device or kept[1].dtype != filters.dtype:
            kept = self._unrolled = self._unroll(filters), filters.clone()
        elif not torch.equal(kept[1], filters):
            # In place, so that who reads the memory sees the change.
            kept[0].copy_(self._unroll(filters))
            kept[1].copy_(filters)
        return kept[0]

    @property
    def bias(self) -> Tensor:  # type: ignore[override]
        """Biases (out,) of the equivalent dense layer."""
        return self.filter_biases.repeat_interleave(self.shape[1] * self.shape[2])

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

    def _unroll(self, filters: Tensor) -> Tensor:
        """Return weights (out, in) of filters (F, K)."""
        count, (places, reads) = len(filters), self.places.shape
        pool = self.layer.pool**2
        values = (filters / pool).repeat_interleave(pool, 1).repeat_interleave(places, 0)
        index = self.places.repeat(count, 1)
        # The last column takes what reads padding.
        wide = filters.new_zeros(self.out_features, self.in_features + 1)
        weight = wide.scatter(1, index, values.view(-1, reads))
        return weight[:, :-1].contiguous()
