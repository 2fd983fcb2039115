"""Machine of a run: processor, instructions, packages."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from snn_gym import __version__
from snn_gym._base.config import Config

_CPUINFO = Path("/proc/cpuinfo")
_FLAGS = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512vl", "avx512_bf16", "amx_tile")
"""Instructions that decide how fast products are."""
_PACKAGES = (
    "gymnasium",
    "llvmlite",
    "norse",
    "numba",
    "numpy",
    "sb3-contrib",
    "snntorch",
    "spikingjelly",
    "stable-baselines3",
    "torch",
)


@dataclass(frozen=True)
class Machine(Config):
    """Machine and packages of a run."""

    processor: str
    """Name, as the operating system has it."""
    flags: tuple[str, ...]
    """Instructions among those that matter for products."""
    cores: int
    """Cores that the process may use."""
    system: str
    """Operating system and architecture."""
    python: str
    """Version of Python."""
    packages: dict[str, str]
    """Versions; packages that are not installed are absent."""


def this_machine() -> Machine:
    """Describe the machine and the packages of this process."""
    packages = {"snn-gym": __version__}
    for name in _PACKAGES:
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    lines = _cpuinfo()
    supported = lines.get("flags", "").split()
    return Machine(
        processor=_name(lines),
        flags=tuple(flag for flag in _FLAGS if flag in supported),
        cores=_cores(),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        packages=packages,
    )


def _cpuinfo() -> dict[str, str]:
    """Return Linux's description of the first core; empty elsewhere."""
    if not _CPUINFO.exists():
        return {}
    first = _CPUINFO.read_text(encoding="utf-8").split("\n\n")[0]
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _name(lines: dict[str, str]) -> str:
    name = lines.get("model name") or platform.processor() or platform.machine()
    numbers = [f"{key} {lines[key]}" for key in ("cpu family", "model") if key in lines]
    return f"{name} ({', '.join(numbers)})" if numbers else name


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load_average() -> float:
    """Return how many processes wanted a core in the last minute; 0 where nobody counts."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
