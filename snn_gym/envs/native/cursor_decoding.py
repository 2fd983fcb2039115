"""Cursor decoding: move a cursor to targets by reading motor-cortical spikes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from snn_gym._base.config import Count, Natural, NonNegative, Positive, Range
from snn_gym.envs.batch import Rows, byte_rate, single_env
from snn_gym.envs.native.base import RateTask, SpikeTaskSettings
from snn_gym.envs.rendering import (
    ACCENT,
    FAINT,
    GOOD,
    HEIGHT,
    INK,
    PAPER,
    WIDTH,
    blank,
    disc,
    line,
    rectangle,
)

NEURONS = 40
"""Recorded neurons, one channel each."""

MAX_SPEED = 0.15
"""Longest way of the cursor in an environment step (workspace units)."""
SLOWING_DISTANCE = 0.3
"""Distance to the target below which the intention weakens in proportion (workspace units)."""
TARGET_CENTRE_RANGE = (0.45, 0.8)
"""Distances of targets from the middle of the workspace (workspace units)."""
TURN_RANGE_DEG = (75.0, 285.0)
"""Angles, seen from the middle, between successive targets (degrees)."""


@dataclass(frozen=True)
class CursorDecodingSettings(SpikeTaskSettings):
    """Strength and drift of the tuning, failing channels, targets and length of an episode."""

    channels: ClassVar[int] = NEURONS
    baseline_hz: NonNegative = 90.0
    """Rate of every neuron without an intention (Hz)."""
    modulation_hz: Positive = 90.0
    """Change of the rate by a full intention along the preferred direction (Hz)."""
    drift_deg: NonNegative = 5.0
    """Largest turn of all preferred directions at the start of a session (degrees)."""
    drift_growth: Annotated[float, Range(at_least=1)] = 1.0
    """Factor by which a session's turn has grown at the episode's end."""
    lost_channels: Annotated[int, Range(at_least=0, below=NEURONS)] = 0
    """Silent channels, drawn anew for each session."""
    tuning_seed: Natural = 0
    """Seed of the preferred directions, which are part of the task."""
    target_radius: Annotated[float, Range(above=0, below=TARGET_CENTRE_RANGE[0])] = 0.2
    """Distance to a target's centre within which the cursor is inside (workspace units)."""
    hold_steps: Count = 2
    """Environment steps in a row inside a target after which the next one appears."""
    episode_steps: Count = 32
    """Environment steps of an episode."""

    def _check(self) -> None:
        if self.drift_deg * self.drift_growth > 180.0:
            raise ValueError(
                "drift_deg times drift_growth must be at most 180, got "
                f"{self.drift_deg} and {self.drift_growth}"
            )
        byte_rate((self.baseline_hz + self.modulation_hz) / 1000.0)

    @property
    def targets(self) -> int:
        """Largest number of targets in an episode."""
        return self.episode_steps // self.hold_steps + 1

    @property
    def start_size(self) -> int:
        """Uniform numbers for a start: the turn, an order of channels, two for each target."""
        return 1 + NEURONS + 2 * self.targets


def preferred_directions(tuning_seed: int) -> NDArray[np.float64]:
    """Return the unit vectors (40, 2) of the neurons' preferred directions.

    They are spread evenly over the circle, in an order and with deviations of at most half a
    spacing that ``tuning_seed`` fixes.
    """
    generator = np.random.Generator(np.random.PCG64(tuning_seed))
    places = generator.permutation(NEURONS) + generator.uniform(-0.5, 0.5, NEURONS)
    angles = places * (2.0 * np.pi / NEURONS)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


