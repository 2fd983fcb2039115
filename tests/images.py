"""Environments with image observations, registered on import."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

SMALL, LARGE, FLOATS = "SmallPicture-v0", "LargePicture-v0", "FloatPicture-v0"


class Pictures(gym.Env[Any, Any]):
    """Lit pixel on noise: the reward is its share of the width to the chosen side."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012 - as gymnasium has it

    def __init__(
        self, shape: tuple[int, int, int], dtype: str = "uint8", render_mode: str | None = None
    ) -> None:
        self.top = 255 if dtype == "uint8" else 1.0
        self.observation_space = gym.spaces.Box(0, self.top, shape, np.dtype(dtype).type)
        self.action_space = gym.spaces.Discrete(2)
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self._light(), {}

    def step(self, action: Any) -> Any:
        reward = float(self._column if action else -self._column)
        return self._light(), reward, False, False, {}

    def render(self) -> Any:
        return np.zeros((16, 16, 3), np.uint8)

    def _light(self) -> Any:
        ground = self.np_random.random(self.observation_space.shape) * self.top / 4
        picture = ground.astype(self.observation_space.dtype)
        self._column = int(self.np_random.integers(picture.shape[1]))
        picture[:, self._column, 0] = self.top
        return picture


gym.register(SMALL, Pictures, kwargs={"shape": (10, 10, 4)}, max_episode_steps=8)
gym.register(LARGE, Pictures, kwargs={"shape": (40, 40, 3)}, max_episode_steps=8)
gym.register(
    FLOATS, Pictures, kwargs={"shape": (10, 10, 4), "dtype": "float32"}, max_episode_steps=8
)
