"""MinAtar's Breakout: return the ball with a paddle and break three rows of bricks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.compilation import njit
from snn_gym.envs.batch import Rows, single_env
from snn_gym.envs.minatar.base import (
    LATEST,
    LEFT,
    NOTHING,
    RIGHT,
    SIDE,
    MinAtarGame,
    sticky,
)

_PADDLE, _X, _Y, _DIRECTION, _TRAIL_X, _TRAIL_Y, _STRUCK, _BRICKS = range(LATEST + 1, LATEST + 9)
_BRICK_ROWS = 3
# Directions of the ball, 0 to 3: up and left, up and right, down and right, down and left.
_SIDEWAYS = np.array([1, 0, 3, 2])
_UPRIGHT = np.array([3, 2, 1, 0])
_BACK = np.array([2, 3, 0, 1])


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
        if action == LEFT:
            s[_PADDLE] = max(0, s[_PADDLE] - 1)
        elif action == RIGHT:
            s[_PADDLE] = min(SIDE - 1, s[_PADDLE] + 1)
        rewards[i], ended[i] = _move_ball(s)


@njit(cache=True, error_model="numpy")
def _move_ball(s: Any) -> tuple[int, bool]:
    """Move the ball by one place; return reward and end."""
    reward, end, met = 0, False, False
    old_x, old_y, paddle = s[_X], s[_Y], s[_PADDLE]
    x = old_x + (1 if s[_DIRECTION] == 1 or s[_DIRECTION] == 2 else -1)
    y = old_y + (1 if s[_DIRECTION] >= 2 else -1)
    if x < 0 or x >= SIDE:
        x = min(max(x, 0), SIDE - 1)
        s[_DIRECTION] = _SIDEWAYS[s[_DIRECTION]]
    brick = _BRICKS + (y - 1) * SIDE + x
    if y < 0:
        y = 0
        s[_DIRECTION] = _UPRIGHT[s[_DIRECTION]]
    elif 1 <= y <= _BRICK_ROWS and s[brick] == 1:
        met = True
        if s[_STRUCK] == 0:
            # A ball that has just struck a brick flies through the next ones.
            reward, s[_STRUCK], s[brick], y = 1, 1, 0, old_y
            s[_DIRECTION] = _UPRIGHT[s[_DIRECTION]]
    elif y == SIDE - 1:
        if not s[_BRICKS:].any():
            s[_BRICKS:] = 1
        if old_x == paddle:
            s[_DIRECTION], y = _UPRIGHT[s[_DIRECTION]], old_y
        elif x == paddle:
            s[_DIRECTION], y = _BACK[s[_DIRECTION]], old_y
        else:
            end = True
    if not met:
        s[_STRUCK] = 0
    s[_TRAIL_X], s[_TRAIL_Y], s[_X], s[_Y] = old_x, old_y, x, y
    return reward, end


@njit(cache=True, error_model="numpy")
def _show(states: Any, planes: Any) -> None:
    for i in range(len(states)):
        s, p = states[i], planes[i]
        p[0, SIDE - 1, s[_PADDLE]] = 1
        p[1, s[_Y], s[_X]] = 1
        p[2, s[_TRAIL_Y], s[_TRAIL_X]] = 1
        for k in range(_BRICK_ROWS * SIDE):
            p[3, 1 + k // SIDE, k % SIDE] = s[_BRICKS + k]


class Breakout(MinAtarGame):
    """Breakout: a brick earns 1; the episode ends when the ball falls past the paddle.

    The ball moves along diagonals and is reflected by walls and bricks. The middle of the paddle
    reflects it upwards, a cell beside it back to where it came from. When all bricks are broken,
    three rows are added. Planes: paddle, ball, trail (where the ball was), bricks.
    """

    planes = ("paddle", "ball", "trail", "brick")
    actions = (NOTHING, LEFT, RIGHT)
    kernel, show = staticmethod(_step), staticmethod(_show)
    state_size = _BRICKS + _BRICK_ROWS * SIDE
    start_size = 1

    def _begin(self, rows: Rows, numbers: NDArray[np.float64]) -> None:
        state = np.zeros((len(numbers), self.state_size), np.int16)
        from_right = np.floor(2.0 * numbers[:, 0]).astype(np.int16)
        state[:, _PADDLE], state[:, _Y], state[:, _TRAIL_Y] = 4, 3, 3
        state[:, _X] = state[:, _TRAIL_X] = (SIDE - 1) * from_right
        state[:, _DIRECTION] = 2 + from_right
        state[:, _BRICKS:] = 1
        self._state[rows] = state


BreakoutEnv = single_env(Breakout)
