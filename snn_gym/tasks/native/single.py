"""One environment of a native spiking task, as ``gym.make`` makes it."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from snn_gym.tasks.native.batch import SpikeTask
from snn_gym.tasks.rendering import Window

_NOBODY = np.empty(0, np.int64)


class SpikeTaskEnv(gym.Env[NDArray[np.int8], Any]):
    """One environment of a native task: a batch of one, as ``gym.make`` makes it.

    Args:
        render_mode: ``human``, ``rgb_array`` or None.
        **settings: Fields of the task's settings.

    Raises:
        ValueError: An argument is not allowed; the message names what is.
    """

    metadata = {  # noqa: RUF012 - gymnasium's own type
        "render_modes": ["human", "rgb_array"],
        "render_fps": SpikeTask.metadata["render_fps"],
    }
    task_class: ClassVar[type[SpikeTask]]
    """The task in batches."""

    def __init__(self, render_mode: str | None = None, **settings: Any) -> None:
        modes = self.metadata["render_modes"]
        if render_mode is not None and render_mode not in modes:
            raise ValueError(
                f"render_mode {render_mode!r} is unknown; allowed modes: {', '.join(modes)}"
            )
        self.render_mode = render_mode
        drawn = None if render_mode is None else "rgb_array"
        self.task = self.task_class(1, render_mode=drawn, **settings)
        self.observation_space = self.task.single_observation_space
        self.action_space = self.task.single_action_space
        self._window = Window(self.metadata["render_fps"]) if render_mode == "human" else None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.int8], dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Seed of everything random; None goes on with the present streams.
            options: None are known.

        Returns:
            Spikes (T, N), int8, and the info.

        Raises:
            ValueError: There are options.
        """
        super().reset(seed=seed)
        spikes, infos = self.task.reset(seed=seed, options=options)
        self._show()
        return spikes[0].copy(), {
            key: _plain(value[0]) for key, value in infos.items() if not key.startswith("_")
        }

    def step(self, action: Any) -> tuple[NDArray[np.int8], float, bool, bool, dict[str, Any]]:
        """Make one environment step.

        Args:
            action: Action of the task.

        Returns:
            Spikes (T, N), int8; reward; terminated; truncated, which is left to gymnasium's
            ``TimeLimit``; and the info.

        Raises:
            gymnasium.error.ResetNeeded: There was no reset before.
            ValueError: The action does not fit the action space.
        """
        spikes, rewards, terminated, _, info = self.task.advance(
            self.task.checked(np.asarray(action)[np.newaxis])
        )
        self.task.keep(spikes, _NOBODY)
        self._show()
        values = {key: _plain(value[0]) for key, value in info.items()}
        return spikes[0].copy(), float(rewards[0]), bool(terminated[0]), False, values

    def render(self) -> NDArray[np.uint8] | None:
        """Draw the scene beside the latest spikes.

        Returns:
            Image (height, width, 3), uint8, in mode ``rgb_array``; else None.
        """
        if self.render_mode is None:
            gym.logger.warn(
                "render() draws nothing without a render mode; "
                'make the environment with gym.make(id, render_mode="rgb_array")'
            )
        return self.task.draw(0) if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()

    def _show(self) -> None:
        if self._window is not None:
            self._window.show(self.task.draw(0))


def _plain(value: Any) -> Any:
    """Return Python's number for numpy's, a copy of an array."""
    return value.item() if isinstance(value, np.generic) else value.copy()
