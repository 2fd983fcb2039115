"""Wrapper that encodes observations as spikes, and the environment behind the ``snn/`` ids."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, SupportsFloat, TypeVar

import gymnasium as gym
import numpy as np
from gymnasium.utils import EzPickle, RecordConstructorArgs
from numpy.typing import ArrayLike, NDArray

from snn_gym._base.spaces import FlatSpikes
from snn_gym.envs.coding import ANALOGUE, BatchCoder
from snn_gym.envs.registry import SpikeSettings, known_ids, load_spike_settings, make_task
from snn_gym.envs.rendering import SpikeRenderer, warn_of_no_render_mode

# ---- spike observation ---------------------------------------------------------------------------
ActT = TypeVar("ActT")


def settings_of(base_id: str) -> SpikeSettings:
    """Return a known task's spike settings; ValueError if it is unknown or has none."""
    if base_id not in known_ids():
        raise ValueError(
            f"environment {base_id!r} is unknown to SpikingEnv; show any environment through "
            f"spikes with snn_gym.envs.SpikeObservation(gymnasium.make({base_id!r}))"
        )
    return load_spike_settings(base_id)


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
        analogue = np.array(observation)
        spikes = self._coder.start(analogue[np.newaxis])[0].copy()
        return spikes, {**info, ANALOGUE: analogue}

    def step(
        self, action: ActT
    ) -> tuple[NDArray[np.int8], SupportsFloat, bool, bool, dict[str, Any]]:
        """Make one environment step.

        Returns:
            Spikes (T, N), int8; reward; terminated; truncated; info with ``analogue_observation``.
        """
        observation, reward, terminated, truncated, info = self.env.step(action)
        analogue = np.array(observation)
        spikes = self._coder.step(analogue[np.newaxis])[0].copy()
        return spikes, reward, terminated, truncated, {**info, ANALOGUE: analogue}


