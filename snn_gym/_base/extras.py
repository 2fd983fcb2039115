"""Packages of optional extras: their import, and the hint of how to install them."""

from __future__ import annotations

import importlib
from types import ModuleType


def install_hint(extra: str) -> str:
    """Return the command that installs an extra, as snn_gym is on no package index."""
    return f'in the clone of snn_gym, run pip install -e ".[{extra}]"'


def import_extra(
    module: str, need: str, extra: str, kind: type[Exception] = ImportError
) -> ModuleType:
    """Import a package of an extra, or raise ``kind``: ``need`` says which package is for what."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != module.partition(".")[0]:
            raise
        raise kind(f"{need}, which is not installed; {install_hint(extra)}") from error
