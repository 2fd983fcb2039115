"""Pendulum-v1, many environments at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.envs.classic_control.pendulum import DEFAULT_X, DEFAULT_Y
from gymnasium.envs.classic_control.utils import verify_number_and_cast
from numpy.typing import NDArray

from snn_gym.tasks.batched import BatchedTask


class BatchedPendulum(BatchedTask):
    """Gymnasium's ``Pendulum-v1`` in batches; see ``BatchedTask``.

    State: angle, 0 upright and not wrapped, and its velocity. Episodes end by truncation
    only. https://gymnasium.farama.org/environments/classic_control/pendulum/.
    """

    base_id = "Pendulum-v1"
    state_size = 2
    start_size = 2

    def __init__(self, num_envs: int = 1, *args: Any, **arguments: Any) -> None:
        super().__init__(num_envs, *args, **arguments)
        self._torque = np.zeros(num_envs, np.float32)

    def _start_states(
        self, numbers: NDArray[np.float64], options: dict[str, Any] | None
    ) -> NDArray[np.float64]:
        given = options or {}
        high: NDArray[np.float64] = np.array(
            [
                [verify_number_and_cast(given.get("x_init", DEFAULT_X))],
                [verify_number_and_cast(given.get("y_init", DEFAULT_Y))],
            ]
        )
        return -high + (high - -high) * numbers

    def _advance(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        task = self._task
        angle, velocity = self._state
        torque = np.clip(actions, -task.max_torque, task.max_torque)[:, 0]
        self._torque = torque
        # Squares as gymnasium's scalars have them: by C's pow, which may miss the last bit. For
        # float32, numpy reaches it from scalars only.
        squared_torque = np.array([value**2 for value in torque])
        costs = (
            np.float_power(((angle + np.pi) % (2 * np.pi)) - np.pi, 2)
            + 0.1 * np.float_power(velocity, 2)
            + 0.001 * squared_torque
        )
        velocity = (
            velocity
            + (3 * task.g / (2 * task.l) * np.sin(angle) + 3.0 / (task.m * task.l**2) * torque)
            * task.dt
        )
        velocity = np.clip(velocity, -task.max_speed, task.max_speed)
        self._state = np.stack([angle + velocity * task.dt, velocity])
        return -costs, np.zeros(self.num_envs, np.bool_)

    def _seen(self, state: NDArray[np.float64]) -> NDArray[np.float32]:
        observations = np.empty((state.shape[1], 3), np.float32)
        observations[:, 0], observations[:, 1] = np.cos(state[0]), np.sin(state[0])
        observations[:, 2] = state[1]
        return observations

    def _pose(self, index: int) -> None:
        super()._pose(index)
        # The torque's arrow; an episode's first picture has none.
        self._task.last_u = None if self._steps[index] == 0 else self._torque[index]
