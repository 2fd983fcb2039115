"""Small environments with steps that can be computed by hand."""

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class Ledger(gym.Env):
    """Count steps and record every action, in episodes of given lengths.

    Episode k (0, 1, 2, …) ends after ``lengths[k % len]`` steps: by termination if k is
    even, by truncation if it is odd, by both if k is divisible by 4. Rewards are 0.1.
    """

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, lengths=(2, 3, 1), buffer=None):
        self.lengths = lengths
        self.observation_space = spaces.Box(-1, 1000, (2,), np.float32)
        self.action_space = spaces.Discrete(1000)
        self.actions = []
        self.episode = -1
        self.count = 0
        self.render_mode = None
        # shared between steps, as some environments do
        self._observation = np.zeros(2, np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode += 1
        self.count = 0
        self._observation[:] = (self.episode, 0)
        return self._observation.copy(), {"episode_number": self.episode, "options": str(options)}

    def step(self, action):
        self.actions.append(int(action))
        self.count += 1
        self._observation[:] = (self.episode, self.count)
        over = self.count == self.lengths[self.episode % len(self.lengths)]
        terminated = over and self.episode % 2 == 0
        truncated = over and (self.episode % 2 == 1 or self.episode % 4 == 0)
        return self._observation.copy(), 0.1, terminated, truncated, {"action": int(action)}


class Mixed(gym.Env):
    """Environment with random Dict observations from its generator."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self):
        self.observation_space = spaces.Dict(
            {
                "image": spaces.Box(0, 255, (2, 2, 1), np.uint8),
                "number": spaces.Discrete(7),
                "vector": spaces.Box(-1, 1, (3,), np.float32),
            }
        )
        self.action_space = spaces.MultiDiscrete([3, 4])
        self.render_mode = None

    def _observe(self):
        return {
            "image": self.np_random.integers(0, 256, (2, 2, 1)).astype(np.uint8),
            "number": int(self.np_random.integers(7)),
            "vector": self.np_random.uniform(-1, 1, 3).astype(np.float32),
        }

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._observe(), {}

    def step(self, action):
        over = self.np_random.random() < 0.2
        reward = float(self.np_random.normal() + np.sum(action))
        return self._observe(), reward, bool(over), False, {}
