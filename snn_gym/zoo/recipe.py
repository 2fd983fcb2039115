"""By what an agent was trained, beside its name, environment and seed: enough to train it again."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from typing import Annotated, Any

from snn_gym.config import Config, Length, Matching, Range
from snn_gym.openblas import kernels
from snn_gym.zoo.algorithms import AlgorithmName
from snn_gym.zoo.vec_normalize import VecNormalizeSettings

DEFAULT_CHECKPOINT_INTERVAL = 10_000
"""Environment steps between checkpoints of a run."""

StepCount = Annotated[int, Range(at_least=1, at_most=10**12)]
"""A number of environment steps."""
PackageName = Annotated[str, Length(1, 64), Matching(r"[A-Za-z0-9._-]+")]
PackageVersion = Annotated[str, Length(1, 64), Matching(r"[A-Za-z0-9.+!_-]+")]
Packages = Annotated[dict[PackageName, PackageVersion], Length(0, 32)]
"""Versions by package."""
Processor = Annotated[dict[PackageName, PackageVersion], Length(0, 8)]
"""What of a processor decides how numbers round, by the library that chooses its code by it."""


@dataclass(frozen=True, kw_only=True)
class Parent(Config):
    """The trained agent that another one was made lean from."""

    weights_sha256: Annotated[str, Matching(r"[0-9a-f]{64}")]
    """SHA-256 of the weights that it acts by, as `dump_tensors` writes them: that of its row."""
    steps: StepCount
    """Environment steps that it was trained."""


@dataclass(frozen=True, kw_only=True)
class ResolvedSettings(Config):
    """Every setting that an agent was trained with, whatever its file says today."""

    algorithm: AlgorithmName
    """Key of ``snn_gym.zoo.algorithms.ALGORITHMS``."""
    hyperparameters: dict[str, Any]
    """Hyper-parameters of the algorithm."""
    policy_kwargs: dict[str, Any]
    """Arguments of the policy, the network left out."""
    network: dict[str, Any]
    """Every setting of the network."""
    vec_normalize: VecNormalizeSettings | None = None
    """VecNormalize around the environments; None for none."""


@dataclass(frozen=True, kw_only=True)
class Recipe(Config):
    """How an agent was trained, from fresh weights or its parent's to the end."""

    steps: StepCount
    """Environment steps that were asked for; training ends after whole updates."""
    checkpoint_interval: StepCount | None
    """Environment steps between the checkpoints of ``train``, where environments are reset; None
    for one call of ``learn``."""
    versions: Packages
    """Versions of the packages that trained it."""
    processor: Processor
    """Processor that trained it, as ``processor`` says."""
    parent: Parent | None = None
    """What ``make_lean`` made it from; None for an agent that was trained from the start."""
    settings: ResolvedSettings | None = None
    """Settings that trained it. None where they stand beside the recipe, as in a saved agent's
    manifest, and for those of the agent's file in a submission from before 1.1."""


def processor() -> dict[str, str]:
    """Return what of this processor decides how numbers round.

    Returns:
        The machine's architecture, the instructions that PyTorch and numpy use of it, the kernels
        of OpenBLAS, if numpy multiplies by it, the processor that numba compiles for, by LLVM's
        name, and what MKL is restricted to, if anything. docs/processors.md says what changes
        weights.
    """
    import numba
    import numpy as np
    import torch
    from llvmlite import binding

    extensions = np.show_config(mode="dicts")["SIMD Extensions"]
    used = [*extensions["baseline"], *extensions["found"]]
    openblas = kernels()
    return {
        "machine": platform.machine(),
        "torch": torch.backends.cpu.get_cpu_capability().replace(" ", "_"),
        "numpy": used[-1] if used else "none",
        "numba": vars(numba.config).get("CPU_NAME") or binding.get_host_cpu_name(),
        **({} if openblas is None else {"openblas": openblas}),
        **({"mkl": os.environ["MKL_CBWR"]} if "MKL_CBWR" in os.environ else {}),
    }
