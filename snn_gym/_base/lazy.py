"""Imports on first use (PEP 562) and of optional extras; a line that Jupyter renews."""

from __future__ import annotations

import functools
import gc
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause Python's cyclic garbage collector in a ``with`` block that loads code."""
    # Loaded code stays: the collector would take a third of the time to walk through torch in vain.
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def cached(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Return a function that computes each result once; ``functools.cache`` with types."""
    memoised: Any = functools.cache(function)  # Any: the cache takes every hashable argument.
    return memoised  # type: ignore[no-any-return]


def lazy_names(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package, which import names on first use.

    ``homes`` maps public names to submodules; one with a leading dot is relative to the package
    above.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with collector_paused():
            value = getattr(importlib.import_module(f".{homes[name]}", package), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get, names


# ---- packages of extras --------------------------------------------------------------------------


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


# ---- notebooks -----------------------------------------------------------------------------------


def new_line() -> Callable[[str], None] | None:
    """Show an empty line and return a function that replaces it; None outside of Jupyter."""
    # IPython is never imported: where it runs, it is loaded.
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if not hasattr(shell, "kernel"):
        return None
    display = sys.modules["IPython.display"].display
    handle = display({"text/plain": ""}, raw=True, display_id=True)
    return lambda line: handle.update({"text/plain": line}, raw=True)
