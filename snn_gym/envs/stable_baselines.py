"""Environments of Stable-Baselines3, and whatever a caller hands over in place of an id."""

from __future__ import annotations

import copy
import functools
import time
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvObs, VecEnvStepReturn

from snn_gym._base.config import Count, typed
from snn_gym._base.names import UNREGISTERED, printable
from snn_gym._base.spaces import each_array, row, stacked
from snn_gym.envs.batch import check_finite, check_step
from snn_gym.envs.classic_control import BATCHED_TASKS
from snn_gym.envs.registry import (
    env_ids,
    flat_ids,
    import_named_module,
    make_task,
    naming_the_extra,
)


# ---- checked -------------------------------------------------------------------------------------
class CheckedVecEnv(DummyVecEnv):
    """``DummyVecEnv`` that raises ValueError if an observation or a reward is not finite.

    Without the check, learners silently train to weights that are not finite.
    """

    def __init__(self, env_fns: list[Callable[[], gym.Env[Any, Any]]]) -> None:
        super().__init__([functools.partial(_storable, make) for make in env_fns])
        spec = self.envs[0].spec
        self._name = str(self.envs[0].unwrapped) if spec is None else spec.id
        self._steps = np.zeros(self.num_envs, np.int64)

    def reset(self) -> VecEnvObs:
        """Start an episode in every environment."""
        observations: Any = super().reset()
        self._steps = np.zeros(self.num_envs, np.int64)
        check_finite("observation", observations, self._name, 0)
        return observations  # type: ignore[no-any-return]

    def step_wait(self) -> VecEnvStepReturn:
        """Finish the step."""
        observations, rewards, dones, infos = super().step_wait()
        self._steps += 1
        check_step(self._name, observations, rewards, dones, self._steps, infos)  # type: ignore[arg-type]
        self._steps[dones] = 0
        return observations, rewards, dones, infos


def _storable(make: Callable[[], gym.Env[Any, Any]]) -> gym.Env[Any, Any]:
    """Make an environment; refuse observations that a VecEnv can't store."""
    env = make()
    space: Any = env.observation_space
    parts = (
        space.values() if isinstance(space, gym.spaces.Dict)
        else space if isinstance(space, gym.spaces.Tuple) else [space]
    )  # fmt: skip
    if any(part.shape is None for part in parts):
        raise ValueError(
            f"observation space {printable(str(space), 100)} is not supported; observations are "
            "arrays, or a Dict of arrays; use FlattenObservation or TransformObservation of "
            "gymnasium.wrappers"
        )
    return env


# ---- batch vec env -------------------------------------------------------------------------------
Indices = int | Iterable[int] | None


class BatchVecEnv(VecEnv):
    """``VecEnv`` on a batch, whose environments share all their attributes."""

    @abstractmethod
    def _common_attributes(self) -> dict[str, Any]:
        """Return the readable attributes of every environment."""

    @abstractmethod
    def _no_single_environments(self, name: str) -> AttributeError:
        """Return the error for an attribute or method that single environments lack."""

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """Return a shared attribute once for each environment; AttributeError if none is shared."""
        common = self._common_attributes()
        if attr_name not in common:
            raise self._no_single_environments(attr_name)
        return [common[attr_name]] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        """Always raise AttributeError, because a batch has no single environments."""
        del value, indices
        raise self._no_single_environments(attr_name)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Indices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Always raise AttributeError, because a batch has no single environments."""
        del method_args, indices, method_kwargs
        raise self._no_single_environments(method_name)

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: Indices = None
    ) -> list[bool]:
        """Return for each index whether the class is ``Monitor``, whose records infos hold."""
        return [wrapper_class is Monitor] * len(list(self._get_indices(indices)))


# ---- infos ---------------------------------------------------------------------------------------
def final_observation(final: Any, index: int) -> Any:
    """Return a copy of an environment's last observation from ``infos["final_obs"]``."""
    return each_array(lambda x: _own(x[index]), final)


def split_infos(infos: Mapping[str, Any], num_envs: int) -> list[dict[str, Any]]:
    """Return B independent dicts, one for each environment, from batched infos.

    ``_key`` (B,), bool, marks the environments that have a value of ``key``; without it, all have.
    Nested dicts are split in the same way. Numpy's numbers become Python's.
    """
    split: list[dict[str, Any]] = [{} for _ in range(num_envs)]
    for key, values in infos.items():
        if key.startswith("_") and key[1:] in infos:
            continue
        mask = infos.get(f"_{key}")
        indices = range(num_envs) if mask is None else np.flatnonzero(mask).tolist()
        parts = split_infos(values, num_envs) if isinstance(values, Mapping) else values
        for index in indices:
            value = parts[index]
            split[index][key] = value.item() if isinstance(value, np.generic) else _own(value)
    return split


