"""A measured quantity: values, unit, and which of the values the recording is long enough for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray: TypeAlias = NDArray[np.float64]
Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Measure:
    """Values of one measure, with their unit and validity."""

    value: FloatArray
    """(N,) of neurons, (post, pre) of synapses, () of a layer; NaN where undefined."""
    unit: str
    """Unit of the values; "1" for pure numbers."""
    valid: NDArray[np.bool_]
    """Of the shape of ``value``: False where the value is undefined or the recording is so short
    that it would be noise."""
    reason: str | None = None
    """Why values are not valid; None if all are."""

    @property
    def all_valid(self) -> bool:
        """Whether every value is valid."""
        return bool(self.valid.all())

    def mean(self) -> float:
        """Return the mean of the valid values, NaN if there are none."""
        return float(self.value[self.valid].mean()) if self.valid.any() else math.nan


def make_measure(
    value: ArrayLike, unit: str, *, enough: ArrayLike = True, reason: str = ""
) -> Measure:
    """Return a measure whose NaN and insufficiently sampled values are marked as not valid.

    Args:
        value: Values, any shape.
        unit: Their unit.
        enough: Whether the recording is long enough, broadcast against ``value``.
        reason: What makes values undefined or noise; dropped if all are valid.
    """
    values = np.asarray(value, dtype=np.float64)
    valid = np.isfinite(values) & np.broadcast_to(np.asarray(enough, dtype=np.bool_), values.shape)
    return Measure(values, unit, valid, None if valid.all() else reason)
