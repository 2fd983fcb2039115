"""Norse's modules, imported when they are first needed and without its warnings."""

from __future__ import annotations

import warnings
from importlib import import_module
from types import ModuleType


def norse_functional(name: str) -> ModuleType:
    """Import a module of ``norse.torch.functional``.

    Norse 1.1.0 compiles some of its functions by ``torch.jit.script``, of which newer versions of
    PyTorch warn; whoever makes an agent can do nothing about that.

    Args:
        name: The module's last name, such as ``lif``.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", FutureWarning)
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        return import_module(f"norse.torch.functional.{name}")
