"""Kernels by the interpreter, which checks every index where machine code does not."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from snn_gym.program.neuron_kernels import kernel_at


def call(address: int, *given: Any) -> None:
    """Do what ``snn_gym.program.neuron_kernels.call`` does, in Python."""
    source = kernel_at(address).source
    (name,) = re.findall(r"^def (\w+)\(", source)
    fractions = {f"F{k}": np.float32(1.0 / n) for k, n in enumerate((2, 6, 24, 120, 720, 5040), 2)}
    scope: dict[str, Any] = {"np": np, "carray": carray, "one": np.float32(1.0), **fractions}
    exec(source, scope)  # noqa: S102
    with np.errstate(all="ignore"):
        scope[name](*given)


def carray(given: Any, shape: tuple[int, ...]) -> np.ndarray:
    """View what a pointer leads to, which must be as large as the kernel takes it to be."""
    array, first = given if isinstance(given, tuple) else (given, 0)
    if array.ndim == 3:  # (K, T, row), of which a kernel knows how far its K parts are apart
        assert len(array) <= 1 or array.strides[0] // 4 == shape[1]
        return _Rows(array)
    size = int(np.prod(shape))
    flat = array.reshape(-1)[first:]
    assert array.flags.c_contiguous
    if flat.size < size:  # of an argument that is not read
        return np.full((0,) * len(shape), np.nan, np.float32)
    return flat[:size].reshape(shape)


class _Rows:
    """Rows of a slice, by the flat places that a kernel asks for."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __getitem__(self, place: tuple[int, slice]) -> np.ndarray:
        k, part = place
        row = part.stop - part.start
        assert row == self._array.shape[2]
        assert part.start % row == 0
        return self._array[k, part.start // row]
