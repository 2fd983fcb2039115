"""What the games of MinAtar share: spaces, random numbers, sticky actions and the batch."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from snn_gym._base.compilation import njit
from snn_gym._base.config import Config, Share, from_arguments
from snn_gym._base.spaces import FlatSpikes
from snn_gym.envs.batch import (
    EVERY,
    BatchEnv,
    NoiseStreams,
    Rows,
    StartStreams,
    refuse_options,
)

SIDE = 10
"""Rows and columns of a game's field."""
NOTHING, LEFT, UP, RIGHT, DOWN, FIRE = range(6)
"""Codes of actions, in MinAtar's order."""
LATEST = 0
"""Place of the latest action in the state of every game."""
HALF, THIRD = 1 << 31, -(-(1 << 32) // 3)
"""Random words below these have probabilities of 1/2 and 1/3."""
_WORD_BYTES = 4


@njit(cache=True, error_model="numpy")
def sticky(state: Any, action: int, word: int, threshold: int) -> int:
    """Return the action, or the latest one if ``word`` is below ``threshold``; store it."""
    if word < threshold:
        action = state[LATEST]
    state[LATEST] = action
    return action


@njit(cache=True, error_model="numpy")
def pick(word: int, options: int) -> int:
    """Return a whole number from 0 to ``options - 1`` from a uniform 32-bit word."""
    return (int(word) * options) >> 32


@dataclass(frozen=True, kw_only=True)
class MinAtarSettings(Config):
    """Settings of a game."""

    sticky_action_probability: Share = 0.1
    """Probability that the latest action takes the place of the agent's."""
    difficulty_ramping: bool = True
    """Whether Asterix, Seaquest and SpaceInvaders become faster with time or success."""


class MinAtarGame(BatchEnv):
    """Many environments of a game of MinAtar; ``gym.make_vec`` makes one.

    Young and Tian, "MinAtar: an Atari-inspired testbed for thorough and reproducible reinforcement
    learning experiments" (2019), https://arxiv.org/abs/1903.03176. Rules are those of version
    1.0.15 of their package. Differences: the action that sticks at the first step of an episode is
    to do nothing, while theirs is the last of the episode before; the actions are those that do
    something in the game.

    An observation is C planes of 10 x 10 places, 1 where an object of the plane's kind is. It is
    the spikes of one time step; a network holds them over its time steps.

    Each environment has two random streams: uniform numbers for starts, and 32-bit words for steps.
    A step takes a row of ``step_words`` words, the first for the sticky action, the others in the
    order in which the game needs them.

    Args:
        num_envs: Number B of environments, at least 1.
        max_episode_steps: Environment steps after which an episode is truncated.
        render_mode: ``rgb_array``, ``rgb_array_list`` or None.
        flatten: Observe ``FlatSpikes(1, 100 * C)``, a Box of one dimension.
        box: Observe planes as a Box (C, 10, 10) of float32, 0 or 1.
        autoreset_mode: When new episodes start; see ``BatchEnv``.
        **settings: Fields of ``MinAtarSettings``.

    Raises:
        TypeError: An argument is unknown.
        ValueError: An argument is not allowed; the message names the allowed values.
    """

    metadata: dict[str, Any] = {**BatchEnv.metadata, "render_fps": 15}  # noqa: RUF012 - gymnasium's own type
    settings_class: ClassVar[type[Any]] = MinAtarSettings
    """Frozen dataclass of the settings."""
    planes: ClassVar[tuple[str, ...]]
    """Names of the planes."""
    actions: ClassVar[tuple[int, ...]]
    """Codes of the actions 0, 1, 2, …"""
    kernel: ClassVar[Callable[..., None]]
    """Moves states (B, S), in place, by codes (B,) of actions and words (B, ``step_words``).

    Other arguments: the number below which a word means the latest action, whether difficulty
    ramps, and rewards (B,) and ends (B,) to fill, which are 0.
    """
    show: ClassVar[Callable[..., None]]
    """Sets the places of planes (n, C, 10, 10), which are 0, from states (n, S)."""
    state_size: ClassVar[int]
    """Numbers of the state of an environment, int16."""
    start_size: ClassVar[int] = 0
    """Uniform numbers for the start of an episode."""
    step_words: ClassVar[int] = 1
    """Random words of an environment step, one for the sticky action."""

    def __init__(
        self,
        num_envs: int = 1,
        max_episode_steps: int = 5000,
        render_mode: str | None = None,
        flatten: bool = False,
        box: bool = False,
        **settings: Any,
    ) -> None:
        self.settings = from_arguments(self.settings_class, settings, type(self).__name__)
        shape = (len(self.planes), SIDE, SIDE)
        space: gym.Space[Any] = gym.spaces.MultiBinary(shape)
        if flatten and box:
            raise ValueError("flatten and box name two forms of the observation; choose one")
        if flatten:
            space = FlatSpikes(1, int(np.prod(shape)))
        elif box:
            space = gym.spaces.Box(0.0, 1.0, shape, np.float32)
        actions = gym.spaces.Discrete(len(self.actions))
        super().__init__(num_envs, max_episode_steps, space, actions, render_mode)
        self._codes = np.array(self.actions, np.int64)
        self._sticky = np.uint64(np.ceil(self.settings.sticky_action_probability * 2.0**32))
        self._state = np.zeros((num_envs, self.state_size), np.int16)
        self._starts = StartStreams(num_envs, self.start_size)
        self._words = NoiseStreams(num_envs, _WORD_BYTES * self.step_words)

    def copied(self, indices: NDArray[np.int64]) -> Self:
        """Return a batch of copies of environments ``indices`` (n,), which may repeat.

        The copy has no random streams of its own, and serves ``moved`` only.
        """
        batch = copy.copy(self)
        batch._state, batch.num_envs = self._state[indices], len(indices)
        return batch

    def started(self, numbers: NDArray[np.float64]) -> NDArray[Any]:
        """Start an episode in every environment; return first observations (B, ...).

        ``numbers`` (B, ``start_size``), in [0, 1), take the place of random numbers.
        """
        self._begin(EVERY, numbers)
        return self.observed()

    def moved(
        self, actions: NDArray[np.int64], words: NDArray[np.uint32]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Move every environment by actions (B,), and return rewards (B,) and ends (B,).

        ``words`` (B, ``step_words``), uint32, take the place of random numbers.
        """
        rewards, ended = np.zeros(self.num_envs), np.zeros(self.num_envs, np.bool_)
        ramping = self.settings.difficulty_ramping
        codes = self._codes[actions]
        self.kernel(self._state, codes, words, self._sticky, ramping, rewards, ended)
        return rewards, ended

    def draw(self, index: int) -> NDArray[np.uint8]:
        """Return the image (250, 250, 3), uint8, of one environment, in MinAtar's colours."""
        return draw_planes(self._planes_of(np.array([index]))[0])

    def _start(
        self, rows: Rows, seeds: Sequence[int | None] | None, options: dict[str, Any] | None
    ) -> NDArray[Any]:
        refuse_options(options, type(self).__name__)
        self._starts.seed(seeds, rows)
        self._words.seed(seeds, rows)
        self._begin(rows, self._starts.take(rows))
        return self.observed(rows)

    def _advance(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        words = np.ascontiguousarray(self._words.take(EVERY)).view(np.uint32)
        return self.moved(actions, words)

    def _observe(self) -> NDArray[Any]:
        return self.observed()

    def observed(self, rows: Rows = EVERY) -> NDArray[Any]:
        """Return the present observations (n, ...) of some environments, a new array."""
        planes = self._planes_of(rows)
        space = self.single_observation_space
        if isinstance(space, gym.spaces.MultiBinary):
            return planes
        return planes.reshape(len(planes), *(space.shape or ())).astype(np.float32)

    def _planes_of(self, rows: Rows) -> NDArray[np.int8]:
        """Return the planes (n, C, 10, 10), int8, 0 or 1, of some environments."""
        state = self._state[rows]
        planes = np.zeros((len(state), len(self.planes), SIDE, SIDE), np.int8)
        self.show(state, planes)
        return planes

    @abstractmethod
    def _begin(self, rows: Rows, numbers: NDArray[np.float64]) -> None:
        """Start episodes in n environments from numbers (n, ``start_size``) in [0, 1)."""


# ---- image ---------------------------------------------------------------------------------------
_PLACE_PIXELS = 25


def draw_planes(planes: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Draw planes (C, rows, columns) of 0 and 1 as MinAtar does, 25 pixels a place.

    A place has the colour of its last plane with a 1, black without any. Colours are evenly spaced
    in cubehelix, without its ends.
    """
    # Only drawing needs it, and it is slow to import.
    import matplotlib as mpl

    kinds = len(planes)
    numbers = (planes * np.arange(1, kinds + 1)[:, np.newaxis, np.newaxis]).max(axis=0)
    shades = mpl.colormaps["cubehelix"](np.linspace(0.0, 1.0, kinds + 2)[1:-1])[:, :3]
    colours = np.vstack([np.zeros(3), shades])
    image: NDArray[np.uint8] = (255.0 * colours).round().astype(np.uint8)[numbers]
    return image.repeat(_PLACE_PIXELS, axis=0).repeat(_PLACE_PIXELS, axis=1)
