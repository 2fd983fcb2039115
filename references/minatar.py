"""Scripted policies and a simulating oracle of MinAtar's games, and their returns.

    python -m references.minatar random
    python -m references.minatar scripted snn/MinAtar-Breakout-v0

A script sees the planes that an agent sees. The oracle sees the state: it plays the game on from
there many times and takes the action after which that went best.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from snn_gym.envs.minatar.base import (
    DOWN,
    FIRE,
    LEFT,
    NOTHING,
    RIGHT,
    SIDE,
    UP,
    MinAtarGame,
)
from snn_gym.envs.registry import env_ids

EPISODES = {"random": 1000, "scripted": 200, "oracle": 20}
"""Episodes of the stated scores, by kind: seeds 0, 1, 2, …"""
_CHICKEN_COLUMN = 4
_LOW_OXYGEN = 3
_ROLLOUTS, _DISCOUNT, _LOSS = 48, 0.97, 5.0
_HORIZONS = {"Asterix": 24, "Breakout": 24, "Freeway": 40, "Seaquest": 24, "SpaceInvaders": 24}
_BEST = {"Asterix": 48, "Breakout": 48, "Freeway": 12, "Seaquest": 12, "SpaceInvaders": 12}
"""Steps of a rollout, and rollouts that count; found on seeds from 1000 on."""
_CHANGES = (1.0, 0.3, 0.1, 0.0)
"""Probabilities that a rollout's action changes at a step; each rollout has one of them."""

Planes = Mapping[str, NDArray[np.int8]]
"""Planes (10, 10) of an observation, by name."""


# ---- scripts -------------------------------------------------------------------------------------
def _place(plane: NDArray[np.int8]) -> tuple[int, int]:
    """Return row and column of the only 1."""
    row, column = divmod(int(plane.argmax()), SIDE)
    return row, column


def catch(planes: Planes) -> int:
    """Breakout: go below the place where the ball will be."""
    (_, x), (_, before), (_, paddle) = (_place(planes[k]) for k in ("ball", "trail", "paddle"))
    ahead = x + (np.sign(x - before) or (1 if x == 0 else -1))
    target = ahead if 0 <= ahead < SIDE else x
    return NOTHING if target == paddle else LEFT if target < paddle else RIGHT


def flee(planes: Planes) -> int:
    """Asterix: go to the nearest gold by places that no enemy is at or enters."""
    enemies = planes["enemy"].astype(bool)
    danger = enemies.copy()
    for row, column in np.argwhere(enemies):
        for step in (-1, 1):
            behind = column - step
            if 0 <= column + step < SIDE and (
                not 0 <= behind < SIDE or planes["trail"][row, behind]
            ):
                danger[row, column + step] = True
    row, column = _place(planes["player"])
    gold = np.argwhere(planes["gold"])
    moves = {NOTHING: (0, 0), UP: (-1, 0), DOWN: (1, 0), LEFT: (0, -1), RIGHT: (0, 1)}

    def cost(move: int) -> float:
        y = min(max(row + moves[move][0], 1), SIDE - 2)
        x = min(max(column + moves[move][1], 0), SIDE - 1)
        far = min((abs(y - a) + abs(x - b) for a, b in gold), default=abs(y - 4) + abs(x - 4))
        return float(100 * danger[y, x] + far)

    return min(moves, key=cost)


def cross(planes: Planes) -> int:
    """Freeway: go up unless a car is at the crossing, or enters it, in the next row."""
    row, _ = _place(planes["chicken"])
    near = planes["car"][max(row - 1, 0), _CHICKEN_COLUMN - 1 : _CHICKEN_COLUMN + 2]
    return NOTHING if near.any() else UP


def dive(planes: Planes) -> int:
    """Seaquest: surface when oxygen is low; else shoot or avoid enemies in the row, or go on."""
    row, column = _place(planes["sub_front"])
    if planes["oxygen_gauge"].sum() <= _LOW_OXYGEN and planes["diver_gauge"].any():
        return UP
    targets = np.flatnonzero(planes["enemy_fish"][row] | planes["enemy_sub"][row])
    if row and len(targets):
        nearest = int(targets[np.abs(targets - column).argmin()])
        faces_right = column > 0 and bool(planes["sub_back"][row, column - 1])
        if (nearest > column) == faces_right:
            return FIRE
        return RIGHT if nearest > column else LEFT
    if row == 0 or planes["enemy_bullet"][row].any():
        return DOWN if row < SIDE - 2 else UP
    return _go_on(planes, row, column)


def _go_on(planes: Planes, row: int, column: int) -> int:
    """Go to the nearest diver, or else enemy, by rows without enemies."""
    enemies = planes["enemy_fish"] | planes["enemy_sub"] | planes["enemy_bullet"]
    wanted = planes["diver"] if planes["diver"].any() else enemies
    places = np.argwhere(wanted)
    if not len(places):
        return NOTHING
    y, x = places[np.abs(places - (row, column)).sum(1).argmin()]
    if y == row:
        return RIGHT if x > column else LEFT
    is_blocked = wanted is not enemies and enemies[row + (1 if y > row else -1)].any()
    return NOTHING if is_blocked else DOWN if y > row else UP


