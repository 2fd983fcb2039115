"""MinAtar's Asterix: collect gold and avoid enemies that cross the field."""

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
    LEFT,
    NOTHING,
    RIGHT,
    SIDE,
    THIRD,
    UP,
    MinAtarGame,
    pick,
    sticky,
)

(
    _X, _Y, _SPAWN_SPEED, _SPAWN_TIMER, _MOVE_SPEED, _MOVE_TIMER, _RAMP_TIMER, _RAMPS, _ENTITIES,
) = range(LATEST + 1, LATEST + 10)  # fmt: skip
_LANES = 8
# An entity of a lane: whether it is there, its column, whether it moves to the right, and is gold.
_HERE, _AT, _TO_RIGHT, _GOLD, _FIELDS = range(5)
_SPAWN_STEPS, _MOVE_STEPS, _RAMP_STEPS = 10, 5, 100


@njit(cache=True, error_model="numpy")
def _step(
    states: Any,
    actions: Any,
    words: Any,
    threshold: int,
    ramping: bool,
    rewards: Any,
    ended: Any,
) -> None:
    for i in range(len(states)):
        s = states[i]
        action = sticky(s, actions[i], words[i, 0], threshold)
        if s[_SPAWN_TIMER] == 0:
            _spawn(s, words[i])
            s[_SPAWN_TIMER] = s[_SPAWN_SPEED]
        _walk(s, action)
        for lane in range(_LANES):
            _meet(s, lane, rewards, ended, i)
        if s[_MOVE_TIMER] == 0:
            s[_MOVE_TIMER] = s[_MOVE_SPEED]
            for lane in range(_LANES):
                _cross(s, lane)
                _meet(s, lane, rewards, ended, i)
        s[_SPAWN_TIMER] -= 1
        s[_MOVE_TIMER] -= 1
        if ramping:
            _ramp(s)


@njit(cache=True, error_model="numpy")
def _walk(s: Any, action: int) -> None:
    """Move the player."""
    if action == LEFT:
        s[_X] = max(0, s[_X] - 1)
    elif action == RIGHT:
        s[_X] = min(SIDE - 1, s[_X] + 1)
    elif action == UP:
        s[_Y] = max(1, s[_Y] - 1)
    elif action == DOWN:
        s[_Y] = min(_LANES, s[_Y] + 1)


@njit(cache=True, error_model="numpy")
def _spawn(s: Any, words: Any) -> None:
    """Let an enemy or gold enter a free lane, if there is one."""
    free = 0
    for lane in range(_LANES):
        free += 1 - s[_ENTITIES + lane * _FIELDS + _HERE]
    if free == 0:
        return
    left = pick(words[3], free)
    for lane in range(_LANES):
        entity = s[_ENTITIES + lane * _FIELDS :]
        if entity[_HERE] == 0:
            if left == 0:
                entity[_HERE], entity[_TO_RIGHT] = 1, words[1] < HALF
                entity[_GOLD] = words[2] < THIRD
                entity[_AT] = 0 if entity[_TO_RIGHT] else SIDE - 1
                return
            left -= 1


@njit(cache=True, error_model="numpy")
def _cross(s: Any, lane: int) -> None:
    """Move what is in a lane by one place; it may leave the field."""
    entity = s[_ENTITIES + lane * _FIELDS :]
    if entity[_HERE]:
        entity[_AT] += 1 if entity[_TO_RIGHT] else -1
        if entity[_AT] < 0 or entity[_AT] >= SIDE:
            entity[_HERE] = 0


@njit(cache=True, error_model="numpy")
def _meet(s: Any, lane: int, rewards: Any, ended: Any, i: int) -> None:
    """Let the player take gold where it is, or be caught by an enemy."""
    entity = s[_ENTITIES + lane * _FIELDS :]
    if entity[_HERE] and entity[_AT] == s[_X] and lane + 1 == s[_Y]:
        if entity[_GOLD]:
            entity[_HERE] = 0
            rewards[i] += 1.0
        else:
            ended[i] = True


@njit(cache=True, error_model="numpy")
def _ramp(s: Any) -> None:
    """Make the game faster after some steps."""
    if s[_SPAWN_SPEED] <= 1 and s[_MOVE_SPEED] <= 1:
        return
    if s[_RAMP_TIMER] >= 0:
        s[_RAMP_TIMER] -= 1
        return
    if s[_MOVE_SPEED] > 1 and s[_RAMPS] % 2:
        s[_MOVE_SPEED] -= 1
    if s[_SPAWN_SPEED] > 1:
        s[_SPAWN_SPEED] -= 1
    s[_RAMPS] += 1
    s[_RAMP_TIMER] = _RAMP_STEPS


@njit(cache=True, error_model="numpy")
def _show(states: Any, planes: Any) -> None:
    for i in range(len(states)):
        s, p = states[i], planes[i]
        p[0, s[_Y], s[_X]] = 1
        for lane in range(_LANES):
            entity = s[_ENTITIES + lane * _FIELDS :]
            if entity[_HERE]:
                p[3 if entity[_GOLD] else 1, lane + 1, entity[_AT]] = 1
                behind = entity[_AT] - (1 if entity[_TO_RIGHT] else -1)
                if 0 <= behind < SIDE:
                    p[2, lane + 1, behind] = 1


class Asterix(MinAtarGame):
    """Asterix: gold earns 1; the episode ends when the player meets an enemy.

    Enemies and gold enter one of eight lanes from a side and cross it. With ramping they come and
    move faster with time. Planes: player, enemy, trail (behind what moves), gold.
    """

    planes = ("player", "enemy", "trail", "gold")
    actions = (NOTHING, LEFT, UP, RIGHT, DOWN)
    kernel, show = staticmethod(_step), staticmethod(_show)
    state_size = _ENTITIES + _LANES * _FIELDS
    step_words = 4

    def _begin(self, rows: Rows, numbers: NDArray[np.float64]) -> None:
        del numbers  # every episode starts alike
        state = np.zeros(self.state_size, np.int16)
        state[[_X, _Y]] = 5
        state[[_SPAWN_SPEED, _SPAWN_TIMER]] = _SPAWN_STEPS
        state[[_MOVE_SPEED, _MOVE_TIMER]] = _MOVE_STEPS
        state[_RAMP_TIMER] = _RAMP_STEPS
        self._state[rows] = state


AsterixEnv = single_env(Asterix)
