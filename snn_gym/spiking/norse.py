"""Norse's integration of its neurons: an alternative to their texts, and their oracle."""

from __future__ import annotations

import copyreg
import math
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from snn_gym._base.lazy import cached
from snn_gym.program.neuron import Neuron, NeuronParameters, is_time_constant
from snn_gym.program.neurons import IAF, LIF, LIFBox
from snn_gym.spiking.learned import LearnedConstant
from snn_gym.spiking.surrogates import is_traced


# ---- norse modules -------------------------------------------------------------------------------
def norse_functional(name: str) -> ModuleType:
    """Return the module ``norse.torch.functional.<name>``, imported without its warnings."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", FutureWarning)
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        return import_module(f"norse.torch.functional.{name}")


# ---- norse neurons -------------------------------------------------------------------------------
# Norse's step function is called with an infinite threshold, which leaves the membrane potential
# before the reset. The spike and the reset are then those of the text, which are Norse's own
# formulas with a surrogate gradient whose slope works. Norse's LSNN is not here: its threshold is
# state and can't be put out of reach.
_NAMES: dict[type[Neuron], tuple[str, str]] = {
    LIFBox: ("lif_box", "LIFBox"),
    IAF: ("iaf", "IAF"),
    LIF: ("lif", "LIF"),
}
"""Norse's module of a neuron, and the prefix of its names."""
# At an infinite threshold Norse's neuron never fires, and its step is the bare integration.
_NEVER = torch.tensor(math.inf)


class _Norse(NamedTuple):
    """Step function, state type and parameter type of Norse for a neuron."""

    step: Callable[..., Any]
    state: type[Any]
    parameters: type[Any]


@cache
def make_picklable() -> None:
    """Make Norse's parameters picklable."""
    for module, name in _NAMES.values():
        kind = getattr(norse_functional(module), f"{name}Parameters")
        copyreg.pickle(kind, _reduce)


def _reduce(parameters: Any) -> tuple[Callable[..., Any], tuple[str, tuple[Any, ...]]]:
    return _make, (type(parameters).__name__, tuple(parameters))


def _make(name: str, values: tuple[Any, ...]) -> Any:
    """Make Norse's parameters from a pickle; users' files contain the name of this function."""
    (module,) = (x for x, prefix in _NAMES.values() if name == f"{prefix}Parameters")
    return getattr(norse_functional(module), name)(*values)


@cache
def _norse(module: str, name: str) -> _Norse:
    """Return Norse's functions and types of a neuron, imported if need be."""
    functional = norse_functional(module)
    make_picklable()
    return _Norse(
        getattr(functional, f"{module}_feed_forward_step"),
        getattr(functional, f"{name}FeedForwardState"),
        getattr(functional, f"{name}Parameters"),
    )


def norse_integrate(
    text: type[Neuron],
    parameters: NeuronParameters,
    dt_ms: float,
    learned: Mapping[str, LearnedConstant],
) -> Callable[[Tensor, tuple[Tensor, ...]], tuple[Tensor, ...]] | None:
    """Return Norse's integration ``(current, state) -> state``; None for a neuron it lacks."""
    if text not in _NAMES:
        return None
    # Tensors made in a trace belong to it, and learned constants change: neither is cached.
    norse = _norse(*_NAMES[text])
    if learned or is_traced():
        made = _constants(text, parameters, dt_ms, learned)
    else:
        made = _fixed_constants(text, parameters, dt_ms)

    def integrate(current: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        _, new = norse.step(current, norse.state(*state), made, dt_ms / 1000.0)
        return tuple(new)

    return integrate


def _constants(
    text: type[Neuron],
    parameters: NeuronParameters,
    dt_ms: float,
    learned: Mapping[str, LearnedConstant] = MappingProxyType({}),
) -> Any:
    """Return Norse's parameters of a neuron, with an infinite threshold."""
    given: dict[str, Any] = {}
    for field, value in vars(parameters).items():
        rate = f"{field.removesuffix('_ms')}_inv"
        if is_time_constant(field) and field in learned:
            given[rate] = learned[field].value / (dt_ms / 1000.0)
        elif is_time_constant(field):
            given[rate] = torch.tensor(1000.0 / value)
    if hasattr(parameters, "v_leak"):
        given["v_leak"] = torch.tensor(parameters.v_leak)
    reset = torch.tensor(parameters.v_reset)
    norse = _norse(*_NAMES[text])
    return norse.parameters(v_th=_NEVER, v_reset=reset, method="heaviside", **given)


_fixed_constants = cached(_constants)
