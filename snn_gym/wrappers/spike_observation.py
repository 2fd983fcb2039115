"""A wrapper that shows anybody's environment through spikes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, SupportsFloat, TypeVar

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import ArrayLike, NDArray

from snn_gym.registry import SpikeSettings, known_ids, load_spike_settings
from snn_gym.wrappers.coding import ANALOGUE, ObservationCoder

ActT = TypeVar("ActT")


def settings_of(base_id: str) -> SpikeSettings:
    """Return how a known task is encoded.

    Args:
        base_id: Gymnasium id.

    Raises:
        ValueError: The task is not known; the message names ``SpikeObservation``.
    """
    if base_id not in known_ids():
        raise ValueError(
            f"environment {base_id!r} is unknown to SpikingEnv; show any environment through "
            f"spikes with snn_gym.wrappers.SpikeObservation(gymnasium.make({base_id!r}))"
        )
    return load_spike_settings(base_id)


class SpikeObservation(gym.Wrapper[NDArray[np.int8], ActT, Any, ActT], RecordConstructorArgs):
    """Encode the observations of an environment as spike trains MultiBinary((T, N)).

    Observations may be Box, Discrete or MultiDiscrete. A Box is scaled from its limits
    to intensities in [0, 1] and clipped; ``snn_gym.estimate_limits`` finds limits where the
    space has infinite bounds. A category becomes one intensity of 1 among zeros.
    The analogue observation stays in ``info["analogue_observation"]``.

    Random spikes come from a stream of their own, restarted by ``reset(seed=...)``:
    dynamics and rewards are those of the wrapped environment at the same seed.

    Example:
        >>> import gymnasium as gym
        >>> from snn_gym.wrappers import SpikeObservation
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
            encoder_parameters: Parameters of the encoder; defaults where absent.
            low: Observation that becomes intensity 0, for a Box; a number or an array
                of the observation's shape. Default: the space's own bound.
            high: Likewise for intensity 1.

        Raises:
            ValueError: A limit is infinite or an argument is not allowed; the message
                names the remedy.
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
        self._coder = ObservationCoder(
            env.observation_space, encoder, encoder_parameters, time_steps, low, high
        )
        self.observation_space = self._coder.space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.int8], dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Seed of the environment and of random spikes; None goes on.
            options: Passed to the environment.

        Returns:
            Spikes (T, N), int8, and the environment's info with the analogue
            observation under ``analogue_observation``.
        """
        observation, info = self.env.reset(seed=seed, options=options)
        self._coder.seed(seed)
        return self._coder.start(observation), {**info, ANALOGUE: np.array(observation)}

    def step(
        self, action: ActT
    ) -> tuple[NDArray[np.int8], SupportsFloat, bool, bool, dict[str, Any]]:
        """Make one environment step.

        Args:
            action: Action of the wrapped environment.

        Returns:
            Spikes (T, N), int8; reward; terminated; truncated; and info with the
            analogue observation under ``analogue_observation``.
        """
        observation, reward, terminated, truncated, info = self.env.step(action)
        info = {**info, ANALOGUE: np.array(observation)}
        return self._coder.step(observation), reward, terminated, truncated, info
