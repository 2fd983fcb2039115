"""Observations as spikes: limits, encoding, a wrapper, and the environments behind ``snn/`` ids."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, SupportsFloat, TypeVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs, seeding
from numpy.typing import ArrayLike, NDArray

from snn_gym._base.config import MAX_TIME_STEPS, typed
from snn_gym.envs.batch import (
    BatchEnv,
    Infos,
    Rows,
    SingleEnv,
    SpikeBatch,
    check_finite,
    few,
    single_render_mode,
)
from snn_gym.envs.classic_control import BATCHED_TASKS
from snn_gym.envs.registry import (
    SpikeSettings,
    import_named_module,
    known_ids,
    load_environment_spec,
    load_spike_settings,
    make_task,
)
from snn_gym.program.encoders import SpikeEncoder, make_encoder, spike_encoders

ActT = TypeVar("ActT")

# ---- limits --------------------------------------------------------------------------------------
CONSTANT_RANGE = 1.0
"""Range around a value that never changes, in the value's unit."""


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

    Finite bounds of the observation space are returned unchanged. An infinite bound becomes a
    percentile of the observations, first ones included: by default 1 % lie below ``low`` and 1 %
    above ``high``, and encoders clip them. Equal limits, as of a value that never changes, move
    apart to a range of 1, also from a finite bound. Random play visits fewer states than a trained
    agent does. Where observations leave the limits in training, pass that agent's decisions as
    ``policy``, or percentiles of 0 and 100.

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
    for name, x in (("episodes", episodes), ("max_steps", max_steps), ("seed", seed)):
        typed(int, x, name)
    if episodes < 1 or max_steps < 1 or not 0.0 <= below < above <= 100.0:
        raise ValueError(
            f"episodes and max_steps must be at least 1 and percentiles rise within [0, 100], got "
            f"{episodes}, {max_steps} and {percentiles}"
        )
    played = make_task(import_named_module(env)) if isinstance(env, str) else env
    try:
        space = played.observation_space
        if not isinstance(space, spaces.Box):
            raise ValueError(
                f"limits are for Box observations, got {space}; a Dict or Tuple becomes a Box by "
                "gymnasium.wrappers.FlattenObservation, and categories need no limits"
            )
        observations = _played(played, episodes, seed, policy, max_steps)
    finally:
        if played is not env:
            played.close()
    low, high = np.percentile(observations, percentiles, axis=0)
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
    """Play seeded episodes; return all their observations (n, ...), or raise if not finite."""
    name = str(env) if env.spec is None else env.spec.id
    env.action_space.seed(seed)
    observations: list[NDArray[np.float64]] = []
    for episode_seed in range(seed, seed + episodes):
        observation, _ = env.reset(seed=episode_seed)
        step, over = 0, False
        while True:
            observations.append(np.array(observation, np.float64))
            check_finite(
                "observation", observations[-1][np.newaxis], name, step, seeds=[episode_seed]
            )
            if over or step == max_steps:
                break
            action = env.action_space.sample() if policy is None else policy(observation)
            observation, _, terminated, truncated, _ = env.step(action)
            step, over = step + 1, terminated or truncated
    return np.stack(observations)


# ---- coding --------------------------------------------------------------------------------------
ANALOGUE = "analogue_observation"
"""Key of infos for the analogue observation."""


