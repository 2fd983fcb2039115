"""``BatchCoder``: observations scaled to [0, 1] and encoded as spikes, for all wrappers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from numpy.typing import ArrayLike, NDArray

from snn_gym.envs.batch import check_finite, few
from snn_gym.envs.registry import import_named_module, make_task
from snn_gym.program.encoders import SpikeEncoder, make_encoder, spike_encoders

# ---- limits --------------------------------------------------------------------------------------
CONSTANT_RANGE = 1.0
"""Range around a value that never changes, in its own units."""


def estimate_limits(
    env: str | gym.Env[Any, Any],
    episodes: int = 20,
    seed: int = 0,
    *,
    policy: Callable[[Any], Any] | None = None,
    percentiles: tuple[float, float] = (1.0, 99.0),
    max_steps: int = 1000,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Estimate the limits of observations from played episodes, for ``SpikeObservation``.

    A finite bound of the observation space stays. An infinite one becomes a percentile of what the
    episodes show, first observations included: by default 1 % of them lie below ``low`` and 1 %
    above ``high``, which encoders clip. A value that never changes gets a range of 1 around it.
    Random play sees less than a trained agent: pass such an agent's decisions as ``policy``, or
    percentiles of 0 and 100, where observations leave the limits in training.

    Args:
        env: Gymnasium id, or an environment, which stays open.
        episodes: Number of episodes, at least 1; episode k starts with ``reset(seed=seed + k)``.
        seed: Seed of the episodes and of random actions. Equal seeds give equal limits.
        policy: Action for an observation, such as
            ``lambda seen: model.predict(seen, deterministic=True)[0]``. Default: uniformly random
            actions.
        percentiles: Percentiles of the lower and of the upper limits, in [0, 100].
        max_steps: Environment steps after which an episode is left, at least 1.

    Returns:
        Lower and upper limits, float64, each of an observation's shape.

    Raises:
        ValueError: Observations are no Box or not finite, or an argument is not allowed.
        gymnasium.error.DependencyNotInstalled: A package that the task needs is absent.

    Example:
        >>> import gymnasium as gym
        >>> import snn_gym
        >>> from snn_gym.envs import SpikeObservation
        >>> low, high = snn_gym.estimate_limits("CartPole-v1", episodes=5)
        >>> SpikeObservation(gym.make("CartPole-v1"), low=low, high=high).observation_space
        MultiBinary((8, 40))
    """
    below, above = percentiles
    if episodes < 1 or max_steps < 1 or not 0.0 <= below < above <= 100.0:
        raise ValueError(
            f"episodes and max_steps must be at least 1 and percentiles rise within [0, 100], got "
            f"{episodes}, {max_steps} and {percentiles}"
        )
    made = make_task(import_named_module(env)) if isinstance(env, str) else env
    try:
        space = made.observation_space
        if not isinstance(space, spaces.Box):
            raise ValueError(
                f"limits are for Box observations, got {space}; a Dict or Tuple becomes a Box by "
                "gymnasium.wrappers.FlattenObservation, and categories need no limits"
            )
        seen = _played(made, episodes, seed, policy, max_steps)
    finally:
        if made is not env:
            made.close()
    low, high = np.percentile(seen, percentiles, axis=0)
    low = np.where(is_infinite(space.low), low, space.low)
    high = np.where(is_infinite(space.high), high, space.high)
    constant = low >= high
    half = CONSTANT_RANGE / 2.0
    return np.where(constant, low - half, low), np.where(constant, low + half, high)


def _played(
    env: gym.Env[Any, Any],
    episodes: int,
    seed: int,
    policy: Callable[[Any], Any] | None,
    max_steps: int,
) -> NDArray[np.float64]:
    """Return the observations (n, ...) of some episodes."""
    name = str(env) if env.spec is None else env.spec.id
    env.action_space.seed(seed)
    seen: list[NDArray[np.float64]] = []
    for episode_seed in range(seed, seed + episodes):
        observation, _ = env.reset(seed=episode_seed)
        step, over = 0, False
        while True:
            seen.append(np.array(observation, np.float64))
            check_finite("observation", seen[-1][np.newaxis], name, step, seeds=[episode_seed])
            if over or step == max_steps:
                break
            action = env.action_space.sample() if policy is None else policy(observation)
            observation, _, terminated, truncated, _ = env.step(action)
            step, over = step + 1, terminated or truncated
    return np.stack(seen)


# ---- coding --------------------------------------------------------------------------------------
ANALOGUE = "analogue_observation"
"""Key of infos that holds what was encoded."""


