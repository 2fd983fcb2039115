"""Training recipe: settings, versions and processor that train the same weights again."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from snn_gym._base.config import Config, Length, Matching, PolicyArguments, Positive, Range, Share
from snn_gym._base.numerics import Numerics, kernels
from snn_gym.envs.registry import EnvironmentSpec
from snn_gym.zoo.algorithms import AlgorithmName

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.running_mean_std import RunningMeanStd
    from stable_baselines3.common.vec_env import VecEnv, VecNormalize
    from torch import Tensor


# ---- seeds ---------------------------------------------------------------------------------------
Seeding = Literal["disjoint", "consecutive"]
"""``disjoint``: environment k of a run with seed s has a stream that is drawn from (s, k), so that
runs of different seeds share none; ``consecutive``: it is seeded with s + k, as
Stable-Baselines3 does, so that runs 0 and 1 of 64 environments share 63 streams."""

TRAINING_SEED_LIMIT = 1_000_000_000
"""Exclusive upper bound of training seeds, so that seeds counted up from them (one for each
parallel environment) never reach a public evaluation seed."""

TrainingSeed = Annotated[int, Range(at_least=0, below=TRAINING_SEED_LIMIT)]
"""Seed of a run that may be scored."""


# ---- vec normalize -------------------------------------------------------------------------------
# Names of the statistics, and of their places in Stable-Baselines3's RunningMeanStd.
_PLACES = ("mean", "var", "count")
# Settings that VecNormalize has under the same name.
_SHARED = ("training", "norm_obs", "norm_reward", "clip_obs", "clip_reward", "gamma", "epsilon")


@dataclass(frozen=True, kw_only=True)
class VecNormalizeSettings(Config):
    """Settings of VecNormalize, with its defaults."""

    training: bool = True
    """Whether statistics follow the observations and rewards."""
    norm_obs: bool = True
    """Whether observations are normalised."""
    norm_reward: bool = True
    """Whether rewards are divided by the deviation of the discounted return."""
    clip_obs: Positive = 10.0
    """Normalised observations are within [-clip_obs, clip_obs]."""
    clip_reward: Positive = 10.0
    """Normalised rewards are within [-clip_reward, clip_reward]."""
    gamma: Share = 0.99
    """Discount of the return by whose deviation rewards are divided."""
    epsilon: Positive = 1e-8
    """Term that is added to variances."""
    norm_obs_keys: Annotated[tuple[str, ...], Length(1, 256)] | None = None
    """Keys of a Dict that are normalised; None for all, and for other spaces."""
    transpose_images: bool = False
    """Whether images have their channels first before they are normalised."""


def find_vec_normalize(env: VecEnv | None) -> VecNormalize | None:
    """Return the VecNormalize around environments, or None."""
    from stable_baselines3.common.vec_env import unwrap_vec_normalize

    return None if env is None else unwrap_vec_normalize(env)


def extract_vec_normalize(model: BaseAlgorithm) -> VecNormalizeSettings | None:
    """Return the settings of a model's VecNormalize, or None."""
    from stable_baselines3.common.vec_env import VecTransposeImage, is_vecenv_wrapped

    env = find_vec_normalize(model.get_env())
    if env is None:
        return None
    # All keys are written as None, the form of every other space.
    keys = env.norm_obs_keys if env.norm_obs else None
    if keys is not None and set(keys) == set(env.observation_space.spaces):  # type: ignore[attr-defined]
        keys = None
    return VecNormalizeSettings(
        **{name: getattr(env, name) for name in _SHARED},
        norm_obs_keys=None if keys is None else tuple(keys),
        transpose_images=is_vecenv_wrapped(env.venv, VecTransposeImage),
    )


def wrap_in_vec_normalize(env: VecEnv, settings: VecNormalizeSettings) -> VecNormalize:
    """Wrap environments in a VecNormalize without data, on transposed images if settings say so.

    Raises:
        ValueError: There is a VecNormalize already, or there are no images to transpose.
    """
    from stable_baselines3.common.vec_env import (
        VecNormalize,
        VecTransposeImage,
        is_vecenv_wrapped,
    )

    if find_vec_normalize(env) is not None:
        raise ValueError(
            "the environments are in a VecNormalize already, and the agent brings its own with its "
            "statistics; pass those inside, env.venv"
        )
    keys = settings.norm_obs_keys
    transposed = is_vecenv_wrapped(env, VecTransposeImage)
    if isinstance(env, VecTransposeImage) and not settings.transpose_images:
        env = env.venv  # transposed outside, where the statistics were taken before it
    if settings.transpose_images and not transposed:
        try:
            env = VecTransposeImage(env)
        except AssertionError as error:
            raise ValueError(
                f"the VecNormalize is of transposed images, got {env.observation_space}: {error}"
            ) from error
    return VecNormalize(
        env,
        **{name: getattr(settings, name) for name in _SHARED},
        norm_obs_keys=None if keys is None else list(keys),
    )


def statistics_of(model: BaseAlgorithm) -> dict[str, Tensor]:
    """Return copies of the statistics of a model's VecNormalize, if any, by name, float64.

    Observations have ``mean``, ``var`` and ``count``, or of a Dict ``mean.KEY`` and so on;
    discounted returns ``return_mean``, ``return_var`` and ``return_count``.
    """
    import torch

    return {
        name: torch.tensor(getattr(running, place), dtype=torch.float64)
        for name, (running, place) in _running(model).items()
    }


def load_statistics(model: BaseAlgorithm, tensors: Mapping[str, Tensor]) -> None:
    """Load the tensors of ``statistics_of`` into a model's VecNormalize; refuse any that misfit."""
    from snn_gym.policies.raw_observations import checked_statistics

    checked_statistics(tensors, statistics_of(model))
    for name, (running, place) in _running(model).items():
        value: Any = tensors[name].numpy().copy()
        setattr(running, place, value.item() if place == "count" else value)


def set_observation_count(model: BaseAlgorithm, count: int) -> None:
    """Set the number of observations, not of returns, that a model's VecNormalize has seen."""
    for name, (running, place) in _running(model).items():
        if place == "count" and name != "return_count":
            running.count = count


def _running(model: BaseAlgorithm) -> dict[str, tuple[RunningMeanStd, str]]:
    """Return where each statistic of a model's VecNormalize is stored, by the statistic's name.

    The place is an object and the name of its attribute, ``mean``, ``var`` or ``count``. The dict
    is empty for a model without VecNormalize.
    """
    env = find_vec_normalize(model.get_env())
    if env is None:
        return {}
    running: Any = env.obs_rms if env.norm_obs else {}
    named = running.items() if isinstance(running, Mapping) else [("", running)]
    parts = [(f".{key}" if key else "", "", x) for key, x in named] + [("", "return_", env.ret_rms)]
    return {f"{start}{place}{end}": (x, place) for end, start, x in parts for place in _PLACES}


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
    policy_kwargs: PolicyArguments
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
    numerics: Numerics = "native"
    """By which the libraries summed; files of before version 2.0 do not say, and were native."""
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
