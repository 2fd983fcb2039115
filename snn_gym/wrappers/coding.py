"""The common core of everything that shows an environment through spikes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from numpy.typing import ArrayLike, NDArray

from snn_gym.spiking.encoders import ENCODERS, SpikeEncoder, make_encoder

SPIKE_ENCODERS = tuple(name for name, cls in ENCODERS.items() if issubclass(cls, SpikeEncoder))
"""Names of the encoders that give spikes."""


class ObservationCoder:
    """Turn the observations of one environment into spike trains.

    It owns what that needs: the scaling of observations to intensities in [0, 1], the
    encoder, the stream of random numbers, and the intensity of the step before.

    Attributes:
        space: The spike trains, MultiBinary((T, N)).
        dimensions: Number D of intensities.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        encoder: str,
        encoder_parameters: Mapping[str, Any] | None,
        time_steps: int,
        low: ArrayLike | None = None,
        high: ArrayLike | None = None,
    ) -> None:
        """Choose scaling and encoder.

        Args:
            observation_space: Box, Discrete or MultiDiscrete.
            encoder: One of ``SPIKE_ENCODERS``.
            encoder_parameters: The encoder's parameters; defaults where absent.
            time_steps: Number T of time steps for each environment step, at least 1.
            low: For a Box, the observation that becomes intensity 0; a number or an
                array that broadcasts to the space's shape. Default: the space's bound.
            high: Likewise for intensity 1.

        Raises:
            ValueError: An argument is not allowed; the message names what is.
        """
        if encoder not in SPIKE_ENCODERS:
            allowed = ", ".join(SPIKE_ENCODERS)
            raise ValueError(f"encoder {encoder!r} is not allowed; allowed encoders: {allowed}")
        if type(time_steps) is not int or time_steps < 1:
            raise ValueError(f"time_steps must be a whole number of at least 1, got {time_steps!r}")
        made = make_encoder(encoder, encoder_parameters)
        assert isinstance(made, SpikeEncoder)
        self._encoder = made
        self._scaling = _scaling_for(observation_space, low, high)
        self._time_steps = time_steps
        self.dimensions = self._scaling.dimensions
        self.space = spaces.MultiBinary((time_steps, made.channels(self.dimensions)))
        self._previous = np.zeros(self.dimensions, np.float32)
        self._noise_source, _ = seeding.np_random()

    @property
    def channels_per_value(self) -> int:
        """Channels of each intensity; value d owns those from d times as many."""
        return self._encoder.channels(1)

    def seed(self, seed: int | None) -> None:
        """Restart the random numbers from a seed; None goes on with the present stream."""
        if seed is None:
            return
        generator, _ = seeding.np_random(seed)
        # The environment draws its start state from a generator with the same seed. The
        # same numbers again as noise would tie the noise to the state, so jump far ahead.
        assert isinstance(generator.bit_generator, np.random.PCG64)
        self._noise_source = np.random.Generator(generator.bit_generator.jumped())

    def start(self, observation: Any) -> NDArray[np.int8]:
        """Encode the first observation of an episode, before which nothing changed.

        Returns:
            Spikes (T, N), int8, a new array.
        """
        self._previous = self._scaling.intensity(observation)
        return self._encode(self._previous)

    def step(self, observation: Any) -> NDArray[np.int8]:
        """Encode a later observation of an episode.

        Returns:
            Spikes (T, N), int8, a new array.
        """
        return self._encode(self._scaling.intensity(observation))

    def _encode(self, intensity: NDArray[np.float32]) -> NDArray[np.int8]:
        noise = None
        if self._encoder.needs_noise:
            noise = self._noise_source.random(self.space.shape, dtype=np.float32)
        spikes = self._encoder.encode(
            intensity, self._time_steps, noise=noise, previous=self._previous
        )
        self._previous = intensity
        return spikes.astype(np.int8)


class _Scaling(Protocol):
    """Observations of a space to intensities."""

    dimensions: int

    def intensity(self, observation: Any) -> NDArray[np.float32]:
        """Return the intensity (D,) of an observation, float32."""


class _BoxScaling:
    """Map a Box linearly from its limits to [0, 1], flattened; encoders clip."""

    def __init__(self, space: spaces.Box, low: ArrayLike | None, high: ArrayLike | None) -> None:
        self._low = _limit("low", low, space.low)
        self._span = _limit("high", high, space.high) - self._low
        if not (self._span > 0).all():
            raise ValueError(f"every low must be below its high, got low={low!r}, high={high!r}")
        self.dimensions = int(self._low.size)

    def intensity(self, observation: Any) -> NDArray[np.float32]:
        values = np.asarray(observation, np.float64).ravel()
        return ((values - self._low) / self._span).astype(np.float32)


class _OneHotScaling:
    """Map each category of Discrete or MultiDiscrete to one intensity, 0 or 1."""

    def __init__(self, sizes: NDArray[np.int64], starts: NDArray[np.int64]) -> None:
        self._first = np.concatenate([[0], np.cumsum(sizes)[:-1]]) - starts
        self.dimensions = int(sizes.sum())

    def intensity(self, observation: Any) -> NDArray[np.float32]:
        result = np.zeros(self.dimensions, np.float32)
        result[self._first + np.asarray(observation).ravel()] = 1
        return result


def _scaling_for(
    space: spaces.Space[Any], low: ArrayLike | None, high: ArrayLike | None
) -> _Scaling:
    if isinstance(space, spaces.Box):
        return _BoxScaling(space, low, high)
    if low is not None or high is not None:
        raise ValueError(f"low and high are for Box observations only; this space is {space}")
    if isinstance(space, spaces.Discrete):
        return _OneHotScaling(np.array([space.n]), np.array([space.start]))
    if isinstance(space, spaces.MultiDiscrete):
        return _OneHotScaling(space.nvec.ravel(), space.start.ravel())
    raise ValueError(
        f"observation space {space} cannot be encoded; expected Box, Discrete or MultiDiscrete. "
        "Flatten or filter it first, for example with gymnasium.wrappers.FlattenObservation"
    )


def _limit(name: str, given: ArrayLike | None, bound: NDArray[Any]) -> NDArray[np.float64]:
    """Return a flat, finite limit of a Box, given or its own bound."""
    limit = np.asarray(bound if given is None else given, np.float64)
    # The largest float32 stands for infinity in many spaces.
    if not (np.abs(limit) < np.finfo(np.float32).max).all():
        raise ValueError(
            f"{name} is {limit.tolist()}, not finite: pass finite low and high, the practical "
            f"limits of each observed value, as numbers or as arrays of shape {bound.shape}"
        )
    try:
        return np.broadcast_to(limit, bound.shape).ravel()
    except ValueError as error:
        raise ValueError(
            f"{name} has shape {limit.shape}, expected a number or shape {bound.shape}"
        ) from error
