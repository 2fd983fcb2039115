"""Gymnasium's classic tasks, many environments stepped at once."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control.utils import maybe_parse_reset_bounds
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from snn_gym.tasks.batch_env import BatchEnv, Rows, single_render_mode
from snn_gym.tasks.streams import StartStreams


class BatchedTask(BatchEnv):
    """Many environments of one of gymnasium's classic tasks, stepped by numpy.

    States, observations, rewards and ends are those of ``gym.make(base_id)``. Actions of a Box are
    cast to its dtype first.
    """

    base_id: ClassVar[str]
    """Gymnasium id of the task."""
    state_size: ClassVar[int]
    """Numbers in the state of an environment."""
    start_size: ClassVar[int]
    """Random numbers that the start of an episode takes."""
    start_bounds: ClassVar[tuple[float, float]]
    """Bounds of a uniform start state, unless the options of ``reset`` say otherwise."""

    def __init__(
        self,
        num_envs: int = 1,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        **arguments: Any,
    ) -> None:
        """Make the batch.

        Args:
            num_envs: Number B of environments, at least 1.
            max_episode_steps: Environment steps after which an episode is truncated.
                Default: the task's.
            render_mode: ``rgb_array``, ``rgb_array_list`` or None.
            autoreset_mode: When new episodes start; see ``BatchEnv``.
            arguments: Arguments of the task itself, as for ``gym.make``.

        Raises:
            ValueError: A number is below 1, or a mode is unknown.
        """
        spec = copy.deepcopy(gym.spec(self.base_id))
        limit = spec.max_episode_steps if max_episode_steps is None else max_episode_steps
        assert limit is not None
        # Gymnasium's own environment holds the constants and draws the pictures.
        drawn = single_render_mode(render_mode)
        self._task: Any = gym.make(self.base_id, render_mode=drawn, **arguments).unwrapped
        super().__init__(num_envs, limit, *self._single_spaces(), render_mode, autoreset_mode)
        # As of the single environment that gym.make would make.
        spec.kwargs.update(arguments)
        spec.max_episode_steps = limit
        self.spec = spec
        self.metadata = {**self.metadata, "render_fps": self._task.metadata["render_fps"]}
        self._streams = StartStreams(num_envs, self.start_size)
        self._state = np.zeros((self.state_size, num_envs))

    @property
    def state(self) -> NDArray[np.float64]:
        """States (B, ``state_size``), float64, in the order of gymnasium's own; a copy."""
        return self._state.T.copy()

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

    def draw(self, index: int) -> NDArray[np.uint8]:
        """Return gymnasium's own picture (height, width, 3), uint8, of one environment."""
        self._pose(index)
        image: NDArray[np.uint8] = self._task.render()
        return image

    def close_extras(self, **_: Any) -> None:
        """Close the renderer."""
        self._task.close()

    def _start_states(
        self, numbers: NDArray[np.float64], options: dict[str, Any] | None
    ) -> NDArray[np.float64]:
        """Return start states (state_size, n) from numbers (start_size, n), uniform in [0, 1)."""
        low, high = maybe_parse_reset_bounds(options, *self.start_bounds)
        return low + (high - low) * numbers

    @abstractmethod
    def _advance(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Move ``self._state`` by one step; return rewards and terminated, each (B,)."""

    def _seen(self, state: NDArray[Any]) -> NDArray[np.float32]:
        """Return a new array of observations (n, D) of states (state_size, n)."""
        # order="C", because the transpose of a copy that keeps the order would be slow to read
        return state.T.astype(np.float32, order="C")

    def _seen_first(self, state: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the observations (n, D) of start states (state_size, n)."""
        return self._seen(state)

    def _pose(self, index: int) -> None:
        """Put gymnasium's environment into the state of one of ours, for drawing."""
        self._task.state = self._state[:, index].copy()

    def _single_spaces(self) -> tuple[gym.Space[Any], gym.Space[Any]]:
        """Return the spaces of an observation and of an action."""
        return self._task.observation_space, self._task.action_space

    def _observe(self) -> NDArray[np.float32]:
        return self._seen(self._state)

    def _start(
        self, rows: Rows, seeds: Sequence[int | None] | None, options: dict[str, Any] | None
    ) -> NDArray[np.float32]:
        self._streams.seed(seeds, rows)
        states = self._start_states(self._streams.take(rows).T, options)
        self._state[:, rows] = states
        return self._seen_first(states)