# ---- spiking env ---------------------------------------------------------------------------------
class SpikingEnv(gym.Env[NDArray[Any], Any]):
    """Task with spike settings under envs/, whose observations are encoded as spikes.

    The environment owns its base environment instead of wrapping it, because gymnasium's checker
    expects no wrapper behind an id. Limits and encoder come from the task's file under envs/ unless
    given.

    Base environment and random spikes draw from two streams, both seeded by ``reset(seed=...)``.
    States and rewards therefore equal those of the base environment at the same seed, whatever the
    encoder. ``info["analogue_observation"]`` is the analogue observation; the task's other infos
    are left out, as in a batch (``BatchedSpikingEnv``).
    """

    metadata = {"render_modes": ["human", "rgb_array"], "render_fps": 30}  # noqa: RUF012 - gymnasium's own type

    def __init__(
        self,
        base_id: str,
        encoder: str | None = None,
        encoder_parameters: Mapping[str, Any] | None = None,
        time_steps: int | None = None,
        low: ArrayLike | None = None,
        high: ArrayLike | None = None,
        render_mode: str | None = None,
        flatten: bool = False,
        **arguments: Any,
    ) -> None:
        """Make the base environment and its encoder.

        Args:
            base_id: Gymnasium id of the task; fixed by the registered id.
            encoder: ``rate``, ``latency``, ``population`` or ``delta``. Default: the task's,
                ``population``.
            encoder_parameters: Parameters of the encoder. Default: the task's.
            time_steps: Number T of time steps for each environment step. Default: the task's, 8.
            low: Observation that becomes intensity 0, per observed value. Default: the task's.
            high: Observation that becomes intensity 1. Default: the task's.
            render_mode: ``human``, ``rgb_array`` or None.
            flatten: Observe ``FlatSpikes(T, N)``, a Box of one dimension.
            **arguments: Arguments of the base environment, as for ``gym.make``.

        Raises:
            TypeError: An argument is unknown, also to the base environment.
            ValueError: An argument is not allowed; the message names the allowed values.
        """
        settings = settings_of(base_id)
        encoder = settings.encoder if encoder is None else encoder
        modes = self.metadata["render_modes"]
        if render_mode is not None and render_mode not in modes:
            raise ValueError(
                f"render_mode {render_mode!r} is unknown; allowed modes: {', '.join(modes)}"
            )
        self.render_mode = render_mode
        base_mode = None if render_mode is None else "rgb_array"
        self._remade = functools.partial(make_task, base_id, render_mode=base_mode, **arguments)
        self._base = self._remade().unwrapped
        self._awaits_reset = False
        self._coder = BatchCoder(
            self._base.observation_space,
            encoder,
            {**settings.encoder_parameters.get(encoder, {}), **(encoder_parameters or {})},
            settings.time_steps if time_steps is None else time_steps,
            settings.low if low is None else low,
            settings.high if high is None else high,
        )
        self.metadata = {**self.metadata, "render_fps": self._base.metadata["render_fps"]}
        self.action_space = self._base.action_space
        self._flat = FlatSpikes(*self._coder.space.shape) if flatten else None
        self.observation_space = self._coder.space if self._flat is None else self._flat
        self._renderer: SpikeRenderer | None = None
        if render_mode is not None:
            self._renderer = SpikeRenderer(
                self._coder.channels_per_value, render_mode == "human", self.metadata["render_fps"]
            )

    def __getstate__(self) -> dict[str, Any]:
        state = {**self.__dict__, "_base_stream": self._base.np_random}
        # An EzPickle task saves some of its arguments only, so it is made again instead.
        if isinstance(self._base, EzPickle):
            del state["_base"]
            state["_awaits_reset"] = True
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        stream = state.pop("_base_stream")
        self.__dict__.update(state)
        if "_base" not in state:
            self._base = self._remade().unwrapped
        self._base.np_random = stream

    @property
    def base(self) -> gym.Env[Any, Any]:
        """Base environment, without wrappers."""
        return self._base

    def has_wrapper_attr(self, name: str) -> bool:
        """Test whether this environment or its base has an attribute."""
        return super().has_wrapper_attr(name) or self._base.has_wrapper_attr(name)

    def get_wrapper_attr(self, name: str) -> Any:
        """Return an attribute of this environment, or else of its base, or raise AttributeError."""
        owner = self if super().has_wrapper_attr(name) else self._base
        return getattr(owner, name)

    def set_wrapper_attr(self, name: str, value: Any, *, force: bool = True) -> bool:
        """Set an attribute where it exists, here or in the base; otherwise here, if forced.

        Return whether it was set.
        """
        if not super().has_wrapper_attr(name) and self._base.has_wrapper_attr(name):
            return self._base.set_wrapper_attr(name, value)
        return super().set_wrapper_attr(name, value, force=force)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Seed of the base environment and of random spikes; None continues the streams.
            options: Passed to the base environment.

        Returns:
            Spikes (T, N), int8, or flat, and info with ``analogue_observation``.
        """
        super().reset(seed=seed)
        self._awaits_reset = False
        observation, _ = self._base.reset(seed=seed, options=options)
        self._coder.seed([seed])
        analogue = np.array(observation)
        spikes = self._coder.start(analogue[np.newaxis])[0].copy()
        if self._renderer is not None:
            self._renderer.clear()
        return self._observation(spikes), {ANALOGUE: analogue}

    def step(self, action: Any) -> tuple[NDArray[Any], SupportsFloat, bool, bool, dict[str, Any]]:
        """Make one environment step.

        Returns:
            Spikes (T, N), int8, or flat; reward; terminated; truncated; info with
            ``analogue_observation``.

        Raises:
            gymnasium.error.ResetNeeded: This is a pickled or deep copy, its base cannot be saved
                within an episode, and there was no reset since.
        """
        if self._awaits_reset:
            raise gym.error.ResetNeeded(
                "an episode of this task does not outlive pickling; call reset() before step()"
            )
        observation, reward, terminated, truncated, _ = self._base.step(action)
        analogue = np.array(observation)
        spikes = self._observation(self._coder.step(analogue[np.newaxis])[0].copy())
        # Some tasks return integers or numpy scalars; the checkers of learners expect a float.
        return spikes, float(reward), terminated, truncated, {ANALOGUE: analogue}

    def render(self) -> NDArray[np.uint8] | None:
        """Return an image (height, width, 3), uint8, in mode ``rgb_array``; otherwise None."""
        if self._renderer is None:
            warn_of_no_render_mode("gym.make")
            return None
        return self._renderer.draw(self._base.render())

    def close(self) -> None:
        """Close the base environment and the window."""
        self._base.close()
        if self._renderer is not None:
            self._renderer.close()

    def _observation(self, spikes: NDArray[np.int8]) -> NDArray[Any]:
        """Return spikes (T, N) as an observation; store them for images, show them if ``human``."""
        if self._renderer is not None:
            self._renderer.add(spikes)
            if self.render_mode == "human":
                self._renderer.draw(self._base.render())
        return spikes if self._flat is None else self._flat.flatten(spikes)
