"""Environments as Stable-Baselines3 wants them, one or many, and ``make_vec_env``."""

from __future__ import annotations

import copy
import functools
import multiprocessing
import time
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvObs, VecEnvStepReturn

from snn_gym.envs.batch import autoreset_mode_of, check_finite, check_step
from snn_gym.envs.classic_control import BATCHED_TASKS
from snn_gym.envs.registry import env_ids, flat_ids, import_named_module, naming_the_extra


# ---- checked -------------------------------------------------------------------------------------
class CheckedVecEnv(DummyVecEnv):
    """``DummyVecEnv`` that refuses observations and rewards that are infinite or no numbers.

    Learners would train to weights that are no numbers, without a word.
    """

    def __init__(self, env_fns: list[Callable[[], gym.Env[Any, Any]]]) -> None:
        super().__init__(env_fns)
        spec = self.envs[0].spec
        self._name = str(self.envs[0].unwrapped) if spec is None else spec.id
        self._steps = np.zeros(self.num_envs, np.int64)

    def reset(self) -> VecEnvObs:
        """Start an episode in every environment.

        Raises:
            ValueError: An observation is not finite.
        """
        observations: Any = super().reset()
        self._steps = np.zeros(self.num_envs, np.int64)
        check_finite("observation", observations, self._name, 0)
        return observations  # type: ignore[no-any-return]

    def step_wait(self) -> VecEnvStepReturn:
        """Finish the step.

        Raises:
            ValueError: An observation or a reward is not finite.
        """
        observations, rewards, dones, infos = super().step_wait()
        self._steps += 1
        check_step(self._name, observations, rewards, dones, self._steps, infos)  # type: ignore[arg-type]
        self._steps[dones] = 0
        return observations, rewards, dones, infos


# ---- batch vec env -------------------------------------------------------------------------------
Indices = int | Iterable[int] | None
"""Environments as Stable-Baselines3 names them: one, some, or None for all."""


