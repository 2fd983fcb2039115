"""Whole episodes of many networks at once, on any batched task."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from snn_gym._base.spaces import each_array
from snn_gym.envs.batch import check_finite, few
from snn_gym.envs.classic_control import BatchedTask
from snn_gym.spiking.population import Activity, Population

# Ended lanes are dropped when at most this share still runs, because each drop copies the state.
_KEEP_SHARE = 0.8
# More lanes at once would not fit in the processor's caches.
_BLOCK = 2048


Observations = NDArray[Any] | dict[str, NDArray[Any]]
"""Observations of an environment; of a Dict space one array for each key."""


@dataclass(frozen=True)
class Rollouts:
    """Returns of P networks in E episodes each."""

    returns: NDArray[np.float64]  # (P, E), undiscounted sum of rewards, in the task's reward units
    lengths: NDArray[np.int64]  # (P, E), environment steps
    observations: Observations | None = None
    """(n, ...), samples of each episode in turn (``Samples``)."""

    @property
    def steps(self) -> int:
        """Environment steps of all episodes."""
        return int(self.lengths.sum())


class LaneStep(NamedTuple):
    """One environment step of L lanes, also of ended ones: reward 0, not ended again."""

    lanes: NDArray[np.int64]  # (L,), lane ``p * E + e`` plays episode e of network p
    activity: Activity
    actions: NDArray[Any]  # (L, ...)
    rewards: NDArray[np.float64]  # (L,), in the task's reward units
    terminated: NDArray[np.bool_]  # (L,)
    truncated: NDArray[np.bool_]  # (L,)


class Observer(Protocol):
    """Receiver of every environment step of a rollout."""

    def step(self, seen: LaneStep) -> None:
        """Receive one step."""


@dataclass(frozen=True)
class ObservationLimits:
    """Fixed limits that scale observations to [-1, 1], clipped."""

    low: NDArray[np.float32]  # (D,), in the task's units
    high: NDArray[np.float32]  # (D,), in the task's units

    @classmethod
    def of(cls, low: Sequence[float], high: Sequence[float]) -> ObservationLimits:
        """Make limits; ValueError unless both are D finite values, each low below its high."""
        lows, highs = np.asarray(low, np.float32), np.asarray(high, np.float32)
        needs = "observation limits need as many finite lows as highs, each low below its high; got"
        if lows.shape != highs.shape or lows.ndim != 1:
            raise ValueError(f"{needs} shapes {lows.shape} and {highs.shape}")
        wrong = ~(np.isfinite(lows) & np.isfinite(highs) & (lows < highs))
        if wrong.any():
            raise ValueError(
                f"{needs} low {few(lows[wrong])} with high {few(highs[wrong])}, wrong in "
                f"{int(wrong.sum())} of {wrong.size} values"
            )
        return cls(lows, highs)

    @property
    def middle(self) -> NDArray[np.float32]:
        """(D,), observation that becomes 0."""
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
    """Return the function from a network's outputs to its deterministic actions.

    A Discrete action (from 0) is the index of the largest output; actions of a bounded Box of one
    axis are ``tanh`` of the outputs, scaled to its limits. Other spaces raise ValueError.
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
    """Return the number of outputs that an action space needs; ValueError as ``make_drive``."""
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
    """Play seeded episodes with every network, weights (P, W); return returns and lengths (P, E).

    ``seeds`` are (E,) for all networks, or (P, E); ``task`` has one environment for each seed and
    is reset. The episode of a seed is the first one after a reset with it. ``observer`` receives
    every step. Wrong shapes and values that are not finite raise ValueError.
    """
    networks, seeds = len(weights), np.asarray(seeds)
    episodes = seeds.shape[-1]
    if seeds.ndim not in (1, 2) or (seeds.ndim == 2 and len(seeds) != networks) or not seeds.size:
        raise ValueError(
            f"seeds must have shape (episodes,) or ({networks}, episodes), got {seeds.shape}"
        )
    if seeds.size != task.num_envs:
        raise ValueError(
            f"{seeds.size} seeds need as many environments, got a task of {task.num_envs}; make it "
            f"with num_envs={seeds.size}"
        )
    starts, _ = task.reset(seed=seeds.reshape(-1).tolist())
    stage = _Stage(task, population, weights, episodes, limits, starts, seeds, observer)
    lanes = networks * episodes
    # One block with an observer, so that steps have an order. Good networks, with long episodes,
    # are neighbours: each block takes its share of them.
    blocks = math.ceil(lanes / _BLOCK) if observer is None else 1
    for first in range(blocks):
        stage.play(np.arange(first, lanes, blocks))
    shape = (networks, episodes)
    return Rollouts(
        stage.returns.reshape(shape), stage.lengths.reshape(shape), stage.samples.joined()
    )


