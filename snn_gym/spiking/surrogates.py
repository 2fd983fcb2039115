"""Spikes with surrogate gradients, as operations of PyTorch."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from snn_gym.program.neurons import SURROGATES


def is_traced() -> bool:
    """Return whether PyTorch is tracing, so that only PyTorch operations may be used.

    True under ``torch.jit.trace``, ``torch.export``, ``torch.compile``, ``make_fx`` and both ONNX
    exports. The results of numpy or of a compiled kernel would be frozen into the trace.
    """
    # A dispatch mode is how PyTorch records, and runs without numbers (fake tensors).
    traced: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return traced or torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() > 0


def surrogate_half_width(surrogate: str, slope: float) -> float:
    """Return the half-width at half maximum of a surrogate gradient, in voltage units.

    superspike ``(sqrt(2) - 1) / k``, arctan ``2 / (pi k)``, sigmoid ``2 ln(1 + sqrt(2)) / k``;
    triangle 1/2, because its slope k scales the height and not the width.
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
    """Return spikes, 1 where ``x = v - v_threshold`` is above 0, with a surrogate gradient."""
    if surrogate not in SURROGATES:
        raise ValueError(f"surrogate {surrogate!r} is unknown; known: {', '.join(SURROGATES)}")
    result: Tensor = _Spike.apply(x, surrogate, slope)
    return result
