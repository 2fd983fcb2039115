"""CartPole whose velocities are hidden: they have to be remembered from the positions."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from snn_gym.tasks.classic_control.cartpole import BatchedCartPole

_SHOWN = (0, 2)
"""Cart position and pole angle, of CartPole's four values."""


class MaskedCartPoleEnv(CartPoleEnv):
    """Gymnasium's ``CartPole-v1`` that shows cart position and pole angle alone.

    Everything else is CartPole's. After Wierstra, Foerster, Peters and Schmidhuber, "Solving deep
    memory POMDPs with recurrent policy gradients", ICANN 2007,
    https://doi.org/10.1007/978-3-540-74690-4_71.

    Args:
        render_mode: ``human``, ``rgb_array`` or None.
    """

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        self.observation_space = _shown_space(self.observation_space)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode, as CartPole does.

        Args:
            seed: Seed of the start state.
            options: As CartPole's.

        Returns:
            Cart position (m) and pole angle (rad), (2,), float32, and an empty info.
        """
        observation, info = super().reset(seed=seed, options=options)
        return observation.take(_SHOWN), info

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Make one environment step, as CartPole does.

        Args:
            action: 0 pushes to the left, 1 to the right.

        Returns:
            Cart position and pole angle (2,), float32; reward; terminated; truncated; info.
        """
        observation, reward, terminated, truncated, info = super().step(action)  # type: ignore[no-untyped-call]
        return observation.take(_SHOWN), float(reward), terminated, truncated, info


class BatchedMaskedCartPole(BatchedCartPole):
    """``MaskedCartPoleEnv`` in batches; see ``BatchedTask``."""

    def __init__(
        self,
        num_envs: int = 1,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    ) -> None:
        super().__init__(num_envs, max_episode_steps, render_mode, autoreset_mode)

    def _single_spaces(self) -> tuple[gym.Space[Any], gym.Space[Any]]:
        observations, actions = super()._single_spaces()
        return _shown_space(observations), actions

    def _seen(self, state: NDArray[np.float64]) -> NDArray[np.float32]:
        return super()._seen(state[list(_SHOWN)])


def _shown_space(space: gym.Space[Any]) -> gym.spaces.Box:
    assert isinstance(space, gym.spaces.Box)
    return gym.spaces.Box(space.low.take(_SHOWN), space.high.take(_SHOWN), dtype=np.float32)
