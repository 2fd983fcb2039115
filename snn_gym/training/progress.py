"""Progress of a training: one line that is written over on a terminal, else ten lines."""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from snn_gym.learners.sequence_learner import SequenceLearner
from snn_gym.program.costs import NOT_COUNTED
from snn_gym.training.undisturbed import undisturbed

PROGRESS_INTERVAL_S = 2.0
"""Seconds between counts of operations, where nobody says otherwise."""
_PLAIN_LINES = 10
_LONGEST_BETWEEN_LINES_S = 0.5
_WINDOW = 30
"""Seconds that the speed is over; what is compiled at the start soon counts no more."""
_ERASE_REST = "\x1b[K"


class ProgressCallback(BaseCallback):
    """Write to standard error how a training is doing.

    Steps, the mean return of the last episodes (100 at most), operations of a decision in the
    states that the environments are in, steps per second in the last half minute and the time left
    at that speed. On a terminal one line is written over twice in a second; elsewhere ten lines are
    written in all. Counting draws no random numbers and changes nothing that learns.

    Args:
        total: Environment steps of the whole training.
        interval_s: Least seconds between counts of operations, which begin at rollouts; at 0 every
            rollout is counted, and every step writes the line over.

    Raises:
        ValueError: The interval is below 0.
    """

    def __init__(self, total: int, interval_s: float = PROGRESS_INTERVAL_S) -> None:
        super().__init__()
        if not interval_s >= 0:
            raise ValueError(
                f"interval_s must be at least 0 seconds between counts, got {interval_s}"
            )
        self._total = total
        self._between_counts_s = interval_s
        self._between_lines_s = min(interval_s, _LONGEST_BETWEEN_LINES_S)
        self._operations = ""
        self._passed: deque[tuple[float, int]] = deque(maxlen=_WINDOW)
        self._shown_s = self._counted_s = 0.0
        self._tenth = 0

    def _on_training_start(self) -> None:
        begun_at = self.model.num_timesteps
        self._shown_s = time.monotonic()
        self._passed.append((self._shown_s, begun_at))
        self._counted_s = self._shown_s - self._between_counts_s
        self._tenth = begun_at * _PLAIN_LINES // self._total

    def _on_rollout_start(self) -> None:
        now = time.monotonic()
        if now - self._passed[-1][0] >= 1.0:
            self._passed.append((now, self.model.num_timesteps))
        if now - self._counted_s >= self._between_counts_s:
            self._operations, self._counted_s = _operations(self.model), now

    def _on_step(self) -> bool:
        if sys.stderr.isatty():
            now = time.monotonic()
            if now - self._shown_s >= self._between_lines_s:
                sys.stderr.write(f"\r{self.line()}{_ERASE_REST}")
                sys.stderr.flush()
                self._shown_s = now
        else:
            # Training ends after whole rollouts, maybe beyond the total.
            tenth = min(self.num_timesteps * _PLAIN_LINES // self._total, _PLAIN_LINES)
            if tenth > self._tenth:
                self._tenth = tenth
                sys.stderr.write(f"{self.line()}\n")
        return True

    def _on_training_end(self) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{_ERASE_REST}")

    def line(self) -> str:
        """Return how the training is doing."""
        done = self.model.num_timesteps
        since_s, since = self._passed[0]
        speed = (done - since) / max(time.monotonic() - since_s, 1e-9)
        left_s = max(self._total - done, 0) / max(speed, 1e-9)
        ended = [episode["r"] for episode in self.model.ep_info_buffer or ()]
        shown = f"return {np.mean(ended):,.1f}" if ended else "no episode has ended"
        parts = [
            f"{done:,} of {self._total:,} steps",
            shown,
            *([self._operations] if self._operations else []),
            f"{speed:,.0f} steps/s",
            f"{_duration(left_s)} left",
        ]
        return " | ".join(parts)


def _operations(model: Any) -> str:
    """Return the operations of a decision where the environments are; empty where not known."""
    gradients = isinstance(model, OnPolicyAlgorithm | OffPolicyAlgorithm)
    if not gradients or model._last_obs is None or not hasattr(model.policy, "record"):
        return ""
    state = model.acting_states() if isinstance(model, SequenceLearner) else None
    with undisturbed(model.policy):
        costs = model.policy.record(model._last_obs, state).costs
    operations = costs.operations_per_decision
    if operations is None:
        return f"operations {NOT_COUNTED}"
    return f"{operations:,.0f} operations a decision"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