def shoot(planes: Planes) -> int:
    """SpaceInvaders: leave the column of a low bomb, else go below an alien and fire."""
    _, column = _place(planes["cannon"])
    bombs = planes["enemy_bullet"][SIDE - 4 :].max(0) > 0
    if bombs[column]:
        free = [x for x in (column - 1, column + 1) if 0 <= x < SIDE and not bombs[x]]
        if free:
            return LEFT if free[0] < column else RIGHT
    target = _aim(planes, column)
    if target == column:
        return FIRE
    ahead = column + (1 if target > column else -1)
    return NOTHING if bombs[ahead] else RIGHT if target > column else LEFT


def _aim(planes: Planes, column: int) -> int:
    """Return the nearest column where a shot fired now would meet the lowest alien of a column."""
    aliens = planes["alien"]
    step = 1 if planes["alien_right"].any() else -1
    # They move when this many steps have passed, at most.
    wait = min(int(aliens.sum()), 12)
    targets = []
    for x in np.flatnonzero(aliens.any(0)):
        row = int(np.flatnonzero(aliens[:, x]).max())
        targets.append(int(np.clip(x + step * ((SIDE - 1 - row) // wait), 0, SIDE - 1)))
    return min(targets, key=lambda x: abs(x - column), default=column)


SCRIPTS: Mapping[str, Callable[[Planes], int]] = {
    "Asterix": flee,
    "Breakout": catch,
    "Freeway": cross,
    "Seaquest": dive,
    "SpaceInvaders": shoot,
}
"""Functions that choose the code of an action, by the game's class."""


def scripted(game: MinAtarGame, planes: NDArray[np.int8]) -> NDArray[np.int64]:
    """Return the scripted actions (B,) of a game for its planes (B, C, 10, 10)."""
    script = SCRIPTS[type(game).__name__]
    codes = [script(dict(zip(game.planes, each, strict=True))) for each in planes]
    return np.array([game.actions.index(code) for code in codes])


# ---- oracle --------------------------------------------------------------------------------------
class Oracle:
    """Random shooting: takes the action after which games that are played on go best.

    After each action 48 copies of the game go on with random actions, some of which are held for
    long. An action's value is the mean of their best discounted sums of rewards; the end of an
    episode costs 5.
    """

    def __init__(self, game: MinAtarGame, seed: int = 0) -> None:
        self._game, self._rng = game, np.random.default_rng(seed)
        name = type(game).__name__
        self._horizon, self._best = _HORIZONS[name], _BEST[name]

    def act(self) -> NDArray[np.int64]:
        """Return actions (B,) for the present states."""
        game, choices = self._game, len(self._game.actions)
        copies = choices * _ROLLOUTS
        rows = game.num_envs * copies
        played = game.copied(np.repeat(np.arange(game.num_envs), copies))
        total, alive = np.zeros(rows), np.ones(rows, np.bool_)
        actions = np.tile(np.repeat(np.arange(choices), _ROLLOUTS), game.num_envs)
        restless = self._rng.choice(_CHANGES, size=rows)
        for step in range(self._horizon):
            if step:
                fresh = self._rng.random(rows) < restless
                actions = np.where(fresh, self._rng.integers(choices, size=rows), actions)
            words = self._rng.integers(1 << 32, size=(rows, game.step_words), dtype=np.uint32)
            rewards, ended = played.moved(actions, words)
            total += _DISCOUNT**step * alive * (rewards - _LOSS * ended)
            alive &= ~ended
        values = total.reshape(game.num_envs, choices, _ROLLOUTS)
        best = np.sort(values, axis=2)[..., -self._best :]
        chosen: NDArray[np.int64] = best.mean(axis=2).argmax(axis=1)
        return chosen


# ---- returns -------------------------------------------------------------------------------------
def returns_of(env_id: str, kind: str, episodes: int, seed: int = 0) -> NDArray[np.float64]:
    """Return the returns (episodes,) of a kind of ``EPISODES``, on seeds from ``seed`` on."""
    game: Any = gym.make_vec(env_id, episodes)
    planes, _ = game.reset(seed=seed)
    oracle, rng = Oracle(game, seed), np.random.default_rng(1_000_000 + seed)
    returns, running = np.zeros(episodes), np.ones(episodes, np.bool_)
    while running.any():
        if kind == "oracle":
            actions = oracle.act()
        elif kind == "scripted":
            actions = scripted(game, planes)
        else:
            actions = rng.integers(len(game.actions), size=episodes)
        planes, rewards, terminated, truncated, _ = game.step(actions)
        returns += np.where(running, rewards, 0.0)
        running &= ~(terminated | truncated)
    return returns


def main(kind: str, ids: list[str]) -> None:
    """Print mean and standard error of the returns of a kind."""
    for env_id in ids or [x for x in env_ids() if x.startswith("snn/MinAtar-")]:
        returns = returns_of(env_id, kind, EPISODES[kind])
        error = returns.std(ddof=1) / np.sqrt(len(returns))
        sys.stdout.write(f"{env_id} {kind} {returns.mean():.3f} {error:.3f}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
