"""Stable-Baselines3's VecNormalize as data: settings, and statistics as tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from snn_gym.config import Config, Length, Positive, Share

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.running_mean_std import RunningMeanStd
    from stable_baselines3.common.vec_env import VecEnv, VecNormalize
    from torch import Tensor

# Names of the statistics, and of their places in Stable-Baselines3's RunningMeanStd.
_PLACES = ("mean", "var", "count")


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
    """Return the VecNormalize around environments, or None.

    Args:
        env: Environments of a model.
    """
    from stable_baselines3.common.vec_env import unwrap_vec_normalize

    return None if env is None else unwrap_vec_normalize(env)


def extract_vec_normalize(model: BaseAlgorithm) -> VecNormalizeSettings | None:
    """Return the settings of a model's VecNormalize, or None.

    Args:
        model: Any model.

    Raises:
        ValueError: A setting is no plain data.
    """
    from stable_baselines3.common.vec_env import VecTransposeImage, is_vecenv_wrapped

    env = find_vec_normalize(model.get_env())
    if env is None:
        return None
    keys = env.norm_obs_keys if env.norm_obs else None
    if keys is not None and set(keys) == set(env.observation_space.spaces):  # type: ignore[attr-defined]
        keys = None
    return VecNormalizeSettings(
        training=env.training,
        norm_obs=env.norm_obs,
        norm_reward=env.norm_reward,
        clip_obs=env.clip_obs,
        clip_reward=env.clip_reward,
        gamma=env.gamma,
        epsilon=env.epsilon,
        norm_obs_keys=None if keys is None else tuple(keys),
        transpose_images=is_vecenv_wrapped(env.venv, VecTransposeImage),
    )


def wrap_in_vec_normalize(env: VecEnv, settings: VecNormalizeSettings) -> VecNormalize:
    """Wrap environments in a VecNormalize that has seen nothing yet.

    Args:
        env: The environments.
        settings: Its settings.

    Raises:
        ValueError: They are in a VecNormalize already, or it does not serve their observations.
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
        training=settings.training,
        norm_obs=settings.norm_obs,
        norm_reward=settings.norm_reward,
        clip_obs=settings.clip_obs,
        clip_reward=settings.clip_reward,
        gamma=settings.gamma,
        epsilon=settings.epsilon,
        norm_obs_keys=None if keys is None else list(keys),
    )


def statistics_of(model: BaseAlgorithm) -> dict[str, Tensor]:
    """Return copies of the statistics of a model's VecNormalize by name, float64; empty for none.

    Observations have ``mean``, ``var`` and ``count``, or of a Dict ``mean.KEY`` and so on;
    discounted returns ``return_mean``, ``return_var`` and ``return_count``.

    Args:
        model: Any model.
    """
    import torch

    found = _running(find_vec_normalize(model.get_env()))
    return {
        name: torch.tensor(getattr(x, place), dtype=torch.float64)
        for name, (x, place) in found.items()
    }


def load_statistics(model: BaseAlgorithm, tensors: Mapping[str, Tensor]) -> None:
    """Give a model's VecNormalize statistics that ``statistics_of`` returned.

    Args:
        model: Model in environments as those of the other one.
        tensors: Statistics by name; none for a model without VecNormalize.

    Raises:
        ValueError: They do not fit, or are no statistics.
    """
    from snn_gym.policies.raw_observations import checked_statistics

    checked_statistics(tensors, statistics_of(model))
    for name, (running, place) in _running(find_vec_normalize(model.get_env())).items():
        value: Any = tensors[name].numpy().copy()
        setattr(running, place, value.item() if place == "count" else value)


def set_observation_count(model: BaseAlgorithm, count: int) -> None:
    """Say how many observations a model's VecNormalize has seen, where acting does not need it.

    Args:
        model: Model that goes on learning with statistics that came without their counts.
        count: Number of observations.
    """
    for name, (running, place) in _running(find_vec_normalize(model.get_env())).items():
        if place == "count" and name != "return_count":
            running.count = count


def _running(env: VecNormalize | None) -> dict[str, tuple[RunningMeanStd, str]]:
    """Return where each statistic is, by its name."""
    if env is None:
        return {}
    seen: Any = env.obs_rms if env.norm_obs else {}
    parts = {f".{key}": x for key, x in seen.items()} if isinstance(seen, Mapping) else {"": seen}
    found = {f"{place}{key}": (x, place) for key, x in parts.items() for place in _PLACES}
    return {**found, **{f"return_{place}": (env.ret_rms, place) for place in _PLACES}}
