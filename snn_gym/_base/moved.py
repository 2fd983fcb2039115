"""Import paths of 1.0.0, kept for one version; ``moved.txt`` lists the new module of each.

Saved files of Stable-Baselines3 name modules, too.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from snn_gym._base.lazy import cached, moved_name

_TABLE = Path(__file__).with_name("moved.txt")


@cached
def homes() -> dict[str, list[str]]:
    """Return, by each removed module's full name, the full names of modules with its content."""
    rows = [line.split() for line in _TABLE.read_text("utf-8").splitlines()]
    return {f"snn_gym.{old}": [f"snn_gym.{home}" for home in new] for old, *new in rows}


_RENAMED = {"FusedNeuron": "LayerNeurons", "make_neuron": "make_neurons"}


class _MovedModule(ModuleType):
    """Stand-in for a removed module: finds its names in the present ones, with a warning."""

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            for home in homes()[self.__name__]:
                new = _RENAMED.get(name, name)
                if hasattr(import_module(home), new):
                    return moved_name(f"{self.__name__}.{name}", home, new)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


class _MovedModules(MetaPathFinder, Loader):
    """Finder of removed modules, asked after all others."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if fullname.startswith("snn_gym.") and fullname in homes():
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _MovedModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: there is no code."""


def find_moved_modules() -> None:
    """Let Python import modules by their names of 1.0.0; a second call does nothing."""
    if not any(isinstance(finder, _MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(_MovedModules())
