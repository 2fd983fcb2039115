"""Event tracking: keep a moving light in the view of an event camera."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from snn_gym._base.compilation import njit
from snn_gym._base.config import Count, Natural, NonNegative, Positive, TimeSteps
from snn_gym.envs.batch import Rows, byte_rate, single_env
from snn_gym.envs.native.base import RateTask, SpikeTaskSettings
from snn_gym.envs.rendering import ACCENT, HEIGHT, INK, PAPER, WIDTH, blank, rectangle

VIEW = 16
"""Pixels to a side of the camera."""
PIXELS = VIEW * VIEW
REWARD_RADIUS_PX = 8.0
"""Distance of the light from the middle of the view at which a step earns nothing (px)."""

_DIRECTIONS = 256
_WORDS = 65536
# Squared standard deviations from which the light is 0: exp(-20) is lost beside the background, and
# products of smaller numbers are slow.
_FAR = 40.0


@dataclass(frozen=True)
class EventTrackingSettings(SpikeTaskSettings):
    """Motion of the light and the camera, sensitivity and noise of the pixels."""

    channels: ClassVar[int] = 2 * PIXELS
    """Channels N: ON, then OFF, row by row."""
    target_speed_px: Positive = 1.0
    """Way of the light in an environment step (px)."""
    turn_px: NonNegative = 0.1
    """Largest change of the light's velocity along an axis in an environment step (px), before the
    velocity is brought back to its speed."""
    pan_speed_px: Positive = 2.0
    """Way of the camera in an environment step at action 1 along an axis (px)."""
    start_offset_px: NonNegative = 4.0
    """Largest distance along an axis of the light from the middle of the view at the start (px)."""
    light_radius_px: Positive = 2.0
    """Standard deviation of the light's Gaussian profile (px)."""
    background: Positive = 0.1
    """Intensity of the dark, where the middle of the light has 1 more."""
    contrast_threshold: Positive = 0.25
    """Change of the log intensity that makes an event."""
    noise_rate_hz: float = 1.0
    """Rate of events without cause of every channel (Hz)."""
    hot_pixels: Natural = 0
    """Pixels that fire ON events all the time, drawn for each episode with replacement."""
    hot_rate_hz: float = 200.0
    """Rate of a hot pixel (Hz)."""
    arena_px: Positive = 64.0
    """Side of the square at whose border the light is reflected (px)."""
    episode_steps: Count = 30
    """Environment steps of an episode."""
    time_steps: TimeSteps = field(default=4, kw_only=True)

    def _check(self) -> None:
        # One reflection in a time step has to be enough.
        if not self.target_speed_px < self.arena_px:
            raise ValueError(
                f"target_speed_px must be below arena_px, got {self.target_speed_px} and "
                f"{self.arena_px}"
            )
        byte_rate(self.noise_rate_hz / 1000.0)
        byte_rate(self.hot_rate_hz / 1000.0)

    @property
    def start_size(self) -> int:
        """Uniform numbers for the start of an episode: place, offset, direction, hot pixels."""
        return 5 + self.hot_pixels

    @property
    def noise_size(self) -> int:
        """Bytes of noise for the dynamics: a change of velocity, 2 bytes along each axis."""
        return 4


