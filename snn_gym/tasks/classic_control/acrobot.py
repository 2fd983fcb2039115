"""Acrobot-v1, many environments at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.tasks.batched import BatchedTask


class BatchedAcrobot(BatchedTask):
    """Gymnasium's ``Acrobot-v1`` in batches; see ``BatchedTask``.

    State: the two joints' angles, then their velocities. The swing is chaotic: a last bit
    lost here would be another trajectory some hundred steps later. Sutton,
    "Generalization in reinforcement learning: successful examples using sparse coarse
    coding", NeurIPS 8 (1996), https://papers.nips.cc/paper/1109.
    """

    base_id = "Acrobot-v1"
    state_size = 4
    start_size = 4
    start_bounds = (-0.1, 0.1)

    def _start_states(
        self, numbers: NDArray[np.float64], options: dict[str, Any] | None
    ) -> NDArray[np.float64]:
        # Gymnasium rounds start states to float32.
        return super()._start_states(numbers, options).astype(np.float32).astype(np.float64)

    def _advance(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        task = self._task
        torque = np.array(task.AVAIL_TORQUE)[actions]
        state = self._state
        half = task.dt / 2.0
        k1 = self._derivative(state, torque)
        k2 = self._derivative(state + half * k1, torque)
        k3 = self._derivative(state + half * k2, torque)
        k4 = self._derivative(state + task.dt * k3, torque)
        state = state + task.dt / 6.0 * (k1 + 2 * k2 + 2 * k3 + k4)
        state[:2] = _wrapped(state[:2])
        state[2] = np.clip(state[2], -task.MAX_VEL_1, task.MAX_VEL_1)
        state[3] = np.clip(state[3], -task.MAX_VEL_2, task.MAX_VEL_2)
        self._state = state
        terminated = -np.cos(state[0]) - np.cos(state[1] + state[0]) > 1.0
        return np.where(terminated, 0.0, -1.0), terminated

    def _derivative(
        self, state: NDArray[np.float64], torque: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return d(state)/dt (4, B), in the form of Sutton and Barto's book."""
        task = self._task
        m1, m2 = task.LINK_MASS_1, task.LINK_MASS_2
        l1, lc1, lc2 = task.LINK_LENGTH_1, task.LINK_COM_POS_1, task.LINK_COM_POS_2
        inertia = task.LINK_MOI
        gravity = 9.8
        theta1, theta2, velocity1, velocity2 = state
        cosine2, sine2 = np.cos(theta2), np.sin(theta2)
        d1 = m1 * lc1**2 + m2 * (l1**2 + lc2**2 + 2 * l1 * lc2 * cosine2) + inertia + inertia
        d2 = m2 * (lc2**2 + l1 * lc2 * cosine2) + inertia
        phi2 = m2 * lc2 * gravity * np.cos(theta1 + theta2 - np.pi / 2.0)
        phi1 = (
            -m2 * l1 * lc2 * _squared(velocity2) * sine2
            - 2 * m2 * l1 * lc2 * velocity2 * velocity1 * sine2
            + (m1 * lc1 + m2 * l1) * gravity * np.cos(theta1 - np.pi / 2)
            + phi2
        )
        acceleration2 = (
            torque + d2 / d1 * phi1 - m2 * l1 * lc2 * _squared(velocity1) * sine2 - phi2
        ) / (m2 * lc2**2 + inertia - _squared(d2) / d1)
        acceleration1 = -(d2 * acceleration2 + phi1) / d1
        return np.stack([velocity1, velocity2, acceleration1, acceleration2])

    def _seen(self, state: NDArray[np.float64]) -> NDArray[np.float32]:
        observations = np.empty((state.shape[1], 6), np.float32)
        observations[:, 0], observations[:, 1] = np.cos(state[0]), np.sin(state[0])
        observations[:, 2], observations[:, 3] = np.cos(state[1]), np.sin(state[1])
        observations[:, 4:] = state[2:].T
        return observations

    def _seen_first(self, state: NDArray[np.float64]) -> NDArray[np.float32]:
        # The cosine of a float32 is not always the rounded cosine of the same float64.
        return self._seen(state.astype(np.float32))


def _squared(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values² as gymnasium's scalars have it: by C's pow, which may miss the last bit."""
    result: NDArray[np.float64] = np.float_power(values, 2)
    return result


def _wrapped(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return angles in [−π, π], by as many subtractions of 2π as it takes."""
    turn = np.pi - -np.pi
    while (over := angles > np.pi).any():
        angles = np.where(over, angles - turn, angles)
    while (under := angles < -np.pi).any():
        angles = np.where(under, angles + turn, angles)
    return angles
