"""Training recipe: versions, processor and settings that train the same weights again."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from snn_gym._base.config import Config, Length, Matching, Range
from snn_gym._base.numerics import kernels
from snn_gym.envs.registry import EnvironmentSpec
from snn_gym.zoo.algorithms import AlgorithmName
from snn_gym.zoo.environments import VecNormalizeSettings

# ---- processors ----------------------------------------------------------------------------------
# Names of processors that libraries know, so that nobody claims one that does not exist.
#
# A recipe names the processor that trained it, and another one excuses other weights. Names are
# those of PyTorch (``get_cpu_capability``), numpy (``__cpu_features__``), LLVM (``-mcpu=help``),
# OpenBLAS (``openblas_get_corename``) and MKL (``MKL_CBWR``).
_X86 = "x86_64|AMD64"
_ARM = "aarch64|arm64"

_OPENBLAS_X86 = (
    "Katmai|Coppermine|Northwood|Prescott|Banias|Atom|Core2|Penryn|Dunnington|Nehalem|Athlon|"
    "Opteron|Opteron_SSE3|Barcelona|Nano|Sandybridge|Bobcat|Bulldozer|Piledriver|Steamroller|"
    "Excavator|Haswell|Zen|SkylakeX|Cooperlake|SapphireRapids"
)
_OPENBLAS_ARM = (
    "armv8|cortexa53|cortexa55|cortexa57|cortexa72|cortexa73|cortexa76|cortexx1|cortexx2|"
    "falkor|thunderx|thunderx2t99|thunderx3t110|tsv110|emag8180|neoversen1|neoversen2|"
    "neoversev1|armv8sve|armv9sme|a64fx|ft2000|vortex|vortexm4"
)
_LLVM_X86 = (
    "generic|x86-64(-v[234])?|nocona|core2|penryn|nehalem|corei7(-avx)?|westmere|sandybridge|"
    "core-avx-i|core-avx2|ivybridge|haswell|broadwell|skylake|skylake-avx512|skx|cascadelake|"
    "cooperlake|cannonlake|icelake-(client|server)|rocketlake|tigerlake|sapphirerapids|"
    "emeraldrapids|graniterapids(-d)?|diamondrapids|alderlake|raptorlake|meteorlake|"
    "arrowlake(-s)?|lunarlake|pantherlake|wildcatlake|novalake|bonnell|atom|silvermont|slm|"
    "goldmont(-plus)?|tremont|gracemont|sierraforest|grandridge|clearwaterforest|knl|knm|"
    "k8(-sse3)?|opteron(-sse3)?|athlon64(-sse3)?|athlon-fx|amdfam10|barcelona|btver[12]|"
    "bdver[1-4]|znver[1-9]"
)
_LLVM_ARM = (
    "generic|apple-(a|m|s)[0-9]{1,2}|cyclone|cortex-(a|x|r)[0-9]{1,3}[a-z]{0,2}|"
    "neoverse-(e1|n[1-3]|v[1-3](ae)?|512tvb)|ampere1[ab]?|a64fx|carmel|cobalt-100|"
    "exynos-m[345]|falkor|fujitsu-monaka|gb10|grace|kryo|olympus|oryon-1|saphira|"
    "thunderx(2t99|3t110|t8[138])?|tsv110"
)

_KNOWN: dict[str, dict[str, str]] = {
    _X86: {
        "torch": "DEFAULT|NO_AVX|AVX2|AVX512",
        "numpy": "none|SSE[23]?|SSSE3|SSE41|POPCNT|SSE42|AVX|F16C|XOP|FMA[34]|AVX2|X86_V[234]|"
        "AVX512(F|CD|_KNL|_KNM|_SKX|_CLX|_CNL|_ICL|_SPR)",
        "numba": _LLVM_X86,
        "openblas": _OPENBLAS_X86,
        "mkl": "AUTO|COMPATIBLE|SSE[23]|SSSE3|SSE4_[12]|AVX|AVX2|AVX512(_MIC|_E1|_MIC_E1)?",
    },
    _ARM: {
        "torch": "DEFAULT|SVE|SVE256",
        "numpy": "none|NEON|NEON_FP16|NEON_VFPV4|ASIMD|FPHP|ASIMDHP|ASIMDDP|ASIMDFHM|SVE",
        "numba": _LLVM_ARM,
        "openblas": _OPENBLAS_ARM,
    },
}
_REQUIRED = ("machine", "torch", "numpy", "numba")


def unknown_part(processor: Mapping[str, str], *, whole: bool = True) -> str | None:
    """Describe the first part of a processor that is missing or that no library knows, or None.

    With ``whole`` False a processor without parts is allowed.
    """
    if not processor and not whole:
        return None
    for name in _REQUIRED:
        if name not in processor:
            return f"no {name}"
    machine = processor["machine"]
    for machines, known in _KNOWN.items():
        if re.fullmatch(machines, machine) is None:
            continue
        for name, value in processor.items():
            # Two OpenBLAS in a process, numpy's and SciPy's, may take different kernels.
            pattern = known.get(name, "")
            pattern = rf"(?:{pattern})(?:_(?:{pattern}))?" if name == "openblas" else pattern
            if name != "machine" and re.fullmatch(pattern, value) is None:
                return f"{name} {value} on {machine}"
        return None
    return f"machine {machine}"


# ---- recipe --------------------------------------------------------------------------------------
DEFAULT_CHECKPOINT_INTERVAL = EnvironmentSpec.checkpoint_interval
"""Environment steps between checkpoints of a run, unless the description of the task has others."""

StepCount = Annotated[int, Range(at_least=1, at_most=10**12)]
PackageName = Annotated[str, Length(1, 64), Matching(r"[A-Za-z0-9._-]+")]
PackageVersion = Annotated[str, Length(1, 64), Matching(r"[A-Za-z0-9.+!_-]+")]
Packages = Annotated[dict[PackageName, PackageVersion], Length(0, 32)]
Processor = Annotated[dict[PackageName, PackageVersion], Length(0, 8)]
"""Names of the processor by which libraries choose their code, and so how numbers round."""


@dataclass(frozen=True, kw_only=True)
class Parent(Config):
    """The trained agent that another one was made lean from, or goes on from."""

    weights_sha256: Annotated[str, Matching(r"[0-9a-f]{64}")]
    """SHA-256 of its acting weights, as `dump_tensors` writes them: its row's in the results."""
    steps: StepCount
    """Environment steps that it was trained."""


