"""The kernels that OpenBLAS, numpy's library of matrix products, takes on this processor."""

from __future__ import annotations

import os
import platform
import sys
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


def kernels() -> str | None:
    """Return the kernels in use, None where numpy multiplies by another library."""
    import numpy as np  # noqa: F401  # it loads OpenBLAS
    from threadpoolctl import threadpool_info

    names = {x["architecture"] for x in threadpool_info() if x["internal_api"] == "openblas"}
    return "_".join(sorted(names)) or None
