"""MountainCar-v0 and MountainCarContinuous-v0, many environments at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.tasks.batched import BatchedTask


class _MountainCarStarts(BatchedTask):
    """The start states that both tasks have in common: a position, no velocity."""

    state_size = 2
    start_size = 1
    start_bounds = (-0.6, -0.4)

    def _start_states(
        self, numbers: NDArray[np.float64], options: dict[str, Any] | None
    ) -> NDArray[np.float64]:
        positions = super()._start_states(numbers, options)
        return np.concatenate([positions, np.zeros_like(numbers)])


class BatchedMountainCar(_MountainCarStarts):
    """Gymnasium's ``MountainCar-v0`` in batches; see ``BatchedTask``.

    State: position and velocity. Moore, "Efficient memory-based learning for robot
    control", PhD thesis, University of Cambridge (1990),
    https://www.cl.cam.ac.uk/techreports/UCAM-CL-TR-209.pdf.
    """

    base_id = "MountainCar-v0"

    def _advance(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        task = self._task
        position, velocity = self._state
        # actions may be unsigned
        velocity = velocity + (
            (actions.astype(np.int64) - 1) * task.force + _cosine(3 * position) * -task.gravity
        )
        velocity = np.clip(velocity, -task.max_speed, task.max_speed)
        position = np.clip(position + velocity, task.min_position, task.max_position)
        velocity[(position == task.min_position) & (velocity < 0)] = 0
        terminated = (position >= task.goal_position) & (velocity >= task.goal_velocity)
        self._state = np.stack([position, velocity])
        return np.full(self.num_envs, -1.0), terminated


class BatchedMountainCarContinuous(_MountainCarStarts):
    """Gymnasium's ``MountainCarContinuous-v0`` in batches; see ``BatchedTask``.

    State: position and velocity; gymnasium keeps them in float32 from the first step of
    an episode on and moves in float32 from then on, and so do we.
    """

    base_id = "MountainCarContinuous-v0"

    def _advance(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        task = self._task
        force: NDArray[np.float32] = actions[:, 0]
        first = self._steps == 0
        start = self._state
        later = start.astype(np.float32)
        pull = 0.0025 * _cosine(np.where(first, 3 * start[0], 3 * later[0]))
        # Within the limits the force is a float32 and so is what it is added to; beyond them
        # gymnasium puts Python's own float in its place.
        clipped = np.clip(force, task.min_action, task.max_action)
        exact = clipped.astype(np.float64) * task.power - pull
        rounded = clipped * task.power - pull.astype(np.float32)
        acceleration = np.where(clipped == force, rounded, exact)
        state = self._moved(later, acceleration.astype(np.float32))
        terminated = self._at_goal(state)
        if first.any():
            moved = self._moved(start, acceleration)
            terminated = np.where(first, self._at_goal(moved), terminated)
            state = np.where(first, moved.astype(np.float32), state)
        self._state = state.astype(np.float64)
        # The square of a float32 is exact in float64.
        cost = np.square(force.astype(np.float64)) * 0.1
        return np.where(terminated, 100.0, 0.0) - cost, terminated

    def _moved(self, state: NDArray[Any], acceleration: NDArray[Any]) -> NDArray[Any]:
        """Return the next positions and velocities (2, B), in the dtype of the arguments."""
        task = self._task
        position, velocity = state
        velocity = np.clip(velocity + acceleration, -task.max_speed, task.max_speed)
        position = np.clip(position + velocity, task.min_position, task.max_position)
        velocity[(position == task.min_position) & (velocity < 0)] = 0
        return np.stack([position, velocity])

    def _at_goal(self, state: NDArray[Any]) -> NDArray[np.bool_]:
        position, velocity = state
        at_goal: NDArray[np.bool_] = (position >= self._task.goal_position) & (
            velocity >= self._task.goal_velocity
        )
        return at_goal


def _cosine(angles: NDArray[Any]) -> NDArray[np.float64]:
    """Return cosines by the C library, as gymnasium's ``math.cos``; numpy's may differ."""
    return np.array([math.cos(angle) for angle in angles.tolist()])
