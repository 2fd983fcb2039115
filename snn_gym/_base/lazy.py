"""Packages that import their public names on first use (PEP 562)."""

from __future__ import annotations

import functools
import gc
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar
from warnings import warn

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


def moved_name(old: str, home: str, name: str) -> Any:
    """Return the attribute ``name`` of the module ``home``; warn that ``old`` is deprecated."""
    warn(
        "{} is deprecated since 1.0 and leaves in 1.2; use {}.{}".format(old, home, name),  # noqa: UP032
        DeprecationWarning,
        stacklevel=3,
    )
    return getattr(importlib.import_module(home), name)


def lazy_names(
    package: str, homes: Mapping[str, str], renamed: Mapping[str, str] = MappingProxyType({})
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package, which import names on first use.

    ``homes`` maps public names to submodules; one with a leading dot is relative to the package
    above. ``renamed`` maps old names to full new ones; their use warns.
    """

    def get(name: str) -> Any:
        if name in renamed:
            home, _, new = renamed[name].rpartition(".")
            return moved_name(f"{package}.{name}", home, new)
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with collector_paused():
            value = getattr(importlib.import_module(f".{homes[name]}", package), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get, names
