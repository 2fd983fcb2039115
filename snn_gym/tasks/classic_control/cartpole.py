"""CartPole-v1, many environments at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.tasks.batched import BatchedTask


class BatchedCartPole(BatchedTask):
    """Gymnasium's ``CartPole-v1`` in batches; see ``BatchedTask``.

    State: cart position, its velocity, pole angle, its velocity. Barto, Sutton and
    Anderson, "Neuronlike adaptive elements that can solve difficult learning control
    problems", IEEE Trans. Systems, Man, and Cybernetics 13 (1983),
    https://doi.org/10.1109/TSMC.1983.6313077.
    """

    base_id = "CartPole-v1"
    state_size = 4
    start_size = 4
    start_bounds = (-0.05, 0.05)

    def _advance(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        task = self._task
        x, x_dot, theta, theta_dot = self._state
        force = np.where(actions == 1, task.force_mag, -task.force_mag)
        cosine, sine = np.cos(theta), np.sin(theta)
        push = (force + task.polemass_length * np.square(theta_dot) * sine) / task.total_mass
        theta_acc = (task.gravity * sine - cosine * push) / (
            task.length * (4.0 / 3.0 - task.masspole * np.square(cosine) / task.total_mass)
        )
        x_acc = push - task.polemass_length * theta_acc * cosine / task.total_mass
        # The rows are views of the state: positions first, which move with the old velocities.
        x += task.tau * x_dot
        x_dot += task.tau * x_acc
        theta += task.tau * theta_dot
        theta_dot += task.tau * theta_acc
        terminated = (np.abs(x) > task.x_threshold) | (np.abs(theta) > task.theta_threshold_radians)
        if task._sutton_barto_reward:
            return np.where(terminated, -1.0, 0.0), terminated
        return np.ones(self.num_envs), terminated
