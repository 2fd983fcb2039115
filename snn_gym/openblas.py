"""The kernels that OpenBLAS, numpy's library of matrix products, takes on this processor."""

from __future__ import annotations

import functools
import os
import platform
import sys
import warnings
from pathlib import Path

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