class BatchVecEnv(VecEnv):
    """Environments that have attributes in common, and no attributes or methods of their own."""

    @abstractmethod
    def _common_attributes(self) -> dict[str, Any]:
        """Return what can be read of every environment."""

    @abstractmethod
    def _no_single_environments(self, name: str) -> AttributeError:
        """Return the error that says why there is no attribute or method of this name."""

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """Return what the environments have in common, once for each of some of them.

        Raises:
            AttributeError: They have nothing of that name in common.
        """
        common = self._common_attributes()
        if attr_name not in common:
            raise self._no_single_environments(attr_name)
        return [common[attr_name]] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        """Refuse: a batch has no single environments.

        Raises:
            AttributeError: Always.
        """
        del value, indices
        raise self._no_single_environments(attr_name)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Indices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Refuse: a batch has no single environments.

        Raises:
            AttributeError: Always.
        """
        del method_args, indices, method_kwargs
        raise self._no_single_environments(method_name)

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: Indices = None
    ) -> list[bool]:
        """Tell whether environments are wrapped; ``Monitor`` counts, as its records are here."""
        return [wrapper_class is Monitor] * len(list(self._get_indices(indices)))


# ---- infos ---------------------------------------------------------------------------------------
def final_observation(final: Any, index: int) -> Any:
    """Return a copy of the last observation of an episode.

    Args:
        final: ``infos["final_obs"]``: an array of B observations or, for a Dict space, a
            dict of such arrays.
        index: The environment.
    """
    if isinstance(final, Mapping):
        return {key: _own(values[index]) for key, values in final.items()}
    return _own(final[index])


def split_infos(infos: Mapping[str, Any], num_envs: int) -> list[dict[str, Any]]:
    """Return each environment's info from the batched one.

    Args:
        infos: Batched infos. ``_key`` (B,), bool, says where ``key`` holds a value; without
            it, everywhere. Dicts are batched in the same way.
        num_envs: Number B of environments.

    Returns:
        B dicts, independent of the batched one; numpy's numbers become Python's.
    """
    split: list[dict[str, Any]] = [{} for _ in range(num_envs)]
    for key, values in infos.items():
        if key.startswith("_") and key[1:] in infos:
            continue
        mask = infos.get(f"_{key}")
        where = range(num_envs) if mask is None else np.flatnonzero(mask).tolist()
        parts = split_infos(values, num_envs) if isinstance(values, Mapping) else values
        for index in where:
            split[index][key] = _plain(parts[index])
    return split


def _plain(value: Any) -> Any:
    """Return a value of its own: Python's number for numpy's, a copy of anything else."""
    return value.item() if isinstance(value, np.generic) else _own(value)


def _own(value: Any) -> Any:
    """Return a copy that shares nothing; of plain arrays by their own, much faster, method."""
    plain = isinstance(value, np.ndarray) and value.dtype.kind != "O"
    return value.copy() if plain else copy.deepcopy(value)


# ---- environments --------------------------------------------------------------------------------
_FINAL = ("final_obs", "_final_obs", "final_info", "_final_info")


class StableBaselinesVecEnv(BatchVecEnv):
    """A Stable-Baselines3 ``VecEnv`` on any gymnasium ``VectorEnv`` with autoreset SAME_STEP.

    It gives what ``DummyVecEnv`` gives on environments wrapped in ``Monitor``: float32
    rewards; ``terminal_observation``, ``TimeLimit.truncated`` and ``episode`` (return,
    length, seconds since the start) in infos; ``reset_infos``; ``seed`` and
    ``set_options`` for the next reset. Observations are new arrays at every step.

    Of single environments only what the batch has in common can be reached; ``make_vec_env``
    with mode ``sync`` or ``async`` makes environments that have more. Options must be equal for
    all environments, because gymnasium's batches take one set. Other infos are as gymnasium
    batches them: in a step, the first environment that gives a key sets the dtype of its values.

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
            ValueError: The autoreset mode is another one; the message says why that is
                refused.
        """
        require_same_step(env, "mode='batched' or mode='sync'")
        # Gymnasium's annotations of vector environments are narrower than what they take.
        self._env: Any = env
        self._actions: NDArray[Any] | None = None
        self._start_time = time.time()
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
        """Go on with the environments of another one, which must be reset first.

        Args:
            other: As many environments of the same spaces; not to be used any more.
        """
        assert other.num_envs == self.num_envs
        self._env.close()
        self._env = other._env

    def reset(self) -> VecEnvObs:
        """Start an episode in every environment, with the seeds and options set before.

        Returns:
            Observations (B, ...), of the space's dtype; a dict of them for a Dict space.

        Raises:
            ValueError: The options are not equal for all environments.
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
        """Start a step.

        Args:
            actions: Actions (B, ...); cast to the action space's dtype where no kind of
                number is lost.

        Raises:
            ValueError: There is not one action for each environment, or they are of another
                kind than the space's.
        """
        self._actions = self._checked(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Finish the step.

        Returns:
            Observations as from ``reset``; rewards (B,), float32; dones (B,), bool; and B
            infos.
        """
        assert self._actions is not None, "step_wait() without step_async()"
        observations, rewards, terminated, truncated, infos = self._env.step(self._actions)
        self._actions = None
        self._returns += rewards
        self._lengths += 1
        dones = np.logical_or(terminated, truncated)
        split = self._step_infos(infos, dones)
        check_step(self._name, observations, rewards, dones, self._lengths, split)
        self._lengths[dones] = 0
        for info, cut in zip(split, (truncated & ~terminated).tolist(), strict=True):
            info["TimeLimit.truncated"] = cut
        return self._owned(observations), np.array(rewards, np.float32), dones, split

    def step_without_infos(self, actions: NDArray[Any]) -> VecEnvStepReturn:
        """Make a step as ``step`` does, of environments that have no infos of their own.

        Infos say what they do there where an episode ended. All others are one empty dict, for to
        make a thousand of them takes longer than the step.

        Args:
            actions: As for ``step_async``.
        """
        result = self._env.step(self._checked(actions))
        observations, rewards, terminated, truncated, infos = result
        self._returns += rewards
        self._lengths += 1
        dones = terminated | truncated
        split: list[dict[str, Any]] = [{}] * self.num_envs
        seconds = round(time.time() - self._start_time, 6)
        for index in np.flatnonzero(dones).tolist():
            split[index] = {
                **self._end(infos, index, seconds),
                "TimeLimit.truncated": bool(truncated[index] and not terminated[index]),
            }
        self._returns[dones] = 0
        check_step(self._name, observations, rewards, dones, self._lengths, split)
        self._lengths[dones] = 0
        return self._owned(observations), np.array(rewards, np.float32), dones, split

    def close(self) -> None:
        """Close the environments."""
        self._env.close()

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """Return an image (height, width, 3), uint8, of each environment, or None."""
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
        """Return the seeds for the next reset; s alone for s, s + 1, …, which all batches take."""
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
        if isinstance(space, gym.spaces.Dict):
            return {
                key: np.array(observations[key], dtype=part.dtype)
                for key, part in space.spaces.items()
            }
        if isinstance(space, gym.spaces.Tuple):
            return tuple(
                np.array(values, dtype=part.dtype)
                for values, part in zip(observations, space.spaces, strict=True)
            )
        return np.array(observations, dtype=space.dtype)

    def _step_infos(self, infos: Mapping[str, Any], dones: NDArray[np.bool_]) -> list[Any]:
        """Return each environment's info of the step, not of the reset that followed it."""
        ongoing = {key: value for key, value in infos.items() if key not in _FINAL}
        split = split_infos(ongoing, self.num_envs)
        if not dones.any():
            return split
        if "final_obs" not in infos:
            raise RuntimeError(
                f"{self._env} ended an episode without final_obs in its infos, which autoreset "
                "mode SAME_STEP asks for"
            )
        final = split_infos(infos.get("final_info", {}), self.num_envs)
        seconds = round(time.time() - self._start_time, 6)
        for index in np.flatnonzero(dones).tolist():
            self.reset_infos[index] = split[index]
            split[index] = {**final[index], **self._end(infos, index, seconds)}
        self._returns[dones] = 0
        return split

    def _end(self, infos: Mapping[str, Any], index: int, seconds: float) -> dict[str, Any]:
        """Return what an info says of the end of an environment's episode."""
        return {
            "terminal_observation": final_observation(infos["final_obs"], index),
            "episode": {
                "r": round(float(self._returns[index]), 6),
                "l": int(self._lengths[index]),
                "t": seconds,
            },
        }

    def _no_single_environments(self, name: str) -> AttributeError:
        return AttributeError(
            f"{self._env.unwrapped} steps its environments as one batch and has no {name!r} of "
            "single environments; use snn_gym.make_vec_env with mode='sync'"
        )


def require_same_step(env: VectorEnv[Any, Any, Any], remedy: str) -> None:
    """Refuse a vector environment that starts episodes in another way than in the same step.

    Args:
        env: The vector environment.
        remedy: The modes of ``make_vec_env`` to name.

    Raises:
        ValueError: Its autoreset mode is not SAME_STEP.
    """
    check_same_step(
        env.metadata.get("autoreset_mode"), str(env), f"use snn_gym.make_vec_env with {remedy}"
    )


def check_same_step(mode: Any, name: str, remedy: str) -> None:
    """Refuse an autoreset mode that learners can't use.

    Args:
        mode: The mode of a vector environment; None if it states none.
        name: Name of the vector environment.
        remedy: Fix to name.

    Raises:
        ValueError: The mode is not SAME_STEP.
    """
    if mode is AutoresetMode.SAME_STEP:
        return
    reasons = {
        AutoresetMode.NEXT_STEP: "NEXT_STEP, in which the action after an episode's end is ignored",
        AutoresetMode.DISABLED: "DISABLED, in which ended episodes are not started anew",
    }
    reason = reasons.get(mode, f"{mode!r}, which is unknown") if mode else "unknown"
    raise ValueError(f"the autoreset mode of {name} is {reason}; learners need SAME_STEP: {remedy}")


def _single_spec(spec: Any) -> Any:
    """Return the spec of one environment from that of a batch."""
    if spec is None:
        return None
    single = copy.deepcopy(spec)
    for key in ("num_envs", "vectorization_mode", "vector_kwargs", "wrappers", "autoreset_mode"):
        single.kwargs.pop(key, None)
    # gym.make_vec puts it among the arguments of the batch.
    limit = single.kwargs.pop("max_episode_steps", single.max_episode_steps)
    single.max_episode_steps = limit
    return single


# ---- vector --------------------------------------------------------------------------------------
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
