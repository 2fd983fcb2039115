"""Native spiking tasks: many environments, stepped and observed at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from snn_gym._base.config import Config, TimeSteps, from_arguments
from snn_gym.envs.batch import (
    EVERY,
    Infos,
    NoiseStreams,
    Rows,
    SpikeBatch,
    StartStreams,
    byte_rate,
    refuse_options,
)


@dataclass(frozen=True, kw_only=True)
class SpikeTaskSettings(Config):
    """Settings that every native task has.

    A subclass also gives, as field, class variable or property, ``channels`` (N),
    ``episode_steps``, the environment steps of the longest episode, and ``start_size``, the number
    of uniform random numbers at the start of an episode.
    """

    time_steps: TimeSteps = 8
    """Time steps T of an environment step, 1 ms each."""

    @property
    def noise_size(self) -> int:
        """Bytes of noise for the dynamics of one environment step; 0 if not overridden."""
        return 0


class SpikeTask(SpikeBatch):
    """Many environments of a task whose observations are spikes, ``MultiBinary((T, N))``.

    ``gym.make_vec`` makes one.

    Each environment has two random streams: uniform numbers for the starts of episodes, and bytes
    for noise. An observation takes one row of the noise: T * N bytes for its spikes, then
    ``noise_size`` bytes for the dynamics of the step before it. The noise of an environment thus
    depends neither on actions nor on other environments.

    A subclass gives the settings, the infos, the abstract methods and ``_scene``, and an action
    space other than Discrete(2). Its state is arrays whose first axis is the environment.

    Args:
        num_envs: Number B of environments, at least 1.
        max_episode_steps: Environment steps after which an episode is truncated. Default: the
            longest episode of these settings.
        render_mode: ``rgb_array`` or None.
        flatten: Observe ``FlatSpikes(T, N)``, a Box of one dimension.
        **settings: Fields of ``settings_class``.

    Raises:
        TypeError: An argument is unknown.
        ValueError: An argument is not allowed; the message names the allowed values.
    """

    metadata: dict[str, Any] = {**SpikeBatch.metadata, "render_fps": 8}  # noqa: RUF012 - gymnasium's own type
    settings_class: ClassVar[type[Any]]
    """Frozen dataclass of the task's settings, a ``SpikeTaskSettings``."""
    info_arrays: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Keys of the infos, and the attributes that hold their arrays (B, ...)."""
    channels_per_band: ClassVar[int] = 10
    """Channels in a band of the drawn raster."""

    def __init__(
        self,
        num_envs: int = 1,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        flatten: bool = False,
        **settings: Any,
    ) -> None:
        self.settings = from_arguments(self.settings_class, settings, type(self).__name__)
        self.time_steps, self.channels = self.settings.time_steps, self.settings.channels
        super().__init__(
            num_envs,
            self.settings.episode_steps if max_episode_steps is None else max_episode_steps,
            (self.time_steps, self.channels),
            self._make_action_space(),
            render_mode,
            flatten,
            self.channels_per_band,
        )
        self._spike_bytes = self.time_steps * self.channels
        self._starts = StartStreams(num_envs, self.settings.start_size)
        self._noise = NoiseStreams(num_envs, self._spike_bytes + self.settings.noise_size)
        self._allocate(num_envs)

    def _start(
        self, rows: Rows, seeds: Sequence[int | None] | None, options: dict[str, Any] | None
    ) -> NDArray[Any]:
        refuse_options(options, type(self).__name__)
        self._starts.seed(seeds, rows)
        self._noise.seed(seeds, rows)
        self._begin(rows, self._starts.take(rows))
        return self._spikes(rows, self._noise.take(rows))

    def _advance(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        self._row = self._noise.take(EVERY)
        return self._move(actions, self._row[:, self._spike_bytes :])

    def _observe(self) -> NDArray[Any]:
        return self._spikes(EVERY, self._row)

    def _info(self) -> Infos:
        return {key: getattr(self, name) for key, name in self.info_arrays}

    def _spikes(self, rows: Rows, noise: NDArray[np.uint8]) -> NDArray[Any]:
        spikes = np.empty((len(noise), self.time_steps, self.channels), np.int8)
        # (n, T, N) int8 -> (n, T * N) bool, the same memory
        flat = spikes.reshape(len(noise), -1).view(np.bool_)
        self._emit(rows, noise[:, : self._spike_bytes], flat)
        return self._observation(spikes)

    def right_actions(self) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
        """Return the right actions (B,) now, and their weights (B,), or None if none is right.

        They hold as long as the action 0 is taken, and an episode of them earns 1. A weight of 0 is
        that of an action that does not matter; others say how much the return depends on it.
        """
        return None

    def _make_action_space(self) -> gym.Space[Any]:
        """Return the action space of one environment, Discrete from 0 or Box."""
        return gym.spaces.Discrete(2)

    @abstractmethod
    def _allocate(self, num_envs: int) -> None:
        """Make the arrays of the state, whose first axis is the environment."""

    @abstractmethod
    def _begin(self, rows: Rows, numbers: NDArray[np.float64]) -> None:
        """Start episodes in the n environments ``rows``, each from its row of ``numbers``.

        Numbers (n, ``start_size``) are uniform in [0, 1).
        """

    @abstractmethod
    def _move(
        self, actions: NDArray[Any], noise: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Move every environment by one step, with noise (B, ``noise_size``).

        Returns:
            Rewards (B,), float64, and terminated (B,), bool; new arrays.
        """

    @abstractmethod
    def _emit(self, rows: Rows, noise: NDArray[np.uint8], spikes: NDArray[np.bool_]) -> None:
        """Write the present ``spikes`` (n, T * N) of n environments, from noise (n, T * N).

        Time steps are the outer axis, channels the inner one.
        """


class RateTask(SpikeTask):
    """Task whose neurons fire independently, at rates given by its state."""

    def _emit(self, rows: Rows, noise: NDArray[np.uint8], spikes: NDArray[np.bool_]) -> None:
        thresholds = self._thresholds(rows)
        if thresholds.ndim == 2:
            thresholds = thresholds[:, np.newaxis]
        shape = (len(noise), self.time_steps, self.channels)
        np.less(noise.reshape(shape), thresholds, out=spikes.reshape(shape))

    @abstractmethod
    def _thresholds(self, rows: Rows) -> NDArray[np.uint8]:
        """Return the bytes below which neurons fire, (n, T, N), or (n, N) for all time steps."""


@dataclass(frozen=True, kw_only=True)
class SignalTaskSettings(SpikeTaskSettings):
    """Settings of tasks whose neurons fire at a high rate in a signal and else at a low one.

    A subclass has the rate of its signal as a field.
    """

    signal_rate: ClassVar[str]
    """Name of the field with the rate of a signal (Hz)."""
    background_rate_hz: float = 10.0
    """Rate of all neurons otherwise (Hz)."""

    def _check(self) -> None:
        signal_rate_hz = getattr(self, self.signal_rate)
        if not self.background_rate_hz < signal_rate_hz:
            raise ValueError(
                f"{self.signal_rate} must be above background_rate_hz, got {signal_rate_hz} and "
                f"{self.background_rate_hz}"
            )
        self.rate_bytes()

    def rate_bytes(self) -> tuple[int, int]:
        """Return the bytes below which a neuron fires in the background and in a signal."""
        low, high = self.background_rate_hz, getattr(self, self.signal_rate)
        return byte_rate(low / 1000.0), byte_rate(high / 1000.0)
