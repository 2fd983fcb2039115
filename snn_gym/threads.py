"""A context in which torch and numpy compute on one thread."""

from __future__ import annotations

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
