"""Batches whose observations are spikes, drawn as rasters beside each environment's picture."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.tasks.rendering import SpikeRenderer
from snn_gym.tasks.same_step import EVERY, Rows, SameStepEnv


class SpikeBatch(SameStepEnv):
    """Many environments whose observations are spikes, ``MultiBinary((T, N))``.

    A subclass draws each environment without its spikes (``_scene``).
    """

    def _make_renderers(self, channels_per_band: int) -> None:
        """Make a raster for each environment, if there is a render mode.

        Args:
            channels_per_band: Channels in a band of a raster.
        """
        self._renderers = [
            SpikeRenderer(channels_per_band, False, self.metadata["render_fps"])
            for _ in range(self.num_envs if self.render_mode else 0)
        ]

    def keep(self, observations: NDArray[Any], fresh: NDArray[np.int64], new: Rows = EVERY) -> None:
        """Keep the latest spikes (B, T, N), for resets of a part and for pictures."""
        super().keep(observations, fresh, new)
        if self._renderers:
            for index in fresh:
                self._renderers[index].clear()
            for index in np.arange(self.num_envs)[new]:
                self._renderers[index].add(observations[index])

    def draw(self, index: int) -> NDArray[np.uint8]:
        """Return the picture (height, width, 3), uint8, of one environment beside its spikes."""
        image = self._renderers[index].draw(self._scene(index))
        assert image is not None  # renderers of a batch have no window
        return image

    @abstractmethod
    def _scene(self, index: int) -> NDArray[np.uint8]:
        """Draw the scene (height, width, 3), uint8, of one environment, without its spikes."""
