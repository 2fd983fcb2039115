"""Makes Norse's parameters picklable, which their module's name does not let them be.

Norse 1.1.0 builds their types by a metaclass, and the types say that they come from its module;
pickle looks for them there in vain. Importing this tells it where they are.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from typing import Any

from snn_gym.spiking.neurons.norse_modules import norse_functional

_TYPES: dict[str, Callable[..., Any]] = {
    "IAFParameters": norse_functional("iaf").IAFParameters,
    "LIFParameters": norse_functional("lif").LIFParameters,
    "LIFBoxParameters": norse_functional("lif_box").LIFBoxParameters,
}


def _make(name: str, values: tuple[Any, ...]) -> Any:
    return _TYPES[name](*values)


def _reduce(parameters: Any) -> tuple[Callable[..., Any], tuple[str, tuple[Any, ...]]]:
    return _make, (type(parameters).__name__, tuple(parameters))


for _kind in _TYPES.values():
    copyreg.pickle(_kind, _reduce)  # type: ignore[arg-type]
