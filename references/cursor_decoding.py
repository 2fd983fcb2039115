"""Scripted policies of cursor decoding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from references.policy import Privileged, Scripted
from snn_gym.envs.batch import EVERY
from snn_gym.envs.native.base import SpikeTask
from snn_gym.envs.native.cursor_decoding import (
    MAX_SPEED,
    NEURONS,
    SLOWING_DISTANCE,
    CursorDecoding,
    CursorDecodingSettings,
    preferred_directions,
)

_DIRECTIONS = 360
_START_DISTANCE, _START_VARIANCE = 0.6, 0.2
"""Prior of the decoder for the first target (workspace units, their square on each axis)."""
_STEP_VARIANCE = 0.01
"""Variance of the target's motion in an environment step, tuned on other seeds."""


class Straight(Privileged):
    """Policy that knows the target and moves straight to it at the best speed."""

    def choose(self, info: dict[str, Any], settings: Any) -> NDArray[np.float32]:
        """Return the ways (B, 2) to the targets in units of the longest step, cut to length 1."""
        del settings
        way = (info["target"] - info["cursor"]) / MAX_SPEED
        length = np.sqrt((way**2).sum(axis=1, keepdims=True))
        actions: NDArray[np.float32] = (way / np.maximum(length, 1.0)).astype(np.float32)
        return actions


class LinearMap(Scripted):
    """Best linear map from the spike counts of the present step to the intention.

    Ridge regression in closed form from the tuning, over directions of full intentions, spread
    evenly; no sample needed. It knows the original tuning, not the session's turn or lost channels.
    ``turn`` (radians) rotates its output.
    """

    def __init__(self, task: SpikeTask, turn: float = 0.0) -> None:
        settings: CursorDecodingSettings = task.settings
        weights, self._offset = linear_map(settings)
        cosine, sine = np.cos(turn), np.sin(turn)
        self._weights = weights @ np.array([[cosine, sine], [-sine, cosine]])
        self._offset = self._offset @ np.array([[cosine, sine], [-sine, cosine]])

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return the decoded direction (B, 2), a unit vector: full speed."""
        del starts
        read = spikes.sum(axis=1, dtype=np.float64) @ self._weights + self._offset
        return _full_speed(read)


class KalmanDecoder(Scripted):
    """Population vector with the session's true tuning, filtered by a Kalman filter.

    The state is the way from the cursor to the target: the cursor's velocity shortens it, and the
    target moves as a random walk. The population vector is the intention; multiplied by the
    estimated distance, or the slowing distance if that is longer, it measures the way. The hidden
    state gives the session's turn and lost channels only.
    """

    def __init__(self, task: CursorDecoding) -> None:
        self._task = task
        self._settings = task.settings
        self._preferred = preferred_directions(task.settings.tuning_seed)
        self._way = np.zeros((task.num_envs, 2))
        self._variance = np.ones(task.num_envs)

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return the estimated ways (B, 2) in units of the longest step, cut to length 1."""
        self._way[starts] = 0.0
        self._variance[starts] = _START_VARIANCE
        read, spread = self._population_vector(spikes)
        size = np.sqrt((self._way**2).sum(axis=1))
        size[starts] = _START_DISTANCE
        scale = np.maximum(size, SLOWING_DISTANCE)
        variance = self._variance + _STEP_VARIANCE
        weight = variance / (variance + spread * scale**2)
        self._way += weight[:, np.newaxis] * (read * scale[:, np.newaxis] - self._way)
        self._variance = (1.0 - weight) * variance
        size = np.sqrt((self._way**2).sum(axis=1, keepdims=True))
        velocity: NDArray[np.float64] = self._way / np.maximum(size, MAX_SPEED)
        self._way -= velocity * MAX_SPEED
        return velocity.astype(np.float32)

    def _population_vector(
        self, spikes: NDArray[np.int8]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the decoded intention (B, 2) and its variance on each axis (B,)."""
        settings = self._settings
        alive = self._task.alive(EVERY)
        living = alive.sum(axis=1)
        baseline = settings.baseline_hz / 1000.0
        gain = settings.modulation_hz / 1000.0 * settings.time_steps
        counts = spikes.sum(axis=1, dtype=np.float64)
        excess = np.where(alive, counts - baseline * settings.time_steps, 0.0)
        x, y = (excess @ self._preferred * (2.0 / (gain * living))[:, np.newaxis]).T
        scale: NDArray[np.float64] = living * np.float64(gain**2)
        spread = 2.0 * baseline * (1.0 - baseline) * settings.time_steps / scale
        turn = self._task.turn(EVERY)
        cosine, sine = np.cos(turn), np.sin(turn)
        return np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=1), spread


def linear_map(settings: CursorDecodingSettings) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weights (40, 2) and offset (2,) of the best linear map from counts to intention.

    With mean counts m(d) for directions d, the counts' covariance is the covariance of the means
    plus, on the diagonal, the mean variance of Bernoulli spikes: the ridge.
    """
    angles = np.arange(_DIRECTIONS) * (2.0 * np.pi / _DIRECTIONS)
    meant = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    drive = meant @ preferred_directions(settings.tuning_seed).T
    chance = np.maximum(settings.baseline_hz + settings.modulation_hz * drive, 0.0) / 1000.0
    means = settings.time_steps * chance
    middle = means.mean(axis=0)
    ridge = np.diag((settings.time_steps * chance * (1.0 - chance)).mean(axis=0))
    covariance = (means - middle).T @ (means - middle) / _DIRECTIONS + ridge
    weights = np.linalg.solve(covariance, (means - middle).T @ meant / _DIRECTIONS)
    assert weights.shape == (NEURONS, 2)
    return weights, -middle @ weights


def _full_speed(read: NDArray[np.float64]) -> NDArray[np.float32]:
    length = np.sqrt((read**2).sum(axis=1, keepdims=True))
    actions: NDArray[np.float32] = (read / np.maximum(length, 1e-9)).astype(np.float32)
    return actions


POLICIES: dict[str, Callable[[Any], Scripted]] = {
    "oracle": Straight,
    "decoder": KalmanDecoder,
    "memoryless": LinearMap,
    # The map turned by a right angle must earn nothing.
    "rotated": lambda task: LinearMap(task, turn=np.pi / 2),
}
FIXED_KIND = "memoryless"
