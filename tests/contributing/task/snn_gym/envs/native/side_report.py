"""Say which of two groups of neurons fires."""

from dataclasses import dataclass

import gymnasium as gym
import numpy as np

from snn_gym._base.config import Config, Count
from snn_gym.envs.batch import byte_rate, single_env
from snn_gym.envs.native.base import SpikeTask

GROUP = 10


@dataclass(frozen=True)
class SideReportSettings(Config):
    """How fast the group fires, and for how long."""

    channels = 2 * GROUP
    start_size = 1
    noise_size = 0
    rate_hz: float = 300.0
    """Rate of the group that fires (Hz)."""
    episode_steps: Count = 4
    """Environment steps of an episode."""
    time_steps: Count = 8
    """Time steps T of an environment step, 1 ms each."""


class SideReport(SpikeTask):
    """One of two groups fires throughout an episode; naming it earns 1 in every step."""

    settings_class = SideReportSettings

    def _make_action_space(self):
        return gym.spaces.Discrete(2)

    def _allocate(self, num_envs):
        self._side = np.zeros(num_envs, np.int64)
        rates = np.zeros((2, self.time_steps, 2, GROUP), np.uint8)
        for side in range(2):
            rates[side, :, side] = byte_rate(self.settings.rate_hz / 1000.0)
        self._rates = rates.reshape(2, -1)

    def _begin(self, rows, numbers):
        self._side[rows] = numbers[:, 0] < 0.5

    def _move(self, actions, noise):
        return (actions == self._side).astype(np.float64), np.zeros(len(actions), np.bool_)

    def _emit(self, rows, noise, spikes):
        np.less(noise, self._rates[self._side[rows]], out=spikes)

    def _info(self):
        return {"side": self._side}

    def _scene(self, index):
        return np.full((64, 64, 3), 255 * self._side[index], np.uint8)


SideReportEnv = single_env(SideReport)
