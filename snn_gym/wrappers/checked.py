"""Single environments for Stable-Baselines3 that give finite numbers or one line that says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from snn_gym.tasks.finite import check_finite, check_step


class CheckedVecEnv(DummyVecEnv):
    """``DummyVecEnv`` that refuses observations and rewards that are infinite or no numbers.

    Learners would train to weights that are no numbers, without a word.
    """

    def __init__(self, env_fns: list[Callable[[], gym.Env[Any, Any]]]) -> None:
        super().__init__(env_fns)
        spec = self.envs[0].spec
        self._name = str(self.envs[0].unwrapped) if spec is None else spec.id
        self._steps = np.zeros(self.num_envs, np.int64)

    def reset(self) -> VecEnvObs:
        """Start an episode in every environment.

        Raises:
            ValueError: An observation is not finite.
        """
        observations: Any = super().reset()
        self._steps = np.zeros(self.num_envs, np.int64)
        check_finite("observation", observations, self._name, 0)
        return observations  # type: ignore[no-any-return]

    def step_wait(self) -> VecEnvStepReturn:
        """Finish the step.

        Raises:
            ValueError: An observation or a reward is not finite.
        """
        observations, rewards, dones, infos = super().step_wait()
        self._steps += 1
        check_step(self._name, observations, rewards, dones, self._steps, infos)  # type: ignore[arg-type]
        self._steps[dones] = 0
        return observations, rewards, dones, infos