class CursorDecoding(RateTask):
    """Task: move a cursor to targets by the spikes of neurons tuned to the user's intention.

    The action is the cursor's velocity. The user means to move straight to the target from the
    present place, more weakly close to it. Each of 40 neurons fires with the rate
    ``baseline_hz + modulation_hz * strength * cos(intended - preferred direction)``, not below 0.
    The reward of a step is the approach to the target as a share of the longest way, or the whole
    share inside the target; the return of an episode is at most 1. The next target appears when the
    cursor has stayed inside for ``hold_steps``.

    After Georgopoulos, Schwartz and Kettner, "Neuronal population coding of movement direction",
    Science 233 (1986), https://doi.org/10.1126/science.3749885 (cosine tuning), and Gilja et al.,
    "A high-performance neural prosthesis enabled by control algorithm design", Nature Neuroscience
    15 (2012), https://doi.org/10.1038/nn.3265 (closed loop with an intention straight to the
    target). The neurons here are simulated, and the reward is ours.
    """

    settings_class = CursorDecodingSettings
    settings: CursorDecodingSettings
    info_arrays = (("cursor", "_cursor"), ("target", "_target"), ("acquired", "_number"))

    def _make_action_space(self) -> gym.Space[Any]:
        return gym.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def _allocate(self, num_envs: int) -> None:
        settings = self.settings
        self._preferred = preferred_directions(settings.tuning_seed)
        self._targets = np.zeros((num_envs, settings.targets, 2))
        self._number, self._inside_steps = np.zeros((2, num_envs), np.int64)
        self._cursor, self._before, self._target = np.zeros((3, num_envs, 2))
        self._turn = np.zeros(num_envs)
        self._alive = np.ones((num_envs, NEURONS), np.bool_)

    def _begin(self, rows: Rows, numbers: NDArray[np.float64]) -> None:
        settings = self.settings
        self._turn[rows] = np.deg2rad(settings.drift_deg) * (2.0 * numbers[:, 0] - 1.0)
        if settings.lost_channels:
            # The channels of the smallest numbers are lost: every set is equally likely.
            order = np.argsort(numbers[:, 1 : 1 + NEURONS], axis=1)
            alive = np.ones((len(numbers), NEURONS), np.bool_)
            np.put_along_axis(alive, order[:, : settings.lost_channels], False, axis=1)
            self._alive[rows] = alive
        places = numbers[:, 1 + NEURONS :].reshape(len(numbers), settings.targets, 2)
        low, high = np.deg2rad(TURN_RANGE_DEG)
        turns = low + (high - low) * places[:, :, 0]
        turns[:, 0] = 2.0 * np.pi * places[:, 0, 0]
        angles = np.cumsum(turns, axis=1)
        near, far = TARGET_CENTRE_RANGE
        distances = near + (far - near) * places[:, :, 1]
        targets = np.stack([distances * np.cos(angles), distances * np.sin(angles)], axis=2)
        self._targets[rows] = targets
        self._target[rows] = targets[:, 0]
        for array in (self._number, self._inside_steps, self._cursor, self._before):
            array[rows] = 0

    def _move(
        self, actions: NDArray[Any], noise: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        del noise  # the cursor obeys exactly
        settings = self.settings
        velocity = np.clip(actions.astype(np.float64), -1.0, 1.0)
        # Diagonal actions are no faster than straight ones.
        velocity *= MAX_SPEED / np.maximum(_length(velocity), 1.0)[:, np.newaxis]
        target = self._target
        self._before = self._cursor
        self._cursor = np.clip(self._cursor + velocity, -1.0, 1.0)
        far = _length(target - self._before)
        near = _length(target - self._cursor)
        inside = near <= settings.target_radius
        rewards = np.where(inside, 1.0, (far - near) / MAX_SPEED) / settings.episode_steps
        self._inside_steps = np.where(inside, self._inside_steps + 1, 0)
        acquired = np.flatnonzero(self._inside_steps >= settings.hold_steps)
        self._number[acquired] += 1
        self._inside_steps[acquired] = 0
        number = np.minimum(self._number[acquired], settings.targets - 1)
        self._target[acquired] = self._targets[acquired, number]
        return rewards, self._steps + 1 >= settings.episode_steps

    def _thresholds(self, rows: Rows) -> NDArray[np.uint8]:
        """Return the thresholds (n, 40), uint8, of all neurons in the n environments ``rows``.

        A neuron fires at a time step if its random byte is below its threshold.
        """
        settings = self.settings
        meant = self.intention(rows)
        turn = self.turn(rows)
        cosine, sine = np.cos(turn), np.sin(turn)
        # The tuning turned forwards is the intention turned backwards.
        along = (cosine * meant[:, 0] + sine * meant[:, 1]) * (settings.modulation_hz * 0.256)
        across = (cosine * meant[:, 1] - sine * meant[:, 0]) * (settings.modulation_hz * 0.256)
        rates = along.astype(np.float32)[:, np.newaxis] * self._preferred[:, 0].astype(np.float32)
        rates += across.astype(np.float32)[:, np.newaxis] * self._preferred[:, 1].astype(np.float32)
        rates += np.float32(settings.baseline_hz * 0.256 + 0.5)
        np.maximum(rates, 0.0, out=rates)
        if settings.lost_channels:
            rates *= self._alive[rows]
        return rates.astype(np.uint8)

    @property
    def cursor(self) -> NDArray[np.float64]:
        """Present places (B, 2) of the cursors (workspace units), in the task's own array."""
        return self._cursor

    @property
    def target(self) -> NDArray[np.float64]:
        """Centres (B, 2) of the present targets (workspace units), in the task's own array.

        The next step writes to this array.
        """
        return self._target

    def intention(self, rows: Rows) -> NDArray[np.float64]:
        """Return intentions (n, 2) to the target, of length 1, less within ``SLOWING_DISTANCE``."""
        way = self._target[rows] - self._cursor[rows]
        scale: NDArray[np.float64] = way / np.maximum(_length(way), SLOWING_DISTANCE)[:, np.newaxis]
        return scale

    def turn(self, rows: Rows) -> NDArray[np.float64]:
        """Return the present turn (n,) of the tuning (radians)."""
        settings = self.settings
        share = self._steps[rows] / settings.episode_steps
        return self._turn[rows] * (1.0 + (settings.drift_growth - 1.0) * share)

    def alive(self, rows: Rows) -> NDArray[np.bool_]:
        """Return the mask (n, 40) of channels that are not lost."""
        return self._alive[rows]

    def _scene(self, index: int) -> NDArray[np.uint8]:
        row = np.array([index])
        return draw_cursor_decoding(
            tuple(self._cursor[index]),
            tuple(self._before[index]),
            tuple(self._target[index]),
            tuple(self.intention(row)[0]),
            radius=self.settings.target_radius,
            hold_share=int(self._inside_steps[index]) / self.settings.hold_steps,
        )


def _length(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the lengths (n,) of vectors (n, 2); unlike ``hypot``, square roots are exact."""
    lengths: NDArray[np.float64] = np.sqrt(vectors[:, 0] ** 2 + vectors[:, 1] ** 2)
    return lengths


CursorDecodingEnv = single_env(CursorDecoding)


# ---- image ---------------------------------------------------------------------------------------
_WORKSPACE_MARGIN = 12.0
_CURSOR_RADIUS = 6.0
_ARROW_LENGTH = 36.0

Point = tuple[float, float]


def pixel(place: Point) -> Point:
    """Return (row, column) of a place (x, y) in the workspace [-1, 1] x [-1, 1], y upwards."""
    x, y = place
    half_height, half_width = HEIGHT / 2, WIDTH / 2
    return (
        half_height - y * (half_height - _WORKSPACE_MARGIN),
        half_width + x * (half_width - _WORKSPACE_MARGIN),
    )


def draw_cursor_decoding(
    cursor: Point, before: Point, target: Point, intention: Point, radius: float, hold_share: float
) -> NDArray[np.uint8]:
    """Draw the workspace; places are (x, y) in [-1, 1], ``radius`` is the target's.

    The target is a green ring that fills by the share of the holding time. The cursor is
    blue, with a pale line from its place ``before``. The red line is the user's intention.
    """
    image = blank()
    for edge in (_WORKSPACE_MARGIN, HEIGHT - _WORKSPACE_MARGIN - 1):
        rectangle(image, edge, _WORKSPACE_MARGIN, 1, WIDTH - 2 * _WORKSPACE_MARGIN, FAINT)
        rectangle(image, _WORKSPACE_MARGIN, edge, HEIGHT - 2 * _WORKSPACE_MARGIN, 1, FAINT)
    disc(image, HEIGHT / 2, WIDTH / 2, 2.0, FAINT)
    size = radius * (HEIGHT / 2 - _WORKSPACE_MARGIN)
    disc(image, *pixel(target), size, GOOD)
    disc(image, *pixel(target), size - 3.0, PAPER)
    if hold_share > 0:
        disc(image, *pixel(target), (size - 3.0) * hold_share, GOOD)
    row, column = pixel(cursor)
    line(image, pixel(before), (row, column), FAINT, 8.0)
    tip = (row - intention[1] * _ARROW_LENGTH, column + intention[0] * _ARROW_LENGTH)
    line(image, (row, column), tip, ACCENT, 3.0)
    disc(image, row, column, _CURSOR_RADIUS, INK)
    return image
