"""Packages whose public names are imported when they are first asked for (PEP 562)."""

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
    """Load code without Python's cyclic garbage collector.

    What is loaded stays, so that the collector would walk through all of torch several times and
    find nothing, for a third of the time.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def cached(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Return a function that computes each result once; as ``functools.cache``, with its types.

    Args:
        function: The function, whose arguments are hashable.
    """
    # Any: the cache takes all that is hashable.
    found: Any = functools.cache(function)
    return found  # type: ignore[no-any-return]


def moved_name(old: str, home: str, name: str) -> Any:
    """Return a name that has moved, with a warning that says where it is.

    Args:
        old: How it was found, with its module.
        home: Module in which it is now.
        name: Its name there.
    """
    warn(
        "{} is deprecated since 1.0 and leaves in 1.2; use {}.{}".format(old, home, name),  # noqa: UP032
        DeprecationWarning,
        stacklevel=3,
    )
    return getattr(importlib.import_module(home), name)


def lazy_names(
    package: str, homes: Mapping[str, str], renamed: Mapping[str, str] = MappingProxyType({})
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make ``__getattr__`` and ``__dir__`` of a package.

    What needs torch or an optional dependency loads only with the name that needs it, so that
    importing the package is light.

    Args:
        package: ``__name__`` of the package.
        homes: Submodule of each public name, relative to the package; with a leading dot, relative
            to the package above.
        renamed: Earlier names, and what each is called now, with its module.

    Returns:
        ``__getattr__`` and ``__dir__``.
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
