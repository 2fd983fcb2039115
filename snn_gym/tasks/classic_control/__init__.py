"""Gymnasium's classic control tasks, many environments at once.

The equations are gymnasium's, operation by operation and dtype by dtype, so that every
number is equal to the last bit: https://gymnasium.farama.org/environments/classic_control/.
"""

from snn_gym.tasks.batched import BatchedTask
from snn_gym.tasks.classic_control.acrobot import BatchedAcrobot
from snn_gym.tasks.classic_control.cartpole import BatchedCartPole
from snn_gym.tasks.classic_control.mountain_car import (
    BatchedMountainCar,
    BatchedMountainCarContinuous,
)
from snn_gym.tasks.classic_control.pendulum import BatchedPendulum

BATCHED_TASKS: dict[str, type[BatchedTask]] = {
    task.base_id: task
    for task in (
        BatchedAcrobot,
        BatchedCartPole,
        BatchedMountainCar,
        BatchedMountainCarContinuous,
        BatchedPendulum,
    )
}
"""Batched tasks by gymnasium's id."""

__all__ = [
    "BATCHED_TASKS",
    "BatchedAcrobot",
    "BatchedCartPole",
    "BatchedMountainCar",
    "BatchedMountainCarContinuous",
    "BatchedPendulum",
]
