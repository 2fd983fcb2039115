"""What decides the order of sums: the code that libraries choose by the processor, and threads."""

from __future__ import annotations

import functools
import os
import platform
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

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


def kernels() -> str | None:
    """Return the names of the OpenBLAS kernels in use, joined by ``_``; None without OpenBLAS.

    OpenCV brings an OpenBLAS of its own, by which no network computes.
    """
    import numpy as np  # noqa: F401  # it loads OpenBLAS
    from threadpoolctl import threadpool_info

    pools = [pool for pool in threadpool_info() if pool["internal_api"] == "openblas"]
    names = {pool["architecture"] for pool in pools if "opencv" not in pool["filepath"]}
    return "_".join(sorted(names)) or None


# ---- portable numerics ---------------------------------------------------------------------------
Numerics = Literal["portable", "native"]
"""``portable``: the libraries take code that rounds alike on the x86 processors of all makers;
``native``: each takes the code that it prefers for the processor at hand."""

# Read by each library when it first computes; without any one of them some weights differ between
# makers. MKL's other choices of MKL_CBWR still depend on the maker (Intel, "Obtaining Numerically
# Reproducible Results", oneMKL Developer Guide). Its vector functions, such as roots, heed a
# variable of their own that is not documented: at 3 they are those of SSE2, which take no
# approximate instructions (rsqrtps, rcpps). Those of Intel and AMD approximate differently.
PORTABLE = {
    "MKL_CBWR": "COMPATIBLE",
    "MKL_VML_DEBUG_CPU_TYPE": "3",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    VARIABLE: KERNELS,
}


def numerics() -> Numerics:
    """Return by which numerics this process computes."""
    chosen = all(os.environ.get(name) == value for name, value in PORTABLE.items())
    return "portable" if chosen and kernels() in (None, KERNELS) else "native"


def why_not_portable() -> str | None:
    """Return in one clause what prevents portable numerics in this process, and the fix.

    Return None if the process has them already, or if ``portable`` can still set them.
    """
    if numerics() == "portable":
        return None
    if not _has_avx2():
        return "this processor is not known to have AVX2, without which they do not exist"
    for name, value in PORTABLE.items():
        given = os.environ.get(name, value)
        if given != value:
            return f"{name} is {given!r} in the environment, not {value!r}; unset it"
    late = "torch" if "torch" in sys.modules else None
    if late is None and kernels() not in (None, KERNELS):
        late = "numpy"
    if late is None:
        return None
    values = " ".join(f"{name}={value}" for name, value in PORTABLE.items())
    return (
        f"{late} was loaded before and may have computed; call snn_gym.portable() before {late} is "
        f"imported, or set {values} in the environment"
    )


def portable() -> None:
    """Let torch and numpy round alike on the x86 processors of all makers, in this process.

    Trainings of the same recipe then give the same weights, bit for bit, on Intel's and AMD's
    processors that have AVX2 (docs/processors.md). It sets environment variables that libraries
    read when they first compute, so it is called before torch is imported. Torch gets slower, most
    of all in large dense layers. Commands such as ``snn-gym train`` do this by themselves.

    Raises:
        RuntimeError: torch was imported before, a variable has another value, or the processor has
            no AVX2.
    """
    problem = why_not_portable()
    if problem is not None:
        raise RuntimeError(f"numerics cannot be portable: {problem}")
    os.environ.update(PORTABLE)


def native() -> None:
    """Undo ``portable``, before torch computes."""
    for name in PORTABLE.keys() - {VARIABLE}:
        os.environ.pop(name, None)


@contextmanager
def variables_of(kind: Numerics) -> Iterator[None]:
    """Give processes that start in a ``with`` block the variables of these numerics."""
    kept = {name: os.environ[name] for name in PORTABLE if name in os.environ}
    for name in PORTABLE:
        os.environ.pop(name, None)
    if kind == "portable":
        os.environ.update(PORTABLE)
    try:
        yield
    finally:
        for name in PORTABLE:
            os.environ.pop(name, None)
        os.environ.update(kept)


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
