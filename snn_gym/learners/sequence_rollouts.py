"""Rollouts as sequences with the states they began in, for on-policy learning with memory."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.buffers import DictRolloutBuffer, RolloutBuffer
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from torch import Tensor

from snn_gym.policies.stateful import SequenceBatch


class SequenceRolloutBuffer(RolloutBuffer):
    """A rollout buffer that gives whole sequences of environment steps and the state before them.

    A sequence is ``sequence_length`` steps of one environment; episodes may end and start within
    it. Before it come the ``burn_in_steps`` steps that preceded it, taken over from the rollout
    before where it begins this one, with the state stored before those. Minibatches are flattened
    step by step, so that Stable-Baselines3's own PPO can take them.

    Args:
        buffer_size: Environment steps of each copy in a rollout.
        *args: As in Stable-Baselines3's ``RolloutBuffer``.
        state_size: Numbers S in the flat state of one environment.
        sequence_length: Environment steps of a sequence; divides ``buffer_size``.
        burn_in_steps: Environment steps before a sequence that bring its state up to date.
        truncate_every: Passed on to the policy.
        recurrent_gradient: Passed on to the policy.
        **kwargs: As in Stable-Baselines3's ``RolloutBuffer``.
    """

    states: NDArray[np.float32]
    """(K + n_steps, n_envs, S): before the steps of the burn-in and of the rollout."""
    _padded_observations: Any
    """As ``observations``, which are the rows of the rollout, with those of the burn-in before."""
    _padded_starts: NDArray[np.bool_]
    _follows_another = False
    """Whether a whole rollout was stored before this one."""

    def __init__(
        self,
        buffer_size: int,
        *args: Any,
        state_size: int,
        sequence_length: int,
        burn_in_steps: int = 0,
        truncate_every: int | None = None,
        recurrent_gradient: bool = True,
        **kwargs: Any,
    ) -> None:
        self.sequence_length = sequence_length
        self.burn_in_steps = burn_in_steps
        self.truncate_every = truncate_every
        self.recurrent_gradient = recurrent_gradient
        self.state_size = state_size
        super().__init__(buffer_size, *args, **kwargs)

    def reset(self) -> None:
        """Begin a new rollout; its burn-in is the end of the one before."""
        burnt = self.burn_in_steps
        self._follows_another = burnt > 0 and self.full
        before: Any = None
        if self._follows_another:
            before = self._padded_observations, self._padded_starts, self.states
        super().reset()
        rows = (burnt + self.buffer_size, self.n_envs)
        self._padded_observations = over_parts(
            lambda part: np.zeros((*rows, *part.shape[2:]), part.dtype), self.observations
        )
        # Without a rollout before, the first step is the first of an episode: what would come
        # before it is forgotten there.
        self._padded_starts = np.ones(rows, np.bool_)
        self.states = np.zeros((*rows, self.state_size), np.float32)
        # The base class stores observations here.
        self.observations = over_parts(lambda part: part[burnt:], self._padded_observations)
        if before is not None:
            for new, old in zip(
                (self._padded_observations, self._padded_starts, self.states), before, strict=True
            ):
                over_parts(lambda part, past: np.copyto(part[:burnt], past[-burnt:]), new, old)

    def burn_in(self) -> SequenceBatch | None:
        """Return the steps before this rollout of all environments, None if there were none."""
        if not self._follows_another:
            return None
        burnt = self.burn_in_steps
        return SequenceBatch(
            over_parts(lambda part: self.to_torch(part[:burnt]), self._padded_observations),
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
        """Add one step of every environment; as ``add``, and the state before its decision.

        Args:
            obs: (B, ...), or a dict of such.
            action: (B, ...).
            reward: (B,).
            episode_start: (B,), bool.
            value: (B, 1).
            log_prob: (B,).
            states: (B, S), from before a reset at ``episode_start``.
        """
        row = self.burn_in_steps + self.pos
        self.states[row] = states.cpu().numpy()
        self._padded_starts[row] = episode_start
        super().add(obs, action, reward, episode_start, value, log_prob)

    def get(self, batch_size: int | None = None) -> Generator[RolloutBufferSamples, None, None]:
        """Give all sequences once, in random order.

        Args:
            batch_size: Environment steps in a minibatch, a multiple of ``sequence_length``; None
                for all.
        """
        assert self.full, "the rollout is not complete"
        length = self.sequence_length
        per_env = self.buffer_size // length
        total = per_env * self.n_envs
        count = total if batch_size is None else batch_size // length
        # Stable-Baselines3 seeds torch's global generator, which its policies sample from too.
        order = torch.randperm(total).numpy()
        for first in range(0, total, count):
            chosen = order[first : first + count]
            yield self._sequences((chosen % per_env) * length, chosen // per_env)

    def _sequences(self, first: NDArray[np.int64], envs: NDArray[np.int64]) -> RolloutBufferSamples:
        """Return sequences that begin at steps ``first`` of environments ``envs``, each (n,)."""
        # Rows of the padded arrays start burn_in_steps before those of the rollout.
        padded = first + np.arange(self.burn_in_steps + self.sequence_length)[:, np.newaxis]
        steps = first + np.arange(self.sequence_length)[:, np.newaxis]
        batch = SequenceBatch(
            over_parts(lambda part: self.to_torch(part[padded, envs]), self._padded_observations),
            self.to_torch(self.states[first, envs]),
            self.to_torch(self._padded_starts[padded, envs]),
            self.burn_in_steps,
            self.truncate_every,
            self.recurrent_gradient,
        )
        # (L, n, ...) -> (L * n, ...), as the policy's outputs come
        flat = (
            self.to_torch(array[steps, envs]).flatten(0, 1)
            for array in (
                self.actions,
                self.values,
                self.log_probs,
                self.advantages,
                self.returns,
            )
        )
        actions, values, log_probs, advantages, returns = flat
        return RolloutBufferSamples(
            batch,  # type: ignore[arg-type]
            actions.to(torch.float32),
            values,
            log_probs,
            advantages,
            returns,
        )


class SequenceDictRolloutBuffer(SequenceRolloutBuffer, DictRolloutBuffer):  # type: ignore[misc]
    """The same for observations of a Dict space."""


def over_parts(function: Callable[..., Any], *observations: Any) -> Any:
    """Apply a function to arrays, or to the arrays of each key of dicts."""
    first = observations[0]
    if isinstance(first, dict):
        return {key: function(*(each[key] for each in observations)) for key in first}
    return function(*observations)