class EventTracking(RateTask):
    """Task: pan a camera that sees only changes of brightness after a light moving in the dark.

    A pixel fires ON or OFF where the log intensity rose or fell by the contrast threshold since its
    last event. An environment step earns more the nearer the light is to the middle of the view at
    its end. A camera that follows perfectly sees nothing.

    Events as in Gallego et al., "Event-based vision: a survey", IEEE TPAMI 44 (2022),
    https://doi.org/10.1109/TPAMI.2020.3008413; here a pixel has at most one event in a time step.
    """

    settings_class = EventTrackingSettings
    settings: EventTrackingSettings
    info_arrays = (("light", "_light"), ("velocity", "_velocity"), ("camera", "_camera"))
    channels_per_band = PIXELS

    def _make_action_space(self) -> gym.Space[Any]:
        return gym.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def _allocate(self, num_envs: int) -> None:
        settings = self.settings
        self._light, self._velocity, self._camera = np.zeros((3, num_envs, 2))
        # Intensity at each pixel's last event; float32 for speed.
        self._levels = np.ones((num_envs, VIEW, VIEW), np.float32)
        self._events = np.zeros((num_envs, settings.time_steps, 2, VIEW, VIEW), np.bool_)
        self._noise_rates = np.zeros((num_envs, settings.channels), np.uint8)
        self._everyone = np.arange(num_envs)
        angle = np.arange(_DIRECTIONS) * (2.0 * np.pi / _DIRECTIONS)
        self._headings = settings.target_speed_px * np.stack([np.cos(angle), np.sin(angle)], 1)

    def _begin(self, rows: Rows, numbers: NDArray[np.float64]) -> None:
        settings, indices = self.settings, self._everyone[rows]
        light = numbers[:, :2] * settings.arena_px
        self._light[indices] = light
        offset = (2.0 * numbers[:, 2:4] - 1.0) * settings.start_offset_px
        self._camera[indices] = np.clip(light + offset, 0.0, settings.arena_px)
        direction = np.floor(numbers[:, 4] * _DIRECTIONS).astype(np.int64)
        self._velocity[indices] = self._headings[direction]
        self._noise_rates[indices] = byte_rate(settings.noise_rate_hz / 1000.0)
        hot = np.floor(numbers[:, 5:] * PIXELS).astype(np.int64)
        self._noise_rates[indices[:, np.newaxis], hot] = byte_rate(settings.hot_rate_hz / 1000.0)
        self._levels[indices] = (
            0.0  # the camera was off: its pixels take their first level silently
        )
        self._watch(indices, np.zeros((len(indices), 2)))

    def _move(
        self, actions: NDArray[Any], noise: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        settings = self.settings
        # Two bytes for each axis.
        words = np.ascontiguousarray(noise).view("<u2")  # (B, 2)
        change = (words / (_WORDS / 2.0) - 1.0) * settings.turn_px
        velocity = self._velocity + change
        squares = velocity * velocity
        speed = np.sqrt(squares[:, 0] + squares[:, 1])[:, np.newaxis]
        moving = speed > 0.0
        scale = np.divide(settings.target_speed_px, speed, out=np.ones_like(speed), where=moving)
        self._velocity = np.where(moving, velocity * scale, self._velocity)
        pan = np.clip(actions.astype(np.float64), -1.0, 1.0) * settings.pan_speed_px
        self._watch(self._everyone, pan)
        away = self._light - self._camera
        distance = np.sqrt(away[:, 0] * away[:, 0] + away[:, 1] * away[:, 1])
        reward = np.maximum(0.0, 1.0 - distance / REWARD_RADIUS_PX) / settings.episode_steps
        return reward, self._steps + 1 >= settings.episode_steps

    def _watch(self, indices: NDArray[np.int64], pan: NDArray[np.float64]) -> None:
        """Move lights and cameras of some environments by one step, and record the events."""
        settings = self.settings
        _watch(
            indices,
            pan,
            self._light,
            self._velocity,
            self._camera,
            self._levels,
            self._events,
            (settings.arena_px, settings.light_radius_px),
            (np.float32(settings.background), np.float32(np.exp(settings.contrast_threshold))),
        )

    def _emit(self, rows: Rows, noise: NDArray[np.uint8], spikes: NDArray[np.bool_]) -> None:
        super()._emit(rows, noise, spikes)
        spikes |= self._events[rows].reshape(spikes.shape)

    def _thresholds(self, rows: Rows) -> NDArray[np.uint8]:
        return self._noise_rates[rows]

    def _scene(self, index: int) -> NDArray[np.uint8]:
        return draw_event_tracking(
            self._light[index].tolist(),
            self._camera[index].tolist(),
            self.settings.arena_px,
            self.settings.light_radius_px,
            np.any(self._latest_spikes(index).reshape(-1, 2, VIEW, VIEW), axis=0),
        )


EventTrackingEnv = single_env(EventTracking)


@njit(cache=True, error_model="numpy")
def _watch(
    indices: NDArray[np.int64],
    pan: NDArray[np.float64],
    light: NDArray[np.float64],
    velocity: NDArray[np.float64],
    camera: NDArray[np.float64],
    levels: NDArray[np.float32],
    events: NDArray[np.bool_],
    lengths: tuple[float, float],
    sensor: tuple[np.float32, np.float32],
) -> None:
    """Move lights and cameras of environments ``indices`` (n,) and write their events.

    ``pan`` (n, 2) is the cameras' way (px). ``lengths`` are arena side and light radius, ``sensor``
    the background and the factor ``exp(C)`` between levels. Levels are intensities, so
    that ``log I - ref >= C`` is ``I >= level * exp(C)``; an event moves the level by the factor. A
    level of 0 takes the present intensity first, without an event.
    """
    arena, radius = lengths
    background, factor = sensor
    steps = events.shape[1]
    profile = np.empty((2, VIEW), np.float32)
    for n in range(len(indices)):
        i = indices[n]
        if levels[i, 0, 0] == 0.0:
            _see(light[i], camera[i], radius, profile)
            _take(profile, background, levels[i])
        for t in range(steps):
            for axis in range(2):
                place = light[i, axis] + velocity[i, axis] / steps
                if place < 0.0 or place > arena:
                    place = -place if place < 0.0 else 2.0 * arena - place
                    velocity[i, axis] = -velocity[i, axis]
                light[i, axis] = place
                turned = camera[i, axis] + pan[n, axis] / steps
                camera[i, axis] = min(max(turned, 0.0), arena)
            _see(light[i], camera[i], radius, profile)
            _compare(profile, background, factor, levels[i], events[i, t])


@njit(cache=True, error_model="numpy")
def _see(
    light: NDArray[np.float64],
    camera: NDArray[np.float64],
    radius: float,
    profile: NDArray[np.float32],
) -> None:
    """Write the light's profile along x and y, (2, VIEW); pixel 0 is left, and at the bottom."""
    for axis in range(2):
        middle = light[axis] - camera[axis] + 0.5 * (VIEW - 1)
        for k in range(VIEW):
            away = (k - middle) / radius
            share = np.exp(-0.5 * away * away) if away * away < _FAR else 0.0
            profile[axis, k] = np.float32(share)


@njit(cache=True, error_model="numpy")
def _take(
    profile: NDArray[np.float32], background: np.float32, levels: NDArray[np.float32]
) -> None:
    """Set ``levels`` (VIEW, VIEW) to the present intensities, without events."""
    for row in range(VIEW):
        for column in range(VIEW):
            levels[row, column] = background + profile[1, row] * profile[0, column]


@njit(cache=True, error_model="numpy")
def _compare(
    profile: NDArray[np.float32],
    background: np.float32,
    factor: np.float32,
    levels: NDArray[np.float32],
    events: NDArray[np.bool_],
) -> None:
    """Write ``events`` (2, VIEW, VIEW), ON then OFF, and move the levels by the factor."""
    one = np.float32(1.0)
    fall = one / factor
    for row in range(VIEW):
        share = profile[1, row]
        for column in range(VIEW):
            level = levels[row, column]
            intensity = background + share * profile[0, column]
            rose = intensity >= level * factor
            fell = intensity <= level * fall
            events[0, row, column] = rose
            events[1, row, column] = fell
            levels[row, column] = level * (factor if rose else (fall if fell else one))


# ---- image ---------------------------------------------------------------------------------------
_DARK = (18, 24, 38)
_LIGHT = (255, 236, 170)
_OFF = (90, 150, 240)
_ARENA_MARGIN = 8  # pixels of the arena shown beyond its border, where the view can reach


def draw_event_tracking(
    light: list[float], camera: list[float], arena: float, radius: float, events: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Draw the arena; x goes to the right, y up, in pixels of the camera.

    The light is yellow, the view around ``camera`` has a white frame. ``events`` (2, 16, 16), bool,
    are ON, red, and OFF, blue.
    """
    scale = HEIGHT / (arena + 2 * _ARENA_MARGIN)
    image = blank(INK)
    edge, side = _ARENA_MARGIN * scale, arena * scale
    rectangle(image, edge, edge, side, side, _DARK)
    rows, columns = np.ogrid[:HEIGHT, :WIDTH]
    x = (columns + 0.5) / scale - _ARENA_MARGIN
    y = arena + _ARENA_MARGIN - (rows + 0.5) / scale
    away = (x - light[0]) ** 2 + (y - light[1]) ** 2
    glow = np.exp(-away / (2.0 * radius**2))[..., np.newaxis]
    image = (image + glow * (np.array(_LIGHT) - image)).astype(np.uint8)
    size = events.shape[1]
    left = (camera[0] - size / 2 + _ARENA_MARGIN) * scale
    bottom = (arena + _ARENA_MARGIN - camera[1] + size / 2) * scale
    for polarity, colour in enumerate((ACCENT, _OFF)):
        for row, column in np.argwhere(events[polarity]):
            corner = bottom - (row + 1) * scale + 0.2 * scale, left + (column + 0.2) * scale
            rectangle(image, *corner, 0.6 * scale, 0.6 * scale, colour)
    side = size * scale
    for top, start, height, width in (
        (bottom - side - 2, left - 2, 2, side + 4),
        (bottom, left - 2, 2, side + 4),
        (bottom - side, left - 2, side, 2),
        (bottom - side, left + side, side, 2),
    ):
        rectangle(image, top, start, height, width, PAPER)
    return image
