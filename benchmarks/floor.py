"""Dense networks: the floor of a spiking network's products, and an MLP in one compiled call."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.timing import Run

Array = NDArray[np.float32]


def products(sizes: tuple[int, ...], time_steps: int, batch: int) -> Run:
    """Return a function that makes the dense products of a decision, and nothing else.

    Args:
        sizes: Inputs, then the neurons of each layer.
        time_steps: T; the product of the constant input is made once.
        batch: B.
    """
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

    Args:
        sizes: As for ``products``.
        time_steps: As there.
        batch: As there.
    """
    rows = [batch, *[time_steps * batch] * (len(sizes) - 2)]
    layers = list(zip(rows, sizes[:-1], sizes[1:], strict=True))
    made = [_product(*layer) for layer in layers]
    # Left as a transposed view: what came in lies row by row.
    for count, inputs, outputs in layers:
        left, right, out = _product(inputs, count, outputs)
        made.append((left.t().contiguous().t(), right, out))
    made += [_product(count, outputs, inputs) for count, inputs, outputs in layers[1:]]

    def run() -> None:
        for left, right, out in made:
            torch.mm(left, right, out=out)

    return run


def macs(sizes: tuple[int, ...], time_steps: int, batch: int) -> int:
    """Return the multiply-accumulates of ``products``."""
    rows = [batch, *[time_steps * batch] * (len(sizes) - 2)]
    return sum(
        count * inputs * outputs
        for count, inputs, outputs in zip(rows, sizes[:-1], sizes[1:], strict=True)
    )


def _product(rows: int, inner: int, columns: int) -> tuple[torch.Tensor, torch.Tensor, Any]:
    """Return factors (rows, inner) and (inner, columns) and memory for their product."""
    left, right = torch.randn(rows, inner), torch.randn(inner, columns)
    return left, right, torch.empty(rows, columns)


# No reassociation: `contract` fuses multiply and add, which is what is left to allow.
_jit = numba.njit(fastmath={"contract"}, cache=True, nogil=True)


@_jit
def _tanh(x: Any) -> Any:
    """Return tanh (float32) by Eigen's rational function, a few units in the last place off.

    https://gitlab.com/libeigen/eigen, ``generic_fast_tanh_float``; LLVM makes vectors of it.
    """
    f = np.float32
    x = max(f(-7.90531110763549805), min(f(7.90531110763549805), x))
    s = x * x
    p = f(-2.76076847742355e-16) * s + f(2.00018790482477e-13)
    p = p * s + f(-8.60467152213735e-11)
    p = p * s + f(5.12229709037114e-08)
    p = p * s + f(1.48572235717979e-05)
    p = p * s + f(6.37261928875436e-04)
    p = p * s + f(4.89352455891786e-03)
    q = f(1.19825839466702e-06) * s + f(1.18534705686654e-04)
    q = q * s + f(2.26843463243900e-03)
    q = q * s + f(4.89352518554385e-03)
    return x * p / q


@_jit
def _dense(x: Array, weights: Array, biases: Array, out: Array) -> None:
    """Write ``x @ weights + biases``, four rows of the weights at a time."""
    inputs, outputs = weights.shape
    for j in range(outputs):
        out[j] = biases[j]
    for i in range(0, inputs - 3, 4):
        a, b, c, d = x[i], x[i + 1], x[i + 2], x[i + 3]
        for j in range(outputs):
            out[j] += (
                a * weights[i, j]
                + b * weights[i + 1, j]
                + c * weights[i + 2, j]
                + d * weights[i + 3, j]
            )
    for i in range(inputs - inputs % 4, inputs):
        for j in range(outputs):
            out[j] += x[i] * weights[i, j]


@_jit
def _mlp(
    observations: Array, w1: Array, b1: Array, w2: Array, b2: Array, w3: Array, b3: Array
) -> NDArray[np.int64]:
    """Return the preferred actions (B,) of an MLP with two tanh layers."""
    batch, width = observations.shape[0], b1.size
    first, second = np.empty(width, np.float32), np.empty(b2.size, np.float32)
    last, actions = np.empty(b3.size, np.float32), np.empty(batch, np.int64)
    for row in range(batch):
        _dense(observations[row], w1, b1, first)
        for j in range(width):
            first[j] = _tanh(first[j])
        _dense(first, w2, b2, second)
        for j in range(second.size):
            second[j] = _tanh(second[j])
        _dense(second, w3, b3, last)
        actions[row] = np.argmax(last)
    return actions


class CompiledMLP:
    """The MLP of Stable-Baselines3's ``MlpPolicy`` as one compiled call, observations to actions.

    Args:
        linears: Its three linear layers, input side first.
    """

    def __init__(self, linears: list[nn.Linear]) -> None:
        self._weights: list[Array] = []
        for linear in linears:
            weight = linear.weight.detach().numpy()
            self._weights += [np.ascontiguousarray(weight.T), linear.bias.detach().numpy().copy()]

    def __call__(self, observations: Array) -> NDArray[np.int64]:
        """Return preferred actions (B,) for observations (B, I)."""
        actions: NDArray[np.int64] = _mlp(observations, *self._weights)
        return actions
