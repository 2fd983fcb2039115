"""How a gradient becomes a change of weights in ``LocalCore``: Adam or none of it, compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snn_gym.compilation import njit

Array = NDArray[np.float32]

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's usual constants."""
TINY = np.float32(1e-30)
"""Moments below it are 0, for subnormal numbers cost ten times the time of others."""


@njit(cache=True, error_model="numpy")
def climb(
    steps: tuple[float, float], hidden: int, samples: int, update: int, gradient: Array,
    first: Array, second: Array, theta: Array, order: NDArray[np.int64], shown: Array,
) -> None:  # fmt: skip
    """Climb the mean gradient of the samples, by Adam; by its ``update`` 0 without moments.

    ``steps`` are the step sizes of the first ``hidden`` weights (P,) and of the others; ``shown``
    gets the weights in the policy's order. Adam: Kingma & Ba 2015, https://arxiv.org/abs/1412.6980.
    """
    zero, one, share = np.float32(0.0), np.float32(1.0), np.float32(1.0 / samples)
    beta1, beta2, epsilon = np.float32(BETA1), np.float32(BETA2), np.float32(EPSILON)
    for part in range(2):
        begin, end = (hidden, theta.size) if part else (0, hidden)
        step = np.float32(steps[part])
        if update == 0:
            for p in range(begin, end):
                theta[p] += step * (share * gradient[p])
            continue
        of_first = np.float32(1.0 / (1.0 - BETA1**update))
        of_second = np.float32(1.0 / (1.0 - BETA2**update))
        for p in range(begin, end):
            g = share * gradient[p]
            m = beta1 * first[p] + (one - beta1) * g
            v = beta2 * second[p] + (one - beta2) * (g * g)
            first[p] = m if abs(m) > TINY else zero
            second[p] = v if v > TINY else zero
            root = np.sqrt(second[p] * of_second) + epsilon
            theta[p] += step * (first[p] * of_first) / root
    for k in range(order.size):
        shown[k] = theta[order[k]]
