"""Environments of a run: their random streams, and VecNormalize as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from snn_gym._base.config import Config, Length, Positive, Range, Share

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.running_mean_std import RunningMeanStd
    from stable_baselines3.common.vec_env import VecEnv, VecNormalize
    from torch import Tensor


# ---- seeding -------------------------------------------------------------------------------------
Seeding = Literal["disjoint", "consecutive"]
"""``disjoint``: environment k of a run with seed s has a stream that is drawn from (s, k), so that
runs of different seeds share none; ``consecutive``: it is seeded with s + k, as
Stable-Baselines3 does, so that runs 0 and 1 of 64 environments share 63 streams."""

TRAINING_SEED_LIMIT = 1_000_000_000
"""Exclusive upper bound of training seeds, so that seeds counted up from them (one for each
parallel environment) never reach a public evaluation seed."""

TrainingSeed = Annotated[int, Range(at_least=0, below=TRAINING_SEED_LIMIT)]
"""Seed of a run that may be scored."""

# Below lie training seeds, those that count up from them, and those of evaluations.
_FIRST_SEED = 1 << 31


def environment_seeds(seed: int, n_envs: int, seeding: Seeding) -> list[int]:
    """Return the seed, of 32 bits at most, of each environment's first reset, for a run's seed."""
    if seeding == "consecutive":
        return [seed + index for index in range(n_envs)]
    return [_drawn_seeds(seed, index)[0] for index in range(n_envs)]


def seed_environments(env: VecEnv, seed: int | None, seeding: Seeding) -> None:
    """Seed the next reset and the action spaces; for None or ``consecutive`` do nothing."""
    if seed is None or seeding == "consecutive":
        return  # as Stable-Baselines3 has seeded them
    base: Any = env.unwrapped
    # The attribute that VecEnv.seed sets, which can only count up.
    base._seeds = environment_seeds(seed, env.num_envs, seeding)
    # A batch has no single environments: its action space is that of the first one.
    base.action_space.seed(_drawn_seeds(seed, 0)[1])
    for index, single in enumerate(getattr(base, "envs", ())):
        single.action_space.seed(_drawn_seeds(seed, index)[1])


def _drawn_seeds(seed: int, index: int) -> tuple[int, int]:
    """Return the seeds of environment ``index`` and of its action space, in a run of ``seed``."""
    drawn = np.random.SeedSequence(seed, spawn_key=(index,)).generate_state(2)
    environment, actions = (_FIRST_SEED + int(word) // 2 for word in drawn)
    return environment, actions


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
    """Return copies of the statistics of a model's VecNormalize by name, float64; {} for none.

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
    """Return, by its name, each statistic's object and attribute; none without VecNormalize."""
    env = find_vec_normalize(model.get_env())
    if env is None:
        return {}
    running: Any = env.obs_rms if env.norm_obs else {}
    named = running.items() if isinstance(running, Mapping) else [("", running)]
    parts = [(f".{key}" if key else "", "", x) for key, x in named] + [("", "return_", env.ret_rms)]
    return {f"{start}{place}{end}": (x, place) for end, start, x in parts for place in _PLACES}
