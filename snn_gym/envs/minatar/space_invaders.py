"""MinAtar's SpaceInvaders: shoot waves of aliens that come down and shoot back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.compilation import njit
from snn_gym.envs.batch import Rows, single_env
from snn_gym.envs.minatar.base import (
    FIRE,
    LATEST,
    LEFT,
    NOTHING,
    RIGHT,
    SIDE,
    MinAtarGame,
    sticky,
)

(
    _CANNON, _DIRECTION, _INTERVAL, _MOVE_TIMER, _ALIEN_SHOT_TIMER, _SHOT_TIMER, _MAPS,
) = range(LATEST + 1, LATEST + 8)  # fmt: skip
# Maps of the field behind the other numbers.
_ALIENS, _SHOTS, _BOMBS, _KINDS = range(4)
_LAST = SIDE - 1
_MOVE_STEPS, _LEAST_MOVE_STEPS, _SHOT_STEPS, _ALIEN_SHOT_STEPS = 12, 6, 5, 10


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
        maps = s[_MAPS:].reshape(_KINDS, SIDE, SIDE)
        action = sticky(s, actions[i], words[i, 0], threshold)
        if action == FIRE and s[_SHOT_TIMER] == 0:
            maps[_SHOTS, _LAST, s[_CANNON]] = 1
            s[_SHOT_TIMER] = _SHOT_STEPS
        elif action == LEFT:
            s[_CANNON] = max(0, s[_CANNON] - 1)
        elif action == RIGHT:
            s[_CANNON] = min(_LAST, s[_CANNON] + 1)
        _fly(maps)
        end = maps[_BOMBS, _LAST, s[_CANNON]] == 1 or maps[_ALIENS, _LAST, s[_CANNON]] == 1
        if s[_MOVE_TIMER] == 0:
            s[_MOVE_TIMER] = min(maps[_ALIENS].sum(), s[_INTERVAL])
            end = _march(s, maps[_ALIENS]) or end
        if s[_ALIEN_SHOT_TIMER] == 0:
            s[_ALIEN_SHOT_TIMER] = _ALIEN_SHOT_STEPS
            _drop(maps, s[_CANNON])
        rewards[i], ended[i] = _hit(maps), end
        s[_SHOT_TIMER] -= s[_SHOT_TIMER] > 0
        s[_MOVE_TIMER] -= 1
        s[_ALIEN_SHOT_TIMER] -= 1
        if not maps[_ALIENS].any():
            if ramping and s[_INTERVAL] > _LEAST_MOVE_STEPS:
                s[_INTERVAL] -= 1
            maps[_ALIENS, :4, 2:8] = 1


@njit(cache=True, error_model="numpy")
def _fly(maps: Any) -> None:
    """Move shots up and bombs down by a row."""
    for row in range(_LAST):
        for x in range(SIDE):
            maps[_SHOTS, row, x] = maps[_SHOTS, row + 1, x]
            maps[_BOMBS, _LAST - row, x] = maps[_BOMBS, _LAST - row - 1, x]
    maps[_SHOTS, _LAST] = 0
    maps[_BOMBS, 0] = 0


@njit(cache=True, error_model="numpy")
def _march(s: Any, aliens: Any) -> bool:
    """Move all aliens sideways, or at a border down; return whether that ends the episode."""
    end = False
    if aliens[:, 0 if s[_DIRECTION] < 0 else _LAST].any():
        s[_DIRECTION] = -s[_DIRECTION]
        end = aliens[_LAST].any()
        lowest = aliens[_LAST].copy()
        for row in range(_LAST, 0, -1):
            aliens[row] = aliens[row - 1]
        # Those of the last row come back at the top, where only a finished episode could show them.
        aliens[0] = lowest
    elif s[_DIRECTION] < 0:
        for x in range(_LAST):
            aliens[:, x] = aliens[:, x + 1]
        aliens[:, _LAST] = 0
    else:
        for x in range(_LAST, 0, -1):
            aliens[:, x] = aliens[:, x - 1]
        aliens[:, 0] = 0
    return end or aliens[_LAST, s[_CANNON]] == 1


@njit(cache=True, error_model="numpy")
def _drop(maps: Any, cannon: int) -> None:
    """Let the lowest alien of the nearest column, the left one of two, drop a bomb."""
    for distance in range(SIDE):
        for x in (cannon - distance, cannon + distance):
            if 0 <= x < SIDE:
                for row in range(_LAST, -1, -1):
                    if maps[_ALIENS, row, x]:
                        maps[_BOMBS, row, x] = 1
                        return


@njit(cache=True, error_model="numpy")
def _hit(maps: Any) -> int:
    """Remove aliens and shots at the same place; return how many."""
    count = 0
    for row in range(SIDE):
        for x in range(SIDE):
            if maps[_ALIENS, row, x] and maps[_SHOTS, row, x]:
                maps[_ALIENS, row, x] = maps[_SHOTS, row, x] = 0
                count += 1
    return count


@njit(cache=True, error_model="numpy")
def _show(states: Any, planes: Any) -> None:
    for i in range(len(states)):
        s, p = states[i], planes[i]
        maps = s[_MAPS:].reshape(_KINDS, SIDE, SIDE)
        p[0, _LAST, s[_CANNON]] = 1
        moving = 2 if s[_DIRECTION] < 0 else 3
        for row in range(SIDE):
            for x in range(SIDE):
                p[1, row, x] = p[moving, row, x] = maps[_ALIENS, row, x]
                p[4, row, x] = maps[_SHOTS, row, x]
                p[5, row, x] = maps[_BOMBS, row, x]


class SpaceInvaders(MinAtarGame):
    """SpaceInvaders: an alien shot earns 1; an alien or a bomb at the cannon ends the episode.

    Aliens move sideways, turn at a border and come down by a row there; also an alien in the bottom
    row that would come down ends the episode. The fewer are left, the faster they are. Every ten
    steps the nearest one drops a bomb. With ramping each new wave is faster. Planes: cannon, alien,
    aliens that move left, that move right, shots of the cannon, bombs.
    """

    planes = ("cannon", "alien", "alien_left", "alien_right", "friendly_bullet", "enemy_bullet")
    actions = (NOTHING, LEFT, RIGHT, FIRE)
    kernel, show = staticmethod(_step), staticmethod(_show)
    state_size = _MAPS + _KINDS * SIDE * SIDE

    def _begin(self, rows: Rows, numbers: NDArray[np.float64]) -> None:
        del numbers  # every episode starts alike
        state = np.zeros(self.state_size, np.int16)
        state[_CANNON], state[_DIRECTION] = 5, -1
        state[[_INTERVAL, _MOVE_TIMER]] = _MOVE_STEPS
        state[_ALIEN_SHOT_TIMER] = _ALIEN_SHOT_STEPS
        state[_MAPS:].reshape(_KINDS, SIDE, SIDE)[_ALIENS, :4, 2:8] = 1
        self._state[rows] = state


SpaceInvadersEnv = single_env(SpaceInvaders)
