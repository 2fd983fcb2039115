"""Three small tasks outside of the zoo: a plane, two tanks and a paddle."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

Observation = NDArray[np.float32]


class Timed(gym.Env[Observation, Any]):
    """Task of a fixed number of steps."""

    STEPS: ClassVar[int]
    """Environment steps of an episode."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode, as Gymnasium defines it; there are no options."""
        super().reset(seed=seed, options=options)
        self._steps = 0
        self._begin()
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take a step, as Gymnasium defines it; episodes are truncated, never terminated."""
        self._steps += 1
        reward = self._advance(action)
        return self._observe(), reward, False, self._steps >= self.STEPS, {}

    @abstractmethod
    def _begin(self) -> None:
        """Draw the first state."""

    @abstractmethod
    def _advance(self, action: Any) -> float:
        """Move by one step and return the reward."""

    @abstractmethod
    def _observe(self) -> Observation:
        """Return the observation."""


class Docking(Timed):
    """Bring a craft with four thrusters to rest at the origin of a plane.

    The observation (4,) is position and velocity, in [-2, 2]. An action is no thrust or one of
    four directions. A step costs the distance, a tenth of the speed and 0.05 for thrust.
    """

    STEPS = 100
    DT_S = 0.1
    _THRUST = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]], np.float64)

    def __init__(self) -> None:
        self.observation_space = spaces.Box(-2.0, 2.0, (4,), np.float32)
        self.action_space = spaces.Discrete(5)

    def _begin(self) -> None:
        self._position = self.np_random.uniform(-1.0, 1.0, 2)
        self._velocity = self.np_random.uniform(-0.3, 0.3, 2)

    def _advance(self, action: Any) -> float:
        self._velocity = 0.98 * self._velocity + self.DT_S * self._THRUST[action]
        self._position = np.clip(self._position + self.DT_S * self._velocity, -2.0, 2.0)
        cost = np.hypot(*self._position) + 0.1 * np.hypot(*self._velocity) + 0.05 * (action > 0)
        return -float(cost)

    def _observe(self) -> Observation:
        state = np.concatenate([self._position, self._velocity])
        return np.asarray(np.clip(state, -2.0, 2.0), np.float32)


class Tanks(Timed):
    """Hold the level of the second of two coupled tanks at a set point that jumps.

    The observation (4,) is both levels, the set point and the valve, in [0, 1]. The action (1,)
    in [-1, 1] moves the inflow's valve. A step costs the error of the second level.
    """

    STEPS = 120
    ACTION_SHARE = 0.2

    def __init__(self) -> None:
        self.observation_space = spaces.Box(0.0, 1.0, (4,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def _begin(self) -> None:
        self._levels = self.np_random.uniform(0.1, 0.9, 2)
        self._valve = 0.5
        self._target = self.np_random.uniform(0.2, 0.8)

    def _advance(self, action: Any) -> float:
        moved = self._valve + self.ACTION_SHARE * float(np.clip(action[0], -1.0, 1.0))
        self._valve = min(1.0, max(0.0, moved))
        between = 0.3 * (self._levels[0] - self._levels[1])
        first = self._levels[0] + 0.25 * self._valve - between
        second = self._levels[1] + between - 0.2 * np.sqrt(self._levels[1])
        self._levels = np.clip([first, second], 0.0, 1.0)
        if self._steps % 40 == 0:
            self._target = self.np_random.uniform(0.2, 0.8)
        return -abs(float(self._levels[1] - self._target))

    def _observe(self) -> Observation:
        return np.array([*self._levels, self._target, self._valve], np.float32)


class Catching(Timed):
    """Catch six balls, one after another, with a paddle while the wind drifts them.

    The observation (5,) is the paddle, the ball's place and height, its drift and the paddle's
    velocity, in [-1, 1]. Actions push left, not at all, or right. A caught ball earns 1, a missed
    one costs 1.
    """

    STEPS = 120
    FALL = 20

    def __init__(self) -> None:
        self.observation_space = spaces.Box(-1.0, 1.0, (5,), np.float32)
        self.action_space = spaces.Discrete(3)

    def _begin(self) -> None:
        self._paddle, self._speed = 0.0, 0.0
        self._drop()

    def _drop(self) -> None:
        self._ball = self.np_random.uniform(-0.8, 0.8)
        self._drift = self.np_random.uniform(-0.05, 0.05)

    def _advance(self, action: Any) -> float:
        self._speed = 0.7 * self._speed + 0.04 * (int(action) - 1)
        self._paddle = float(np.clip(self._paddle + self._speed, -1.0, 1.0))
        self._ball += self._drift
        if abs(self._ball) > 1.0:
            self._ball, self._drift = float(np.clip(self._ball, -1.0, 1.0)), -self._drift
        if self._steps % self.FALL:
            return 0.0
        reward = 1.0 if abs(self._ball - self._paddle) < 0.15 else -1.0
        self._drop()
        return reward

    def _observe(self) -> Observation:
        height = 1.0 - (self._steps % self.FALL) / self.FALL
        state = [self._paddle, self._ball, height, 10 * self._drift, 5 * self._speed]
        return np.asarray(np.clip(state, -1.0, 1.0), np.float32)


for _task in (Docking, Tanks, Catching):
    gym.register(f"own/{_task.__name__}-v0", f"{__name__}:{_task.__name__}")

BUDGETS = {"own/Docking-v0": 100_000, "own/Tanks-v0": 100_000, "own/Catching-v0": 200_000}
"""Environment steps in which ``ppo-lif`` learns each task (tried on seeds from 1000 on)."""