class BatchCoder:
    """Turn the observations of B environments into spike trains.

    It owns what that needs: the scaling of observations to intensities in [0, 1], the
    encoder, a stream of random numbers for each environment, and the intensities of the
    step before.

    Attributes:
        spike_shape: Time steps T and channels N of a spike train.
        space: The spike trains of one environment, MultiBinary((T, N)).
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
        num_envs: int = 1,
    ) -> None:
        """Choose scaling and encoder.

        Args:
            observation_space: Box, Discrete or MultiDiscrete; of one environment.
            encoder: One of ``spike_encoders()``.
            encoder_parameters: The encoder's parameters; defaults where absent.
            time_steps: Number T of time steps for each environment step, at least 1.
            low: For a Box, the observation that becomes intensity 0; a number or an
                array that broadcasts to the space's shape. Default: the space's bound.
            high: Likewise for intensity 1.
            num_envs: Number B of environments.

        Raises:
            ValueError: An argument is not allowed; the message names what is.
        """
        if encoder not in spike_encoders():
            allowed = ", ".join(spike_encoders())
            raise ValueError(f"encoder {encoder!r} is not allowed; allowed encoders: {allowed}")
        if type(time_steps) is not int or time_steps < 1:
            raise ValueError(f"time_steps must be a whole number of at least 1, got {time_steps!r}")
        made = make_encoder(encoder, encoder_parameters)
        assert isinstance(made, SpikeEncoder)
        self._encoder = made
        self._scaling = _scaling_for(observation_space, low, high)
        self._time_steps = time_steps
        self.dimensions = self._scaling.dimensions
        self.spike_shape = (time_steps, made.channels(self.dimensions))
        self.space = spaces.MultiBinary(self.spike_shape)
        self._previous = np.zeros((num_envs, self.dimensions), np.float32)
        self._noise_sources = [seeding.np_random()[0] for _ in range(num_envs)]
        self._everywhere = np.arange(num_envs)

    @property
    def channels_per_value(self) -> int:
        """Channels of each intensity; value d owns those from d times as many."""
        return self._encoder.channels(1)

    def seed(self, seeds: Sequence[int | None], which: NDArray[np.int64] | None = None) -> None:
        """Restart the random numbers of some environments, by default of all.

        Args:
            seeds: A seed for each of the B environments; None goes on with the present
                stream.
            which: Indices (n,) of the environments to seed.
        """
        for index in self._everywhere if which is None else which:
            seed = seeds[index]
            if seed is None:
                continue
            generator, _ = seeding.np_random(seed)
            # The environment draws its start state from a generator with the same seed. The
            # same numbers again as noise would tie the noise to the state, so jump far ahead.
            assert isinstance(generator.bit_generator, np.random.PCG64)
            self._noise_sources[index] = np.random.Generator(generator.bit_generator.jumped())

    def start(
        self, observations: NDArray[Any], which: NDArray[np.int64] | None = None
    ) -> NDArray[np.int8]:
        """Encode the first observations of episodes, before which nothing changed.

        Args:
            observations: Observations (n, ...).
            which: Indices (n,) of their environments; by default all, in order.

        Returns:
            Spikes (n, T, N), int8, a new array.
        """
        which = self._everywhere if which is None else which
        intensity = self._scaling.intensity(observations)
        self._previous[which] = intensity
        return self._encode(intensity, which)

    def step(
        self, observations: NDArray[Any], waiting: NDArray[np.int64] | None = None
    ) -> NDArray[np.int8]:
        """Encode later observations of episodes, one of every environment.

        Args:
            observations: Observations (B, ...).
            waiting: Indices of environments that show nothing, and whose random numbers stay.

        Returns:
            Spikes (B, T, N), int8, a new array.
        """
        intensity = self._scaling.intensity(observations)
        if waiting is None or not len(waiting):
            return self._encode(intensity, self._everywhere)
        which = np.delete(self._everywhere, waiting)
        spikes = np.zeros((len(intensity), *self.spike_shape), np.int8)
        spikes[which] = self._encode(intensity[which], which)
        return spikes

    def _encode(self, intensity: NDArray[np.float32], which: NDArray[np.int64]) -> NDArray[np.int8]:
        noise = None
        if self._encoder.needs_noise:
            noise = np.empty((len(which), *self.space.shape), np.float32)
            for index, numbers in zip(which, noise, strict=True):
                self._noise_sources[index].random(out=numbers, dtype=np.float32)
            noise = noise.swapaxes(0, 1)  # (n, T, N) -> (T, n, N)
        spikes = self._encoder.encode(
            intensity, self._time_steps, noise=noise, previous=self._previous[which]
        )
        self._previous[which] = intensity
        # (T, n, N) -> (n, T, N)
        return spikes.swapaxes(0, 1).astype(np.int8, order="C")


class ObservationCoder:
    """Turn the observations of one environment into spike trains: a batch of one.

    Attributes:
        space: The spike trains, MultiBinary((T, N)).
        dimensions: Number D of intensities.
        channels_per_value: Channels of each intensity.
    """

    def __init__(self, *arguments: Any, **named_arguments: Any) -> None:
        """Choose scaling and encoder; arguments and errors as in ``BatchCoder``."""
        self._batch = BatchCoder(*arguments, **named_arguments)
        self.space = self._batch.space
        self.dimensions = self._batch.dimensions
        self.channels_per_value = self._batch.channels_per_value

    def seed(self, seed: int | None) -> None:
        """Restart the random numbers from a seed; None goes on with the present stream."""
        self._batch.seed([seed])

    def start(self, observation: Any) -> NDArray[np.int8]:
        """Encode the first observation of an episode, before which nothing changed.

        Returns:
            Spikes (T, N), int8, a new array.
        """
        spikes: NDArray[np.int8] = self._batch.start(np.asarray(observation)[np.newaxis])[0]
        return spikes.copy()

    def step(self, observation: Any) -> NDArray[np.int8]:
        """Encode a later observation of an episode.

        Returns:
            Spikes (T, N), int8, a new array.
        """
        spikes: NDArray[np.int8] = self._batch.step(np.asarray(observation)[np.newaxis])[0]
        return spikes.copy()


class _Scaling(Protocol):
    """Observations of a space to intensities."""

    dimensions: int

    def intensity(self, observations: NDArray[Any]) -> NDArray[np.float32]:
        """Return the intensities (n, D), float32, of observations (n, ...)."""


class _BoxScaling:
    """Map a Box linearly from its limits to [0, 1], flattened; encoders clip."""

    def __init__(self, space: spaces.Box, low: ArrayLike | None, high: ArrayLike | None) -> None:
        self._low = _limit("low", low, space.low)
        self._span = _limit("high", high, space.high) - self._low
        if not (self._span > 0).all():
            raise ValueError(f"every low must be below its high, got low={low!r}, high={high!r}")
        self.dimensions = int(self._low.size)

    def intensity(self, observations: NDArray[Any]) -> NDArray[np.float32]:
        values = observations.astype(np.float64).reshape(len(observations), -1)
        return ((values - self._low) / self._span).astype(np.float32)


class _OneHotScaling:
    """Map each category of Discrete or MultiDiscrete to one intensity, 0 or 1."""

    def __init__(self, sizes: NDArray[np.int64], starts: NDArray[np.int64]) -> None:
        self._first = np.concatenate([[0], np.cumsum(sizes)[:-1]]) - starts
        self.dimensions = int(sizes.sum())

    def intensity(self, observations: NDArray[Any]) -> NDArray[np.float32]:
        result = np.zeros((len(observations), self.dimensions), np.float32)
        channels = self._first + observations.reshape(len(observations), -1)
        np.put_along_axis(result, channels, 1, axis=1)
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


def is_infinite(bound: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which bounds of a Box are none: infinite, no number, or the largest float32."""
    # The largest float32 stands for infinity in many spaces.
    infinite: NDArray[np.bool_] = ~(np.abs(bound) < np.finfo(np.float32).max)
    return infinite


def _limit(name: str, given: ArrayLike | None, bound: NDArray[Any]) -> NDArray[np.float64]:
    """Return a flat, finite limit of a Box, given or its own bound."""
    limit = np.asarray(bound if given is None else given, np.float64)
    wrong = limit[is_infinite(limit)]
    if wrong.size:
        share = f" in {wrong.size} of {limit.size} values" if limit.ndim else ""
        raise ValueError(
            f"{name} is {few(wrong)}{share}, not finite: pass finite low and high, the practical "
            f"limits of each observed value, as numbers or as arrays of shape {bound.shape}; "
            "low, high = snn_gym.estimate_limits(env) takes them from played episodes"
        )
    try:
        return np.broadcast_to(limit, bound.shape).ravel()
    except ValueError as error:
        raise ValueError(
            f"{name} has shape {limit.shape}, expected a number or shape {bound.shape}"
        ) from error
