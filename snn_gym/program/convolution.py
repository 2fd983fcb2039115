"""Convolutions over planes: their shapes, and the inputs that each of their places reads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.config import Config, Count, Natural

Array = NDArray[Any]
Readers = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class Convolution(Config):
    """A layer of filters over planes, whose weights are the same at every place."""

    filters: Count
    """Planes of the layer."""
    kernel: Count = 3
    """Rows and columns of a filter."""
    stride: Count = 1
    """Places between neighbours."""
    padding: Natural = 0
    """Places of zeros around the planes."""
    pool: Count = 1
    """Rows and columns of planes that are averaged to one place before; 1 for none."""

    def shape(self, planes: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return filters, rows and columns of the layer over ``planes`` (C, H, W).

        Raises:
            ValueError: The planes are smaller than a filter.
        """
        rows, columns = (
            (side // self.pool + 2 * self.padding - self.kernel) // self.stride + 1
            for side in planes[1:]
        )
        if rows < 1 or columns < 1:
            raise ValueError(
                f"convolutions: a filter of {self.kernel} x {self.kernel} does not fit planes of "
                f"{planes[1]} x {planes[2]} (pool {self.pool}, padding {self.padding}); take a "
                "smaller kernel or pool, or more padding"
            )
        return self.filters, rows, columns


@dataclass(frozen=True)
class Filtered(Config):
    """Operator of a layer on planes: a convolution, whose weights stand at many places."""

    layer: Convolution
    planes: tuple[Count, Count, Count]
    """Number, rows and columns of the planes (C, H, W)."""
    channels_last: bool = False
    """Whether the planes are flattened as (H, W, C)."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Filters, rows and columns of the layer."""
        return self.layer.shape(self.planes)

    def receptive_fields(self) -> NDArray[np.int64]:
        """Return the inputs (P, K, pool * pool) that each element of a filter reads at each place.

        Inputs are numbered as in the flattened planes, places as in the flattened rows and columns
        of the layer, elements as in a flattened filter (C, kernel, kernel). ``C * H * W`` stands
        for the zeros of the padding.
        """
        layer, (count, height, width) = self.layer, self.planes
        _, rows, columns = self.shape
        pooled = height // layer.pool, width // layer.pool
        y = layer.stride * np.arange(rows)[:, None] + np.arange(layer.kernel) - layer.padding
        x = layer.stride * np.arange(columns)[:, None] + np.arange(layer.kernel) - layer.padding
        part = np.arange(layer.pool)
        # Axes: row, column, plane, row and column in the filter, row and column in the pool.
        y = y[:, None, None, :, None, None, None]
        x = x[None, :, None, None, :, None, None]
        inside = (y >= 0) & (y < pooled[0]) & (x >= 0) & (x < pooled[1])
        plane = np.arange(count)[:, None, None, None, None]
        row, column = layer.pool * y + part[:, None], layer.pool * x + part
        if self.channels_last:
            at = (row * width + column) * count + plane
        else:
            at = (plane * height + row) * width + column
        at = np.where(inside, at, count * height * width)
        return at.reshape(rows * columns, -1, layer.pool**2)

    def readers(self) -> Readers:
        """Return inputs, ascending, with the places and elements of a filter that read them.

        These are three arrays (M,), without the zeros of the padding.
        """
        fields = self.receptive_fields()
        places, elements, _ = np.indices(fields.shape)
        order = np.argsort(fields, axis=None, kind="stable")
        inside = order[: np.count_nonzero(fields < math.prod(self.planes))]
        sources, at, of = (x.ravel()[inside] for x in (fields, places, elements))
        return sources, at, of

    def unrolled(self, filters: Array) -> Array:
        """Return the weights (D, N) of the equivalent dense layer for filters (F, K)."""
        sources, places, elements = self.readers()
        inputs, size = math.prod(self.planes), math.prod(self.shape[1:])
        weights = np.zeros((inputs, len(filters), size), filters.dtype)
        share = filters.dtype.type(1.0 / self.layer.pool**2)
        weights[sources, :, places] = filters.T[elements] * share
        return weights.reshape(inputs, -1)

    @property
    def synapses(self) -> int:
        """Number of weights of the equivalent dense layer that filters reach."""
        return self.shape[0] * len(self.readers()[0])

    def shared(self, weights: Array) -> Array:
        """Return the values (F, K) that stand at the places of dense weights (D, N).

        They are the filters divided by ``pool * pool``.

        Raises:
            ValueError: The weights are not those of a convolution.
        """
        sources, places, elements = self.readers()
        count, side = self.shape[0], self.layer.kernel
        by_place = weights.reshape(len(weights), count, -1)
        found = np.zeros((count, self.planes[0] * side * side), weights.dtype)
        found[:, elements] = by_place[sources, :, places].T
        again = np.zeros_like(by_place)
        again[sources, :, places] = found.T[elements]
        if not np.array_equal(again, by_place):
            raise ValueError(
                f"the weights are not those of {count} filters at {by_place.shape[2]} places; keep "
                "them shared, or give the layer the operator 'linear'"
            )
        return found
