"""MinAtar's Freeway: cross eight lanes of cars."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.compilation import njit
from snn_gym.envs.batch import Rows, single_env
from snn_gym.envs.minatar.base import (
    DOWN,
    HALF,
    LATEST,
    NOTHING,
    SIDE,
    UP,
    MinAtarGame,
    pick,
    sticky,
)

_Y, _MOVE_TIMER, _LEFT_STEPS, _CARS = range(LATEST + 1, LATEST + 5)
_LANES = 8
# A car of a lane: its column, steps until it moves, and its speed: steps between moves, negative
# to the left.
_AT, _TIMER, _SPEED, _FIELDS = range(4)
_COLUMN, _SLOWEST = 4, 5
_PLAYER_STEPS, _EPISODE_STEPS = 3, 2500


@njit(cache=True, error_model="numpy")
def _step(
    states: Any,
    actions: Any,
    words: Any,
    threshold: int,
    _ramping: bool,
    rewards: Any,
    ended: Any,
) -> None:
    for i in range(len(states)):
        s = states[i]
        action = sticky(s, actions[i], words[i, 0], threshold)
        if s[_MOVE_TIMER] == 0 and action in (UP, DOWN):
            s[_MOVE_TIMER] = _PLAYER_STEPS
            s[_Y] = max(0, s[_Y] - 1) if action == UP else min(SIDE - 1, s[_Y] + 1)
        if s[_Y] == 0:
            rewards[i] = 1.0
            _change_cars(s, words[i])
            s[_Y] = SIDE - 1
        for lane in range(_LANES):
            _drive(s, lane)
        s[_MOVE_TIMER] -= s[_MOVE_TIMER] > 0
        s[_LEFT_STEPS] -= 1
        ended[i] = s[_LEFT_STEPS] < 0


@njit(cache=True, error_model="numpy")
def _change_cars(s: Any, words: Any) -> None:
    """Give the cars new speeds and directions where they are."""
    for lane in range(_LANES):
        speed = 1 + pick(words[1 + lane], _SLOWEST)
        car = s[_CARS + lane * _FIELDS :]
        car[_TIMER] = speed
        car[_SPEED] = -speed if words[1 + _LANES + lane] < HALF else speed


@njit(cache=True, error_model="numpy")
def _drive(s: Any, lane: int) -> None:
    """Move a car, if it is its time, and put back the player that it meets."""
    car = s[_CARS + lane * _FIELDS :]
    if car[_AT] == _COLUMN and lane + 1 == s[_Y]:
        s[_Y] = SIDE - 1
    if car[_TIMER] > 0:
        car[_TIMER] -= 1
        return
    car[_TIMER] = abs(car[_SPEED])
    car[_AT] = (car[_AT] + (1 if car[_SPEED] > 0 else -1)) % SIDE
    if car[_AT] == _COLUMN and lane + 1 == s[_Y]:
        s[_Y] = SIDE - 1


@njit(cache=True, error_model="numpy")
def _show(states: Any, planes: Any) -> None:
    for i in range(len(states)):
        s, p = states[i], planes[i]
        p[0, s[_Y], _COLUMN] = 1
        for lane in range(_LANES):
            car = s[_CARS + lane * _FIELDS :]
            p[1, lane + 1, car[_AT]] = 1
            behind = (car[_AT] - (1 if car[_SPEED] > 0 else -1)) % SIDE
            p[1 + abs(car[_SPEED]), lane + 1, behind] = 1


class Freeway(MinAtarGame):
    """Freeway: reaching the top earns 1; the episode ends after 2,501 environment steps.

    The player moves up or down every third step at most. A car that meets it puts it back to the
    bottom, and so does reaching the top, which gives all cars new speeds. Planes: chicken, car, and
    trails of cars that move every 1 to 5 steps.
    """

    planes = ("chicken", "car", "speed1", "speed2", "speed3", "speed4", "speed5")
    actions = (NOTHING, UP, DOWN)
    kernel, show = staticmethod(_step), staticmethod(_show)
    state_size = _CARS + _LANES * _FIELDS
    start_size = 2 * _LANES
    step_words = 1 + 2 * _LANES

    def _begin(self, rows: Rows, numbers: NDArray[np.float64]) -> None:
        state = np.zeros((len(numbers), self.state_size), np.int16)
        state[:, _Y] = SIDE - 1
        state[:, _MOVE_TIMER], state[:, _LEFT_STEPS] = _PLAYER_STEPS, _EPISODE_STEPS
        speeds = 1 + np.floor(_SLOWEST * numbers[:, :_LANES])
        cars = state[:, _CARS:].reshape(len(numbers), _LANES, _FIELDS)
        cars[..., _TIMER] = speeds
        cars[..., _SPEED] = np.where(numbers[:, _LANES:] < 0.5, -speeds, speeds)
        self._state[rows] = state


FreewayEnv = single_env(Freeway)
