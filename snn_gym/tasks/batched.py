"""The common part of tasks that step many environments at once."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from snn_gym.tasks.start_streams import StartStreams

Seeds = int | Sequence[int | None] | None
"""Seeds as ``VectorEnv.reset`` takes them."""


class BatchedTask(VectorEnv[NDArray[np.float32], NDArray[Any], NDArray[Any]], ABC):
    """Many environments of one of gymnasium's classic tasks, stepped by numpy.

    Environment i of a batch that was reset with seed s gives what ``gym.make(base_id)``
    gives after a reset with seed s + i: states, observations, rewards and ends, in this
    and in every later episode. Actions of a Box are cast to its dtype first.

    Episodes end by the task or, after ``max_episode_steps``, by truncation; a new one
    starts in the same step (``AutoresetMode.SAME_STEP``), with the last observation in
    ``infos["final_obs"]``. ``reset(options={"reset_mask": mask})`` resets a part, as in
    gymnasium's ``SyncVectorEnv``; other options are the task's own and hold for the
    episodes that this reset starts. Returned arrays are never written again.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - gymnasium's own type
        "render_modes": ["rgb_array"],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }
    base_id: ClassVar[str]
    """Gymnasium id of the task."""
    state_size: ClassVar[int]
    """Numbers in the state of an environment."""
    start_size: ClassVar[int]
    """Random numbers that the start of an episode takes."""

    def __init__(
        self,
        num_envs: int = 1,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        """Make the batch.

        Args:
            num_envs: Number B of environments, at least 1.
            max_episode_steps: Environment steps after which an episode is truncated.
                Default: the task's.
            render_mode: ``rgb_array`` or None.
            arguments: Arguments of the task itself, as for ``gym.make``.

        Raises:
            ValueError: A number is below 1 or the render mode is unknown.
        """
        spec = gym.spec(self.base_id)
        limit = spec.max_episode_steps if max_episode_steps is None else max_episode_steps
        assert limit is not None
        if num_envs < 1 or limit < 1:
            raise ValueError(
                f"num_envs and max_episode_steps must be at least 1, got {num_envs} and {limit}"
            )
        check_render_mode(render_mode)
        self.spec = spec
        self.num_envs = num_envs
        self.render_mode = render_mode
        self._limit = limit
        # Gymnasium's own environment holds the constants and draws the pictures.
        self._task: Any = gym.make(self.base_id, render_mode=render_mode, **arguments).unwrapped
        self.metadata = {**self.metadata, "render_fps": self._task.metadata["render_fps"]}
        self.single_action_space = self._task.action_space
        self.single_observation_space = self._task.observation_space
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._streams = StartStreams(num_envs, self.start_size)
        self._state = np.zeros((self.state_size, num_envs))
        self._steps = np.zeros(num_envs, np.int64)
        self._started = False

    @property
    def state(self) -> NDArray[np.float64]:
        """States (B, ``state_size``), float64, in the order of gymnasium's own; a copy."""
        return self._state.T.copy()

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start episodes.

        Args:
            seed: s for s, s + 1, …; a seed for each environment; or None, which goes on
                with the present streams.
            options: ``reset_mask`` (B,), bool, for a part of the environments, and the
                task's own options.

        Returns:
            Observations (B, D), float32, and an empty info.

        Raises:
            ValueError: Seeds or mask have a wrong length, or an option a wrong value.
            TypeError: The mask is no array of bools.
        """
        which, options = masked_environments(options, self.num_envs)
        self._streams.seed(seeds_for(seed, self.num_envs), which)
        self._start_episodes(which, options)
        self._started = self._started or len(which) == self.num_envs
        observations = self._observe(self._state)
        fresh = np.flatnonzero(self._steps == 0)
        observations[fresh] = self._observe_start(self._state[:, fresh])
        return observations, {}

    def step(
        self, actions: ArrayLike
    ) -> tuple[
        NDArray[np.float32],
        NDArray[np.float64],
        NDArray[np.bool_],
        NDArray[np.bool_],
        dict[str, Any],
    ]:
        """Make one environment step in every environment.

        Args:
            actions: Actions (B, ...) of the task.

        Returns:
            Observations (B, D), float32; rewards (B,), float64; terminated and truncated
            (B,), bool; and infos with ``final_obs`` where episodes ended.

        Raises:
            gymnasium.error.ResetNeeded: There was no reset of all environments before.
            ValueError: The actions do not fit the action space.
        """
        if not self._started:
            raise gym.error.ResetNeeded("call reset() before step()")
        rewards, terminated = self._advance(
            checked_actions(actions, self.single_action_space, self.num_envs)
        )
        self._steps += 1
        truncated = self._steps >= self._limit
        observations = self._observe(self._state)
        infos: dict[str, Any] = {}
        over = terminated | truncated
        which = np.flatnonzero(over)
        if len(which):
            infos = self._final_infos(over, which, observations)
            observations[which] = self._start_episodes(which, None)
        return observations, rewards, terminated, truncated, infos

    def advance(
        self, actions: NDArray[Any]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Make one environment step without checks and without starting new episodes.

        For rollouts that end with their episodes; the rest is as in ``step``.

        Args:
            actions: Actions (B, ...) that fit the action space.

        Returns:
            Observations (B, D), float32; rewards (B,), float64; terminated and truncated (B,),
            bool.
        """
        rewards, terminated = self._advance(actions)
        self._steps += 1
        return self._observe(self._state), rewards, terminated, self._steps >= self._limit

    def select(self, which: NDArray[np.int64]) -> Self:
        """Return a batch of copies of some environments in their present states.

        It is for ``advance`` alone: it has no random streams of its own, so nothing in it can be
        reset.

        Args:
            which: Indices (n,) of the environments to copy, in any order, also repeated.
        """
        batch = copy.copy(self)
        batch._state = np.ascontiguousarray(self._state[:, which])
        batch._steps = self._steps[which]
        batch.num_envs = len(which)
        batch._started = False
        return batch

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Draw every environment with gymnasium's own renderer.

        Returns:
            B images (height, width, 3), uint8, in mode ``rgb_array``; else None.
        """
        if self.render_mode is None:
            gym.logger.warn(
                "render() draws nothing without a render mode; "
                'make the environments with gym.make_vec(id, render_mode="rgb_array")'
            )
            return None
        return tuple(self._draw(index) for index in range(self.num_envs))

    def close_extras(self, **_: Any) -> None:
        """Close the renderer."""
        self._task.close()

    @abstractmethod
    def _start_states(
        self, numbers: NDArray[np.float64], options: dict[str, Any] | None
    ) -> NDArray[np.float64]:
        """Return start states (state_size, n) from uniform numbers (start_size, n)."""

    @abstractmethod
    def _advance(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Move ``self._state`` by one step; return rewards and terminated, each (B,)."""

    def _observe(self, state: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return a new array of observations (n, D) of states (state_size, n)."""
        # order="C", because the transpose of a copy that keeps the order would be slow to read
        return state.T.astype(np.float32, order="C")

    def _observe_start(self, state: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the observations (n, D) of start states (state_size, n)."""
        return self._observe(state)

    def _pose(self, index: int) -> None:
        """Put gymnasium's environment into the state of one of ours, for drawing."""
        self._task.state = self._state[:, index].copy()

    def _draw(self, index: int) -> NDArray[np.uint8]:
        self._pose(index)
        image: NDArray[np.uint8] = self._task.render()
        return image

    def _start_episodes(
        self, which: NDArray[np.int64], options: dict[str, Any] | None
    ) -> NDArray[np.float32]:
        """Start episodes in some environments; return their observations (n, D)."""
        states = self._start_states(self._streams.take(which), options)
        self._state[:, which] = states
        self._steps[which] = 0
        return self._observe_start(states)

    def _final_infos(
        self,
        over: NDArray[np.bool_],
        which: NDArray[np.int64],
        observations: NDArray[np.float32],
    ) -> dict[str, Any]:
        """Return what gymnasium's own environments with SAME_STEP say of ended episodes."""
        return {
            **final_observations(over, which, observations),
            "final_info": {},
            "_final_info": over.copy(),
        }


def check_render_mode(render_mode: str | None) -> None:
    """Refuse a render mode that batches do not have."""
    if render_mode not in (None, "rgb_array"):
        raise ValueError(
            f"render_mode {render_mode!r} is not allowed for a batch of environments; use "
            "'rgb_array' or None, or make a single environment with gym.make"
        )


def seeds_for(seed: Seeds, num_envs: int) -> list[int | None]:
    """Return a seed for each environment: s, s + 1, … for a number s."""
    if seed is None:
        return [None] * num_envs
    if isinstance(seed, (int, np.integer)):
        return [int(seed) + index for index in range(num_envs)]
    if len(seed) != num_envs:
        raise ValueError(f"seed lists {len(seed)} seeds for {num_envs} environments")
    return list(seed)


def masked_environments(
    options: dict[str, Any] | None, num_envs: int
) -> tuple[NDArray[np.int64], dict[str, Any] | None]:
    """Return the indices that ``options["reset_mask"]`` picks, all without it, and the rest.

    Raises:
        TypeError: The mask is no array of bools.
        ValueError: The mask has a wrong shape or picks nothing.
    """
    if options is None or "reset_mask" not in options:
        return np.arange(num_envs), options
    mask = options["reset_mask"]
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        raise TypeError(f"options['reset_mask'] must be a numpy array of bools, got {mask!r}")
    if mask.shape != (num_envs,) or not mask.any():
        raise ValueError(
            f"options['reset_mask'] must have shape ({num_envs},) and pick at least one "
            f"environment, got {mask}"
        )
    rest = {key: value for key, value in options.items() if key != "reset_mask"}
    return np.flatnonzero(mask), rest or None


def checked_actions(actions: ArrayLike, space: Any, num_envs: int) -> NDArray[Any]:
    """Return actions as the array that a space describes.

    Args:
        actions: Actions (B, ...), of any kind of number that the space has.
        space: Action space of one environment, Discrete from 0 or Box.
        num_envs: Number B of environments.

    Raises:
        ValueError: They do not fit the space.
    """
    array = np.asarray(actions)
    if isinstance(space, gym.spaces.Discrete):
        fits = array.dtype.kind in "iu" and array.shape == (num_envs,)
        if fits and array.min() >= 0 and array.max() < space.n:
            return array
    elif array.dtype.kind in "fiu" and array.shape == (num_envs, *space.shape):
        return array.astype(space.dtype, copy=False)
    raise ValueError(
        f"actions {array!r} do not fit the action space; expected {num_envs} actions of "
        f"{space}, one for each environment"
    )


def final_observations(
    over: NDArray[np.bool_], which: NDArray[np.int64], observations: NDArray[Any]
) -> dict[str, Any]:
    """Return ``final_obs`` of ended episodes as gymnasium's environments with SAME_STEP do.

    Args:
        over: Which episodes ended, (B,), bool.
        which: Their indices (n,).
        observations: Last observations (B, ...).
    """
    final = np.full(len(over), None, object)
    for index in which:
        final[index] = observations[index].copy()
    return {"final_obs": final, "_final_obs": over}