@dataclass(frozen=True, kw_only=True)
class ResolvedSettings(Config):
    """Every setting that an agent was trained with, independent of its file."""

    algorithm: AlgorithmName
    hyperparameters: dict[str, Any]
    policy_kwargs: dict[str, Any]
    """Arguments of the policy, without the network."""
    network: dict[str, Any]
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
    processor: Processor
    parent: Parent | None = None
    """Parent from which ``make_lean`` made it or ``train`` went on; None for an agent trained from
    the start."""
    settings: ResolvedSettings | None = None
    """Settings that trained it. None where they stand beside the recipe, as in a saved agent's
    manifest, and for those of the agent's file in a submission from before 1.1."""
    start_sha256: Annotated[str, Matching(r"[0-9a-f]{64}")] | None = None
    """SHA-256 of all weights of the parent, its critic's too, where ``train`` went on from them;
    None for fresh weights and for agents made lean."""

    def _check(self) -> None:
        if self.start_sha256 is not None and None in (self.parent, self.checkpoint_interval):
            raise ValueError("start_sha256 needs a parent and a checkpoint interval beside it")

    @property
    def steps_before(self) -> int:
        """Steps of the training that this one goes on from; 0 for other trainings."""
        return 0 if self.parent is None or self.start_sha256 is None else self.parent.steps


def processor() -> dict[str, str]:
    """Return the parts of this processor that decide how numbers round.

    The machine's architecture, the instructions that PyTorch and numpy use, the kernels of
    OpenBLAS, if numpy multiplies by it, LLVM's name of the processor that numba compiles for, and
    MKL's restriction, if any. docs/processors.md says which parts change weights.
    """
    import numba
    import numpy as np
    import torch
    from llvmlite import binding

    extensions = np.show_config(mode="dicts")["SIMD Extensions"]
    # In the order of their widths: the last one decides numpy's code.
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
