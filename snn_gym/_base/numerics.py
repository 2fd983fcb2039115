"""OpenBLAS kernels and thread counts, which decide the order of sums."""

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
"""Environment variable for the kernels of OpenBLAS, which reads it once, when it is loaded
(https://github.com/OpenMathLib/OpenBLAS#setting-the-kernel-at-runtime)."""
# Kernels of the first processors with AVX2. Left alone, OpenBLAS takes those of the processor at
# hand. Their sums have another order, and a sum that rounds differently is another training.
KERNELS = "Haswell"
_PROCESSOR = Path("/proc/cpuinfo")


def choose_kernels() -> None:
    """Set ``VARIABLE`` to ``KERNELS``, unless it is set, numpy is loaded or AVX2 is missing."""
    if VARIABLE not in os.environ and "numpy" not in sys.modules and _has_avx2():
        os.environ[VARIABLE] = KERNELS


def _has_avx2() -> bool:
    if platform.machine() not in ("x86_64", "AMD64") or not _PROCESSOR.exists():
        return False
    # The first core only: with hundreds of cores, Linux takes a while to write the whole file.
    with _PROCESSOR.open(encoding="ascii", errors="replace") as lines:
        flags = next((line for line in lines if line.startswith("flags")), "")
    return "avx2" in flags.split()


@functools.cache
def warn_of_other_kernels() -> None:
    """Warn, at the first call only, of OpenBLAS kernels other than ``KERNELS`` or the user's."""
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
    """Return the names of the OpenBLAS kernels in use, joined by ``_``; None without OpenBLAS.

    OpenCV brings an OpenBLAS of its own, by which no network computes.
    """
    import numpy as np  # noqa: F401  # it loads OpenBLAS
    from threadpoolctl import threadpool_info

    pools = [pool for pool in threadpool_info() if pool["internal_api"] == "openblas"]
    names = {pool["architecture"] for pool in pools if "opencv" not in pool["filepath"]}
    return "_".join(sorted(names)) or None


# ---- threads -------------------------------------------------------------------------------------
@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch and BLAS on one thread in a ``with`` block, so that sums keep one order."""
    # Networks are small: beside other programs, threads that wait for each other cost several times
    # the time they save. Imported here, because listing results needs this module but not torch.
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
    """Warn that training can't be repeated if torch has several threads, once for each number."""
    import torch

    if torch.get_num_threads() > 1:
        _warn_of_order(torch.get_num_threads())


@functools.cache
def _warn_of_order(threads: int) -> None:
    warnings.warn(
        f"torch runs on {threads} threads, whose sums have another order than those of one: who "
        "trains this recipe again gets other weights; train with `snn-gym train`, or set "
        "OMP_NUM_THREADS=1 in the environment, which is also faster for small networks",
        stacklevel=3,
    )
