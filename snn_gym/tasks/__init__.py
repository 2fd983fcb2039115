"""Tasks of our own, written for many environments at once."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snn_gym.tasks.plasticity.multiagent import plasticity_parallel_env
    from snn_gym.tasks.plasticity.vec_env import PlasticityVecEnv

__all__ = ["PlasticityVecEnv", "plasticity_parallel_env"]

_LAZY = {
    "PlasticityVecEnv": "snn_gym.tasks.plasticity.vec_env",
    "plasticity_parallel_env": "snn_gym.tasks.plasticity.multiagent",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: classic control needs no torch."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
