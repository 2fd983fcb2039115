"""Gymnasium's classic control tasks in batches.

The equations follow gymnasium's operation by operation and dtype by dtype, so that every number
is equal to the last bit: https://gymnasium.farama.org/environments/classic_control/.
"""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from gymnasium.envs.classic_control.pendulum import DEFAULT_X, DEFAULT_Y
from gymnasium.envs.classic_control.utils import maybe_parse_reset_bounds, verify_number_and_cast
from numpy.typing import NDArray

from snn_gym.envs.batch import BatchEnv, Rows, StartStreams, single_render_mode


# ---- batched -------------------------------------------------------------------------------------
class BatchedTask(BatchEnv):
    """Many environments of one of gymnasium's classic tasks, stepped by numpy.

    States, observations, rewards and ends equal those of ``gym.make(base_id)``. Actions of a Box
    are cast to its dtype first.
    """

    base_id: ClassVar[str]
    state_size: ClassVar[int]
    start_size: ClassVar[int]  # Random numbers for the start of an episode
    start_dtype: ClassVar[type[np.floating]] = np.float64
    start_bounds: ClassVar[tuple[float, float]]
    """Bounds of a uniform start state; options of ``reset`` may replace them."""

    def __init__(
        self,
        num_envs: int = 1,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        """Make the batch; ``arguments`` are those of the task, as for ``gym.make``.

        ``max_episode_steps`` defaults to the task's limit; the other arguments are as in
        ``BatchEnv``.
        """
        spec = copy.deepcopy(gym.spec(self.base_id))
        limit = spec.max_episode_steps if max_episode_steps is None else max_episode_steps
        assert limit is not None
        # Gymnasium's own environment holds the constants and draws the pictures.
        mode = single_render_mode(render_mode)
        self._task: Any = gym.make(self.base_id, render_mode=mode, **arguments).unwrapped
        super().__init__(num_envs, limit, *self._single_spaces(), render_mode)
        # The spec is that of the single environment that gym.make would make.
        spec.kwargs.update(arguments)
        spec.max_episode_steps = limit
        self.spec = spec
        self.metadata = {**self.metadata, "render_fps": self._task.metadata["render_fps"]}
        self._streams = StartStreams(num_envs, self.start_size)
        self._state = np.zeros((self.state_size, num_envs))

    @property
    def state(self) -> NDArray[np.float64]:
        """States (B, ``state_size``), float64, in gymnasium's order; a copy."""
        return self._state.T.copy()

    def select(self, indices: NDArray[np.int64]) -> Self:
        """Return a batch of copies of environments ``indices`` (n,), for ``advance`` only.

        Indices may repeat. The copy has no random streams and cannot be reset.
        """
        batch = copy.copy(self)
        batch._state = np.ascontiguousarray(self._state[:, indices])
        batch._steps = self._steps[indices]
        batch.num_envs = len(indices)
        batch._started = False
        return batch

    def draw(self, index: int) -> NDArray[np.uint8]:
        """Return gymnasium's image (height, width, 3), uint8, of one environment."""
        self._pose(index)
        image: NDArray[np.uint8] = self._task.render()
        return image

    def close_extras(self, **_: Any) -> None:
        """Close the renderer."""
        self._task.close()

    def _start_states(
        self, numbers: NDArray[np.float64], options: dict[str, Any] | None
    ) -> NDArray[np.float64]:
        """Return start states (state_size, n) from numbers (start_size, n), uniform in [0, 1).

        They lie in ``start_bounds``, or between ``low`` and ``high`` of the options.
        """
        low, high = maybe_parse_reset_bounds(options, *self.start_bounds)
        return low + (high - low) * numbers

    @abstractmethod
    def _advance(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Move ``self._state`` by one step; return rewards and terminated, each (B,)."""

    def _observed(self, state: NDArray[Any]) -> NDArray[np.float32]:
        """Return observations (n, D) of states (state_size, n), a new array."""
        # order="C", because the transpose of a copy that keeps the order would be slow to read
        return state.T.astype(np.float32, order="C")

    def _pose(self, index: int) -> None:
        """Copy the state of one environment to gymnasium's, for drawing."""
        self._task.state = self._state[:, index].copy()

    def _single_spaces(self) -> tuple[gym.Space[Any], gym.Space[Any]]:
        return self._task.observation_space, self._task.action_space

    def _observe(self) -> NDArray[np.float32]:
        return self._observed(self._state)

    def _start(
        self, rows: Rows, seeds: Sequence[int | None] | None, options: dict[str, Any] | None
    ) -> NDArray[np.float32]:
        self._streams.seed(seeds, rows)
        states = self._start_states(self._streams.take(rows).T, options).astype(self.start_dtype)
        self._state[:, rows] = states
        return self._observed(states)


# ---- acrobot -------------------------------------------------------------------------------------
class BatchedAcrobot(BatchedTask):
    """Gymnasium's ``Acrobot-v1`` in batches; see ``BatchedTask``.

    State: the two joint angles, then their velocities. The swing is chaotic: an error in the last
    bit gives another trajectory some hundred steps later. Sutton, "Generalization in reinforcement
    learning: successful examples using sparse coarse coding", NeurIPS 8 (1996),
    https://papers.nips.cc/paper/1109.
    """

    base_id = "Acrobot-v1"
    state_size = 4
    start_size = 4
    # Gymnasium rounds start states to float32, and takes their cosines in float32.
    start_dtype = np.float32
    start_bounds = (-0.1, 0.1)

    def _advance(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        task = self._task
        torque = np.array(task.AVAIL_TORQUE)[actions]
        state = self._state
        half = task.dt / 2.0
        k1 = self._derivative(state, torque)
        k2 = self._derivative(state + half * k1, torque)
        k3 = self._derivative(state + half * k2, torque)
        k4 = self._derivative(state + task.dt * k3, torque)
        state = state + task.dt / 6.0 * (k1 + 2 * k2 + 2 * k3 + k4)
        state[:2] = _wrapped(state[:2])
        state[2] = np.clip(state[2], -task.MAX_VEL_1, task.MAX_VEL_1)
        state[3] = np.clip(state[3], -task.MAX_VEL_2, task.MAX_VEL_2)
        self._state = state
        terminated = -np.cos(state[0]) - np.cos(state[1] + state[0]) > 1.0
        return np.where(terminated, 0.0, -1.0), terminated

    def _derivative(
        self, state: NDArray[np.float64], torque: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return d(state)/dt (4, B) under torques (B,), as in Sutton and Barto's book."""
        task = self._task
        m1, m2 = task.LINK_MASS_1, task.LINK_MASS_2
        l1, lc1, lc2 = task.LINK_LENGTH_1, task.LINK_COM_POS_1, task.LINK_COM_POS_2
        inertia = task.LINK_MOI
        gravity = 9.8
        theta1, theta2, velocity1, velocity2 = state
        cosine2, sine2 = np.cos(theta2), np.sin(theta2)
        d1 = m1 * lc1**2 + m2 * (l1**2 + lc2**2 + 2 * l1 * lc2 * cosine2) + inertia + inertia
        d2 = m2 * (lc2**2 + l1 * lc2 * cosine2) + inertia
        phi2 = m2 * lc2 * gravity * np.cos(theta1 + theta2 - np.pi / 2.0)
        phi1 = (
            -m2 * l1 * lc2 * _squared(velocity2) * sine2
            - 2 * m2 * l1 * lc2 * velocity2 * velocity1 * sine2
            + (m1 * lc1 + m2 * l1) * gravity * np.cos(theta1 - np.pi / 2)
            + phi2
        )
        acceleration2 = (
            torque + d2 / d1 * phi1 - m2 * l1 * lc2 * _squared(velocity1) * sine2 - phi2
        ) / (m2 * lc2**2 + inertia - _squared(d2) / d1)
        acceleration1 = -(d2 * acceleration2 + phi1) / d1
        return np.stack([velocity1, velocity2, acceleration1, acceleration2])

    def _observed(self, state: NDArray[np.float64]) -> NDArray[np.float32]:
        observations = np.empty((state.shape[1], 6), np.float32)
        observations[:, 0], observations[:, 1] = np.cos(state[0]), np.sin(state[0])
        observations[:, 2], observations[:, 3] = np.cos(state[1]), np.sin(state[1])
        observations[:, 4:] = state[2:].T
        return observations


def _squared(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values² by C's pow, as gymnasium squares scalars; it may miss the last bit."""
    result: NDArray[np.float64] = np.float_power(values, 2)
    return result


def _wrapped(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return angles in [−π, π], by repeated addition or subtraction of 2π."""
    turn = np.pi - -np.pi
    while (over := angles > np.pi).any():
        angles = np.where(over, angles - turn, angles)
    while (under := angles < -np.pi).any():
        angles = np.where(under, angles + turn, angles)
    return angles


# ---- cartpole ------------------------------------------------------------------------------------
class BatchedCartPole(BatchedTask):
    """Gymnasium's ``CartPole-v1`` in batches; see ``BatchedTask``.

    State: cart position, its velocity, pole angle, its velocity. Barto, Sutton and
    Anderson, "Neuronlike adaptive elements that can solve difficult learning control
    problems", IEEE Trans. Systems, Man, and Cybernetics 13 (1983),
    https://doi.org/10.1109/TSMC.1983.6313077.
    """

    base_id = "CartPole-v1"
    state_size = 4
    start_size = 4
    start_bounds = (-0.05, 0.05)

    def _advance(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        task = self._task
        x, x_dot, theta, theta_dot = self._state
        force = np.where(actions == 1, task.force_mag, -task.force_mag)
        cosine, sine = np.cos(theta), np.sin(theta)
        push = (force + task.polemass_length * np.square(theta_dot) * sine) / task.total_mass
        theta_acc = (task.gravity * sine - cosine * push) / (
            task.length * (4.0 / 3.0 - task.masspole * np.square(cosine) / task.total_mass)
        )
        x_acc = push - task.polemass_length * theta_acc * cosine / task.total_mass
        # The rows are views of the state: positions first, which move with the old velocities.
        x += task.tau * x_dot
        x_dot += task.tau * x_acc
        theta += task.tau * theta_dot
        theta_dot += task.tau * theta_acc
        terminated = (np.abs(x) > task.x_threshold) | (np.abs(theta) > task.theta_threshold_radians)
        if task._sutton_barto_reward:
            return np.where(terminated, -1.0, 0.0), terminated
        return np.ones(self.num_envs), terminated


# ---- masked cartpole -----------------------------------------------------------------------------
# Cart position and pole angle, of CartPole's four values.
_SHOWN = (0, 2)


class MaskedCartPoleEnv(CartPoleEnv):
    """Gymnasium's ``CartPole-v1`` with cart position and pole angle as its only observations.

    After Wierstra, Foerster, Peters and Schmidhuber, "Solving deep memory POMDPs with recurrent
    policy gradients", ICANN 2007, https://doi.org/10.1007/978-3-540-74690-4_71.
    """

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        self.observation_space = _shown_space(self.observation_space)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode; return cart position (m) and pole angle (rad), (2,), float32."""
        observation, info = super().reset(seed=seed, options=options)
        return observation.take(_SHOWN), info

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Make one environment step, 0 to the left, 1 to the right; observe as in ``reset``."""
        observation, reward, terminated, truncated, info = super().step(action)  # type: ignore[no-untyped-call]
        return observation.take(_SHOWN), float(reward), terminated, truncated, info


class BatchedMaskedCartPole(BatchedCartPole):
    """``MaskedCartPoleEnv`` in batches; see ``BatchedTask``."""

    def __init__(
        self,
        num_envs: int = 1,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(num_envs, max_episode_steps, render_mode)

    def _single_spaces(self) -> tuple[gym.Space[Any], gym.Space[Any]]:
        observations, actions = super()._single_spaces()
        return _shown_space(observations), actions

    def _observed(self, state: NDArray[np.float64]) -> NDArray[np.float32]:
        return super()._observed(state[list(_SHOWN)])


def _shown_space(space: gym.Space[Any]) -> gym.spaces.Box:
    assert isinstance(space, gym.spaces.Box)
    return gym.spaces.Box(space.low.take(_SHOWN), space.high.take(_SHOWN), dtype=np.float32)


# ---- mountain car --------------------------------------------------------------------------------
class _MountainCar(BatchedTask):
    """Base of both mountain car tasks: random start at rest, motion within limits, goal."""

    state_size = 2
    start_size = 1
    start_bounds = (-0.6, -0.4)

    def _start_states(
        self, numbers: NDArray[np.float64], options: dict[str, Any] | None
    ) -> NDArray[np.float64]:
        positions = super()._start_states(numbers, options)
        return np.concatenate([positions, np.zeros_like(numbers)])

    def _moved(self, state: NDArray[Any], acceleration: NDArray[Any]) -> NDArray[Any]:
        """Return the next positions and velocities (2, B), within the task's limits.

        The left limit stops the car. The dtype is that of the arguments.
        """
        task = self._task
        position, velocity = state
        velocity = np.clip(velocity + acceleration, -task.max_speed, task.max_speed)
        position = np.clip(position + velocity, task.min_position, task.max_position)
        velocity[(position == task.min_position) & (velocity < 0)] = 0
        return np.stack([position, velocity])

    def _at_goal(self, state: NDArray[Any]) -> NDArray[np.bool_]:
        position, velocity = state
        at_goal: NDArray[np.bool_] = (position >= self._task.goal_position) & (
            velocity >= self._task.goal_velocity
        )
        return at_goal


class BatchedMountainCar(_MountainCar):
    """Gymnasium's ``MountainCar-v0`` in batches; see ``BatchedTask``.

    State: position and velocity. Moore, "Efficient memory-based learning for robot
    control", PhD thesis, University of Cambridge (1990),
    https://www.cl.cam.ac.uk/techreports/UCAM-CL-TR-209.pdf.
    """

    base_id = "MountainCar-v0"

    def _advance(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        task = self._task
        # int64, because actions may be unsigned
        push = (actions.astype(np.int64) - 1) * task.force
        pull = _cosine(3 * self._state[0]) * -task.gravity
        self._state = self._moved(self._state, push + pull)
        return np.full(self.num_envs, -1.0), self._at_goal(self._state)


class BatchedMountainCarContinuous(_MountainCar):
    """Gymnasium's ``MountainCarContinuous-v0`` in batches; see ``BatchedTask``.

    State: position and velocity. Gymnasium stores and moves them in float32 from the first step of
    an episode on; this class does the same.
    """

    base_id = "MountainCarContinuous-v0"

    def _advance(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        task = self._task
        force: NDArray[np.float32] = actions[:, 0]
        first = self._steps == 0
        start = self._state
        later = start.astype(np.float32)
        pull = 0.0025 * _cosine(np.where(first, 3 * start[0], 3 * later[0]))
        # Within the limits gymnasium adds in float32; beyond them it replaces the force by a
        # Python float and adds in float64.
        clipped = np.clip(force, task.min_action, task.max_action)
        exact = clipped.astype(np.float64) * task.power - pull
        rounded = clipped * task.power - pull.astype(np.float32)
        acceleration = np.where(clipped == force, rounded, exact)
        state = self._moved(later, acceleration.astype(np.float32))
        terminated = self._at_goal(state)
        if first.any():
            moved = self._moved(start, acceleration)
            terminated = np.where(first, self._at_goal(moved), terminated)
            state = np.where(first, moved.astype(np.float32), state)
        self._state = state.astype(np.float64)
        # The square of a float32 is exact in float64.
        cost = np.square(force.astype(np.float64)) * 0.1
        return np.where(terminated, 100.0, 0.0) - cost, terminated


def _cosine(angles: NDArray[Any]) -> NDArray[np.float64]:
    """Return cosines by the C library, as gymnasium's ``math.cos``; numpy's may differ."""
    return np.array([math.cos(angle) for angle in angles.tolist()])


# ---- pendulum ------------------------------------------------------------------------------------
class BatchedPendulum(BatchedTask):
    """Gymnasium's ``Pendulum-v1`` in batches; see ``BatchedTask``.

    State: angle, 0 upright and not wrapped, and its velocity. Episodes end by truncation only.
    https://gymnasium.farama.org/environments/classic_control/pendulum/.
    """

    base_id = "Pendulum-v1"
    state_size = 2
    start_size = 2
    _torque: NDArray[np.float32]

    def _start_states(
        self, numbers: NDArray[np.float64], options: dict[str, Any] | None
    ) -> NDArray[np.float64]:
        bounds = options or {}
        high: NDArray[np.float64] = np.array(
            [
                [verify_number_and_cast(bounds.get("x_init", DEFAULT_X))],
                [verify_number_and_cast(bounds.get("y_init", DEFAULT_Y))],
            ]
        )
        return -high + (high - -high) * numbers

    def _advance(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        task = self._task
        angle, velocity = self._state
        torque = np.clip(actions, -task.max_torque, task.max_torque)[:, 0]
        self._torque = torque
        # Gymnasium squares scalars by C's pow, which may miss the last bit. For float32, numpy
        # calls pow for scalars only.
        squared_torque = np.array([value**2 for value in torque])
        costs = (
            np.float_power(((angle + np.pi) % (2 * np.pi)) - np.pi, 2)
            + 0.1 * np.float_power(velocity, 2)
            + 0.001 * squared_torque
        )
        velocity = (
            velocity
            + (3 * task.g / (2 * task.l) * np.sin(angle) + 3.0 / (task.m * task.l**2) * torque)
            * task.dt
        )
        velocity = np.clip(velocity, -task.max_speed, task.max_speed)
        self._state = np.stack([angle + velocity * task.dt, velocity])
        return -costs, np.zeros(self.num_envs, np.bool_)

    def _observed(self, state: NDArray[np.float64]) -> NDArray[np.float32]:
        observations = np.empty((state.shape[1], 3), np.float32)
        observations[:, 0], observations[:, 1] = np.cos(state[0]), np.sin(state[0])
        observations[:, 2] = state[1]
        return observations

    def _pose(self, index: int) -> None:
        super()._pose(index)
        # The torque's arrow; an episode's first picture has none.
        self._task.last_u = None if self._steps[index] == 0 else self._torque[index]


# ---- tasks by id ---------------------------------------------------------------------------------
BATCHED_TASKS: dict[str, type[BatchedTask]] = {
    task.base_id: task
    for task in (
        BatchedAcrobot,
        BatchedCartPole,
        BatchedMountainCar,
        BatchedMountainCarContinuous,
        BatchedPendulum,
    )
}
"""Batched tasks by gymnasium's id."""

__all__ = [
    "BATCHED_TASKS",
    "BatchedAcrobot",
    "BatchedCartPole",
    "BatchedMountainCar",
    "BatchedMountainCarContinuous",
    "BatchedPendulum",
]
