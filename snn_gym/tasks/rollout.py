"""Play whole episodes with many networks at once, on any batched task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from snn_gym.spiking.population import Activity, Population
from snn_gym.tasks.batched import BatchedTask

# Lanes are dropped when this share of them still runs: each drop copies the state.
_KEEP_SHARE = 0.8


@dataclass(frozen=True)
class Rollouts:
    """What P networks earned in E episodes each."""

    returns: NDArray[np.float64]
    """(P, E), undiscounted sum of rewards, in the task's reward units."""
    lengths: NDArray[np.int64]
    """(P, E), environment steps."""

    @property
    def steps(self) -> int:
        """Environment steps of all episodes together."""
        return int(self.lengths.sum())


class Observer(Protocol):
    """Something that looks at every environment step of a rollout."""

    def step(
        self,
        lanes: NDArray[np.int64],
        activity: Activity,
        actions: NDArray[Any],
        rewards: NDArray[np.float64],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
    ) -> None:
        """See one step of the lanes (L,) that still run; lane ``p * E + e`` is network p's."""


@dataclass(frozen=True)
class ObservationLimits:
    """Fixed limits that scale observations to [-1, 1]; what lies outside is clipped."""

    low: NDArray[np.float32]
    """(D,), in the task's units."""
    high: NDArray[np.float32]
    """(D,), in the task's units."""

    @classmethod
    def of(cls, low: Sequence[float], high: Sequence[float]) -> ObservationLimits:
        """Make limits of two sequences of D numbers.

        Raises:
            ValueError: They differ in length, are not finite, or a low is not below its high.
        """
        low_, high_ = np.asarray(low, np.float32), np.asarray(high, np.float32)
        fits = low_.shape == high_.shape and low_.ndim == 1
        if not fits or not np.isfinite([low_, high_]).all() or not (low_ < high_).all():
            raise ValueError(
                f"observation limits need as many finite lows as highs, each low below its high; "
                f"got low {low_.tolist()} and high {high_.tolist()}"
            )
        return cls(low_, high_)

    @property
    def middle(self) -> NDArray[np.float32]:
        """(D,), what becomes 0."""
        return (self.low + self.high) / np.float32(2.0)

    @property
    def half_range(self) -> NDArray[np.float32]:
        """(D,), distance from the middle that becomes 1."""
        return (self.high - self.low) / np.float32(2.0)

    def scale(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return observations (L, D) scaled to [-1, 1], float32."""
        scaled: NDArray[np.float32] = (observations - self.middle) / self.half_range
        return np.clip(scaled, np.float32(-1.0), np.float32(1.0), out=scaled)


Drive = Callable[[NDArray[np.float32]], NDArray[Any]]
"""Actions (L, ...) from outputs (L, O)."""


def make_drive(space: gym.Space[Any]) -> Drive:
    """Return what turns a network's outputs into actions, deterministically.

    Discrete actions are the largest output; those of a bounded Box are ``tanh`` of the outputs,
    scaled to its limits.

    Raises:
        ValueError: The network can't drive such actions.
    """
    if isinstance(space, gym.spaces.Discrete) and space.start == 0:
        return lambda outputs: outputs.argmax(axis=1)
    if isinstance(space, gym.spaces.Box) and len(space.shape) == 1 and space.is_bounded():
        middle = (space.high + space.low) / 2.0
        half = (space.high - space.low) / 2.0
        return lambda outputs: (middle + half * np.tanh(outputs)).astype(space.dtype)
    raise ValueError(
        f"a controller chooses Discrete actions that count from 0 or those of a bounded Box of "
        f"one axis, got {space}; use PPO with SpikingActorCriticPolicy for others"
    )


def output_size(space: gym.Space[Any]) -> int:
    """Return the number of outputs that drive an action space; see ``make_drive``."""
    make_drive(space)
    return int(space.n) if isinstance(space, gym.spaces.Discrete) else int(np.prod(space.shape))  # type: ignore[arg-type]


def play(
    task: BatchedTask,
    population: Population,
    weights: NDArray[np.float32],
    seeds: Sequence[int] | NDArray[np.int64],
    limits: ObservationLimits,
    *,
    observer: Observer | None = None,
) -> Rollouts:
    """Play seeded episodes with every network.

    Args:
        task: Environments of the task, which are reset: E of them, or P × E where every network
            has seeds of its own.
        population: Architecture of the networks.
        weights: (P, W) float32.
        seeds: (E,) for the same episodes for every network, or (P, E); the episode of a seed is
            the first one after a reset with it.
        limits: Limits that scale the observations.
        observer: Sees every step.

    Returns:
        Returns and lengths (P, E).

    Raises:
        ValueError: Weights or seeds have a wrong shape, or a reward is not finite.
    """
    networks, seeds = len(weights), np.asarray(seeds)
    episodes = seeds.shape[-1]
    _check_seeds(seeds, networks, task.num_envs)
    observations, _ = task.reset(seed=seeds.reshape(-1).tolist())
    drive = make_drive(task.single_action_space)
    layers = population.arrange(weights)
    lanes = np.arange(networks * episodes)
    batch = task.select(lanes % task.num_envs)
    observations = observations[lanes % task.num_envs]
    returns = np.zeros(lanes.size)
    lengths = np.zeros(lanes.size, np.int64)
    running = np.ones(lanes.size, np.bool_)
    while True:
        activity = population.run(layers, lanes // episodes, limits.scale(observations))
        actions = drive(activity.outputs)
        observations, rewards, terminated, truncated = batch.advance(actions)
        if not np.isfinite(rewards[running]).all():
            raise ValueError(_not_finite(task.base_id, rewards[running], int(lengths.max())))
        returns[lanes] += np.where(running, rewards, 0.0)
        lengths[lanes] += running
        if observer is not None:
            over = terminated & running, truncated & running
            observer.step(lanes, activity, actions, np.where(running, rewards, 0.0), *over)
        running = running & ~(terminated | truncated)
        left = int(running.sum())
        if left == 0:
            break
        if left <= _KEEP_SHARE * lanes.size:
            kept = np.flatnonzero(running)
            batch = batch.select(kept)
            lanes, observations, running = lanes[kept], observations[kept], running[kept]
    shape = (networks, episodes)
    return Rollouts(returns.reshape(shape), lengths.reshape(shape))


def _check_seeds(seeds: NDArray[np.int64], networks: int, environments: int) -> None:
    if seeds.ndim not in (1, 2) or (seeds.ndim == 2 and len(seeds) != networks) or not seeds.size:
        raise ValueError(
            f"seeds must have shape (episodes,) or ({networks}, episodes), got {seeds.shape}"
        )
    if seeds.size != environments:
        raise ValueError(
            f"{seeds.size} seeds need as many environments, got a task of {environments}; make it "
            f"with num_envs={seeds.size}"
        )


def _not_finite(name: str, rewards: NDArray[np.float64], step: int) -> str:
    worst = rewards[~np.isfinite(rewards)][0]
    return (
        f"{name} gave the reward {worst} at step {step + 1} of an episode; rewards must be finite"
    )
