"""The interface of scripted policies, and the measurement of their returns."""

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
    """A policy written by hand, for every environment of a batch.

    It sees the spikes that an agent sees, and knows the task's settings. One that reads the task's
    hidden state too says so.
    """

    @abstractmethod
    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[Any]:
        """Choose an action in every environment.

        Args:
            spikes: (B, T, N), int8.
            starts: (B,), bool: where these are the first spikes of an episode.

        Returns:
            Actions (B, ...).
        """


class RandomActions(Scripted):
    """Uniformly random actions.

    Args:
        task: The batch.
        seed: Seed of the first environment's actions; environment i has seed + i.
    """

    def __init__(self, task: SpikeTask, seed: int = 1_000_000) -> None:
        self._spaces = [copy.deepcopy(task.single_action_space) for _ in range(task.num_envs)]
        for index, space in enumerate(self._spaces):
            space.seed(seed + index)

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[Any]:
        """Sample from each environment's action space."""
        del spikes, starts
        return np.stack([space.sample() for space in self._spaces])


class Fixed(Scripted):
    """The same discrete action everywhere.

    Args:
        action: The action.
    """

    def __init__(self, action: int) -> None:
        self._action = action

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the action everywhere."""
        del starts
        return np.full(len(spikes), self._action, np.int64)


class Privileged(Scripted):
    """Reads the task's hidden state, and sees no spikes.

    Args:
        task: The batch, whose hidden state it reads.
    """

    def __init__(self, task: SpikeTask) -> None:
        self._task = task

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[Any]:
        """Return the actions that the hidden state asks for."""
        del spikes, starts
        return self.choose(self._task._info(), self._task.settings)

    @abstractmethod
    def choose(self, info: dict[str, Any], settings: Any) -> NDArray[Any]:
        """Choose actions (B, ...) by what infos say, arrays (B, ...), and the task's settings."""


def scripted_policy(task: SpikeTask, kind: str) -> Scripted:
    """Return a scripted policy of a task.

    Args:
        task: The batch that it acts in.
        kind: ``oracle``, ``memoryless``, or another one that the task's module in
            ``references`` defines.

    Raises:
        ValueError: The task has none of that kind.
    """
    module = _module(task)
    kinds: tuple[str, ...] = module.KINDS
    if kind not in kinds:
        raise ValueError(
            f"{type(task).__name__} has no scripted policy {kind!r}; it has: {', '.join(kinds)}"
        )
    policy: Scripted = getattr(module, kind)(task)
    return policy


def fixed_kind(task: SpikeTask) -> str:
    """Return the kind of a task's scripted policy that is the same at every level."""
    kind: str = _module(task).FIXED_AGENT
    return kind


def _module(task: SpikeTask) -> ModuleType:
    # A task's class is in snn_gym.envs.native.TASK.
    return importlib.import_module(f"references.{type(task).__module__.split('.')[-1]}")


def play(task: SpikeTask, policy: Scripted, seed: int) -> NDArray[np.float64]:
    """Play one episode in every environment of a batch.

    Args:
        task: The batch.
        policy: Chooses the actions.
        seed: Environment i is reset with seed + i.

    Returns:
        Undiscounted return (B,) of each episode, float64.
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
