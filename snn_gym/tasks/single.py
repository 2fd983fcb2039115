"""One environment of a batch, as ``gym.make`` makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from snn_gym.tasks.batch_env import NOBODY, BatchEnv, single_render_mode
from snn_gym.tasks.rendering import Window, warn_of_no_render_mode


class SingleEnv(gym.Env[NDArray[Any], Any]):
    """A batch of one, without the batch's axis, its limit and its automatic resets.

    Args:
        make_batch: Makes the batch, which is told ``render_mode`` and ``arguments``.
        render_mode: ``human``, ``rgb_array`` or None.
        **arguments: Arguments of the batch.

    Raises:
        ValueError: An argument is not allowed; the message names what is.
    """

    metadata: dict[str, Any] = {"render_modes": ["human", "rgb_array"]}  # noqa: RUF012 - gymnasium's own type

    def __init__(
        self,
        make_batch: Callable[..., BatchEnv],
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        modes = self.metadata["render_modes"]
        if render_mode is not None and render_mode not in modes:
            raise ValueError(
                f"render_mode {render_mode!r} is unknown; allowed modes: {', '.join(modes)}"
            )
        self.render_mode = render_mode
        self.batch = make_batch(render_mode=single_render_mode(render_mode), **arguments)
        self.metadata = {**self.metadata, "render_fps": self.batch.metadata["render_fps"]}
        self.observation_space = self.batch.single_observation_space
        self.action_space = self.batch.single_action_space
        self._window = Window(self.metadata["render_fps"]) if render_mode == "human" else None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Seed of everything random; None goes on with the present streams.
            options: None are known, unless the task says so.

        Returns:
            The observation and the info.

        Raises:
            ValueError: An option is unknown or has a wrong value.
        """
        super().reset(seed=seed)
        observations, infos = self.batch.reset(seed=seed, options=options)
        self._show()
        return observations[0].copy(), {
            key: _plain(value[0]) for key, value in infos.items() if not key.startswith("_")
        }

    def step(self, action: Any) -> tuple[NDArray[Any], float, bool, bool, dict[str, Any]]:
        """Make one environment step.

        Args:
            action: Action of the task.

        Returns:
            The observation; reward; terminated; truncated, which is left to gymnasium's
            ``TimeLimit``; and the info.

        Raises:
            gymnasium.error.ResetNeeded: There was no reset before.
            ValueError: The action does not fit the action space.
        """
        actions = self.batch.checked(np.asarray(action)[np.newaxis])
        observations, rewards, terminated, _, info = self.batch.advance(actions)
        self.batch.keep(observations, NOBODY)
        self._show()
        values = {key: _plain(value[0]) for key, value in info.items()}
        return observations[0].copy(), float(rewards[0]), bool(terminated[0]), False, values

    def render(self) -> NDArray[np.uint8] | None:
        """Draw the environment.

        Returns:
            Image (height, width, 3), uint8, in mode ``rgb_array``; else None.
        """
        if self.render_mode is None:
            warn_of_no_render_mode("gym.make")
        return self.batch.draw(0) if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()

    def _show(self) -> None:
        if self._window is not None:
            self._window.show(self.batch.draw(0))


def _plain(value: Any) -> Any:
    """Return Python's number for numpy's, a copy of an array."""
    return value.item() if isinstance(value, np.generic) else value.copy()