def _own(value: Any) -> Any:
    """Return an independent copy; plain arrays use their own, much faster method."""
    plain = isinstance(value, np.ndarray) and value.dtype.kind != "O"
    return value.copy() if plain else copy.deepcopy(value)


# ---- environments --------------------------------------------------------------------------------
_FINAL = ("final_obs", "_final_obs", "final_info", "_final_info")


class StableBaselinesVecEnv(BatchVecEnv):
    """Stable-Baselines3 ``VecEnv`` on any gymnasium ``VectorEnv`` with autoreset SAME_STEP.

    It equals ``DummyVecEnv`` on environments wrapped in ``Monitor``: float32 rewards;
    ``terminal_observation``, ``TimeLimit.truncated`` and ``episode`` (return, length, seconds since
    the start) in infos; ``reset_infos``; ``seed`` and ``set_options`` for the next reset.
    Observations are new arrays at every step.

    Single environments give access only to their shared attributes; ``make_vec_env`` with mode
    ``sync`` makes environments with more. Options must be equal for all environments,
    because a gymnasium batch takes one set. Other infos are as gymnasium batches them: in a step,
    the first environment with a key sets the dtype of its values.

    Example:
        >>> import gymnasium as gym
        >>> import snn_gym
        >>> from snn_gym.envs import StableBaselinesVecEnv
        >>> env = StableBaselinesVecEnv(gym.make_vec("snn/CartPole-v1", num_envs=2))
        >>> env.reset().shape
        (2, 8, 40)
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        """Wrap a vector environment.

        Args:
            env: Vector environment whose ``metadata["autoreset_mode"]`` is SAME_STEP.

        Raises:
            ValueError: The autoreset mode differs; the message says why learners need SAME_STEP.
        """
        mode = env.metadata.get("autoreset_mode")
        if mode is not AutoresetMode.SAME_STEP:
            raise ValueError(
                f"the autoreset mode of {env} is {mode}; learners need SAME_STEP, which ignores no "
                "action after an episode's end: use snn_gym.make_vec_env"
            )
        # Gymnasium's annotations of vector environments are narrower than what they take.
        self._env: Any = env
        self._actions: NDArray[Any] | None = None
        self._start_time = time.time()
        # float64: sums of many float32 rewards would lose digits.
        self._returns = np.zeros(env.num_envs)
        self._lengths = np.zeros(env.num_envs, np.int64)
        self._name = str(env) if env.spec is None else env.spec.id
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self.metadata = env.metadata

    @property
    def vector_env(self) -> VectorEnv[Any, Any, Any]:
        """The wrapped vector environment."""
        env: VectorEnv[Any, Any, Any] = self._env
        return env

    def adopt(self, other: StableBaselinesVecEnv) -> None:
        """Close the environments, and continue with those of another instance.

        It has equal size and spaces. Reset before the next step, and do not use it any more.
        """
        assert other.num_envs == self.num_envs
        self._env.close()
        self._env = other._env

    def reset(self) -> VecEnvObs:
        """Start an episode in every environment, with the seeds and options set before.

        Returns:
            Observations (B, ...), of the space's dtype; a dict of them for a Dict space.

        Raises:
            ValueError: The options are not equal for all environments, or an observation is not
                finite.
        """
        observations, infos = self._env.reset(seed=self._next_seed(), options=self._next_options())
        self._reset_seeds()
        self._reset_options()
        self.reset_infos = split_infos(infos, self.num_envs)
        self._returns[:] = 0
        self._lengths[:] = 0
        check_finite("observation", observations, self._name, 0)
        return self._owned(observations)

    def step_async(self, actions: NDArray[Any]) -> None:
        """Check and store the actions of the next ``step_wait``.

        Args:
            actions: Actions (B, ...), cast to the action space's dtype within the same kind.

        Raises:
            ValueError: There is not one action for each environment, or their dtype has another
            kind.
        """
        self._actions = self._checked(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Make the step; a reward or an observation that is not finite raises ValueError.

        Returns:
            Observations as from ``reset``; rewards (B,), float32; dones (B,), bool; and B infos.
        """
        assert self._actions is not None, "step_wait() without step_async()"
        actions, self._actions = self._actions, None
        return self._step(actions, with_infos=True)

    def step_without_infos(self, actions: NDArray[Any]) -> VecEnvStepReturn:
        """Make a step as ``step`` does, but without infos of running episodes, for speed.

        Where an episode ended, infos hold only ``terminal_observation``, ``episode`` and
        ``TimeLimit.truncated``. All others are one shared, empty dict.
        """
        return self._step(self._checked(actions), with_infos=False)

    def _step(self, actions: NDArray[Any], with_infos: bool) -> VecEnvStepReturn:
        observations, rewards, terminated, truncated, infos = self._env.step(actions)
        self._returns += rewards
        self._lengths += 1
        dones = np.logical_or(terminated, truncated)
        # One empty dict, because making a thousand of them takes longer than the step.
        split: list[dict[str, Any]] = [{}] * self.num_envs
        final = split
        if with_infos:
            split = split_infos({k: v for k, v in infos.items() if k not in _FINAL}, self.num_envs)
            final = split_infos(infos.get("final_info", {}), self.num_envs)
        # Without it, the observation of the next episode would be taken for the last one.
        if dones.any() and "final_obs" not in infos:
            raise RuntimeError(
                f"{self._env} ended an episode without final_obs in its infos, which autoreset "
                "mode SAME_STEP asks for"
            )
        ended = np.flatnonzero(dones).tolist()
        for index in ended:
            if with_infos:
                # Present infos belong to the reset that followed the step.
                self.reset_infos[index] = split[index]
            split[index] = {**final[index], **self._end(infos, index)}
        self._returns[dones] = 0
        check_step(self._name, observations, rewards, dones, self._lengths, split)
        self._lengths[dones] = 0
        is_cut = (truncated & ~terminated).tolist()
        for index in range(self.num_envs) if with_infos else ended:
            split[index]["TimeLimit.truncated"] = is_cut[index]
        return self._owned(observations), np.array(rewards, np.float32), dones, split

    def close(self) -> None:
        """Close the environments."""
        self._env.close()

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """Return an image (height, width, 3), uint8, of each environment.

        In modes other than ``rgb_array``, warn and return None for each.
        """
        if self.render_mode != "rgb_array":
            warnings.warn(
                f"images need render_mode 'rgb_array', and the render mode is {self.render_mode}",
                stacklevel=2,
            )
            return [None] * self.num_envs
        return list(self._env.render())

    def _common_attributes(self) -> dict[str, Any]:
        return {
            "spec": _single_spec(self._env.unwrapped.spec),
            "render_mode": self._env.render_mode,
            "metadata": self._env.metadata,
            "observation_space": self._env.single_observation_space,
            "action_space": self._env.single_action_space,
        }

    def _next_seed(self) -> int | list[int | None] | None:
        """Return the next reset's seeds: a list, s in place of s, s + 1, …, or None for none."""
        first = self._seeds[0]
        if first is None:
            return None if set(self._seeds) == {None} else list(self._seeds)
        consecutive = [first + index for index in range(self.num_envs)]
        return first if self._seeds == consecutive else list(self._seeds)

    def _next_options(self) -> dict[str, Any] | None:
        first = self._options[0]
        if any(options != first for options in self._options):
            raise ValueError(
                f"options differ between environments, {self._options}; a batch takes one set of "
                "options for all: set_options(dict)"
            )
        return first or None

    def _checked(self, actions: NDArray[Any]) -> NDArray[Any]:
        actions = np.asarray(actions)
        if actions.ndim == 0 or len(actions) != self.num_envs:
            raise ValueError(
                f"got actions of shape {actions.shape} for {self.num_envs} environments; expected "
                "one action for each"
            )
        dtype = self.action_space.dtype
        if dtype is None or actions.dtype == dtype:
            return actions
        if not np.can_cast(actions.dtype, dtype, "same_kind"):
            raise ValueError(f"actions are {actions.dtype}; the action space takes {dtype}")
        return actions.astype(dtype)

    def _owned(self, observations: Any) -> VecEnvObs:
        """Return observations as new arrays of the space's dtypes."""
        space = self.observation_space
        if isinstance(space, gym.spaces.Tuple):
            return tuple(
                np.array(values, dtype=part.dtype)
                for values, part in zip(observations, space.spaces, strict=True)
            )
        owned: VecEnvObs = each_array(
            lambda part, x: np.array(x, dtype=part.dtype), space, observations
        )
        return owned

    def _end(self, infos: Mapping[str, Any], index: int) -> dict[str, Any]:
        """Return the infos that describe the end of an environment's episode."""
        return {
            "terminal_observation": final_observation(infos["final_obs"], index),
            "episode": {
                "r": round(float(self._returns[index]), 6),
                "l": int(self._lengths[index]),
                "t": round(time.time() - self._start_time, 6),
            },
        }

    def _no_single_environments(self, name: str) -> AttributeError:
        return AttributeError(
            f"{self._env.unwrapped} steps its environments as one batch and has no {name!r} of "
            "single environments; use snn_gym.make_vec_env with mode='sync'"
        )


