"""``njit``, numba's, with a cache that may be absent, damaged or written by two processes.

Numba keeps the compiled code beside the source or, where that can't be written, in the user's cache
folder; ``NUMBA_CACHE_DIR`` names another. Numba alone fails at import where it can write to none,
fails at a damaged file, and believes a file that two processes wrote under one name.
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

# What reading a damaged pickle raises: https://docs.python.org/3/library/pickle.html names the
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
    """Return a decorator that compiles a function at its first call, as ``numba.njit`` does.

    Args:
        cache: Whether to keep the compiled code where that is possible.
        **options: As in ``numba.njit``.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(**options)(function)
        if cache:
            try:
                dispatcher._cache = _Cache(function)
            except RuntimeError:  # numba finds no folder
                _warn_of_no_cache()
        return dispatcher

    return decorate


def compile_callback(function: Callable[..., Any], signature: str) -> int:
    """Compile a function for callers that know its address, and keep the code as ``njit`` does.

    Args:
        function: The function; no two of its pointers lead to the same memory.
        signature: Its types, as numba writes them.

    Returns:
        Its address, valid for as long as the process lives.
    """
    types, options = sigutils.normalize_signature(signature), {"error_model": "numpy"}  # type: ignore[no-untyped-call]
    made: Any = CFunc(function, types, {}, options)
    made._compiler = _CallbackCompiler(function, made._targetdescr, options, {}, Compiler)
    try:
        made._cache = _Cache(function)
    except RuntimeError:
        _warn_of_no_cache()
    made.compile()
    _CALLBACKS.append(made)
    address: int = made.address
    return address


class _CallbackCompiler(_NumbaCallbackCompiler):  # type: ignore[misc]
    """Numba's, which tells LLVM that pointers lead to different memory.

    Without that, loops over many arrays stay scalar: LLVM would have to compare all of them.
    """

    def _customize_flags(self, flags: Any) -> Any:
        flags = super()._customize_flags(flags)
        flags.noalias = True
        return flags


_CALLBACKS: list[Any] = []
"""Objects that must not be collected: compiled code knows their addresses."""


@functools.cache
def _warn_of_no_cache() -> None:
    """Warn once a process."""
    warnings.warn(
        "compiled code can be kept neither beside snn_gym nor in the user's cache folder, so every "
        "process compiles its own, which takes seconds; set NUMBA_CACHE_DIR to a writable folder",
        RuntimeWarning,
        stacklevel=2,
    )


class _Cache(_NumbaCache):  # type: ignore[misc]
    """Numba's cache of one function, where code that can't be used is compiled anew.

    Numba alone compares the file that the function was written in; here code is stale, too, when a
    file has changed from which that one has imported compiled functions.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        own = self._cache_file._source_stamp
        self._cache_file._source_stamp = (own, *_stamps_of_imported(function, set()))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled code for the types ``sig``, None if there is none to be used."""
        with collector_paused():
            try:
                found = super().load_overload(sig, target_context)
            except _DAMAGE:
                with contextlib.suppress(OSError):
                    self.flush()
                return None
        # Two processes that compile at once may give one name to the code of different types.
        wanted, _ = sigutils.normalize_signature(sig)  # type: ignore[no-untyped-call]
        return found if found is not None and found.signature.args == wanted else None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep compiled code if the folder can still be written."""
        try:
            super().save_overload(sig, data)
        except OSError:
            _warn_of_no_cache()


def _stamps_of_imported(function: Any, seen: set[str]) -> Iterator[tuple[str, float, int]]:
    """Yield name, time and size of the files of compiled functions that a function's file knows."""
    seen.add(function.__code__.co_filename)
    for name, found in sorted(function.__globals__.items()):
        # Numba keeps the function under one name for compiled code, under another for intrinsics.
        called = getattr(found, "py_func", None) or getattr(found, "_defn", None)
        if called is None or called.__code__.co_filename in seen:
            continue
        file = Path(called.__code__.co_filename)
        if file.is_file():  # not a cell of a notebook
            yield name, file.stat().st_mtime, file.stat().st_size
        yield from _stamps_of_imported(called, seen)
