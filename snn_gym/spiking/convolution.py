"""Linear layers whose weights are those of a convolution, the same at every place."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from snn_gym._base.compilation import njit
from snn_gym.program.convolution import Filtered, Readers
from snn_gym.spiking.events import Array, Source

MOST_WEIGHTS = 1 << 25
"""Weights of the equivalent dense layer, 128 MiB, which kernels read."""


class _Spread:
    """Values that stand at many places, in memory that stays the same: who reads it sees changes.

    A value of ``which`` (M,), times ``scale``, stands at each of the flat places ``at`` (M,).
    """

    def __init__(self, shape: tuple[int, ...], scale: float) -> None:
        self._shape, self._scale = shape, scale
        self._memory = self._seen = torch.empty(0)
        self.changes = 0
        """Times that the memory was written."""

    def of(self, values: Tensor, at: Tensor, which: Tensor) -> Tensor:
        """Return the tensor of values: the memory, or anew where gradients are."""
        if torch.is_grad_enabled() and values.requires_grad:
            dense = values.new_zeros(math.prod(self._shape))
            return dense.index_add(0, at, values.reshape(-1)[which] * self._scale).view(self._shape)
        return self.memory(values.detach(), at, which)

    def memory(self, values: Tensor, at: Tensor, which: Tensor) -> Tensor:
        """Return the memory with the present values, which have no gradients."""
        seen = self._seen
        if seen.shape != values.shape or (seen.device, seen.dtype) != (values.device, values.dtype):
            self._memory = values.new_zeros(self._shape)
            self._seen = torch.full_like(values, torch.nan)
        if not torch.equal(self._seen, values):
            self._memory.view(-1).index_copy_(0, at, values.reshape(-1)[which] * self._scale)
            self._seen.copy_(values)
            self.changes += 1
        return self._memory


@njit(cache=True, error_model="numpy", _nrt=False)
def _add_filter_gradients(
    source: Source, grads: Array, readers: Readers, turned: Array, of_filters: Array,
    of_biases: Array,
) -> None:  # fmt: skip
    """Add the gradients of filters (K, F) and their biases (F,) for sources (R, D).

    ``grads`` (R, F * P) are those of the layer's currents. ``readers`` are, of each input, the
    places P and the elements K that read it: where those of an input begin (D + 1,), and both
    lists. ``turned`` (P, F) is scratch.
    """
    starts, places, elements = readers
    size, filters = turned.shape
    for r in range(source.shape[0]):
        for f in range(filters):
            for p in range(size):
                turned[p, f] = grads[r, f * size + p]
        for p in range(size):
            for f in range(filters):
                of_biases[f] += turned[p, f]
        for d in range(source.shape[1]):
            if source[r, d] == 0:
                continue
            x = np.float32(source[r, d])
            for k in range(starts[d], starts[d + 1]):
                row, total = turned[places[k]], of_filters[elements[k]]
                for f in range(filters):
                    total[f] += x * row[f]


class SharedLinear(nn.Linear):
    """A linear layer from flattened planes to flattened planes of filters.

    ``weight`` (out, in) and ``bias`` (out,) are those of the equivalent dense layer, zero outside
    of receptive fields; what is learned are ``filters`` (F, C * kernel * kernel) and
    ``filter_biases`` (F,). Average pooling is a part of the weights.

    Args:
        operator: The convolution and the planes that it reads.
    """

    at: Tensor
    """(M,) int64, places in the flattened weights that are not zero."""
    which: Tensor
    """(M,) int64, the elements of the flattened filters that stand there."""
    units: Tensor
    planes_of_units: Tensor

    def __init__(self, operator: Filtered) -> None:
        # nn.Linear's own would make parameters of ``weight`` and ``bias``.
        nn.Module.__init__(self)
        self.operator, layer = operator, operator.layer
        self.in_features = math.prod(operator.planes)
        self.out_features = math.prod(operator.shape)
        if self.in_features * self.out_features > MOST_WEIGHTS:
            raise ValueError(
                f"a convolution from planes {operator.planes} to {operator.shape} stands for "
                f"{self.in_features * self.out_features:,} synapses, and at most {MOST_WEIGHTS:,} "
                "are laid out; pool or stride first, or leave convolutions out, so that images "
                "pass an ordinary CNN"
            )
        sources, at, elements = operator.readers()
        places, size = self.out_features // layer.filters, operator.planes[0] * layer.kernel**2
        self.filters = nn.Parameter(torch.empty(layer.filters, size))
        self.filter_biases = nn.Parameter(torch.empty(layer.filters))
        filters = np.arange(layer.filters)[:, np.newaxis]
        dense = (filters * places + at) * self.in_features + sources
        which = filters * size + elements
        self.register_buffer("at", torch.from_numpy(dense.ravel()), persistent=False)
        self.register_buffer("which", torch.from_numpy(which.ravel()), persistent=False)
        units = torch.arange(self.out_features)
        self.register_buffer("units", units, persistent=False)
        self.register_buffer("planes_of_units", units // places, persistent=False)
        starts = np.searchsorted(sources, np.arange(self.in_features + 1))
        self._readers = starts, at, elements
        # No buffers, which who acts would compare with their last values.
        self._weight = _Spread((self.out_features, self.in_features), 1.0 / layer.pool**2)
        self._bias = _Spread((self.out_features,), 1.0)
        nn.init.kaiming_uniform_(self.filters, a=5**0.5)  # as nn.Conv2d
        bound = 1.0 / size**0.5
        nn.init.uniform_(self.filter_biases, -bound, bound)

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """Weights (out, in) of the equivalent dense layer, differentiable where gradients are."""
        return self._weight.of(self.filters, self.at, self.which)

    @property
    def bias(self) -> Tensor:  # type: ignore[override]
        """Biases (out,) of the equivalent dense layer."""
        return self._bias.of(self.filter_biases, self.units, self.planes_of_units)

    @property
    def changes(self) -> int:
        """Times that the memory of ``dense_synapses``' weights was written."""
        return self._weight.changes

    def dense_synapses(self) -> tuple[Tensor, Tensor]:
        """Return ``weight`` and ``bias`` without gradients, in memory that stays the same."""
        return (
            self._weight.memory(self.filters.detach(), self.at, self.which),
            self._bias.memory(self.filter_biases.detach(), self.units, self.planes_of_units),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return planes of filters (..., out) for flattened planes (..., in)."""
        return self.convolved(inputs, self.filters, self.filter_biases)

    def convolved(self, inputs: Tensor, filters: Tensor, biases: Tensor) -> Tensor:
        """Return what ``forward`` does, by other filters of the same shape."""
        layer, (count, height, width) = self.operator.layer, self.operator.planes
        if self.operator.channels_last:
            planes = inputs.reshape(-1, height, width, count).permute(0, 3, 1, 2)
        else:
            planes = inputs.reshape(-1, count, height, width)
        if layer.pool > 1:
            planes = functional.avg_pool2d(planes, layer.pool)
        squares = filters.view(-1, count, layer.kernel, layer.kernel)
        found = functional.conv2d(planes, squares, biases, layer.stride, layer.padding)
        return found.reshape(*inputs.shape[:-1], self.out_features)

    def filter_gradients(self, source: Source, grad_currents: Array) -> tuple[Tensor, Tensor]:
        """Return the gradients of filters and biases, summed over the R rows, by events.

        ``source`` (R, in) holds the layer's inputs, ``grad_currents`` is (R, out).
        """
        count, elements = self.filters.shape
        of_filters, of_biases = np.zeros((elements, count), np.float32), np.zeros(count, np.float32)
        turned = np.empty((self.out_features // count, count), np.float32)
        _add_filter_gradients(source, grad_currents, self._readers, turned, of_filters, of_biases)
        of_filters /= self.operator.layer.pool**2
        return torch.from_numpy(np.ascontiguousarray(of_filters.T)), torch.from_numpy(of_biases)

    def extra_repr(self) -> str:
        """Return what the layer is made of."""
        return str(self.operator)


def dense_synapses(linear: nn.Linear) -> tuple[Tensor, Tensor]:
    """Return a layer's weights (out, in) and biases (out,), whose memory is to be read."""
    if isinstance(linear, SharedLinear):
        return linear.dense_synapses()
    return linear.weight, linear.bias


def product(linear: nn.Linear, inputs: Tensor, *learned: Tensor) -> Tensor:
    """Return a layer's currents by ``learned_synapses``, with derivatives of any order."""
    if isinstance(linear, SharedLinear):
        return linear.convolved(inputs, *learned)
    return functional.linear(inputs, *learned)


def learned_synapses(linear: nn.Linear) -> tuple[Tensor, Tensor]:
    """Return the parameters behind a layer's weights and biases: of a convolution, its filters."""
    if isinstance(linear, SharedLinear):
        return linear.filters, linear.filter_biases
    return linear.weight, linear.bias
