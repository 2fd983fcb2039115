"""``estimate_limits``: finite limits of observations whose space has infinite bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from snn_gym.registry import import_named_module, make_task
from snn_gym.tasks.finite import check_finite
from snn_gym.wrappers.coding import is_infinite

CONSTANT_RANGE = 1.0
"""Range around a value that never changes, in its own units."""


def estimate_limits(
    env: str | gym.Env[Any, Any],
    episodes: int = 20,
    seed: int = 0,
    *,
    policy: Callable[[Any], Any] | None = None,
    percentiles: tuple[float, float] = (1.0, 99.0),
    max_steps: int = 1000,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Estimate the limits of observations from played episodes, for ``SpikeObservation``.

    A finite bound of the observation space stays. An infinite one becomes a percentile of what the
    episodes show, first observations included: by default 1 % of them lie below ``low`` and 1 %
    above ``high``, which encoders clip. A value that never changes gets a range of 1 around it.
    Random play sees less than a trained agent: pass such an agent's decisions as ``policy``, or
    percentiles of 0 and 100, where observations leave the limits in training.

    Args:
        env: Gymnasium id, or an environment, which stays open.
        episodes: Number of episodes, at least 1; episode k starts with ``reset(seed=seed + k)``.
        seed: Seed of the episodes and of random actions. Equal seeds give equal limits.
        policy: Action for an observation, such as
            ``lambda seen: model.predict(seen, deterministic=True)[0]``. Default: uniformly random
            actions.
        percentiles: Percentiles of the lower and of the upper limits, in [0, 100].
        max_steps: Environment steps after which an episode is left, at least 1.

    Returns:
        Lower and upper limits, float64, each of an observation's shape.

    Raises:
        ValueError: Observations are no Box or not finite, or an argument is not allowed.
        gymnasium.error.DependencyNotInstalled: A package that the task needs is absent.

    Example:
        >>> import gymnasium as gym
        >>> import snn_gym
        >>> from snn_gym.wrappers import SpikeObservation
        >>> low, high = snn_gym.estimate_limits("CartPole-v1", episodes=5)
        >>> SpikeObservation(gym.make("CartPole-v1"), low=low, high=high).observation_space
        MultiBinary((8, 40))
    """
    below, above = percentiles
    if episodes < 1 or max_steps < 1 or not 0.0 <= below < above <= 100.0:
        raise ValueError(
            f"episodes and max_steps must be at least 1 and percentiles rise within [0, 100], got "
            f"{episodes}, {max_steps} and {percentiles}"
        )
    made = make_task(import_named_module(env)) if isinstance(env, str) else env
    try:
        space = made.observation_space
        if not isinstance(space, spaces.Box):
            raise ValueError(
                f"limits are for Box observations, got {space}; a Dict or Tuple becomes a Box by "
                "gymnasium.wrappers.FlattenObservation, and categories need no limits"
            )
        seen = _played(made, episodes, seed, policy, max_steps)
    finally:
        if made is not env:
            made.close()
    low, high = np.percentile(seen, percentiles, axis=0)
    low = np.where(is_infinite(space.low), low, space.low)
    high = np.where(is_infinite(space.high), high, space.high)
    constant = low >= high
    half = CONSTANT_RANGE / 2.0
    return np.where(constant, low - half, low), np.where(constant, low + half, high)


def _played(
    env: gym.Env[Any, Any],
    episodes: int,
    seed: int,
    policy: Callable[[Any], Any] | None,
    max_steps: int,
) -> NDArray[np.float64]:
    """Return the observations (n, ...) of some episodes."""
    name = str(env) if env.spec is None else env.spec.id
    env.action_space.seed(seed)
    seen: list[NDArray[np.float64]] = []
    for episode_seed in range(seed, seed + episodes):
        observation, _ = env.reset(seed=episode_seed)
        step, over = 0, False
        while True:
            seen.append(np.array(observation, np.float64))
            check_finite("observation", seen[-1][np.newaxis], name, step, seeds=[episode_seed])
            if over or step == max_steps:
                break
            action = env.action_space.sample() if policy is None else policy(observation)
            observation, _, terminated, truncated, _ = env.step(action)
            step, over = step + 1, terminated or truncated
    return np.stack(seen)
