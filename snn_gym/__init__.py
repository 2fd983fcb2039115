"""Spiking neural networks in reinforcement learning.

Importing the package registers its environments with gymnasium. It loads neither torch
nor norse: what needs them is imported when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from snn_gym._version import __version__
from snn_gym.registry import env_ids, register_environments

if TYPE_CHECKING:
    from snn_gym.scoring import evaluate
    from snn_gym.vector import make_vec_env
    from snn_gym.zoo import agent_ids, load_agent, make_agent, save_agent

__all__ = [
    "__version__",
    "agent_ids",
    "env_ids",
    "evaluate",
    "load_agent",
    "make_agent",
    "make_vec_env",
    "save_agent",
]

_LAZY = {
    "agent_ids": "snn_gym.zoo",
    "evaluate": "snn_gym.scoring",
    "load_agent": "snn_gym.zoo",
    "make_agent": "snn_gym.zoo",
    "make_vec_env": "snn_gym.vector",
    "save_agent": "snn_gym.zoo",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})


register_environments()
