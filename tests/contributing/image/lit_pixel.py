"""Pictures of 10 by 10 pixels: one is lit, on the left or on the right, and says where to go."""

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray


class LitPixel(gym.Env[NDArray[np.uint8], np.int64]):
    """Earn 1 for each step to the side of the lit pixel."""

    observation_space = gym.spaces.Box(0, 255, (10, 10, 4), np.uint8)
    action_space = gym.spaces.Discrete(2)
    render_mode = None

    def reset(self, *, seed=None, options=None):
        """Light a pixel."""
        super().reset(seed=seed)
        return self._light(), {}

    def step(self, action):
        """Move, and light another pixel."""
        reward = float(action == self._right)
        return self._light(), reward, False, False, {}

    def _light(self):
        self._right = int(self.np_random.integers(2))
        picture = np.zeros((10, 10, 4), np.uint8)
        picture[self.np_random.integers(10), 9 * self._right, 0] = 255
        return picture