class BatchCoder:
    """Encoder of the observations of B environments as spike trains.

    It scales observations to intensities in [0, 1] and holds, for each environment, a random stream
    and the previous intensities. ``space`` is MultiBinary((T, N)), ``spike_shape`` is (T, N), and
    an observation has ``dimensions`` intensities. Arguments are as in ``SpikeObservation``, for the
    observation space of one environment; a wrong one raises ValueError.
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
        if encoder not in spike_encoders():
            allowed = ", ".join(spike_encoders())
            raise ValueError(f"encoder {encoder!r} is not allowed; allowed encoders: {allowed}")
        if type(time_steps) is not int or not 1 <= time_steps <= MAX_TIME_STEPS:
            raise ValueError(
                f"time_steps must be a whole number from 1 to {MAX_TIME_STEPS}, got {time_steps!r}"
            )
        spike_encoder = make_encoder(encoder, encoder_parameters)
        assert isinstance(spike_encoder, SpikeEncoder)
        self._encoder = spike_encoder
        self.dimensions, self._intensity = _scaling_for(observation_space, low, high)
        self._time_steps = time_steps
        self.spike_shape = (time_steps, spike_encoder.channels(self.dimensions))
        self.space = spaces.MultiBinary(self.spike_shape)
        self._previous = np.zeros((num_envs, self.dimensions), np.float32)
        self._noise_sources = [seeding.np_random()[0] for _ in range(num_envs)]
        self._everywhere = np.arange(num_envs)

    @property
    def channels_per_value(self) -> int:
        """Channels of each intensity; those of value d start at d times this number."""
        return self._encoder.channels(1)

    def seed(self, seeds: Sequence[int | None], indices: NDArray[np.int64] | None = None) -> None:
        """Restart the random streams of ``indices`` (default: all) with ``seeds`` (B,).

        A seed of None continues a stream.
        """
        for index in self._everywhere if indices is None else indices:
            seed = seeds[index]
            if seed is None:
                continue
            generator, _ = seeding.np_random(seed)
            # The environment draws its start state from a generator with the same seed. The
            # same numbers again as noise would tie the noise to the state, so jump far ahead.
            assert isinstance(generator.bit_generator, np.random.PCG64)
            self._noise_sources[index] = np.random.Generator(generator.bit_generator.jumped())

    def start(
        self, observations: NDArray[Any], indices: NDArray[np.int64] | None = None
    ) -> NDArray[np.int8]:
        """Encode first observations (n, ...) of ``indices`` (default: all) as spikes (n, T, N)."""
        indices = self._everywhere if indices is None else indices
        intensity = self._intensity(observations)
        self._previous[indices] = intensity
        return self._encode(intensity, indices)

    def step(self, observations: NDArray[Any]) -> NDArray[np.int8]:
        """Encode later observations (B, ...) as spikes (B, T, N), int8."""
        return self._encode(self._intensity(observations), self._everywhere)

    def _encode(
        self, intensity: NDArray[np.float32], indices: NDArray[np.int64]
    ) -> NDArray[np.int8]:
        noise = None
        if self._encoder.needs_noise:
            noise = np.empty((len(indices), *self.space.shape), np.float32)
            for index, numbers in zip(indices, noise, strict=True):
                self._noise_sources[index].random(out=numbers, dtype=np.float32)
            noise = noise.swapaxes(0, 1)  # (n, T, N) -> (T, n, N)
        spikes = self._encoder.encode(
            intensity, self._time_steps, noise=noise, previous=self._previous[indices]
        )
        self._previous[indices] = intensity
        # (T, n, N) -> (n, T, N)
        return spikes.swapaxes(0, 1).astype(np.int8, order="C")


def _box_intensity(
    low: NDArray[np.float64], span: NDArray[np.float64], observations: NDArray[Any]
) -> NDArray[np.float32]:
    """Map observations (n, ...) of a Box to intensities (n, D): low to 0, low + span to 1."""
    values = observations.astype(np.float64).reshape(len(observations), -1)
    return ((values - low) / span).astype(np.float32)


def _one_hot_intensity(
    first: NDArray[np.int64], dimensions: int, observations: NDArray[Any]
) -> NDArray[np.float32]:
    """Return intensities (n, D), 1 at ``first`` + observation of each part, otherwise 0."""
    intensity = np.zeros((len(observations), dimensions), np.float32)
    categories = first + observations.reshape(len(observations), -1)
    np.put_along_axis(intensity, categories, 1, axis=1)
    return intensity


def _scaling_for(
    space: spaces.Space[Any], low: ArrayLike | None, high: ArrayLike | None
) -> tuple[int, Callable[[NDArray[Any]], NDArray[np.float32]]]:
    """Return the number D of intensities and the function from observations to intensities.

    A limit or a space that cannot be scaled raises ValueError.
    """
    if isinstance(space, spaces.Box):
        lower = _limit("low", low, space.low)
        span = _limit("high", high, space.high) - lower
        if not (span > 0).all():
            raise ValueError(f"every low must be below its high, got low={low!r}, high={high!r}")
        return lower.size, functools.partial(_box_intensity, lower, span)
    if low is not None or high is not None:
        raise ValueError(f"low and high are for Box observations only; this space is {space}")
    if isinstance(space, spaces.Discrete):
        sizes, starts = np.array([space.n]), np.array([space.start])
    elif isinstance(space, spaces.MultiDiscrete):
        sizes, starts = space.nvec.ravel(), space.start.ravel()
    else:
        raise ValueError(
            f"observation space {space} cannot be encoded; expected Box, Discrete or "
            "MultiDiscrete. Flatten or filter it first, for example with "
            "gymnasium.wrappers.FlattenObservation"
        )
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]]) - starts
    dimensions = int(sizes.sum())
    return dimensions, functools.partial(_one_hot_intensity, first, dimensions)


def is_infinite(bound: NDArray[Any]) -> NDArray[np.bool_]:
    """Mark bounds of a Box that are infinite, NaN, or at least the largest float32."""
    # The largest float32 stands for infinity in many spaces.
    infinite: NDArray[np.bool_] = ~(np.abs(bound) < np.finfo(np.float32).max)
    return infinite


def _limit(name: str, given: ArrayLike | None, bound: NDArray[Any]) -> NDArray[np.float64]:
    """Return the given limit or else the space's bound, flat; ValueError if not finite."""
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


