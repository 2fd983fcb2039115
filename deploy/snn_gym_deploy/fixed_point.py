"""Arithmetic of fixed point: numbers of 16 bits, sums of 32, shares of 14 bits."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
Range = tuple[int, int]
GAIN_BITS = 14
"""Bits of a share, a number without a unit: of constants, and of results of tanh and gates."""
LIMIT = 2**15 - 1
"""Largest number of 16 bits."""
SUM_LIMIT = 2**31 - 1
"""Largest number of 32 bits."""
_STEP_BITS = 8  # of arguments between two entries of the table
TANH = np.rint(np.tanh(np.arange(129) / 16.0) * 2**GAIN_BITS).astype(np.int16)
"""Hyperbolic tangents of 0, 1/16, ... 8, in units of 2**-14."""


def saturated(x: IntArray) -> IntArray:
    """Return the nearest numbers of 16 bits."""
    return np.clip(x, -LIMIT - 1, LIMIT)


def scaled(x: IntArray, bits: int) -> IntArray:
    """Return ``x / 2**bits``, rounded to the nearest, and half up."""
    return x if bits == 0 else (x + (1 << (bits - 1))) >> bits


def share(gain: IntArray, x: IntArray) -> IntArray:
    """Return the product with a number of 14 bits, rounded."""
    product = gain * x
    if np.abs(product).max(initial=0) > SUM_LIMIT - (1 << (GAIN_BITS - 1)):
        raise ValueError(
            "a product of a neuron's equations leaves 32 bits, as a time constant is shorter than "
            "a time step; export as C in float"
        )
    return scaled(product, GAIN_BITS)


def tanh_of(x: IntArray) -> IntArray:
    """Return the hyperbolic tangent in 14 bits, for arguments in 12 bits."""
    away = np.minimum(np.abs(x), LIMIT)
    place, rest = away >> _STEP_BITS, away & ((1 << _STEP_BITS) - 1)
    table = TANH.astype(np.int64)
    value = table[place] + scaled((table[place + 1] - table[place]) * rest, _STEP_BITS)
    signed: IntArray = np.sign(x) * value
    return signed


def logistic(x: IntArray) -> IntArray:
    """Return the logistic function in 14 bits, for arguments in 12 bits."""
    return (1 << (GAIN_BITS - 1)) + scaled(tanh_of(scaled(x, 1)), 1)


class Rescale(NamedTuple):
    """A change of unit by integers: ``scaled(scaled(x, shift) * factor, bits)``."""

    shift: int
    factor: int = 1
    bits: int = 0

    def __call__(self, x: IntArray) -> IntArray:
        """Return numbers in the new unit."""
        return scaled(scaled(x, self.shift) * self.factor, self.bits)


UNCHANGED = Rescale(0)


def rescale(ratio: float, most: int) -> Rescale:
    """Return the change of unit by ``ratio`` of numbers up to ``most``; nothing exceeds 32 bits."""
    shift = max(0, most.bit_length() - 16)
    bits = min(30, max(0, 13 - math.floor(math.log2(ratio * 2**shift))))
    # A ratio that is larger is of arguments at which tanh is 1.
    return Rescale(shift, min(round(ratio * 2 ** (shift + bits)), 1 << GAIN_BITS), bits)


def bits_of(limits: Range) -> int:
    """Return the width of a signed number within limits."""
    return max((~x if x < 0 else x).bit_length() for x in limits) + 1


def reach(weights: NDArray[Any], low: Any, high: Any) -> tuple[IntArray, IntArray]:
    """Return the least and the greatest sums (N,) of inputs within limits by weights (D, N)."""
    wide = weights.astype(np.int64)
    up, down = np.maximum(wide, 0).T, np.minimum(wide, 0).T
    low, high = (np.broadcast_to(np.asarray(x, np.int64), len(wide)) for x in (low, high))
    return up @ low + down @ high, up @ high + down @ low
