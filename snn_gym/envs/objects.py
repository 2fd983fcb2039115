"""Environments as callers hand them over: an id, an object, or a callable that makes one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from snn_gym._base.names import UNREGISTERED
from snn_gym._base.spaces import each_array, row, stacked
from snn_gym.envs.registry import make_task
from snn_gym.envs.stable_baselines import CheckedVecEnv, StableBaselinesVecEnv

SingleEnv = gym.Env[Any, Any]
MOST_STEPS = 30_000
"""Environment steps after which an evaluation ends an episode that has no limit of its own.

Episodes of Atari, the longest of common tasks without a limit in their ids, have at most 27,000.
"""

EnvironmentLike = str | SingleEnv | VectorEnv[Any, Any, Any] | VecEnv | Callable[[], SingleEnv]
"""Id; environment; batch of gymnasium or Stable-Baselines3; callable that makes an environment."""


class Given:
    """An environment that a caller gave. Objects stay the caller's: they are never closed.

    Args:
        env: Id, object, or callable, which is called once here and again for every further
            environment.
        env_kwargs: Arguments of an id.

    Raises:
        TypeError: It is nothing of these.
        ValueError: There are arguments, and no id.
        gymnasium.error.Error: The id is unknown; found when an environment is made.
    """

    def __init__(self, env: EnvironmentLike, env_kwargs: Mapping[str, Any] | None = None) -> None:
        if env_kwargs and not isinstance(env, str):
            raise ValueError(
                f"env_kwargs {dict(env_kwargs)} are for an id, and {env!r:.100} is made already; "
                "give them to its class"
            )
        # As a VecEnv: what Stable-Baselines3 and evaluations step.
        given: Any = StableBaselinesVecEnv(env) if isinstance(env, VectorEnv) else env
        self._first: SingleEnv | None = None
        self._make: Callable[[], Any] | None = None
        if isinstance(given, str):
            self._make = functools.partial(make_task, given, **(env_kwargs or {}))
        elif not isinstance(given, gym.Env | VecEnv):
            if not callable(given):
                raise TypeError(
                    "expected a gymnasium id, an environment, a VecEnv or a callable that makes an "
                    f"environment, got {given!r:.100}"
                )
            self._make = given
            self._first = self._made()
        self.acted_in: str | SingleEnv | VecEnv = given if self._first is None else self._first
        """The id, or an object with its spaces and wrappers."""

    @property
    def count(self) -> int | None:
        """Number of environments; None for an id or a callable, which make any number."""
        if self._make is not None:
            return None
        return self.acted_in.num_envs if isinstance(self.acted_in, VecEnv) else 1

    @property
    def name(self) -> str:
        """The id, or ``unregistered/CLASS`` of an object that no id made."""
        return self.acted_in if isinstance(self.acted_in, str) else name_of(self.acted_in)

    def vec_env(self, n_envs: int) -> VecEnv:
        """Return environments to learn in: ``n_envs`` of a callable, all of an object."""
        if isinstance(self.acted_in, VecEnv):
            return self.acted_in
        singles = self._singles(n_envs)
        makers: list[Callable[[], SingleEnv]] = [functools.partial(_monitored, x) for x in singles]
        return CheckedVecEnv(makers)

    def stage(self, episodes: int) -> Stage:
        """Return environments for so many episodes side by side, at most ``count``."""
        if isinstance(self.acted_in, VecEnv):
            return _Batch(self.acted_in.unwrapped)
        return Stage(self._singles(episodes), closes=self._make is not None)

    def single(self) -> SingleEnv:
        """Return one environment; ValueError for a VecEnv that does not hold any."""
        if not isinstance(self.acted_in, VecEnv):
            return self._singles(1)[0]
        base = self.acted_in.unwrapped
        if not isinstance(base, DummyVecEnv):
            raise ValueError(
                f"{type(base).__name__} holds no single environment; pass an id, an environment or "
                "a callable that makes one"
            )
        return base.envs[0]

    def _singles(self, count: int) -> list[SingleEnv]:
        if self._make is None:
            assert isinstance(self.acted_in, gym.Env)
            return [self.acted_in]
        first, self._first = self._first, None
        ready = [] if first is None else [first]
        envs = ready + [self._made() for _ in range(count - len(ready))]
        if len({id(env) for env in envs}) < len(envs):
            raise ValueError(
                "the callable returned the same environment twice; make a new one in each "
                "call, or pass the environment itself"
            )
        return envs

    def _made(self) -> SingleEnv:
        assert self._make is not None
        env = self._make()
        if not isinstance(env, gym.Env):
            raise TypeError(
                f"the callable made {env!r:.100}; expected a gymnasium environment, or the object "
                "itself in place of the callable"
            )
        return env


def _monitored(env: SingleEnv) -> SingleEnv:
    return env if is_wrapped(env, Monitor) else Monitor(env)


def spec_of(env: SingleEnv | VecEnv) -> Any:
    """Return the spec of an environment or of the first of several; None without one."""
    if isinstance(env, gym.Env):
        return env.spec
    try:
        return env.get_attr("spec")[0]
    except AttributeError:  # a VecEnv of another library
        return None


def name_of(env: SingleEnv | VecEnv) -> str:
    """Return an environment's id, or ``unregistered/CLASS`` without one."""
    spec, base = spec_of(env), env.unwrapped
    if spec is not None:
        return str(spec.id)
    if isinstance(base, DummyVecEnv):
        base = base.envs[0].unwrapped
    return f"{UNREGISTERED}{type(base).__name__}"


# ---- episodes side by side -----------------------------------------------------------------------
class Stage:
    """Single environments, in which episodes are played side by side, each from its own seed."""

    def __init__(self, envs: list[SingleEnv], *, closes: bool) -> None:
        self._envs, self._closes = envs, closes
        self.env: SingleEnv | VecEnv = envs[0]

    def reset(self, seeds: Sequence[int]) -> Any:
        """Return the first observations (lanes, ...), of at least as many lanes as seeds."""
        return stacked(
            [env.reset(seed=seed)[0] for env, seed in zip(self._envs, seeds, strict=True)]
        )

    def step(
        self, actions: NDArray[Any], running: NDArray[np.bool_]
    ) -> Iterator[tuple[int, Any, Any, bool]]:
        """Yield lane, observation, reward and end of the episodes that still run."""
        for k in np.flatnonzero(running).tolist():
            observation, reward, terminated, truncated, _ = self._envs[k].step(actions[k])
            yield k, observation, reward, terminated or truncated

    def close(self) -> None:
        """Close the environments, unless they are the caller's."""
        for env in self._envs if self._closes else ():
            env.close()


class _Batch(Stage):
    """A caller's VecEnv, without wrappers: a model carries those that it has."""

    def __init__(self, env: VecEnv) -> None:
        self._env = self.env = env

    def reset(self, seeds: Sequence[int]) -> Any:
        # Lanes beyond the episodes play too, and nobody looks at them.
        spare = [seeds[-1]] * (self._env.num_envs - len(seeds))
        self._env.seed(seeds[0])
        self._env._seeds = [*seeds, *spare]  # seed() alone can only count up
        return each_array(np.array, self._env.reset())

    def step(
        self, actions: NDArray[Any], running: NDArray[np.bool_]
    ) -> Iterator[tuple[int, Any, Any, bool]]:
        observations: Any
        observations, rewards, dones, _ = self._env.step(actions)
        for k in np.flatnonzero(running).tolist():
            yield k, row(observations, k), rewards[k], bool(dones[k])

    def close(self) -> None:
        """Leave the caller's environments open."""
