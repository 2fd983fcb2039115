"""Small environments for the learners."""

import gymnasium as gym
import numpy as np


class Steady(gym.Env):
    """Three steps an episode with the seed as reward; some steps are not finite."""

    def __init__(self, low=-1.0, action_space=None, bad_step=0, blind_step=None):
        self.observation_space = gym.spaces.Box(low, -low, (2,), np.float32)
        self.action_space = action_space or gym.spaces.Discrete(2)
        self.bad_step, self.blind_step = bad_step, blind_step

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        self.bonus = 0.0 if seed is None else float(seed)
        return self._see(), {}

    def step(self, action):
        self.steps += 1
        reward = float("nan") if self.steps == self.bad_step else self.bonus
        return self._see(), reward, self.steps == 3, False, {}

    def _see(self):
        return np.array([0.0, np.inf if self.steps == self.blind_step else 0.0], np.float32)
