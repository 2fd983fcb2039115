"""One thread for torch and numpy, and a warning where a recipe is made on several."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch and numpy on one thread meanwhile: networks are small, and sums keep one order.

    Where other programs run, threads that wait for each other cost several times what they save.
    """
    # Here, because listing results needs the importing modules but not torch.
    import torch
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(threads)


def warn_of_threads() -> None:
    """Warn, once in a process, where a recipe is made of a training on several threads."""
    import torch

    threads = torch.get_num_threads()
    if threads > 1:
        _warn(threads)


@functools.cache
def _warn(threads: int) -> None:
    warnings.warn(
        f"torch runs on {threads} threads, whose sums have another order than those of one: who "
        "trains this recipe again gets other weights; train with `snn-gym train`, or set "
        "OMP_NUM_THREADS=1 in the environment, which is also faster for small networks",
        stacklevel=3,
    )