class _Stage:
    """Player of whole episodes of all networks, which stores returns, lengths and samples."""

    def __init__(
        self,
        task: BatchedTask,
        population: Population,
        weights: NDArray[np.float32],
        episodes: int,
        limits: ObservationLimits,
        starts: NDArray[np.float32],
        seeds: NDArray[np.int64],
        observer: Observer | None,
    ) -> None:
        self._task = task
        self._population = population
        self._layers = population.arrange(weights)
        self._episodes = episodes
        self._limits = limits
        self._starts = starts
        self._seeds = np.resize(seeds, len(weights) * episodes)
        self._observer = observer
        self._drive = make_drive(task.single_action_space)
        self.returns = np.zeros(len(weights) * episodes)
        self.lengths = np.zeros(self.returns.size, np.int64)
        self.samples = Samples()

    def play(self, lanes: NDArray[np.int64]) -> None:
        """Play the episodes of some lanes to their ends; store returns, lengths and samples."""
        # Lanes share E start states, or each has its own where networks have their own seeds.
        batch = self._task.select(lanes % self._task.num_envs)
        observations = self._starts[lanes % self._task.num_envs]
        running = np.ones(lanes.size, np.bool_)
        step = 0
        while running.any():
            step += 1
            self.samples.add(step, lanes, observations, running)
            observations, running = self._step(batch, lanes, observations, running, step)
            left = int(running.sum())
            if 0 < left <= _KEEP_SHARE * lanes.size:
                rest = np.flatnonzero(running)
                batch = batch.select(rest)
                lanes, observations, running = lanes[rest], observations[rest], running[rest]

    def _step(
        self,
        batch: BatchedTask,
        lanes: NDArray[np.int64],
        observations: NDArray[np.float32],
        running: NDArray[np.bool_],
        step: int,
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Move every lane by one step; return observations and the mask of running lanes."""
        seeds = self._seeds[lanes]
        check_finite("observation", observations, batch.base_id, step - 1, running, seeds)
        activity = self._population.run(
            self._layers, lanes // self._episodes, self._limits.scale(observations)
        )
        actions = self._drive(activity.outputs)
        observations, rewards, terminated, truncated, _ = batch.advance(actions)
        check_finite("reward", rewards, batch.base_id, step, running, seeds)
        # Ended lanes play on until they are dropped, but earn nothing.
        rewards = np.where(running, rewards, 0.0)
        self.returns[lanes] += rewards
        self.lengths[lanes] += running
        if self._observer is not None:
            over = terminated & running, truncated & running
            self._observer.step(LaneStep(lanes, activity, actions, rewards, *over))
        return observations, running & ~(terminated | truncated)


class Samples:
    """Store of the observations before steps 1, 2, 4, 8, … of every episode."""

    def __init__(self) -> None:
        self._parts: list[tuple[NDArray[np.int64], Observations]] = []

    def add(
        self,
        step: int,
        lanes: NDArray[np.int64],
        observations: Observations,
        running: NDArray[np.bool_],
    ) -> None:
        """Store the observations of running lanes if the step is a power of two.

        ``lanes`` (L,) are the numbers of the lanes that ``observations`` (L, ...) belong to, and
        ``running`` (L,) marks those whose episodes go on.
        """
        # Few observations, but of all parts of an episode.
        if step & (step - 1) == 0:
            indices = np.flatnonzero(running)
            self._parts.append((lanes[indices], each_array(lambda x: x[indices], observations)))

    def joined(self) -> Observations:
        """Return all stored observations (n, ...), lane by lane, whatever their order."""
        lanes, parts = zip(*self._parts, strict=True)
        order = np.argsort(np.concatenate(lanes), kind="stable")
        joined: Observations = each_array(lambda *x: np.concatenate(x)[order], *parts)
        return joined
