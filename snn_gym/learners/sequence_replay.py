"""Replay of sequences with the state that was carried into them, for off-policy learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from snn_gym.policies.stateful import SequenceBatch


@dataclass(frozen=True)
class SequenceSamples:
    """B sequences of K burn-in steps, L steps to learn from, and n steps for their targets."""

    sequences: SequenceBatch
    """Observations, states and episode starts of all K + L + n environment steps."""
    actions: Tensor
    """(L, B, A), taken at the steps to learn from."""
    rewards: Tensor
    """(L + n - 1, B) float32, from the first step to learn from on."""
    terminated: Tensor
    """(L + n - 1, B), bool: the episode came to its end with that step."""
    truncated: Tensor
    """(L + n - 1, B), bool: the episode was cut after that step."""


class SequenceReplayBuffer(ReplayBuffer):
    """A ring of environment steps that gives sequences, each with the state it began in.

    A row holds one step of every environment: observation, action, reward, whether an episode
    starts with the observation, and whether it ends with the step. The flat state carried into a
    step is stored at every ``stride``-th row, half a sequence apart, as in R2D2 (Kapturowski et al.
    2019, https://openreview.net/forum?id=r1lyTjAqYX); sequences begin there, all equally often.
    What comes after a step is the next row, so there are no next observations. The observation at
    which an episode was cut is not kept.

    Args:
        buffer_size: Environment steps of all copies together; rounded down to whole strides.
        observation_space: Observation space, no Dict.
        action_space: Action space.
        device: Where samples go.
        n_envs: Copies of the environment.
        state_size: Numbers S in the flat state of one copy.
        sequence_length: Environment steps L of a sequence that are learned from.
        burn_in_steps: Environment steps K before them that bring the state up to date.
        n_steps: Environment steps n after them that targets need.
        truncate_every: Passed on to the policy.

    Raises:
        ValueError: It has no room for one sequence.
    """

    arrays: ClassVar[tuple[str, ...]] = (
        "observations",
        "actions",
        "rewards",
        "dones",
        "timeouts",
        "episode_starts",
        "states",
    )
    """Arrays that together with ``pos`` and ``full`` are the buffer's content."""
    episode_starts: NDArray[np.bool_]
    """(rows, n_envs): an episode starts with the row's observation."""
    states: NDArray[np.float32]
    """(rows / stride, n_envs, S): carried into the step of every stride-th row."""

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: torch.device | str = "auto",
        n_envs: int = 1,
        *,
        state_size: int,
        sequence_length: int,
        burn_in_steps: int = 0,
        n_steps: int = 1,
        truncate_every: int | None = None,
    ) -> None:
        self.sequence_length = sequence_length
        self.burn_in_steps = burn_in_steps
        self.n_steps = n_steps
        self.truncate_every = truncate_every
        self.stride = max(1, sequence_length // 2)
        self.span = burn_in_steps + sequence_length + n_steps
        rows = buffer_size // n_envs // self.stride * self.stride
        # While a ring is written, its oldest stored state is up to a stride away.
        needed = -(-(self.span + self.stride - 1) // self.stride) * self.stride
        if rows < needed:
            raise ValueError(
                f"buffer_size must be at least {needed * n_envs} to hold a sequence of "
                f"{self.span} environment steps of {n_envs} environments, got {buffer_size}; "
                "enlarge it or shorten the sequences"
            )
        # "Optimised" means that next observations are not stored apart.
        super().__init__(
            rows * n_envs,
            observation_space,
            action_space,
            device,
            n_envs,
            optimize_memory_usage=True,
            handle_timeout_termination=False,
        )
        self.episode_starts = np.zeros((rows, n_envs), np.bool_)
        self.states = np.zeros((rows // self.stride, n_envs, state_size), np.float32)

    @property
    def sequences(self) -> int:
        """Sequences of each environment that are stored completely."""
        return max(0, (self.size() - self._first - self.span) // self.stride + 1)

    @property
    def _oldest(self) -> int:
        return self.pos if self.full else 0

    @property
    def _first(self) -> int:
        """Rows from the oldest one to the first that has a state."""
        return -self._oldest % self.stride

    def enter_step(self, states: NDArray[np.float32], starts: NDArray[np.bool_]) -> None:
        """Note what holds before a step; ``add`` completes its row.

        An episode that starts cuts the one before where that did not end.

        Args:
            states: (n_envs, S) float32, carried into the step.
            starts: (n_envs,), bool: an episode starts with the step's observation.
        """
        if self.pos % self.stride == 0:
            self.states[self.pos // self.stride] = states
        self.episode_starts[self.pos] = starts
        if self.size():
            last = self.pos - 1
            cut = starts & (self.dones[last] == 0)
            self.timeouts[last] = np.maximum(self.timeouts[last], cut)

    def add(
        self,
        obs: NDArray[Any],
        next_obs: NDArray[Any],
        action: NDArray[Any],
        reward: NDArray[Any],
        done: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Add one step of every environment, after ``enter_step``.

        Args:
            obs: (n_envs, ...).
            next_obs: Ignored: it is the next step's ``obs``.
            action: (n_envs, ...).
            reward: (n_envs,).
            done: (n_envs,), bool: the episode ended, for whatever reason.
            infos: One of each environment; ``TimeLimit.truncated`` says that it was cut.
        """
        del next_obs
        row = self.pos
        self.observations[row] = np.asarray(obs).reshape(self.n_envs, *self.obs_shape)
        self.actions[row] = np.asarray(action).reshape(self.n_envs, self.action_dim)
        self.rewards[row] = reward
        self.dones[row] = done
        self.timeouts[row] = [info.get("TimeLimit.truncated", False) for info in infos]
        self.pos = (row + 1) % self.buffer_size
        self.full = self.full or self.pos == 0

    def sample(  # type: ignore[override]
        self, batch_size: int, env: VecNormalize | None = None
    ) -> SequenceSamples:
        """Draw sequences with replacement, from PyTorch's global generator.

        Args:
            batch_size: Environment steps to learn from, a multiple of ``sequence_length``.
            env: Normalises observations and rewards, or None.

        Raises:
            ValueError: No sequence is complete yet.
        """
        if not self.sequences:
            raise ValueError(
                f"the buffer holds {self.size()} of the {self.span} environment steps of a "
                "sequence; store more before sampling"
            )
        count = batch_size // self.sequence_length
        chosen = torch.randint(self.sequences * self.n_envs, (count,)).numpy()
        return self._get_samples(chosen, env)

    def _get_samples(  # type: ignore[override]
        self, batch_inds: NDArray[np.int64], env: VecNormalize | None = None
    ) -> SequenceSamples:
        """Return sequences by their numbers (B,), those of an environment one after the other."""
        envs, numbers = np.divmod(batch_inds, self.sequences)
        begin = (self._oldest + self._first + self.stride * numbers) % self.buffer_size
        rows = (begin + np.arange(self.span)[:, np.newaxis]) % self.buffer_size
        observations = self._normalize_obs(self.observations[rows, envs], env)
        batch = SequenceBatch(
            self.to_torch(observations),  # type: ignore[arg-type]
            self.to_torch(self.states[begin // self.stride, envs]),
            self.to_torch(self.episode_starts[rows, envs]),
            self.burn_in_steps,
            self.truncate_every,
        )
        learned = rows[self.burn_in_steps : -1]
        timeouts = self.timeouts[learned, envs] > 0
        return SequenceSamples(
            batch,
            self.to_torch(self.actions[learned[: self.sequence_length], envs]),
            self.to_torch(self._normalize_reward(self.rewards[learned, envs], env)),
            self.to_torch((self.dones[learned, envs] > 0) & ~timeouts),
            self.to_torch(timeouts),
        )
