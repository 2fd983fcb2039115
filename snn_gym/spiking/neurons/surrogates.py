"""Spikes with surrogate gradients.

Forward, a spike is the Heaviside step ``x > 0`` of the distance ``x = v - v_threshold``. Backward,
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
from typing import Any

import torch
from torch import Tensor

Derivative = Callable[[Tensor, float], Tensor]


def _superspike(x: Tensor, slope: float) -> Tensor:
    return 1.0 / (1.0 + slope * x.abs()).square()


def _arctan(x: Tensor, slope: float) -> Tensor:
    return 0.5 * slope / (1.0 + (0.5 * math.pi * slope * x).square())


def _triangle(x: Tensor, slope: float) -> Tensor:
    return slope * torch.relu(1.0 - x.abs())


def _sigmoid(x: Tensor, slope: float) -> Tensor:
    squashed = torch.sigmoid(slope * x)
    return slope * squashed * (1.0 - squashed)


SURROGATES: dict[str, Derivative] = {
    "superspike": _superspike,
    "arctan": _arctan,
    "triangle": _triangle,
    "sigmoid": _sigmoid,
}
"""Derivative of each surrogate, from (distance to threshold, slope)."""


def surrogate_half_width(surrogate: str, slope: float) -> float:
    """Return the distance from the threshold at which a surrogate gradient has fallen to half.

    The half-width at half maximum of the derivatives above:
    superspike (sqrt(2) - 1) / k, arctan 2 / (pi k), sigmoid 2 ln(1 + sqrt(2)) / k; of triangle 1/2,
    because its slope scales the height and not the width.

    Args:
        surrogate: Name of the surrogate gradient.
        slope: Its slope k, above 0.

    Returns:
        Half-width, voltage units.

    Raises:
        ValueError: The surrogate is unknown.
    """
    widths = {
        "superspike": (math.sqrt(2.0) - 1.0) / slope,
        "arctan": 2.0 / (math.pi * slope),
        "triangle": 0.5,
        "sigmoid": 2.0 * math.log(1.0 + math.sqrt(2.0)) / slope,
    }
    if surrogate not in widths:
        raise ValueError(f"surrogate {surrogate!r} is unknown; known: {', '.join(widths)}")
    return widths[surrogate]


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, surrogate: str, slope: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.surrogate, ctx.slope = surrogate, slope
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        # Plain differentiable operations, so that a second derivative sees the surrogate's own.
        return grads[0] * SURROGATES[ctx.surrogate](x, ctx.slope), None, None


def spike(x: Tensor, surrogate: str, slope: float) -> Tensor:
    """Fire where the distance to the threshold is above 0.

    Args:
        x: Distances ``v - v_threshold``, any shape, float.
        surrogate: Name of the surrogate gradient.
        slope: Its slope, above 0.

    Returns:
        Spikes, 0 or 1, of the shape and dtype of ``x``.

    Raises:
        ValueError: The surrogate is unknown.
    """
    if surrogate not in SURROGATES:
        raise ValueError(f"surrogate {surrogate!r} is unknown; known: {', '.join(SURROGATES)}")
    result: Tensor = _Spike.apply(x, surrogate, slope)  # type: ignore[no-untyped-call]
    return result
