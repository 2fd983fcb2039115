"""Many environments at once, for Stable-Baselines3."""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import gymnasium as gym
from gymnasium.vector import VectorEnv
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import SubprocVecEnv, VecEnv

from snn_gym.registry import env_ids, flat_ids, import_named_module, naming_the_extra
from snn_gym.tasks.batch_env import autoreset_mode_of
from snn_gym.tasks.classic_control import BATCHED_TASKS
from snn_gym.wrappers.checked import CheckedVecEnv
from snn_gym.wrappers.stable_baselines import (
    StableBaselinesVecEnv,
    check_same_step,
    require_same_step,
)

Mode = Literal["batched", "sync", "async", "vector_entry_point"]
"""How environments are run; see ``make_vec_env``."""

Wrap = Callable[[gym.Env[Any, Any]], gym.Wrapper[Any, Any, Any, Any]]
"""A function that wraps an environment."""


def make_vec_env(
    env_id: str,
    n_envs: int = 1,
    seed: int | None = None,
    *,
    mode: Mode | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    wrappers: Sequence[Wrap] = (),
) -> VecEnv:
    """Make environments that Stable-Baselines3 can learn in.

    Modes:

    - ``batched``: our own environments, stepped as one batch: the classic control tasks
      and every ``snn/`` id. Default where there are such and no wrappers are given.
    - ``sync``: single environments, stepped one after the other, in Stable-Baselines3's
      ``DummyVecEnv``. Default elsewhere.
    - ``async``: single environments, each in a process of its own, in its ``SubprocVecEnv``.
    - ``vector_entry_point``: the batch that the id registers with gymnasium, if it starts
      new episodes in the step that ends one.

    All give the same transitions as Stable-Baselines3's ``DummyVecEnv`` on environments
    wrapped in ``Monitor``; ``SubprocVecEnv`` leaves rewards in float64, the others in float32.
    In this process, an observation or a reward that is not finite raises ValueError.

    Args:
        env_id: Any id that gymnasium knows; ``module:id`` imports the module first.
        n_envs: Number of environments, at least 1.
        seed: Environment i is reset with seed + i at the first reset, and the action space
            seeded; None for random.
        mode: See above.
        env_kwargs: Arguments of the environment, as for ``gym.make``.
        wrappers: Functions that wrap each single environment, innermost first; modes
            ``sync`` and ``async`` only.

    Raises:
        ValueError: The mode is unknown or can't serve this id rightly; the message names
            the one to use.
        gymnasium.error.DependencyNotInstalled: A package that the task needs is absent.

    Example:
        >>> import snn_gym
        >>> env = snn_gym.make_vec_env("CartPole-v1", n_envs=64, seed=0)
        >>> env.reset().shape
        (64, 4)
    """
    if n_envs < 1:
        raise ValueError(f"n_envs must be at least 1, got {n_envs}")
    with naming_the_extra(env_id):
        spec = gym.spec(import_named_module(env_id))
    batchable = has_batch(spec.id)
    if mode is None:
        mode = "batched" if batchable and not wrappers else "sync"
    best = "mode='batched'" if batchable and not wrappers else "mode='sync'"
    _check_mode(mode, spec, batchable, best, wrappers)
    arguments = dict(env_kwargs or {})
    if batchable and "autoreset_mode" in arguments:
        asked = autoreset_mode_of(arguments["autoreset_mode"])
        check_same_step(asked, spec.id, "leave autoreset_mode out of env_kwargs")
    with naming_the_extra(spec.id):
        if mode in ("sync", "async"):
            made = _singles(spec, n_envs, mode, arguments, wrappers)
        else:
            made = StableBaselinesVecEnv(_batch(spec, n_envs, mode, arguments, best))
    if seed is not None:
        made.seed(seed)
        made.action_space.seed(seed)
    return made


def has_batch(env_id: str) -> bool:
    """Tell whether environments have a batched form of ours, so that mode ``batched`` serves them.

    Args:
        env_id: Gymnasium id.
    """
    if env_id in BATCHED_TASKS:
        return True
    ours = env_id in (*env_ids(), *flat_ids())
    return ours and gym.spec(env_id).vector_entry_point is not None


def _check_mode(
    mode: str,
    spec: Any,
    batchable: bool,
    best: str,
    wrappers: Sequence[Wrap],
) -> None:
    """Refuse a mode that does not exist, at all or for this id."""
    if mode not in get_args(Mode):
        raise ValueError(f"mode {mode!r} is unknown; allowed modes: {', '.join(get_args(Mode))}")
    if wrappers and mode not in ("sync", "async"):
        raise ValueError(
            f"wrappers are for single environments, and mode {mode!r} has none; use mode='sync' or "
            "mode='async'"
        )
    if mode == "batched" and not batchable:
        raise ValueError(
            f"{spec.id} has no batched form of ours; use {best}, or 'async' or "
            "'vector_entry_point'; batched are every snn/ id and "
            f"{', '.join(BATCHED_TASKS)}"
        )
    if mode == "vector_entry_point" and spec.vector_entry_point is None:
        raise ValueError(f"{spec.id} registers no vector environment; use {best}")


def _batch(
    spec: Any, n_envs: int, mode: Mode, arguments: dict[str, Any], best: str
) -> VectorEnv[Any, Any, Any]:
    """Make a batch that starts new episodes in the step that ends one."""
    if mode == "batched" and spec.id in BATCHED_TASKS:
        return BATCHED_TASKS[spec.id](n_envs, **arguments)
    env = gym.make_vec(spec, n_envs, "vector_entry_point", **arguments)
    try:
        require_same_step(env, best)
    except ValueError:
        env.close()
        raise
    return env


def _singles(
    spec: Any, n_envs: int, mode: Mode, arguments: dict[str, Any], wrappers: Sequence[Wrap]
) -> VecEnv:
    """Make single environments in this process or, each, in one of its own."""
    make = functools.partial(_monitored, spec, arguments, tuple(wrappers))
    makers: list[Callable[[], gym.Env[Any, Any]]] = [make] * n_envs
    if mode == "sync":
        return CheckedVecEnv(makers)
    # Made once here, because an error in a process says nothing to its caller.
    make().close()
    # The interpreter's own way to start processes: where that is to fork, scripts need no guard
    # of their main part and environments that they register are known.
    return SubprocVecEnv(makers, multiprocessing.get_start_method())


def _monitored(
    spec: Any, arguments: dict[str, Any], wrappers: tuple[Wrap, ...]
) -> gym.Env[Any, Any]:
    env: gym.Env[Any, Any] = gym.make(spec, **arguments)
    for wrap in wrappers:
        env = wrap(env)
    return Monitor(env)
