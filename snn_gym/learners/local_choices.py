"""What the local rule's readouts say, and the action that is drawn from it, compiled."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from snn_gym.compilation import njit

Array = NDArray[np.float32]


@njit(cache=True, error_model="numpy")
def read_out(readouts: Array, features: Array, outputs: Array) -> None:
    """Fill value and actor's outputs (1 + A,) from features (N + 1,), the last of which is 1."""
    fours = features.size - features.size % 4
    for o in range(outputs.size):
        row = readouts[o]
        a = b = c = d = np.float32(0.0)  # four sums, for each has to wait for its own last one
        for j in range(0, fours, 4):
            a += row[j] * features[j]
            b += row[j + 1] * features[j + 1]
            c += row[j + 2] * features[j + 2]
            d += row[j + 3] * features[j + 3]
        for j in range(fours, features.size):
            a += row[j] * features[j]
        outputs[o] = (a + b) + (c + d)


@njit(cache=True, error_model="numpy")
def choose_discrete(outputs: Array, uniform: float, errors: Array) -> int:
    """Draw an action from the softmax of outputs 1 to A; fill the errors of all outputs.

    The value's is 1, an action's is ``1[a] - p_a``.
    """
    highest = outputs[1:].max()
    total = np.float32(0.0)
    for a in range(1, outputs.size):
        errors[a] = np.float32(math.exp(outputs[a] - highest))
        total += errors[a]
    chosen, below = outputs.size - 2, 0.0
    for a in range(1, outputs.size):
        errors[a] = errors[a] / total
    for a in range(1, outputs.size):
        below += errors[a]
        if uniform < below:
            chosen = a - 1
            break
    for a in range(1, outputs.size):
        errors[a] = -errors[a]
    errors[0] = np.float32(1.0)
    errors[1 + chosen] += np.float32(1.0)
    return chosen


@njit(cache=True, error_model="numpy")
def choose_gaussian(
    outputs: Array, log_std: Array, normal: NDArray[np.float64], action: Array, errors: Array,
    of_log_std: Array,
) -> None:  # fmt: skip
    """Draw u from Gaussians; fill errors ``(u - mu) / std^2`` and ``((u - mu) / std)^2 - 1``."""
    errors[0] = np.float32(1.0)
    for a in range(log_std.size):
        std, drawn = np.float32(math.exp(log_std[a])), np.float32(normal[a])
        action[a] = outputs[1 + a] + std * drawn
        errors[1 + a] = drawn / std
        of_log_std[a] = drawn * drawn - np.float32(1.0)
