"""Numba's ``njit`` with a cache that may be missing, damaged or shared by processes.

Numba caches compiled code beside the source or, if that folder can't be written, in the user's
cache folder; ``NUMBA_CACHE_DIR`` names another. Numba alone fails at import if it can write to
neither, fails at a damaged file, and trusts a file that two processes wrote under one name.
"""

from __future__ import annotations

import contextlib
import functools
import pickle
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
from numba.core import ccallback, sigutils
from numba.core.caching import FunctionCache
from numba.core.ccallback import CFunc
from numba.core.compiler import Compiler

from snn_gym._base.lazy import collector_paused

_NumbaCache: Any = FunctionCache
_NumbaCallbackCompiler: Any = vars(ccallback)["_CFuncCompiler"]

# Errors of reading a damaged pickle: https://docs.python.org/3/library/pickle.html names the
# first four, and wrong bytes make its operations fail with the others.
_DAMAGE = (
    pickle.UnpicklingError,
    AttributeError,
    ImportError,
    LookupError,
    EOFError,
    TypeError,
    ValueError,
    MemoryError,
    OverflowError,
)


def njit(*, cache: bool, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return ``numba.njit``'s decorator; ``cache`` keeps code on disk, or warns where it can't."""

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(**options)(function)
        if cache:
            _set_cache(dispatcher, function)
        return dispatcher

    return decorate


def _set_cache(compiled: Any, function: Callable[..., Any]) -> None:
    """Set the cache of compiled code, or warn if numba finds no folder for it."""
    try:
        compiled._cache = _Cache(function)
    except RuntimeError:
        _warn_of_no_cache()


def compile_callback(function: Callable[..., Any], signature: str) -> int:
    """Compile a C callback whose pointers must never alias; return its address in this process."""
    types, options = sigutils.normalize_signature(signature), {"error_model": "numpy"}  # type: ignore[no-untyped-call]
    callback: Any = CFunc(function, types, {}, options)
    callback._compiler = _CallbackCompiler(function, callback._targetdescr, options, {}, Compiler)
    _set_cache(callback, function)
    callback.compile()
    _CALLBACKS.append(callback)
    address: int = callback.address
    return address


class _CallbackCompiler(_NumbaCallbackCompiler):  # type: ignore[misc]
    """Numba's compiler, with pointers that never alias."""

    def _customize_flags(self, flags: Any) -> Any:
        flags = super()._customize_flags(flags)
        # Else loops over many arrays stay scalar: LLVM would have to compare all pointers.
        flags.noalias = True
        return flags


_CALLBACKS: list[Any] = []  # Compiled code knows their addresses, so they must stay alive.


@functools.cache
def _warn_of_no_cache() -> None:
    """Warn, once a process, that compiled code can't be kept on disk."""
    warnings.warn(
        "compiled code can be kept neither beside snn_gym nor in the user's cache folder, so every "
        "process compiles its own, which takes seconds; set NUMBA_CACHE_DIR to a writable folder",
        RuntimeWarning,
        stacklevel=2,
    )


class _Cache(_NumbaCache):  # type: ignore[misc]
    """Numba's cache of one function; unusable code is compiled anew."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        # Numba checks the function's file only; code is stale, too, once a file has changed from
        # which that one imports compiled functions.
        stamp = self._cache_file._source_stamp
        self._cache_file._source_stamp = (stamp, *_stamps_of_imported(function, set()))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the stored code for types ``sig``, or None; damaged code empties the cache."""
        with collector_paused():
            try:
                code = super().load_overload(sig, target_context)
            except _DAMAGE:
                with contextlib.suppress(OSError):
                    self.flush()
                return None
        # Two processes that compile at once may give one name to the code of different types.
        wanted, _ = sigutils.normalize_signature(sig)  # type: ignore[no-untyped-call]
        return code if code is not None and code.signature.args == wanted else None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Store compiled code, or warn if the folder can no longer be written."""
        try:
            super().save_overload(sig, data)
        except OSError:
            _warn_of_no_cache()


def _stamps_of_imported(function: Any, seen: set[str]) -> Iterator[tuple[str, float, int]]:
    """Yield function, time and size of each file, not in ``seen``, with imported compiled code."""
    seen.add(function.__code__.co_filename)
    for name, value in sorted(function.__globals__.items()):
        # Numba keeps the function under one name for compiled code, under another for intrinsics.
        callee = getattr(value, "py_func", None) or getattr(value, "_defn", None)
        if callee is None or callee.__code__.co_filename in seen:
            continue
        file = Path(callee.__code__.co_filename)
        if file.is_file():  # not a cell of a notebook
            yield name, file.stat().st_mtime, file.stat().st_size
        yield from _stamps_of_imported(callee, seen)