# ---- wrapper -------------------------------------------------------------------------------------
class SpikeObservation(gym.Wrapper[NDArray[np.int8], ActT, Any, ActT], RecordConstructorArgs):
    """Wrapper that encodes observations as spike trains, ``MultiBinary((T, N))``.

    Observations may be Box, Discrete or MultiDiscrete. A Box is scaled from its limits to
    intensities in [0, 1] and clipped; ``snn_gym.estimate_limits`` estimates limits for infinite
    bounds. A category becomes one intensity of 1 among zeros. The analogue observation stays in
    ``info["analogue_observation"]``.

    Random spikes come from a separate stream, restarted by ``reset(seed=...)``: dynamics and
    rewards equal those of the wrapped environment at the same seed.

    Example:
        >>> import gymnasium as gym
        >>> from snn_gym.envs import SpikeObservation
        >>> env = SpikeObservation(gym.make("FrozenLake-v1"), encoder="latency", time_steps=4)
        >>> env.observation_space
        MultiBinary((4, 16))
    """

    def __init__(
        self,
        env: gym.Env[Any, ActT],
        encoder: str = "population",
        time_steps: int = 8,
        encoder_parameters: Mapping[str, Any] | None = None,
        low: ArrayLike | None = None,
        high: ArrayLike | None = None,
    ) -> None:
        """Wrap an environment.

        Args:
            env: Environment with a Box, Discrete or MultiDiscrete observation.
            encoder: ``rate``, ``latency``, ``population`` or ``delta``.
            time_steps: Number T of time steps for each environment step, at least 1.
            encoder_parameters: Parameters of the encoder; absent ones take their defaults.
            low: For a Box, the observation that becomes intensity 0; a number or an array of the
                observation's shape. Default: the space's bound.
            high: For a Box, the observation that becomes intensity 1.

        Raises:
            ValueError: A limit is infinite or an argument is not allowed; the message names the
            fix.
        """
        RecordConstructorArgs.__init__(
            self,
            encoder=encoder,
            time_steps=time_steps,
            encoder_parameters=encoder_parameters,
            # plain numbers, so that the spec can be written as JSON
            low=None if low is None else np.asarray(low).tolist(),
            high=None if high is None else np.asarray(high).tolist(),
        )
        super().__init__(env)
        self._coder = BatchCoder(
            env.observation_space, encoder, encoder_parameters, time_steps, low, high
        )
        self.observation_space = self._coder.space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.int8], dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Seed of the environment and of random spikes; None continues the streams.
            options: Passed to the environment.

        Returns:
            Spikes (T, N), int8, and info with ``analogue_observation``.
        """
        observation, info = self.env.reset(seed=seed, options=options)
        self._coder.seed([seed])
        return self._encoded(self._coder.start, observation, info)

    def step(
        self, action: ActT
    ) -> tuple[NDArray[np.int8], SupportsFloat, bool, bool, dict[str, Any]]:
        """Make one environment step.

        Returns:
            Spikes (T, N), int8; reward; terminated; truncated; info with ``analogue_observation``.
        """
        observation, reward, terminated, truncated, info = self.env.step(action)
        spikes, info = self._encoded(self._coder.step, observation, info)
        return spikes, reward, terminated, truncated, info

    def _encoded(
        self, encode: Callable[[NDArray[Any]], NDArray[np.int8]], seen: Any, info: dict[str, Any]
    ) -> tuple[NDArray[np.int8], dict[str, Any]]:
        analogue = np.array(seen)
        return encode(analogue[np.newaxis])[0].copy(), {**info, ANALOGUE: analogue}


# ---- environments --------------------------------------------------------------------------------
def _settings_of(base_id: str) -> SpikeSettings:
    """Return a known task's spike settings; ValueError if it is unknown or has none."""
    if base_id not in known_ids():
        raise ValueError(
            f"environment {base_id!r} is unknown to SpikingEnv; show any environment through "
            f"spikes with snn_gym.envs.SpikeObservation(gymnasium.make({base_id!r}))"
        )
    return load_spike_settings(base_id)


