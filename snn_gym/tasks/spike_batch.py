"""Batches whose observations are spikes, drawn as rasters beside each environment's picture."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from snn_gym.spaces import FlatSpikes
from snn_gym.tasks.batch_env import EVERY, BatchEnv, Rows
from snn_gym.tasks.rendering import SpikeRenderer


class SpikeBatch(BatchEnv):
    """Many environments whose observations are spikes, ``MultiBinary((T, N))`` or flat.

    A subclass draws each environment without its spikes (``_scene``), and gives what it observes
    through ``_observation``.

    Args:
        num_envs: Number B of environments, at least 1.
        limit: Environment steps after which an episode is truncated, at least 1.
        spike_shape: Time steps T and channels N of an observation.
        action_space: Space of one environment.
        render_mode: ``rgb_array``, ``rgb_array_list`` or None.
        flatten: Observe ``FlatSpikes(T, N)``, a Box of one dimension.
        channels_per_band: Channels in a band of the drawn raster.
        autoreset_mode: When new episodes start; see ``BatchEnv``.

    Raises:
        ValueError: A number is below 1, or a mode is unknown.
    """

    def __init__(
        self,
        num_envs: int,
        limit: int,
        spike_shape: tuple[int, int],
        action_space: gym.Space[Any],
        render_mode: str | None,
        flatten: bool,
        channels_per_band: int,
        autoreset_mode: AutoresetMode | str,
    ) -> None:
        self._spike_shape = spike_shape
        self._flat = FlatSpikes(*spike_shape) if flatten else None
        space = gym.spaces.MultiBinary(spike_shape) if self._flat is None else self._flat
        super().__init__(num_envs, limit, space, action_space, render_mode, autoreset_mode)
        self._renderers = [
            SpikeRenderer(channels_per_band, False, self.metadata["render_fps"])
            for _ in range(num_envs if render_mode else 0)
        ]

    def keep(self, observations: NDArray[Any], fresh: NDArray[np.int64], new: Rows = EVERY) -> None:
        """Keep the latest spikes, for resets of a part and for pictures."""
        super().keep(observations, fresh, new)
        if self._renderers:
            for index in fresh:
                self._renderers[index].clear()
            for index in np.arange(self.num_envs)[new]:
                self._renderers[index].add(observations[index].reshape(self._spike_shape))

    def draw(self, index: int) -> NDArray[np.uint8]:
        """Return the picture (height, width, 3), uint8, of one environment beside its spikes."""
        image = self._renderers[index].draw(self._scene(index))
        assert image is not None  # renderers of a batch have no window
        return image

    def _observation(self, spikes: NDArray[np.int8]) -> NDArray[Any]:
        """Return spikes (n, T, N), int8, as observations."""
        return spikes if self._flat is None else self._flat.flatten(spikes)

    def _latest_spikes(self, index: int) -> NDArray[Any]:
        """Return the spikes (T, N) that one environment shows at present."""
        spikes: NDArray[Any] = self._latest[index].reshape(self._spike_shape)
        return spikes

    @abstractmethod
    def _scene(self, index: int) -> NDArray[np.uint8]:
        """Draw the scene (height, width, 3), uint8, of one environment, without its spikes."""
