"""MinAtar's Seaquest: shoot fish and submarines, rescue divers, and surface in time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.compilation import njit
from snn_gym.envs.batch import Rows, single_env
from snn_gym.envs.minatar.base import (
    DOWN,
    FIRE,
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
    _X, _Y, _TO_RIGHT, _OXYGEN, _DIVERS, _SPAWN_SPEED, _SPAWN_TIMER, _DIVER_TIMER, _MOVE_SPEED,
    _RAMPS, _SHOT_TIMER, _SURFACED, _LENGTHS,
) = range(LATEST + 1, LATEST + 14)  # fmt: skip
# Lists of things, each of (column, row, whether it moves to the right, and two timers).
_SHOTS, _BULLETS, _FISH, _SUBS, _SWIMMERS, _KINDS = range(6)
_TIMER, _SHOT, _FIELDS = 3, 4, 5
# At most one enemy comes in a step, and none stays for more than 61.
_ROOM = 64
_THINGS = _LENGTHS + _KINDS
_MOST_OXYGEN, _MOST_DIVERS, _GAUGE = 200, 6, 10
_SPAWN_STEPS, _DIVER_SPAWN_STEPS, _MOVE_STEPS, _DIVER_MOVE_STEPS = 20, 30, 5, 5
_SHOT_STEPS, _ENEMY_SHOT_STEPS = 5, 10


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
        things = s[_THINGS:].reshape(_KINDS, _ROOM, _FIELDS)
        action = sticky(s, actions[i], words[i, 0], threshold)
        _spawn(s, things, words[i])
        _act(s, things, action)
        reward = _fly_shots(s, things)
        _swim(s, things)
        hits, end = _move_enemies(s, things, _SUBS)
        caught = _fly_bullets(s, things)
        more, met = _move_enemies(s, things, _FISH)
        reward, end = reward + hits + more, end or caught or met
        s[_SPAWN_TIMER] -= s[_SPAWN_TIMER] > 0
        s[_DIVER_TIMER] -= s[_DIVER_TIMER] > 0
        s[_SHOT_TIMER] -= s[_SHOT_TIMER] > 0
        end = end or s[_OXYGEN] <= 0
        if s[_Y] > 0:
            s[_OXYGEN] -= 1
            s[_SURFACED] = 0
        elif not s[_SURFACED]:
            if s[_DIVERS] == 0:
                end = True
            else:
                reward += _surface(s, ramping)
        rewards[i], ended[i] = reward, end


# ---- lists ---------------------------------------------------------------------------------------
# A loop over a list goes from its last thing to the first, by places, as Python's ``reversed`` does
# while the list shrinks: it ends where a place is beyond the end, and meets a thing again that
# moved to the place before.
@njit(cache=True, error_model="numpy")
def _append(
    s: Any, things: Any, kind: int, x: int, y: int, to_right: int, timer: int, shot: int
) -> None:
    place = s[_LENGTHS + kind]
    thing = things[kind, place]
    thing[0], thing[1], thing[2], thing[_TIMER], thing[_SHOT] = x, y, to_right, timer, shot
    s[_LENGTHS + kind] += 1


@njit(cache=True, error_model="numpy")
def _remove(s: Any, things: Any, kind: int, place: int) -> int:
    """Remove the first thing that equals the one at a place; return where it was."""
    row, first = things[kind], 0
    while (row[first] != row[place]).any():
        first += 1
    for k in range(first, s[_LENGTHS + kind] - 1):
        row[k] = row[k + 1]
    s[_LENGTHS + kind] -= 1
    return first


@njit(cache=True, error_model="numpy")
def _found(s: Any, things: Any, kind: int, x: int, y: int) -> int:
    """Return the place of the first thing at a column and row, -1 for none."""
    for k in range(s[_LENGTHS + kind]):
        if things[kind, k, 0] == x and things[kind, k, 1] == y:
            return k
    return -1


@njit(cache=True, error_model="numpy")
def _at_player(s: Any, thing: Any) -> bool:
    return bool(thing[0] == s[_X] and thing[1] == s[_Y])


@njit(cache=True, error_model="numpy")
def _advance(thing: Any) -> bool:
    """Move a thing by one column; return whether it is still in the field."""
    thing[0] += 1 if thing[2] else -1
    return bool(0 <= thing[0] < SIDE)


# ---- rules ---------------------------------------------------------------------------------------
@njit(cache=True, error_model="numpy")
def _spawn(s: Any, things: Any, words: Any) -> None:
    """Let an enemy and a diver enter when it is their time."""
    used = 1
    if s[_SPAWN_TIMER] == 0:
        _spawn_enemy(s, things, words)
        s[_SPAWN_TIMER] = s[_SPAWN_SPEED]
        used = 4
    if s[_DIVER_TIMER] == 0:
        to_right, y = words[used] < HALF, 1 + pick(words[used + 1], SIDE - 2)
        x = 0 if to_right else SIDE - 1
        _append(s, things, _SWIMMERS, x, y, to_right, _DIVER_MOVE_STEPS, 0)
        s[_DIVER_TIMER] = _DIVER_SPAWN_STEPS


@njit(cache=True, error_model="numpy")
def _spawn_enemy(s: Any, things: Any, words: Any) -> None:
    """Let a fish or submarine enter, unless one comes the other way in its row."""
    to_right, y = int(words[1] < HALF), 1 + pick(words[3], SIDE - 2)
    for kind in (_SUBS, _FISH):
        for k in range(s[_LENGTHS + kind]):
            if things[kind, k, 1] == y and things[kind, k, 2] != to_right:
                return
    is_sub = words[2] < THIRD
    x, shot = 0 if to_right else SIDE - 1, _ENEMY_SHOT_STEPS if is_sub else 0
    _append(s, things, _SUBS if is_sub else _FISH, x, y, to_right, s[_MOVE_SPEED], shot)


@njit(cache=True, error_model="numpy")
def _act(s: Any, things: Any, action: int) -> None:
    """Shoot or move."""
    if action == FIRE and s[_SHOT_TIMER] == 0:
        _append(s, things, _SHOTS, s[_X], s[_Y], s[_TO_RIGHT], 0, 0)
        s[_SHOT_TIMER] = _SHOT_STEPS
    elif action == LEFT:
        s[_X], s[_TO_RIGHT] = max(0, s[_X] - 1), 0
    elif action == RIGHT:
        s[_X], s[_TO_RIGHT] = min(SIDE - 1, s[_X] + 1), 1
    elif action == UP:
        s[_Y] = max(0, s[_Y] - 1)
    elif action == DOWN:
        s[_Y] = min(SIDE - 2, s[_Y] + 1)


@njit(cache=True, error_model="numpy")
def _fly_shots(s: Any, things: Any) -> int:
    """Move the shots of the player; return the enemies that they hit."""
    hits, k = 0, s[_LENGTHS + _SHOTS] - 1
    while 0 <= k < s[_LENGTHS + _SHOTS]:
        shot = things[_SHOTS, k]
        if not _advance(shot):
            _remove(s, things, _SHOTS, k)
        else:
            for kind in (_FISH, _SUBS):
                enemy = _found(s, things, kind, shot[0], shot[1])
                if enemy >= 0:
                    _remove(s, things, kind, enemy)
                    _remove(s, things, _SHOTS, k)
                    hits += 1
                    break
        k -= 1
    return hits


@njit(cache=True, error_model="numpy")
def _swim(s: Any, things: Any) -> None:
    """Move divers, and take those that the player meets while there is room."""
    k = s[_LENGTHS + _SWIMMERS] - 1
    while 0 <= k < s[_LENGTHS + _SWIMMERS]:
        diver = things[_SWIMMERS, k]
        taken = _at_player(s, diver) and s[_DIVERS] < _MOST_DIVERS
        inside = True
        if not taken and diver[_TIMER] > 0:
            diver[_TIMER] -= 1
        elif not taken:
            diver[_TIMER] = _DIVER_MOVE_STEPS
            inside = _advance(diver)
            taken = inside and _at_player(s, diver) and s[_DIVERS] < _MOST_DIVERS
        if taken or not inside:
            s[_DIVERS] += taken
            _remove(s, things, _SWIMMERS, k)
        k -= 1


@njit(cache=True, error_model="numpy")
def _move_enemies(s: Any, things: Any, kind: int) -> tuple[int, bool]:
    """Move fish or submarines; return those that meet a shot, and whether one meets the player."""
    hits, end, k = 0, False, s[_LENGTHS + kind] - 1
    while 0 <= k < s[_LENGTHS + kind]:
        enemy, place = things[kind, k], k
        end = end or _at_player(s, enemy)
        x, y, to_right, shot = enemy[0], enemy[1], enemy[2], enemy[_SHOT]
        if enemy[_TIMER] > 0:
            enemy[_TIMER] -= 1
        else:
            enemy[_TIMER] = s[_MOVE_SPEED]
            inside = _advance(enemy)
            x = enemy[0]
            met = inside and _at_player(s, enemy)
            end = end or met
            hit = -1 if met or not inside else _found(s, things, _SHOTS, x, y)
            if hit >= 0 or not inside:
                # It stays one place before, if its equal before it went.
                place = k - 1 if _remove(s, things, kind, k) < k else -1
            if hit >= 0:
                _remove(s, things, _SHOTS, hit)
                hits += 1
        if kind == _SUBS:
            if shot == 0:
                _append(s, things, _BULLETS, x, y, to_right, 0, 0)
            if place >= 0:
                things[kind, place, _SHOT] = _ENEMY_SHOT_STEPS if shot == 0 else shot - 1
        k -= 1
    return hits, end


@njit(cache=True, error_model="numpy")
def _fly_bullets(s: Any, things: Any) -> bool:
    """Move bullets of enemies; return whether one meets the player."""
    end, k = False, s[_LENGTHS + _BULLETS] - 1
    while 0 <= k < s[_LENGTHS + _BULLETS]:
        bullet = things[_BULLETS, k]
        end = end or _at_player(s, bullet)
        if not _advance(bullet):
            _remove(s, things, _BULLETS, k)
        else:
            end = end or _at_player(s, bullet)
        k -= 1
    return end


@njit(cache=True, error_model="numpy")
def _surface(s: Any, ramping: bool) -> int:
    """Refill oxygen for a diver, or for six and a reward; return the reward."""
    reward = 0
    s[_SURFACED] = 1
    if s[_DIVERS] == _MOST_DIVERS:
        s[_DIVERS] = 0
        reward = s[_OXYGEN] * _GAUGE // _MOST_OXYGEN
    s[_OXYGEN] = _MOST_OXYGEN
    s[_DIVERS] -= 1
    if ramping and (s[_SPAWN_SPEED] > 1 or s[_MOVE_SPEED] > 2):
        if s[_MOVE_SPEED] > 2 and s[_RAMPS] % 2:
            s[_MOVE_SPEED] -= 1
        if s[_SPAWN_SPEED] > 1:
            s[_SPAWN_SPEED] -= 1
        s[_RAMPS] += 1
    return reward


@njit(cache=True, error_model="numpy")
def _show(states: Any, planes: Any) -> None:
    for i in range(len(states)):
        s, p = states[i], planes[i]
        things = s[_THINGS:].reshape(_KINDS, _ROOM, _FIELDS)
        p[0, s[_Y], s[_X]] = 1
        p[1, s[_Y], s[_X] - 1 if s[_TO_RIGHT] else s[_X] + 1] = 1
        p[7, SIDE - 1, : max(0, s[_OXYGEN]) * _GAUGE // _MOST_OXYGEN] = 1
        for k in range(s[_DIVERS]):
            p[8, SIDE - 1, SIDE - 2 - k] = 1
        for kind, plane in ((_SHOTS, 2), (_BULLETS, 4), (_FISH, 5), (_SUBS, 6), (_SWIMMERS, 9)):
            for j in range(s[_LENGTHS + kind]):
                thing = things[kind, j]
                p[plane, thing[1], thing[0]] = 1
                behind = thing[0] - (1 if thing[2] else -1)
                if kind >= _FISH and 0 <= behind < SIDE:
                    p[3, thing[1], behind] = 1


class Seaquest(MinAtarGame):
    """Seaquest: an enemy shot earns 1, six rescued divers up to 10 at the surface.

    The submarine loses oxygen under water and refills it at the surface, where it gives up a diver,
    or six. The episode ends when an enemy or its bullet meets the submarine, when oxygen is out, or
    when it surfaces without divers. With ramping each refill makes enemies faster. Planes: front
    and back of the submarine, its shots, trails, bullets of enemies, fish, enemy submarines, gauges
    of oxygen and of divers, divers.

    The rules are those of the package, also where they surprise: surfacing with six divers leaves
    -1, with which one more dive can end at the surface.
    """

    planes = (
        "sub_front", "sub_back", "friendly_bullet", "trail", "enemy_bullet", "enemy_fish",
        "enemy_sub", "oxygen_gauge", "diver_gauge", "diver",
    )  # fmt: skip
    actions = (NOTHING, LEFT, UP, RIGHT, DOWN, FIRE)
    kernel, show = staticmethod(_step), staticmethod(_show)
    state_size = _THINGS + _KINDS * _ROOM * _FIELDS
    step_words = 6

    def _begin(self, rows: Rows, numbers: NDArray[np.float64]) -> None:
        del numbers  # every episode starts alike
        state = np.zeros(self.state_size, np.int16)
        state[_X], state[_OXYGEN], state[_SURFACED] = 5, _MOST_OXYGEN, 1
        state[[_SPAWN_SPEED, _SPAWN_TIMER]] = _SPAWN_STEPS
        state[_DIVER_TIMER], state[_MOVE_SPEED] = _DIVER_SPAWN_STEPS, _MOVE_STEPS
        self._state[rows] = state


SeaquestEnv = single_env(Seaquest)
