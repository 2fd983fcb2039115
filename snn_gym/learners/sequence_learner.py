"""Base of the learners with memory: lengths of sequences, and states that go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor

from snn_gym.learners.sequence_settings import check_sequences
from snn_gym.policies.stateful import StatefulPolicy, reset_where


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
