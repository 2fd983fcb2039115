"""Surrogate gradients: what stands for the derivative of a spike, as one expression each.

Forward, a spike is the Heaviside step ``x > 0`` of the distance ``x`` to the threshold. Backward,
its derivative is replaced by a smooth one. Norse 1.1.0's ``super`` ignores its slope, so these are
our own; they differentiate twice.

======================  =================================  =============================
name                    derivative at x, slope k           source
======================  =================================  =============================
``superspike``          ``1 / (1 + k|x|)^2``               Zenke & Ganguli 2018, 3.3.2
``arctan``              (k/2) / (1 + (pi/2 k x)^2)         Fang et al. 2021
``triangle``            ``k max(0, 1 - |x|)``              Esser 2016, Bellec et al. 2020
``sigmoid``             k s(kx) (1 - s(kx))                the logistic function's own
======================  =================================  =============================

Sources: https://doi.org/10.1162/neco_a_01086, https://arxiv.org/abs/2007.05785,
https://doi.org/10.1038/s41467-020-17236-y.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from snn_gym._lazy import cached
from snn_gym.program.expressions import Expression, Value, exp_of_negative, maximum, name
from snn_gym.program.neuron import DISTANCE, SLOPE

Surrogate = Callable[[Value, Value], Value]


def _superspike(x: Value, k: Value) -> Value:
    root = k * abs(x) + 1.0
    return 1.0 / (root * root)


def _arctan(x: Value, k: Value) -> Value:
    scaled = (math.pi / 2.0 * k) * x
    return (0.5 * k) / (1.0 + scaled * scaled)


def _triangle(x: Value, k: Value) -> Value:
    return k * maximum(0.0, 1.0 - abs(x))


def _sigmoid(x: Value, k: Value) -> Value:
    e = exp_of_negative(-(k * abs(x)))
    return k * e / ((1.0 + e) * (1.0 + e))


SURROGATES: dict[str, Surrogate] = {
    "superspike": _superspike,
    "arctan": _arctan,
    "triangle": _triangle,
    "sigmoid": _sigmoid,
}
"""Derivative of each surrogate, from (distance to threshold, slope)."""


@cached
def surrogate_expression(surrogate: str) -> Expression:
    """Return a surrogate's derivative, from the names `DISTANCE` and `SLOPE`.

    Args:
        surrogate: Name of the surrogate gradient.
    """
    found: Expression = SURROGATES[surrogate](name(DISTANCE), name(SLOPE))
    return found