class BatchedSpikingEnv(SpikeBatch):
    """Many environments of a task with spike settings under envs/, encoded as spikes.

    ``gym.make_vec("snn/CartPole-v1", num_envs=8)`` makes one. Classic control runs in its batched
    form, all other tasks in environments that are stepped in turn. Limits and encoder come from the
    task's file under envs/ unless given.

    Task and random spikes draw from two streams, both seeded by ``reset(seed=...)``. States and
    rewards therefore equal those of the task at the same seed, whatever the encoder.
    ``infos["analogue_observation"]`` (B, D) holds the analogue observations;
    ``infos["final_info"]["analogue_observation"]`` holds the last ones of ended episodes. Other
    infos of the task are left out.
    """

    in_turn: ClassVar[bool] = False  # Step single environments also where there is a batched form

    def __init__(
        self,
        base_id: str,
        num_envs: int = 1,
        max_episode_steps: int | None = None,
        encoder: str | None = None,
        encoder_parameters: Mapping[str, Any] | None = None,
        time_steps: int | None = None,
        low: ArrayLike | None = None,
        high: ArrayLike | None = None,
        render_mode: str | None = None,
        flatten: bool = False,
        **arguments: Any,
    ) -> None:
        """Make the task and its encoder.

        Args:
            base_id: Gymnasium id of the task; fixed by the registered id.
            num_envs: Number B of environments, at least 1.
            max_episode_steps: Environment steps after which an episode is truncated.
                Default: the task's.
            encoder: ``rate``, ``latency``, ``population`` or ``delta``. Default: the task's,
                ``population``.
            encoder_parameters: Parameters of the encoder. Default: the task's.
            time_steps: Number T of time steps for each environment step. Default: the task's, 8.
            low: Observation that becomes intensity 0, per observed value. Default: the task's.
            high: Observation that becomes intensity 1. Default: the task's.
            render_mode: ``rgb_array`` or None.
            flatten: Observe ``FlatSpikes(T, N)``, a Box of one dimension.
            **arguments: Arguments of the task, as for ``gym.make``.

        Raises:
            TypeError: An argument is unknown, also to the task.
            ValueError: An argument is not allowed; the message names the allowed values.
        """
        settings = _settings_of(base_id)
        encoder = settings.encoder if encoder is None else encoder
        if max_episode_steps is None:
            max_episode_steps = load_environment_spec(base_id).max_episode_steps
        batched = None if self.in_turn else BATCHED_TASKS.get(base_id)
        self.base: BatchEnv = (batched or functools.partial(EnvsInTurn, base_id))(
            num_envs, max_episode_steps, single_render_mode(render_mode), **arguments
        )
        """The batch of the task itself, with analogue observations."""
        self._coder = BatchCoder(
            self.base.single_observation_space,
            encoder,
            {**settings.encoder_parameters.get(encoder, {}), **(encoder_parameters or {})},
            settings.time_steps if time_steps is None else time_steps,
            settings.low if low is None else low,
            settings.high if high is None else high,
            num_envs,
        )
        self.metadata = {**self.metadata, "render_fps": self.base.metadata["render_fps"]}
        super().__init__(
            num_envs,
            max_episode_steps,
            self._coder.spike_shape,
            self.base.single_action_space,
            render_mode,
            flatten,
            self._coder.channels_per_value,
        )
        space = self.base.observation_space
        self._analogue = np.zeros(space.shape or (), space.dtype)

    def close_extras(self, **_: Any) -> None:
        """Close the task."""
        self.base.close()

    def _start(
        self, rows: Rows, seeds: Sequence[int | None] | None, options: dict[str, Any] | None
    ) -> NDArray[Any]:
        indices = np.arange(self.num_envs)[rows]
        first = self.base.begin(rows, seeds, options)
        self._analogue[rows] = first
        if seeds is not None:
            self._coder.seed(seeds, indices)
        return self._observation(self._coder.start(first, indices))

    def _advance(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        self._analogue, rewards, terminated, *_ = self.base.advance(actions)
        return rewards, terminated

    def _observe(self) -> NDArray[Any]:
        return self._observation(self._coder.step(self._analogue))

    def _info(self) -> Infos:
        return {ANALOGUE: self._analogue}

    def _scene(self, index: int) -> NDArray[np.uint8]:
        return self.base.draw(index)


class EnvsInTurn(BatchEnv):
    """Single environments of a task, stepped in turn."""

    def __init__(
        self,
        base_id: str,
        num_envs: int,
        max_episode_steps: int,
        render_mode: str | None,
        **arguments: Any,
    ) -> None:
        # One at least, for its spaces; the base class refuses num_envs below 1.
        self.envs = [
            make_task(base_id, render_mode=render_mode, **arguments).unwrapped
            for _ in range(max(num_envs, 1))
        ]
        first = self.envs[0]
        super().__init__(
            num_envs, max_episode_steps, first.observation_space, first.action_space, render_mode
        )
        self.spec = first.spec
        self.metadata = {**self.metadata, "render_fps": first.metadata["render_fps"]}
        self._observations = self._latest.copy()
        self._again = functools.partial(
            EnvsInTurn, base_id, num_envs, max_episode_steps, render_mode, **arguments
        )

    def __reduce__(self) -> tuple[Callable[[], EnvsInTurn], tuple[()]]:
        # Copies are made again, with all arguments: gymnasium's own copies forget some of MuJoCo's.
        return self._again, ()

    def draw(self, index: int) -> NDArray[np.uint8]:
        """Return the task's image (height, width, 3), uint8, of one environment."""
        image: Any = self.envs[index].render()
        return np.asarray(image, np.uint8)

    def close_extras(self, **_: Any) -> None:
        """Close the environments."""
        for env in self.envs:
            env.close()

    def _start(
        self, rows: Rows, seeds: Sequence[int | None] | None, options: dict[str, Any] | None
    ) -> NDArray[Any]:
        indices = np.arange(self.num_envs)[rows].tolist()
        for index in indices:
            seed = None if seeds is None else seeds[index]
            self._observations[index], _ = self.envs[index].reset(seed=seed, options=options)
        first: NDArray[Any] = self._observations[rows].copy()
        return first

    def _advance(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        rewards, terminated = np.zeros(self.num_envs), np.zeros(self.num_envs, np.bool_)
        for index, env in enumerate(self.envs):
            result = env.step(actions[index])
            self._observations[index], rewards[index], terminated[index], *_ = result
        return rewards, terminated

    def _observe(self) -> NDArray[Any]:
        return self._observations.copy()


class _OneSpikingEnv(BatchedSpikingEnv):
    """Batch of one, on gymnasium's own environment."""

    in_turn = True


class SpikingEnv(SingleEnv):
    """One environment of ``BatchedSpikingEnv``, made by ``gym.make("snn/CartPole-v1")``.

    It takes the same arguments, but for those of a batch; ``render_mode`` may be ``human``.
    Gymnasium's own environment is its ``base``.
    """

    def __init__(self, base_id: str, render_mode: str | None = None, **arguments: Any) -> None:
        super().__init__(_OneSpikingEnv, render_mode, base_id=base_id, **arguments)

    @property
    def base(self) -> gym.Env[Any, Any]:
        """Base environment, without wrappers."""
        assert isinstance(self.batch, BatchedSpikingEnv)  # made by __init__
        assert isinstance(self.batch.base, EnvsInTurn)
        return self.batch.base.envs[0]
