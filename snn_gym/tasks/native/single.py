"""One environment of a native spiking task, as ``gym.make`` makes it."""

from __future__ import annotations

from typing import Any, ClassVar

from snn_gym.tasks.native.batch import SpikeTask
from snn_gym.tasks.single import SingleEnv


class SpikeTaskEnv(SingleEnv):
    """One environment of a native task; observations are spikes (T, N), int8.

    Args:
        render_mode: ``human``, ``rgb_array`` or None.
        **settings: Fields of the task's settings.

    Raises:
        ValueError: An argument is not allowed; the message names what is.
    """

    task_class: ClassVar[type[SpikeTask]]
    """The task in batches."""

    def __init__(self, render_mode: str | None = None, **settings: Any) -> None:
        super().__init__(self.task_class, render_mode, num_envs=1, **settings)

    @property
    def task(self) -> SpikeTask:
        """The task, as a batch of one."""
        assert isinstance(self.batch, SpikeTask)  # the task_class makes one
        return self.batch
