"""Convolutions over planes: their shapes, and the inputs that each of their places reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.config import Config, Count, Natural


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


def receptive_fields(layer: Convolution, planes: tuple[int, int, int]) -> NDArray[np.int64]:
    """Return the inputs (P, K, pool * pool) that each element of a filter reads at each place.

    Inputs are numbered as in flattened ``planes`` (C, H, W), places as in the flattened rows and
    columns of the layer, elements as in a flattened filter (C, kernel, kernel). ``C * H * W``
    stands for the zeros of the padding.
    """
    count, height, width = planes
    _, rows, columns = layer.shape(planes)
    pooled = height // layer.pool, width // layer.pool
    y = layer.stride * np.arange(rows)[:, None] + np.arange(layer.kernel) - layer.padding
    x = layer.stride * np.arange(columns)[:, None] + np.arange(layer.kernel) - layer.padding
    part = np.arange(layer.pool)
    # Axes: row, column, plane, row and column in the filter, row and column in the pool.
    y = y[:, None, None, :, None, None, None]
    x = x[None, :, None, None, :, None, None]
    inside = (y >= 0) & (y < pooled[0]) & (x >= 0) & (x < pooled[1])
    plane = np.arange(count)[:, None, None, None, None]
    at = (plane * height + layer.pool * y + part[:, None]) * width + layer.pool * x + part
    at = np.where(inside, at, count * height * width)
    return at.reshape(rows * columns, -1, layer.pool**2)
