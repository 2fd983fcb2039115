"""Interface of the scripted policies, and measurement of their returns."""

from __future__ import annotations

import copy
import importlib
from abc import ABC, abstractmethod
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.envs.native.base import SpikeTask


class Scripted(ABC):
    """Hand-written policy for every environment of a batch.

    It sees the spikes that an agent sees and knows the task's settings. A policy that also reads
    the task's hidden state says so.
    """

    @abstractmethod
    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[Any]:
        """Return actions (B, ...) for spikes (B, T, N); ``starts`` (B,) marks new episodes."""


class RandomActions(Scripted):
    """Uniformly random actions; environment i of the batch draws them with ``seed + i``."""

    def __init__(self, task: SpikeTask, seed: int = 1_000_000) -> None:
        self._spaces = [copy.deepcopy(task.single_action_space) for _ in range(task.num_envs)]
        for index, space in enumerate(self._spaces):
            space.seed(seed + index)

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[Any]:
        """Sample from each environment's action space."""
        del spikes, starts
        return np.stack([space.sample() for space in self._spaces])


class Fixed(Scripted):
    """Policy of one fixed action, in every environment and step."""

    def __init__(self, action: Any) -> None:
        self._action = np.asarray(action)

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[Any]:
        """Return the fixed action for each of B environments, (B, ...)."""
        del starts
        return np.repeat(self._action[np.newaxis], len(spikes), axis=0)


class Privileged(Scripted):
    """Policy that reads the task's hidden state, and no spikes."""

    def __init__(self, task: SpikeTask) -> None:
        self._task = task

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[Any]:
        """Return the actions (B, ...) that ``choose`` takes for the hidden state."""
        del spikes, starts
        return self.choose(self._task._info(), self._task.settings)

    @abstractmethod
    def choose(self, info: dict[str, Any], settings: Any) -> NDArray[Any]:
        """Return actions (B, ...) for infos, arrays (B, ...), and the task's settings."""


def scripted_policy(task: SpikeTask, kind: str) -> Scripted:
    """Return a scripted policy of a task.

    Args:
        task: The batch that it acts in.
        kind: ``oracle``, ``memoryless``, or another key of ``POLICIES`` in the task's module.

    Raises:
        ValueError: The task has no policy of that kind.
    """
    policies = _module(task).POLICIES
    if kind not in policies:
        raise ValueError(
            f"{type(task).__name__} has no scripted policy {kind!r}; it has: {', '.join(policies)}"
        )
    policy: Scripted = policies[kind](task)
    return policy


def fixed_kind(task: SpikeTask) -> str:
    """Return the kind of the task's policy that is the same at every level, a key of ``POLICIES``.

    Its scores show that a level is harder.
    """
    kind: str = _module(task).FIXED_KIND
    return kind


def _module(task: SpikeTask) -> ModuleType:
    # A task's class is in snn_gym.envs.native.TASK.
    return importlib.import_module(f"references.{type(task).__module__.split('.')[-1]}")


def play(task: SpikeTask, policy: Scripted, seed: int) -> NDArray[np.float64]:
    """Play an episode in every environment i, reset with seed + i; return returns (B,).

    They are sums of rewards without a discount.
    """
    spikes, _ = task.reset(seed=seed)
    starts = np.ones(task.num_envs, np.bool_)
    running = starts.copy()
    returns = np.zeros(task.num_envs)
    while running.any():
        spikes, rewards, terminated, truncated, _ = task.step(policy.act(spikes, starts))
        returns += np.where(running, rewards, 0.0)
        starts = terminated | truncated
        running &= ~starts
    return returns
