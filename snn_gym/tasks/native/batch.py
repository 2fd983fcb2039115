"""The common part of native spiking tasks: many environments, stepped and observed at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from snn_gym.config import from_mapping
from snn_gym.tasks.batched import (
    Seeds,
    check_render_mode,
    checked_actions,
    final_observations,
    masked_environments,
    seeds_for,
)
from snn_gym.tasks.infos import masked_infos
from snn_gym.tasks.native.streams import EVERY, NoiseStreams, Rows
from snn_gym.tasks.rendering import SpikeRenderer
from snn_gym.tasks.start_streams import StartStreams

Transition = tuple[
    NDArray[np.int8],
    NDArray[np.float64],
    NDArray[np.bool_],
    NDArray[np.bool_],
    dict[str, NDArray[Any]],
]
"""Spikes (B, T, N), rewards (B,), terminated and truncated (B,), and each environment's info."""


class SpikeTask(VectorEnv[NDArray[np.int8], NDArray[Any], NDArray[Any]], ABC):
    """Many environments of a task whose observations are spikes, ``MultiBinary((T, N))``.

    ``gym.make_vec`` makes one. Environment i of a batch that was reset with seed s gives what
    ``gym.make`` gives after a reset with seed s + i, spike for spike, in this and in every later
    episode. A new episode starts in the step that ends one (``AutoresetMode.SAME_STEP``), with the
    last spikes in ``infos["final_obs"]``. Returned arrays are never written again.

    Each environment has two streams of its own: uniform numbers for the starts of episodes, and
    bytes for its noise. An observation takes one row of the noise: T * N bytes for its spikes, then
    ``noise_size`` bytes for the dynamics of the step that leads to it. So neither actions nor the
    other environments move an environment's noise.

    A subclass gives the settings, the action space and the six methods at the end. Its state is
    arrays whose first axis is the environment.

    Args:
        num_envs: Number B of environments, at least 1.
        max_episode_steps: Environment steps after which an episode is truncated; None: the longest
            that an episode of these settings can be.
        render_mode: ``rgb_array`` or None.
        **settings: Fields of ``settings_class``.

    Raises:
        ValueError: An argument is not allowed; the message names what is.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - gymnasium's own type
        "render_modes": ["rgb_array"],
        "render_fps": 8,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }
    settings_class: ClassVar[type[Any]]
    """Frozen dataclass of the task's settings. As fields or properties it has ``time_steps`` (T),
    ``channels`` (N), ``episode_steps``, the environment steps of the longest episode,
    ``start_size``, the uniform numbers that the start of an episode takes, and ``noise_size``, the
    bytes of noise that the dynamics of an environment step take."""
    channels_per_band: ClassVar[int] = 10
    """Channels in a band of the drawn raster."""

    def __init__(
        self,
        num_envs: int = 1,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **settings: Any,
    ) -> None:
        self.settings = from_mapping(self.settings_class, settings, type(self).__name__)
        limit = self.settings.episode_steps if max_episode_steps is None else max_episode_steps
        if num_envs < 1 or limit < 1:
            raise ValueError(
                f"num_envs and max_episode_steps must be at least 1, got {num_envs} and {limit}"
            )
        check_render_mode(render_mode)
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.time_steps, self.channels = self.settings.time_steps, self.settings.channels
        self.single_observation_space = gym.spaces.MultiBinary((self.time_steps, self.channels))
        self.single_action_space = self._make_action_space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._limit = limit
        self._spike_bytes = self.time_steps * self.channels
        self._starts = StartStreams(num_envs, self.settings.start_size)
        self._noise = NoiseStreams(num_envs, self._spike_bytes + self.settings.noise_size)
        self._steps = np.zeros(num_envs, np.int64)
        self._latest = np.zeros((num_envs, self.time_steps, self.channels), np.int8)
        self._started = False
        self._renderers = [self._make_renderer() for _ in range(num_envs if render_mode else 0)]
        self._allocate(num_envs)

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.int8], dict[str, Any]]:
        """Start episodes.

        Args:
            seed: s for s, s + 1, …; a seed for each environment; or None, which goes on with the
                present streams.
            options: ``reset_mask`` (B,), bool, for a part of the environments; nothing else.

        Returns:
            Spikes (B, T, N), int8, and the infos.

        Raises:
            ValueError: Seeds or mask have a wrong length, or there are other options.
            TypeError: The mask is no array of bools.
        """
        which, rest = masked_environments(options, self.num_envs)
        if rest:
            raise ValueError(
                f"options {sorted(rest)} are unknown; {type(self).__name__} takes 'reset_mask' "
                "only: give settings to gym.make instead"
            )
        seeds = seeds_for(seed, self.num_envs)
        self._starts.seed(seeds, which)
        self._noise.seed(seeds, which)
        self._started = self._started or len(which) == self.num_envs
        everywhere = len(which) == self.num_envs
        spikes = self._latest.copy()
        spikes[which] = self._start_episodes(EVERY if everywhere else which)
        self.keep(spikes, which, which)
        mask = np.zeros(self.num_envs, np.bool_)
        mask[which] = True
        return spikes, masked_infos(self._info(EVERY), mask)

    def step(
        self, actions: ArrayLike
    ) -> tuple[
        NDArray[np.int8], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
    ]:
        """Make one environment step in every environment.

        Args:
            actions: Actions (B, ...).

        Returns:
            Spikes (B, T, N), int8; rewards (B,), float64; terminated and truncated (B,), bool; and
            infos, with ``final_obs`` and ``final_info`` where episodes ended.

        Raises:
            gymnasium.error.ResetNeeded: There was no reset of all environments before.
            ValueError: The actions do not fit the action space.
        """
        spikes, rewards, terminated, truncated, info = self.advance(actions)
        over = terminated | truncated
        ended = np.flatnonzero(over)
        infos: dict[str, Any] = {}
        if len(ended):
            infos = {
                **final_observations(over, ended, spikes),
                "final_info": masked_infos(info, over),
                "_final_info": over.copy(),
            }
            everywhere = len(ended) == self.num_envs
            spikes[ended] = self._start_episodes(EVERY if everywhere else ended)
            info = self._info(EVERY)
        self.keep(spikes, ended)
        everywhere_mask = np.ones(self.num_envs, np.bool_)
        return (
            spikes,
            rewards,
            terminated,
            truncated,
            {**masked_infos(info, everywhere_mask), **infos},
        )

    def advance(self, actions: ArrayLike) -> Transition:
        """Make one environment step in every environment, without starting new episodes.

        Args:
            actions: Actions (B, ...).

        Returns:
            Spikes (B, T, N), int8; rewards (B,), float64; terminated and truncated (B,), bool; and
            the info's values, each (B, ...).

        Raises:
            gymnasium.error.ResetNeeded: There was no reset of all environments before.
            ValueError: The actions do not fit the action space.
        """
        if not self._started:
            raise gym.error.ResetNeeded("call reset() before step()")
        checked = checked_actions(actions, self.single_action_space, self.num_envs)
        noise = self._noise.take(EVERY)
        rewards, terminated = self._advance(checked, noise[:, self._spike_bytes :])
        self._steps += 1
        spikes = self._observed(EVERY, noise)
        return spikes, rewards, terminated, self._steps >= self._limit, self._info(EVERY)

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Draw every environment's scene beside its latest spikes.

        Returns:
            B images (height, width, 3), uint8, in mode ``rgb_array``; else None.
        """
        if self.render_mode is None:
            gym.logger.warn(
                "render() draws nothing without a render mode; "
                'make the environments with gym.make_vec(id, render_mode="rgb_array")'
            )
            return None
        return tuple(self.draw(index) for index in range(self.num_envs))

    def draw(self, index: int) -> NDArray[np.uint8]:
        """Return the picture (height, width, 3), uint8, of one environment; needs a render mode."""
        image = self._renderers[index].draw(self._scene(index))
        assert image is not None  # renderers of a batch have no window
        return image

    def _make_renderer(self) -> SpikeRenderer:
        return SpikeRenderer(
            channels_per_value=self.channels_per_band,
            human=False,
            frames_per_second=self.metadata["render_fps"],
        )

    def _start_episodes(self, rows: Rows) -> NDArray[np.int8]:
        """Start episodes in some environments; return their spikes (n, T, N)."""
        which = np.arange(self.num_envs) if isinstance(rows, slice) else rows
        self._begin(rows, self._starts.take(which).T)
        self._steps[rows] = 0
        return self._observed(rows, self._noise.take(rows))

    def _observed(self, rows: Rows, noise: NDArray[np.uint8]) -> NDArray[np.int8]:
        spikes = np.empty((len(noise), self.time_steps, self.channels), np.int8)
        # (n, T, N) int8 -> (n, T * N) bool, the same memory
        flat = spikes.reshape(len(noise), -1).view(np.bool_)
        self._observe(rows, noise[:, : self._spike_bytes], flat)
        return spikes

    def keep(self, spikes: NDArray[np.int8], fresh: NDArray[np.int64], new: Rows = EVERY) -> None:
        """Keep the latest spikes, for resets of a part and for pictures; ``step`` does so itself.

        Args:
            spikes: (B, T, N), int8.
            fresh: Indices of the environments whose episodes began with them.
            new: The environments that they are new of; a reset of a part leaves the others.
        """
        self._latest = spikes.copy()
        if self._renderers:
            for index in fresh:
                self._renderers[index].clear()
            for index in np.arange(self.num_envs)[new]:
                self._renderers[index].add(spikes[index])

    @abstractmethod
    def _make_action_space(self) -> gym.Space[Any]:
        """Return the action space of one environment, Discrete from 0 or Box."""

    @abstractmethod
    def _allocate(self, num_envs: int) -> None:
        """Make the arrays of the state, whose first axis is the environment."""

    @abstractmethod
    def _begin(self, rows: Rows, numbers: NDArray[np.float64]) -> None:
        """Set the state of some environments to the start of an episode.

        Args:
            rows: The n environments.
            numbers: (n, ``start_size``), uniform in [0, 1).
        """

    @abstractmethod
    def _advance(
        self, actions: NDArray[Any], noise: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Move the state of every environment by one environment step.

        Args:
            actions: (B, ...), checked.
            noise: (B, ``noise_size``), uniform bytes.

        Returns:
            Rewards (B,), float64, and terminated (B,), bool; new arrays.
        """

    @abstractmethod
    def _observe(self, rows: Rows, noise: NDArray[np.uint8], spikes: NDArray[np.bool_]) -> None:
        """Write the spikes that some environments show in their present state.

        Args:
            rows: The n environments.
            noise: (n, T * N), uniform bytes; time steps outside, channels inside.
            spikes: (n, T * N), written.
        """

    @abstractmethod
    def _info(self, rows: Rows) -> dict[str, NDArray[Any]]:
        """Return what infos say of some environments, each (n, ...): new arrays."""

    @abstractmethod
    def _scene(self, index: int) -> NDArray[np.uint8]:
        """Draw the scene (height, width, 3), uint8, of one environment, without its spikes."""
