"""Memory task: report the cue that was shown at the start."""

from typing import Any

import gymnasium as gym
import numpy as np


class Recall(gym.Env[np.ndarray[Any, Any], np.int64]):
    """A cue is shown at the first step and asked for at the last step.

    Observation: (cue is 0, cue is 1, asked now), 0 or 1. The action at the last step earns 1 if it
    names the cue, else 0: without memory half of the episodes, whatever the policy.

    Args:
        delay: Steps between showing and asking.
    """

    def __init__(self, delay=3):
        self.observation_space = gym.spaces.Box(0.0, 1.0, (3,), np.float32)
        self.action_space = gym.spaces.Discrete(2)
        self.delay = delay

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cue, self.time = int(self.np_random.integers(2)), 0
        return self._see(), {}

    def step(self, action):
        asked = self.time == self.delay + 1
        self.time += 1
        return self._see(), float(asked and action == self.cue), asked, False, {}

    def _see(self):
        shown = self.time == 0
        asked = self.time == self.delay + 1
        return np.array([shown and self.cue == 0, shown and self.cue == 1, asked], np.float32)


gym.register("tests/Recall-v0", entry_point=Recall)
