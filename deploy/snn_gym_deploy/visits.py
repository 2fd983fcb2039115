"""Activity of an agent's network in the states that the agent visits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from snn_gym.leaderboard import evaluate
from snn_gym.policies import Acting, raw_policy
from snn_gym.program import Costs, hidden_before
from snn_gym.spiking import Recording

FIRST_SEED = 1_000_000_000  # of visits; the seeds of evaluations lie above


@dataclass(frozen=True)
class Visits:
    """Activity of a network in decisions of some episodes: an even subsample, at most 20,000."""

    fired: tuple[NDArray[np.bool_], ...]
    """Mask (N,) of the neurons of each layer that fired, input side first."""
    peaks: tuple[float, ...]
    """Largest absolute membrane potential of each layer; of an ANN, largest absolute output of each
    layer of units with a state."""
    peak_spikes: int = 0
    """Most spikes of all neurons in one time step."""
    costs: Costs = field(default_factory=Costs)
    """Mean costs of a decision."""
    inputs: tuple[float, ...] = ()
    """Largest absolute value of each observed number."""


def visit(
    model: BaseAlgorithm | BasePolicy,
    env_id: str,
    episodes: int = 20,
    *,
    env_kwargs: Mapping[str, Any] | None = None,
) -> Visits:
    """Record the network in episodes without exploration, on seeds apart from evaluations.

    Recorded are all decisions, or an even subsample of at most 20,000 and 1 GiB.

    Args:
        model: Algorithm with a spiking policy, or the policy.
        env_id: Gymnasium id.
        episodes: Number of episodes, at least 1.
        env_kwargs: Arguments of the environment.

    Raises:
        ValueError: There are no episodes.
    """
    watched = _Watched(raw_policy(model, env_id, env_kwargs))
    seeds = range(FIRST_SEED, FIRST_SEED + episodes)
    costs = evaluate(watched, env_id, seeds=seeds, env_kwargs=env_kwargs)
    inputs = tuple(watched.inputs.tolist())
    return Visits(tuple(watched.fired), tuple(watched.peaks), watched.peak_spikes, costs, inputs)


def observations_of(
    policy: Acting, env_id: str, seeds: range, env_kwargs: Mapping[str, Any] | None = None
) -> NDArray[Any]:
    """Return all observations (N, ...) of a policy's episodes, one a seed, without exploration."""
    observer: Any = _Observer(policy)
    evaluate(observer, env_id, seeds=seeds, env_kwargs=env_kwargs)
    return np.concatenate(observer.observations)


def first_episodes(
    policy: Acting, env_id: str, decisions: int, env_kwargs: Mapping[str, Any] | None = None
) -> list[NDArray[Any]]:
    """Return the observations (T, ...) of the first episodes of ``visit``, cut to ``decisions``."""
    episodes, count = list[NDArray[Any]](), 0
    while count < decisions:
        seed = FIRST_SEED + len(episodes)
        episodes.append(observations_of(policy, env_id, range(seed, seed + 1), env_kwargs))
        count += len(episodes[-1])
    episodes[-1] = episodes[-1][: decisions - count or None]
    return episodes


class _Observer:
    """A policy whose observations are recorded."""

    def __init__(self, policy: Acting) -> None:
        self._policy = policy
        self.observations: list[NDArray[Any]] = []

    def predict(self, observations: NDArray[Any], *args: Any, **kwargs: Any) -> Any:
        self.observations.append(observations.copy())
        return self._policy.predict(observations, *args, **kwargs)


class _Watched:
    """A policy that sums up its recordings for an evaluation."""

    def __init__(self, policy: Any) -> None:
        self._policy = policy
        self.observation_space, self.action_space = policy.observation_space, policy.action_space
        self.fired: list[NDArray[np.bool_]] = []
        self.peaks: list[float] = []
        self.inputs = np.zeros(0)
        self.peak_spikes = 0

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        return self._policy.predict(*args, **kwargs)

    def reseed_noise(self, seed: int) -> None:
        self._policy.reseed_noise(seed)

    def record(self, obs: NDArray[Any], state: Any = None) -> Recording:
        """Record as the policy does; update ``fired``, ``peaks`` and ``peak_spikes``."""
        recording: Recording = self._policy.record(obs, state)
        if isinstance(obs, np.ndarray):
            largest = np.abs(obs.reshape(len(obs), -1).astype(np.float64)).max(0)
            self.inputs = np.maximum(largest, self.inputs if self.inputs.size else 0.0)
        if state is not None and not recording.layers:
            before = hidden_before(self._policy.program(), state[0], len(obs))
            peaks = [float(np.abs(x).max(initial=0.0)) for x in before]
            self.peaks = [max(pair) for pair in zip(peaks, self.peaks or peaks, strict=True)]
        layers = [layer for layer in recording.layers if layer.name != "input"]
        if layers and not self.fired:  # sizes are known from the first recording on
            self.fired = [np.zeros(x.spikes.shape[2], np.bool_) for x in layers]
            self.peaks = [0.0] * len(layers)
        if layers:
            at_once = torch.stack([layer.spikes.sum(2) for layer in layers]).sum(0)  # (T, B)
            self.peak_spikes = max(self.peak_spikes, int(at_once.max()))
        for k, layer in enumerate(layers):
            self.fired[k] |= (layer.spikes != 0).flatten(0, 1).any(0).numpy()
            if layer.voltages is not None:
                self.peaks[k] = max(self.peaks[k], float(layer.voltages.abs().max()))
        return recording
