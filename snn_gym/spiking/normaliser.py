"""Running normaliser of observations, part of a policy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from snn_gym.spiking.bookkeeping import BookkeepingModule

FIRST_OBSERVATIONS = 10_000
"""Observations that set the statistics of a policy that learns without rollouts."""
# Rounding gives a constant, added up a million times, a variance of 3e-11 of its mean square.
_CONSTANT = 1e-9


class ObservationNormaliser(BookkeepingModule):
    """Standardise observations by statistics of the training data.

    Statistics **accumulate** from training data (``accumulating``) and are **applied** only when
    the next rollout starts. A rollout and its updates therefore use one normaliser, and acting,
    evaluation and line searches never change it. The policy calls ``updates_started`` and
    ``rollout_started``. Before the first application observations pass unchanged. The applied
    statistics are in ``state_dict``, the accumulated ones are bookkeeping; both are saved with the
    policy. A value whose variance is at most 1e-9 of its mean square is constant, and is only
    centred; the unit of a value makes no difference.

    Without statistics and without a rollout, as in imitation of an expert, a batch that gradients
    are taken of is applied at once, up to ``FIRST_OBSERVATIONS`` observations in total. ``fitting``
    sets the statistics from given data.

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
        # No name begins with ``running_``: Stable-Baselines3's off-policy algorithms copy such
        # buffers to the target network, which shares this module, and the copy would zero them.
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))
        self.register_bookkeeping("count", torch.zeros(1, dtype=torch.float64))
        self.register_bookkeeping("total", torch.zeros(size, dtype=torch.float64))
        self.register_bookkeeping("total_of_squares", torch.zeros(size, dtype=torch.float64))
        self.register_bookkeeping("due", torch.zeros(1, dtype=torch.bool))
        self._accumulate = self._at_once = self._rollouts = self._first_batches = False

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)
        if not bool((self.std > 0).all()):
            args[-1].append(f"{prefix}std must be above 0, got {self.std.min().item()}")

    @contextmanager
    def accumulating(self, differentiated: bool = False) -> Iterator[None]:
        """Count the observations of this context as training data.

        Args:
            differentiated: Whether gradients are taken of them; if so, they are applied at once
                while the normaliser ``awaits_data``.
        """
        self._accumulate = True
        self._at_once = self._first_batches = differentiated and self.awaits_data
        try:
            yield
        finally:
            self._accumulate = self._at_once = False

    def forward(self, observations: Tensor) -> Tensor:
        """Standardise and clip observations (B, size); in ``accumulating``, first add them up."""
        if self._accumulate:
            exact = observations.detach().double()
            self.count += len(exact)
            self.total += exact.sum(0)
            self.total_of_squares += exact.square().sum(0)
            if self._at_once:
                self._apply_statistics()
        return ((observations - self.mean) / self.std).clamp(-self.clip, self.clip)

    @property
    def awaits_data(self) -> bool:
        """Whether differentiated batches set the statistics: no rollout yet, and too few data."""
        if self._rollouts:
            return False
        if self._first_batches:
            return self.count.item() < FIRST_OBSERVATIONS
        unset = not bool(self.mean.any()) and bool((self.std == 1).all())
        return unset and self.count.item() == 0

    @contextmanager
    def fitting(self) -> Iterator[None]:
        """Set the statistics from the observations of this context alone.

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

    def updates_started(self) -> None:
        """Mark the end of a rollout, so that the next one applies new statistics."""
        self.due.fill_(True)

    def rollout_started(self) -> None:
        """Apply the statistics of all data so far, if updates happened since the last rollout."""
        self._rollouts = True
        if self.due.item():
            self.due.fill_(False)
            self._apply_statistics()

    def _apply_statistics(self) -> None:
        if self.count.item() < 2:
            return
        mean = self.total / self.count
        mean_square = self.total_of_squares / self.count
        variance = mean_square - mean.square()
        # The least normal float32 keeps the standard deviation above 0.
        rounding = (_CONSTANT * mean_square).clamp(min=torch.finfo(torch.float32).tiny)
        self.mean.copy_(mean)
        # A value that never varied passes centred instead of being blown up.
        self.std.copy_(torch.where(variance > rounding, variance.clamp(min=0.0).sqrt(), 1.0))
