"""Sequences of decisions with the state that they began in: replay, rollouts, their learner."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import DictRolloutBuffer, ReplayBuffer, RolloutBuffer
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from snn_gym.learners.settings import check_sequences
from snn_gym.policies.stateful import SequenceBatch, StatefulPolicy, reset_where


# ---- sequence replay -----------------------------------------------------------------------------
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


# ---- sequence rollouts ---------------------------------------------------------------------------
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


# ---- sequence learner ----------------------------------------------------------------------------
class SequenceLearner(BaseAlgorithm):
    """A Stable-Baselines3 algorithm whose policy's state goes on from step to step.

    Args:
        *args: Of the algorithm.
        sequence_length: Environment steps of a sequence; None for all that there are.
        bptt_steps: Environment steps that a gradient passes back; None for whole sequences.
        burn_in_steps: Environment steps before a sequence that bring its state up to date.
        **kwargs: Of the algorithm.
    """

    def __init__(
        self,
        *args: Any,
        sequence_length: int | None,
        bptt_steps: int | None,
        burn_in_steps: int,
        **kwargs: Any,
    ) -> None:
        self.sequence_length = sequence_length
        self.bptt_steps = bptt_steps
        self.burn_in_steps = burn_in_steps
        self._last_states: Tensor | None = None
        super().__init__(*args, **{"device": "cpu", **kwargs})

    def states(self, n_envs: int) -> Tensor:
        """Return the present states (n_envs, S) before the next step, at rest if there are none."""
        if self._last_states is None or len(self._last_states) != n_envs:
            self._last_states = self._stateful_policy.rest_state(n_envs)
        return self._last_states

    def acting_states(self) -> Tensor:
        """Return the acting network's part (n_envs, S') of the states before the next step.

        It is at rest where an episode starts, and what ``policy.record`` takes.
        """
        policy = self._stateful_policy
        starts = torch.as_tensor(
            np.asarray(self._last_episode_starts, np.bool_), device=self.device
        )
        states = reset_where(starts, self.states(self.n_envs), policy.rest_state(1))
        return policy.acting_state(states)

    @property
    def _stateful_policy(self) -> StatefulPolicy:
        assert isinstance(self.policy, StatefulPolicy)  # as the policies of its aliases are
        return self.policy

    def _check_lengths(self, sequence_length: int, batch_size: int) -> None:
        check_sequences(sequence_length, self.burn_in_steps, self.bptt_steps)
        if batch_size < 1 or batch_size % sequence_length:
            raise ValueError(
                f"batch_size counts environment steps of whole sequences of {sequence_length}, got "
                f"{batch_size}; take a multiple of {sequence_length}"
            )

    @contextmanager
    def _temporarily(self, **attributes: Any) -> Iterator[None]:
        """Set attributes for a while.

        A buffer needs the size of the policy's state, and Stable-Baselines3 makes the buffer before
        the policy: meanwhile it makes the least that it can.
        """
        kept = {name: getattr(self, name) for name in attributes}
        vars(self).update(attributes)
        try:
            yield
        finally:
            vars(self).update(kept)

    def _excluded_save_params(self) -> list[str]:
        # Where it loads, episodes start anew.
        return [*super()._excluded_save_params(), "_last_states"]
