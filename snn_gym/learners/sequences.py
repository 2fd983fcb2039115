"""Replay buffer, rollout buffer and learner of sequences that carry a state."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer, RolloutBuffer
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from snn_gym.learners.settings import check_sequences
from snn_gym.policies.stateful import SequenceBatch, StatefulPolicy, reset_where


# ---- sequence replay -----------------------------------------------------------------------------
@dataclass(frozen=True)
class SequenceSamples:
    """B sequences of environment steps: K of burn-in, L to learn from, and n for their targets."""

    sequences: SequenceBatch
    """Observations, states and episode starts of all K + L + n environment steps."""
    actions: Tensor
    """(L, B, A), taken at the steps to learn from."""
    rewards: Tensor
    """(L + n - 1, B) float32, from the first step to learn from on."""
    terminated: Tensor
    """(L + n - 1, B) bool, whether the episode terminated with the step."""
    truncated: Tensor
    """(L + n - 1, B) bool, whether a limit cut the episode after the step."""


class SequenceReplayBuffer(ReplayBuffer):
    """Ring buffer of environment steps that samples sequences, each with its initial state.

    A row holds one step of every environment. The state before the step (n_envs, S) is stored at
    every ``stride``-th row, half a sequence apart, as in R2D2 (Kapturowski et al. 2019,
    https://openreview.net/forum?id=r1lyTjAqYX); sequences begin there. A sequence has
    ``burn_in_steps`` K, ``sequence_length`` L steps to learn from, and ``n_steps`` n for targets.
    Next observations are those of the next row; the observation at which an episode was cut is not
    stored.
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
    ) -> None:
        self.sequence_length = sequence_length
        self.burn_in_steps = burn_in_steps
        self.n_steps = n_steps
        self.stride = max(1, sequence_length // 2)
        self.span = burn_in_steps + sequence_length + n_steps
        # In whole strides, so that states keep their rows when the ring wraps.
        rows = buffer_size // n_envs // self.stride * self.stride
        # While a ring is written, its oldest stored state is up to a stride away.
        needed = -(-(self.span + self.stride - 1) // self.stride) * self.stride
        if rows < needed:
            raise ValueError(
                f"buffer_size must be at least {needed * n_envs} to hold a sequence of "
                f"{self.span} environment steps of {n_envs} environments, got {buffer_size}; "
                "enlarge it or shorten the sequences"
            )
        # "Optimised" means that next observations are not stored separately.
        super().__init__(
            rows * n_envs,
            observation_space,
            action_space,
            device,
            n_envs,
            optimize_memory_usage=True,
            handle_timeout_termination=False,
        )
        self.episode_starts: NDArray[np.bool_] = np.zeros((rows, n_envs), np.bool_)
        self.states: NDArray[np.float32] = np.zeros(
            (rows // self.stride, n_envs, state_size), np.float32
        )

    @property
    def sequences(self) -> int:
        """Number of complete sequences of each environment."""
        return max(0, (self.size() - self._first - self.span) // self.stride + 1)

    @property
    def _oldest(self) -> int:
        return self.pos if self.full else 0

    @property
    def _first(self) -> int:
        """Number of rows from the oldest row to the first one whose state is stored."""
        return -self._oldest % self.stride

    def enter_step(self, states: NDArray[np.float32], starts: NDArray[np.bool_]) -> None:
        """Store episode starts (n_envs,) and, at every ``stride``-th row, states (n_envs, S).

        Call it before each ``add``. A start marks an unfinished last episode as truncated.
        """
        # Sequences begin only at these rows; other states are not needed.
        if self.pos % self.stride == 0:
            self.states[self.pos // self.stride] = states
        self.episode_starts[self.pos] = starts
        if self.size():
            last = self.pos - 1
            # A new episode cuts the last one if that did not end.
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
        """Add one step of every environment, after ``enter_step``; ignore ``next_obs``."""
        del next_obs  # the next step's obs
        row = self.pos
        self.observations[row] = np.asarray(obs).reshape(self.n_envs, *self.obs_shape)
        self.actions[row] = np.asarray(action).reshape(self.n_envs, self.action_dim)
        self.rewards[row] = reward
        self.dones[row] = done
        self.timeouts[row] = [info.get("TimeLimit.truncated", False) for info in infos]
        self.pos = (row + 1) % self.buffer_size
        # A ring that has been full stays full.
        self.full = self.full or self.pos == 0

    def sample(  # type: ignore[override]
        self, batch_size: int, env: VecNormalize | None = None
    ) -> SequenceSamples:
        """Draw sequences of ``batch_size`` steps in all, with replacement; ValueError if none."""
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
        """Return sequences by their numbers (B,), counted environment by environment."""
        envs, numbers = np.divmod(batch_inds, self.sequences)
        begin = (self._oldest + self._first + self.stride * numbers) % self.buffer_size
        rows = (begin + np.arange(self.span)[:, np.newaxis]) % self.buffer_size
        observations = self._normalize_obs(self.observations[rows, envs], env)
        batch = SequenceBatch(
            self.to_torch(observations),  # type: ignore[arg-type]
            self.to_torch(self.states[begin // self.stride, envs]),
            self.to_torch(self.episode_starts[rows, envs]),
            self.burn_in_steps,
        )
        # The last step only gives the value of its observation.
        learned = rows[self.burn_in_steps : -1]
        timeouts = self.timeouts[learned, envs] > 0
        return SequenceSamples(
            batch,
            self.to_torch(self.actions[learned[: self.sequence_length], envs]),
            self.to_torch(self._normalize_reward(self.rewards[learned, envs], env)),
            self.to_torch((self.dones[learned, envs] > 0) & ~timeouts),
            self.to_torch(timeouts),
        )


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


# ---- sequence learner ----------------------------------------------------------------------------
class SequenceLearner(BaseAlgorithm):
    """Stable-Baselines3 algorithm whose policy carries a state between environment steps."""

    def __init__(
        self,
        *args: Any,
        sequence_length: int | None,
        burn_in_steps: int,
        **kwargs: Any,
    ) -> None:
        self.sequence_length = sequence_length
        self.burn_in_steps = burn_in_steps
        self._last_states: Tensor | None = None
        super().__init__(*args, **{"device": "cpu", **kwargs})

    def states(self, n_envs: int) -> Tensor:
        """Return the states (n_envs, S) before the next step, set to rest if there are none."""
        # The number of environments may have changed.
        if self._last_states is None or len(self._last_states) != n_envs:
            self._last_states = self._stateful_policy.rest_state(n_envs)
        return self._last_states

    def acting_states(self) -> Tensor:
        """Return the acting network's states (n_envs, S') before the next step, for ``record``."""
        return self._stateful_policy.acting_state(self._reset_states(self.n_envs))

    def _starts(self) -> Tensor:
        """Return whether an episode starts with the next step (n_envs,)."""
        starts = np.asarray(self._last_episode_starts, np.bool_)
        return torch.as_tensor(starts, device=self.device)

    def _reset_states(self, n_envs: int) -> Tensor:
        """Return the states (n_envs, S) before the next step, at rest where an episode starts."""
        rest = self._stateful_policy.rest_state(1)
        return reset_where(self._starts(), self.states(n_envs), rest)

    @property
    def _stateful_policy(self) -> StatefulPolicy:
        assert isinstance(self.policy, StatefulPolicy)  # like the policies of its aliases
        return self.policy

    def _check_sequences(self, sequence_length: int, batch_size: int) -> None:
        """Raise ValueError if a length is wrong, or observations are a Dict."""
        if isinstance(self.observation_space, spaces.Dict):
            raise ValueError(
                f"{type(self).__name__} takes no Dict observations, got {self.observation_space}; "
                "wrap the environment in gymnasium.wrappers.FlattenObservation"
            )
        check_sequences(sequence_length, self.burn_in_steps)
        if batch_size < 1 or batch_size % sequence_length:
            raise ValueError(
                f"batch_size counts environment steps of whole sequences of {sequence_length}, got "
                f"{batch_size}; take a multiple of {sequence_length}"
            )

    @contextmanager
    def _temporarily(self, **attributes: Any) -> Iterator[None]:
        """Set attributes within a ``with`` block, and restore them after it."""
        # Stable-Baselines3 makes the buffer before the policy, whose state size our buffer needs:
        # for a while it makes the smallest buffer.
        former = {name: getattr(self, name) for name in attributes}
        vars(self).update(attributes)
        try:
            yield
        finally:
            vars(self).update(former)

    def _excluded_save_params(self) -> list[str]:
        # Episodes start anew after loading.
        return [*super()._excluded_save_params(), "_last_states"]
