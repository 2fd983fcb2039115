"""Dense networks: the floor of a spiking network's products, and an MLP in one compiled call."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.timing import Run


def products(sizes: tuple[int, ...], time_steps: int, batch: int) -> Run:
    """Return a function that makes the dense products of a decision, and nothing else."""
    rows = [batch, *[time_steps * batch] * (len(sizes) - 2)]
    made = [_product(*layer) for layer in zip(rows, sizes[:-1], sizes[1:], strict=True)]

    def run() -> None:
        for left, right, out in made:
            torch.mm(left, right, out=out)

    return run


def training_products(sizes: tuple[int, ...], time_steps: int, batch: int) -> Run:
    """Return a function that makes the dense products of a decision and of its gradients.

    Beside the forward products these are, of each layer, the gradient of its weights and, but of
    the first, that of its input.
    """
    rows = [batch, *[time_steps * batch] * (len(sizes) - 2)]
    layers = list(zip(rows, sizes[:-1], sizes[1:], strict=True))
    made = [_product(*layer) for layer in layers]
    # Left as a transposed view: the input lies row by row.
    for count, inputs, outputs in layers:
        left, right, out = _product(inputs, count, outputs)
        made.append((left.t().contiguous().t(), right, out))
    made += [_product(count, outputs, inputs) for count, inputs, outputs in layers[1:]]

    def run() -> None:
        for left, right, out in made:
            torch.mm(left, right, out=out)

    return run


def _product(rows: int, inner: int, columns: int) -> tuple[torch.Tensor, torch.Tensor, Any]:
    """Return factors (rows, inner) and (inner, columns) and memory for their product."""
    left, right = torch.randn(rows, inner), torch.randn(inner, columns)
    return left, right, torch.empty(rows, columns)
