"""Rollout buffer of sequences that carry a state."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from torch import Tensor

from snn_gym.policies.stateful import SequenceBatch


# ---- sequence rollouts ---------------------------------------------------------------------------
class SequenceRolloutBuffer(RolloutBuffer):
    """Rollout buffer of whole sequences of environment steps, each with its initial state.

    A sequence is ``sequence_length`` steps of one environment, in which episodes may end and start.
    The ``burn_in_steps`` K steps before it come first, some from the last rollout. Minibatches
    are flattened step by step, as Stable-Baselines3's PPO takes them.
    """

    states: NDArray[np.float32]
    """(K + n_steps, n_envs, S), before the steps of the burn-in and of the rollout."""
    _padded_observations: NDArray[Any]  # burn-in, then the rollout's, which are ``observations``
    _padded_starts: NDArray[np.bool_]
    _follows_rollout = False

    def __init__(
        self,
        buffer_size: int,
        *args: Any,
        state_size: int,
        sequence_length: int,
        burn_in_steps: int = 0,
        recurrent_gradient: bool = True,
        **kwargs: Any,
    ) -> None:
        self.sequence_length = sequence_length
        self.burn_in_steps = burn_in_steps
        self.recurrent_gradient = recurrent_gradient
        self.state_size = state_size
        super().__init__(buffer_size, *args, **kwargs)

    def reset(self) -> None:
        """Begin a new rollout; its burn-in is the end of the last rollout, if that is complete."""
        burnt = self.burn_in_steps
        self._follows_rollout = burnt > 0 and self.full
        before: list[NDArray[Any]] = []
        if self._follows_rollout:
            before = [self._padded_observations, self._padded_starts, self.states]
        super().reset()
        rows, seen = (burnt + self.buffer_size, self.n_envs), self.observations
        self._padded_observations = np.zeros((*rows, *seen.shape[2:]), seen.dtype)
        # Without a previous rollout, an episode starts at every burn-in step: no state is carried.
        self._padded_starts = np.ones(rows, np.bool_)
        self.states = np.zeros((*rows, self.state_size), np.float32)
        # The base class stores observations here.
        self.observations = self._padded_observations[burnt:]
        now = self._padded_observations, self._padded_starts, self.states
        for new, old in zip(now, before, strict=False):
            new[:burnt] = old[-burnt:]

    def burn_in(self) -> SequenceBatch | None:
        """Return the burn-in steps of all environments; None if no complete rollout came before."""
        if not self._follows_rollout:
            return None
        burnt = self.burn_in_steps
        return SequenceBatch(
            self.to_torch(self._padded_observations[:burnt]),
            self.to_torch(self.states[0]),
            self.to_torch(self._padded_starts[:burnt]),
        )

    def add_with_state(
        self,
        obs: Any,
        action: NDArray[Any],
        reward: NDArray[Any],
        episode_start: NDArray[Any],
        value: Tensor,
        log_prob: Tensor,
        states: Tensor,
    ) -> None:
        """Add one step, and the states (B, S) before it, not yet reset where an episode starts."""
        self.enter_step(states.cpu().numpy(), episode_start)
        super().add(obs, action, reward, episode_start, value, log_prob)

    def enter_step(self, states: NDArray[np.float32], starts: NDArray[Any]) -> None:
        """Store the states (B, S) before the present step, not yet reset, and its starts (B,)."""
        row = self.burn_in_steps + self.pos
        self.states[row] = states
        self._padded_starts[row] = starts

    def get(self, batch_size: int | None = None) -> Generator[RolloutBufferSamples, None, None]:
        """Yield all sequences once, in random order, ``batch_size`` (None: all) steps at a time."""
        for first, envs in self.drawn(batch_size):
            steps = first + np.arange(self.sequence_length)[:, np.newaxis]
            # (L, n, ...) -> (L * n, ...), like the policy's outputs
            actions, *rest = (
                self.to_torch(array[steps, envs]).flatten(0, 1)
                for array in (
                    self.actions,
                    self.values,
                    self.log_probs,
                    self.advantages,
                    self.returns,
                )
            )
            yield RolloutBufferSamples(
                self.sequences(first, envs),  # type: ignore[arg-type]
                actions.to(torch.float32),
                *rest,
            )

    def drawn(
        self, batch_size: int | None = None
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield first steps (n,) and environments (n,) of an epoch's minibatches of sequences."""
        assert self.full, "the rollout is not complete"
        length = self.sequence_length
        per_env = self.buffer_size // length
        total = per_env * self.n_envs
        count = total if batch_size is None else batch_size // length
        # Stable-Baselines3 seeds torch's global generator.
        order = torch.randperm(total).numpy()
        for first in range(0, total, count):
            chosen = order[first : first + count]
            yield (chosen % per_env) * length, chosen // per_env

    def sequences(self, first: NDArray[np.int64], envs: NDArray[np.int64]) -> SequenceBatch:
        """Return sequences that begin at steps ``first`` of environments ``envs``, each (n,)."""
        # Padded arrays begin burn_in_steps before the rollout.
        padded = first + np.arange(self.burn_in_steps + self.sequence_length)[:, np.newaxis]
        return SequenceBatch(
            self.to_torch(self._padded_observations[padded, envs]),
            self.to_torch(self.states[first, envs]),
            self.to_torch(self._padded_starts[padded, envs]),
            self.burn_in_steps,
            self.recurrent_gradient,
        )
