"""Environment steps as a ``VecEnv`` makes them, without copies that nobody reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from snn_gym.tasks.batched import BatchedTask
from snn_gym.tasks.finite import check_step
from snn_gym.wrappers.checked import CheckedVecEnv
from snn_gym.wrappers.stable_baselines import StableBaselinesVecEnv

Step = tuple[Any, NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]
"""Observations, rewards, dones and infos, as ``VecEnv.step`` returns them."""


def stepper(env: VecEnv) -> Callable[[NDArray[Any]], Step]:
    """Return what makes the steps of environments: ``env.step``, or the same, quicker.

    Args:
        env: Environments.
    """
    if type(env) in (DummyVecEnv, CheckedVecEnv) and env.num_envs == 1:
        return _Single(env).step  # type: ignore[arg-type]
    if type(env) is StableBaselinesVecEnv and isinstance(env.vector_env, BatchedTask):
        return env.step_without_infos
    return env.step


class _Single:
    """The one environment of a ``DummyVecEnv``, stepped as that would, without copies of infos."""

    def __init__(self, env: DummyVecEnv) -> None:
        self._env = env
        self._name = getattr(env, "_name", str(env))
        self._checks = isinstance(env, CheckedVecEnv)
        self._steps = np.zeros(1, np.int64)

    def step(self, actions: NDArray[Any]) -> Step:
        """Make a step; see ``VecEnv.step``."""
        only = self._env.envs[0]  # every time anew, for it may be replaced
        observation, reward, terminated, truncated, info = only.step(actions[0])
        done = terminated or truncated
        info["TimeLimit.truncated"] = truncated and not terminated
        if done:
            info["terminal_observation"] = observation
            observation, self._env.reset_infos[0] = only.reset()
        observations, dones = np.asarray(observation)[np.newaxis], np.array([done])
        rewards = np.array([reward], np.float32)
        self._steps += 1
        if self._checks:
            check_step(self._name, observations, rewards, dones, self._steps, [info])
        if done:
            self._steps[0] = 0
        return observations, rewards, dones, [info]
