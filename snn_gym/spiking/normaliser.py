"""A running observation normaliser that lives inside a policy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from snn_gym.spiking.bookkeeping import BookkeepingModule

FIRST_OBSERVATIONS = 10_000
"""Observations that set the statistics of a policy that learns without rollouts."""
_EPSILON = 1e-8


class ObservationNormaliser(BookkeepingModule):
    """Standardise observations by statistics of the training data.

    One rule: statistics **accumulate** from training data (``accumulating``) and are **applied**
    only at the start of the next rollout, so that a rollout and its updates see one normaliser, and
    acting, evaluation and line searches never change it. The policy says when updates happen
    (``updates_started``) and when a rollout starts (``rollout_started``). Before the first
    application observations pass unchanged. What is applied is in ``state_dict``, what is
    accumulated is bookkeeping; both are saved with the policy.

    Where there are no statistics and no rollout has started, as in imitation of an expert, a batch
    that gradients are taken of is applied at once, and so are the next ones up to
    ``FIRST_OBSERVATIONS`` observations. ``fitting`` sets statistics from given data.

    Buffer names avoid ``running_``, which Stable-Baselines3's off-policy algorithms would copy
    from the online network to its target: both share one normaliser, and that copy zeroes a tensor
    that is its own target.

    Args:
        size: Values of an observation.
        clip: Standardised values are clipped to [-clip, clip].
    """

    mean: Tensor
    std: Tensor
    count: Tensor
    total: Tensor
    total_of_squares: Tensor
    due: Tensor

    def __init__(self, size: int, clip: float = 5.0) -> None:
        super().__init__()
        self.clip = clip
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))
        self.register_bookkeeping("count", torch.zeros(1, dtype=torch.float64))
        self.register_bookkeeping("total", torch.zeros(size, dtype=torch.float64))
        self.register_bookkeeping("total_of_squares", torch.zeros(size, dtype=torch.float64))
        self.register_bookkeeping("due", torch.zeros(1, dtype=torch.bool))
        self._accumulate = self._at_once = False
        self._rollouts = False
        self._first_batches = False

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)
        if not bool((self.std > 0).all()):
            args[-1].append(f"{prefix}std must be above 0, got {self.std.min().item()}")

    @contextmanager
    def accumulating(self, differentiated: bool = False) -> Iterator[None]:
        """Count observations that pass meanwhile as training data.

        Args:
            differentiated: Whether gradients are taken of them, so that they are applied at once
                if the normaliser ``awaits_data``.
        """
        self._accumulate = True
        self._at_once = self._first_batches = differentiated and self.awaits_data
        try:
            yield
        finally:
            self._accumulate = self._at_once = False

    def forward(self, observations: Tensor) -> Tensor:
        """Standardise observations (B, size), float."""
        if self._accumulate:
            self._add(observations.detach())
            if self._at_once:
                self._apply_statistics()
        return ((observations - self.mean) / self.std).clamp(-self.clip, self.clip)

    @property
    def awaits_data(self) -> bool:
        """Whether differentiated batches set the statistics, for want of rollouts."""
        if self._rollouts:
            return False
        if self._first_batches:
            return self.count.item() < FIRST_OBSERVATIONS
        unset = not bool(self.mean.any()) and bool((self.std == 1).all())
        return unset and self.count.item() == 0

    @contextmanager
    def fitting(self) -> Iterator[None]:
        """Set the statistics from the observations that pass meanwhile, and from nothing else.

        Raises:
            ValueError: Fewer than 2 observations passed.
        """
        for tensor in (self.count, self.total, self.total_of_squares):
            tensor.zero_()
        with self.accumulating():
            yield
        if self.count.item() < 2:
            raise ValueError(
                f"statistics need at least 2 observations, got {int(self.count.item())}; pass more"
            )
        self.due.fill_(False)
        self._apply_statistics()

    def _add(self, observations: Tensor) -> None:
        exact = observations.double()
        self.count += len(exact)
        self.total += exact.sum(0)
        self.total_of_squares += exact.square().sum(0)

    def updates_started(self) -> None:
        """Note that the rollout is over: the next one may see new statistics."""
        self.due.fill_(True)

    def rollout_started(self) -> None:
        """Standardise from now on by all that was accumulated, if updates came in between."""
        self._rollouts = True
        if not self.due.item():
            return
        self.due.fill_(False)
        self._apply_statistics()

    def _apply_statistics(self) -> None:
        if self.count.item() < 2:
            return
        mean = self.total / self.count
        variance = (self.total_of_squares / self.count - mean.square()).clamp(min=0.0)
        self.mean.copy_(mean)
        # A value that never varied passes centred instead of being blown up.
        self.std.copy_(torch.where(variance > _EPSILON, variance.sqrt(), 1.0))
