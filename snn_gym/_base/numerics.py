"""Kernels of OpenBLAS and numbers of threads, on which the order of sums depends."""

from __future__ import annotations

import functools
import os
import platform
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# ---- openblas ------------------------------------------------------------------------------------
VARIABLE = "OPENBLAS_CORETYPE"
"""Environment variable by which OpenBLAS is told its kernels; it reads it once, when it is loaded
(https://github.com/OpenMathLib/OpenBLAS#setting-the-kernel-at-runtime)."""
KERNELS = "Haswell"
"""Kernels of the first processors with AVX2. Left alone, OpenBLAS takes those made for the one at
hand, which add up in another order, and a sum that rounds otherwise is another training."""
_PROCESSOR = Path("/proc/cpuinfo")


def choose_kernels() -> None:
    """Have OpenBLAS take the same kernels on all processors that can run them.

    Nothing changes where the variable is set, where numpy is loaded already, and on processors
    without AVX2 or of which nothing is known.
    """
    if VARIABLE not in os.environ and "numpy" not in sys.modules and _has_avx2():
        os.environ[VARIABLE] = KERNELS


def _has_avx2() -> bool:
    if platform.machine() not in ("x86_64", "AMD64") or not _PROCESSOR.exists():
        return False
    # No further than the first core: where there are hundreds the whole takes the kernel a while.
    with _PROCESSOR.open(encoding="ascii", errors="replace") as lines:
        flags = next((line for line in lines if line.startswith("flags")), "")
    return "avx2" in flags.split()


@functools.cache
def warn_of_other_kernels() -> None:
    """Warn, once in a process, where a recipe is made with other kernels than ``KERNELS``.

    Nothing is said where the variable asks for others, and where ``choose_kernels`` does nothing.
    """
    used = kernels()
    if os.environ.get(VARIABLE, KERNELS) != KERNELS or used in (None, KERNELS) or not _has_avx2():
        return
    warnings.warn(
        f"numpy was imported before snn_gym, so that its products round by OpenBLAS's {used} "
        f"kernels and not by those of {KERNELS}: who trains this recipe again gets other weights; "
        f"import snn_gym before numpy and torch, or set {VARIABLE}={KERNELS} in the environment",
        stacklevel=2,
    )


def kernels() -> str | None:
    """Return the kernels in use, None where numpy multiplies by another library."""
    import numpy as np  # noqa: F401  # it loads OpenBLAS
    from threadpoolctl import threadpool_info

    names = {x["architecture"] for x in threadpool_info() if x["internal_api"] == "openblas"}
    return "_".join(sorted(names)) or None


# ---- threads -------------------------------------------------------------------------------------
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