def _single_spec(spec: Any) -> Any:
    """Return the spec of one environment from the spec of a batch; None from None."""
    if spec is None:
        return None
    single = copy.deepcopy(spec)
    for key in ("num_envs", "vectorization_mode", "vector_kwargs", "wrappers"):
        single.kwargs.pop(key, None)
    # gym.make_vec puts it among the arguments of the batch.
    limit = single.kwargs.pop("max_episode_steps", single.max_episode_steps)
    single.max_episode_steps = limit
    return single


# ---- vector --------------------------------------------------------------------------------------
Mode = Literal["batched", "sync"]

Wrap = Callable[[gym.Env[Any, Any]], gym.Wrapper[Any, Any, Any, Any]]


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

    - ``batched``: our own environments, stepped as one batch: the classic control tasks and every
      ``snn/`` id. Default for these ids without wrappers.
    - ``sync``: single environments, stepped one after the other, in Stable-Baselines3's
      ``DummyVecEnv``. Default for all others.

    Both give the same transitions as Stable-Baselines3's ``DummyVecEnv`` on environments wrapped in
    ``Monitor``; an observation or a reward that is not finite raises ValueError.

    Args:
        env_id: Any id that gymnasium knows; ``module:id`` imports the module first.
        n_envs: Number of environments, at least 1.
        seed: Environment i is first reset with seed + i, and the action space is seeded; None
            for random.
        mode: See above.
        env_kwargs: Arguments of the environment, as for ``gym.make``.
        wrappers: Functions that wrap each single environment, innermost first; mode ``sync`` only.

    Raises:
        ValueError: The mode is unknown or cannot serve this id; the message names a mode that can.
        gymnasium.error.DependencyNotInstalled: A package that the task needs is absent.

    Example:
        >>> import snn_gym
        >>> env = snn_gym.make_vec_env("CartPole-v1", n_envs=64, seed=0)
        >>> env.reset().shape
        (64, 4)
    """
    typed(Count, n_envs, "n_envs")
    typed(int | None, seed, "seed")
    with naming_the_extra(env_id):
        spec = gym.spec(import_named_module(env_id))
    # Wrappers are for single environments, so they rule out a batch.
    batchable = has_batch(spec.id) and not wrappers
    if mode is None:
        mode = "batched" if batchable else "sync"
    if mode not in get_args(Mode) or (mode == "batched" and not batchable):
        raise ValueError(
            f"mode {mode!r} is unknown, or {spec.id} has no batched form of ours, or is wrapped; "
            f"use mode='sync'; batched are every snn/ id and {', '.join(BATCHED_TASKS)}, without "
            "wrappers"
        )
    arguments = dict(env_kwargs or {})
    env: VecEnv
    with naming_the_extra(spec.id):
        if mode == "sync":
            make = functools.partial(_monitored, spec, arguments, tuple(wrappers))
            env = CheckedVecEnv([make] * n_envs)
        else:
            batch = BATCHED_TASKS.get(spec.id) or functools.partial(gym.make_vec, spec)
            env = StableBaselinesVecEnv(batch(n_envs, **arguments))
    if seed is not None:
        env.seed(seed)
        env.action_space.seed(seed)
    return env


def has_batch(env_id: str) -> bool:
    """Test whether an id has a batched form of ours, so that mode ``batched`` serves it."""
    if env_id in BATCHED_TASKS:
        return True
    ours = env_id in (*env_ids(), *flat_ids())
    return ours and gym.spec(env_id).vector_entry_point is not None


def _monitored(
    spec: Any, arguments: dict[str, Any], wrappers: tuple[Wrap, ...]
) -> gym.Env[Any, Any]:
    env: gym.Env[Any, Any] = gym.make(spec, **arguments)
    for wrap in wrappers:
        env = wrap(env)
    return Monitor(env)


# ---- environments of callers ---------------------------------------------------------------------
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
        makers: list[Callable[[], SingleEnv]] = [functools.partial(_in_monitor, x) for x in singles]
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


def _in_monitor(env: SingleEnv) -> SingleEnv:
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
