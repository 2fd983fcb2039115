"""Learned constants of neurons, and parameters that cells hold themselves.

A constant that ``NetworkConfig.learnable`` names is learned as an unbounded number ``w``, one for
each neuron:

- a time constant by ``dt / tau = sigmoid(w)``, which keeps ``tau`` above ``dt`` (the parametric LIF
  of Fang et al. 2021, https://arxiv.org/abs/2007.05785, equation 9);
- the threshold by ``v_threshold = floor + softplus(w)``; the floor is the higher one of resting
  potential and reset, so that a neuron needs input to fire and stops firing;
- the rise of an adaptive threshold by ``beta = softplus(w)``.

Every neuron starts with the configured value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn

from snn_gym.program.neuron import NeuronParameters, is_time_constant


class LearnedConstant(nn.Module):
    """A learned constant of a layer's neurons; ``name`` is one of ``learnable_fields``."""

    def __init__(self, name: str, parameters: NeuronParameters, dt_ms: float, size: int) -> None:
        super().__init__()
        value = float(getattr(parameters, name))
        self._is_time_constant = is_time_constant(name)
        self._floor = 0.0
        if self._is_time_constant:
            gain = dt_ms / value
            start = math.log(gain / (1.0 - gain))
        else:
            if name == "v_threshold":
                self._floor = max(parameters.v_reset, getattr(parameters, "v_leak", -math.inf))
            start = math.log(math.expm1(value - self._floor))
        self.raw = nn.Parameter(torch.full((size,), start))
        """(N,), the unbounded numbers w."""

    @property
    def value(self) -> Tensor:
        """Constant of every neuron (N,); ``dt / tau`` for a time constant."""
        if self._is_time_constant:
            return torch.sigmoid(self.raw)
        return self._floor + nn.functional.softplus(self.raw)


def hidden_parameters(holder: object, known: Iterable[nn.Parameter]) -> dict[str, nn.Parameter]:
    """Return parameters inside ``holder`` that are not ``known``, by path, joined by ``_``."""
    seen = {id(parameter) for parameter in known}
    hidden: dict[str, nn.Parameter] = {}
    for path, parameter in _walk(vars(holder), (), set()):
        if id(parameter) not in seen:
            seen.add(id(parameter))
            hidden["_".join(path)] = parameter
    return hidden


# Dictionaries of nn.Module that hold registered parts; they are left out of the path.
_REGISTRIES = ("_parameters", "_modules")


def _walk(
    value: object, path: tuple[str, ...], visited: set[int]
) -> Iterator[tuple[tuple[str, ...], nn.Parameter]]:
    if isinstance(value, nn.Parameter):
        yield path, value
        return
    parts: Iterable[tuple[object, object]] = ()
    if isinstance(value, nn.Module):
        parts = vars(value).items()
    elif isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, tuple | list):
        parts = zip(getattr(value, "_fields", range(len(value))), value, strict=True)
    if not parts or id(value) in visited:
        return
    visited.add(id(value))
    for name, part in parts:
        inner = path if name in _REGISTRIES else (*path, str(name))
        yield from _walk(part, inner, visited)
