"""Recall: remember which of many channels spiked, and recognise them after a silent delay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.config import Count, Natural
from snn_gym.envs.batch import Rows, single_env
from snn_gym.envs.native.base import SpikeTask, SpikeTaskSettings
from snn_gym.envs.rendering import ACCENT, FAINT, GOOD, INK, WIDTH, blank, disc, rectangle

NEW, OLD = 0, 1
"""Actions."""


@dataclass(frozen=True)
class RecallSettings(SpikeTaskSettings):
    """Numbers of channels, items and probes, and length of the delay."""

    channels: Count = 16
    """Channels N, of which each is an item."""
    items: Count = 4
    """Items k of an episode, all different."""
    probes: Count = 4
    """Probes of an episode, all different; at most ``items``, and at most the other channels."""
    delay_steps: Natural = 4
    """Environment steps between the last item and the first probe, at least."""
    delay_jitter_steps: Natural = 4
    """Environment steps by which the delay may be longer, uniformly drawn."""

    def _check(self) -> None:
        most = min(self.items, self.channels - self.items)
        if self.probes > most:
            raise ValueError(
                f"probes must be at most {most}, for {self.items} items of {self.channels} "
                f"channels: all probes of an episode may be old, or new; got {self.probes}"
            )

    @property
    def episode_steps(self) -> int:
        """Environment steps of the longest episode."""
        return self.items + self.delay_steps + self.delay_jitter_steps + self.probes

    @property
    def start_size(self) -> int:
        """Uniform numbers for a start: order of channels and old items, kind of probe, delay."""
        return self.channels + self.items + self.probes + 1


class Recall(SpikeTask):
    """Task: say of each probe whether its channel was an item before a silent delay.

    For an item or probe its channel fires in every time step of one environment step, without
    noise. Items come one after the other, then nothing spikes, then probes come one after the
    other. Each probe is one of the
    items with probability 1/2, else another channel. Each right answer earns ``1 / probes``, so the
    return is the share of right answers. Actions before the first probe are ignored.

    After Sternberg, "High-speed scanning in human memory", Science 153 (1966),
    https://doi.org/10.1126/science.153.3736.652. His subjects remembered one to six digits and
    judged one probe.
    """

    settings_class = RecallSettings
    settings: RecallSettings
    info_arrays = (("items", "_items"), ("probes", "_probes"), ("probe_step", "_probe_step"))
    channels_per_band = 8

    def right_actions(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return whether the probe was an item, which matters from the first probe on, (B,)."""
        number = self._steps - self._probe_step
        return _at(self._is_old, number).astype(np.int64), (number >= 0).astype(np.float64)

    def _allocate(self, num_envs: int) -> None:
        settings = self.settings
        self._items = np.zeros((num_envs, settings.items), np.int64)
        self._probes = np.zeros((num_envs, settings.probes), np.int64)
        self._is_old = np.zeros((num_envs, settings.probes), np.bool_)
        # Environment step of the first probe
        self._probe_step = np.zeros(num_envs, np.int64)

    def _begin(self, rows: Rows, numbers: NDArray[np.float64]) -> None:
        settings = self.settings
        ends = np.cumsum([settings.channels, settings.items, settings.probes])
        order, again, kind, delay = np.split(numbers, ends, axis=1)
        channels = np.argsort(order, axis=1, kind="stable")
        items, others = channels[:, : settings.items], channels[:, settings.items :]
        old = np.take_along_axis(items, np.argsort(again, axis=1, kind="stable"), axis=1)
        is_old = kind < 0.5
        self._items[rows], self._is_old[rows] = items, is_old
        self._probes[rows] = np.where(
            is_old, old[:, : settings.probes], others[:, : settings.probes]
        )
        jitter = np.floor(delay[:, 0] * (settings.delay_jitter_steps + 1)).astype(np.int64)
        self._probe_step[rows] = settings.items + settings.delay_steps + jitter

    def _move(
        self, actions: NDArray[Any], noise: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        del noise  # the dynamics are deterministic
        number = self._steps - self._probe_step
        is_right = actions == _at(self._is_old, number)
        rewards = ((number >= 0) & is_right) / self.settings.probes
        return rewards, number >= self.settings.probes - 1

    def _emit(self, rows: Rows, noise: NDArray[np.uint8], spikes: NDArray[np.bool_]) -> None:
        channel = self._shown(rows)[:, np.newaxis]
        fires = channel == np.arange(self.channels)
        spikes.reshape(len(noise), -1, self.channels)[:] = fires[:, np.newaxis]

    def _shown(self, rows: Rows) -> NDArray[np.int64]:
        """Return the channel (n,) that spikes in the present environment step; -1 for none."""
        step = self._steps[rows]
        number = step - self._probe_step[rows]
        probe = np.where(number >= 0, _at(self._probes[rows], number), -1)
        return np.where(step < self.settings.items, _at(self._items[rows], step), probe)

    def _scene(self, index: int) -> NDArray[np.uint8]:
        step, (shown,) = int(self._steps[index]), self._shown(np.array([index])).tolist()
        is_probe = step >= self._probe_step[index]
        items = self._items[index].tolist()[: step + 1]
        return draw_recall(self.channels, items, shown, is_probe=bool(is_probe))


RecallEnv = single_env(Recall)


def _at(rows: NDArray[Any], place: NDArray[np.int64]) -> NDArray[Any]:
    """Return one element (n,) of each row (n, m), at a place that is clipped to the row."""
    places = np.clip(place, 0, rows.shape[1] - 1)[:, np.newaxis]
    found: NDArray[Any] = np.take_along_axis(rows, places, axis=1)[:, 0]
    return found


# ---- image ---------------------------------------------------------------------------------------
_GRID_MARGIN = 16.0


def draw_recall(
    channels: int, items: Sequence[int], shown: int, *, is_probe: bool
) -> NDArray[np.uint8]:
    """Draw each channel as a cell of a square grid, row by row; the ``items`` so far are blue.

    The channel ``shown``, -1 for none, is red as an item. A probe is a green disc in its cell.
    """
    image = blank()
    side = math.ceil(math.sqrt(channels))
    size = (WIDTH - 2 * _GRID_MARGIN) / side
    for channel in range(channels):
        top, left = (_GRID_MARGIN + place * size for place in divmod(channel, side))
        colour = INK if channel in items else FAINT
        if channel == shown and not is_probe:
            colour = ACCENT
        rectangle(image, top + 2, left + 2, size - 4, size - 4, colour)
        if channel == shown and is_probe:
            disc(image, top + size / 2, left + size / 2, size * 0.3, GOOD)
    return image
