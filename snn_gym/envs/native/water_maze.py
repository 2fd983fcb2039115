"""Water maze: find a hidden platform, remember its place, return to it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from snn_gym._base.config import Count, Positive, Range
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

PLATFORM_CHANNELS = 8
"""Neurons that fire while the animal stands on the platform."""

_LEVELS = 256  # values of a random byte; places per side that the place cells tell apart
_TRAIL = 16  # places that a picture shows


@dataclass(frozen=True)
class WaterMazeSettings(SpikeTaskSettings):
    """Pool, motion and place cells; lengths are in sides of the square pool."""

    start_size: ClassVar[int] = 3
    """Uniform numbers for the start of a session: the platform's site, the first place."""
    sites_per_side: Count = 2
    """Squares to a side of a grid; the platform lies at the centre of one of them."""
    # A wider one could hide the new start that lies half a pool from the first choice.
    platform_radius: Annotated[float, Range(above=0, below=0.25)] = 0.15
    """Distance from the centre of the platform at which the animal is on it."""
    crossing_steps: Count = 8
    """Environment steps to swim from one wall to the opposite one."""
    headings: Annotated[int, Range(at_least=3)] = 8
    """Headings to choose from."""
    heading_noise_deg: Annotated[float, Range(at_least=0, at_most=180)] = 0.0
    """Largest deviation from the heading, uniformly drawn on both sides (degrees)."""
    fields_per_side: Annotated[int, Range(at_least=2)] = 6
    """Place cells to a side of their square grid."""
    field_width: Positive = 0.12
    """Standard deviation of a place cell's Gaussian field."""
    peak_rate_hz: float = 300.0
    """Rate of a place cell in the middle of its field and of the platform's neurons on it (Hz)."""
    background_rate_hz: float = 2.0
    """Rate of all neurons everywhere (Hz), to which the others are added."""
    full_visits: Count = 10
    """Visits of the platform that together earn 1."""
    episode_steps: Count = 48
    """Environment steps of a session."""

    def _check(self) -> None:
        byte_rate(self.background_rate_hz / 1000.0)
        byte_rate((self.background_rate_hz + self.peak_rate_hz) / 1000.0)

    @property
    def channels(self) -> int:
        """Number N of channels."""
        return self.fields_per_side**2 + PLATFORM_CHANNELS

    @property
    def noise_size(self) -> int:
        """Bytes of noise for the dynamics: a new place (2 of 2 bytes), the heading's deviation."""
        return 5

    @property
    def speed(self) -> float:
        """Length of an environment step."""
        return 1.0 / self.crossing_steps

    @property
    def sites(self) -> NDArray[np.float64]:
        """Possible places (x, y) of the platform, (sites_per_side ** 2, 2), row by row."""
        line = (np.arange(self.sites_per_side) + 0.5) / self.sites_per_side
        return np.stack([np.tile(line, len(line)), np.repeat(line, len(line))], axis=1)

    def moves(self) -> NDArray[np.float64]:
        """Return the displacement of each heading and noise byte, (headings, 256, 2)."""
        heading = np.arange(self.headings) * (2.0 * np.pi / self.headings)
        deviation = np.linspace(-1.0, 1.0, _LEVELS) * np.deg2rad(self.heading_noise_deg)
        angle = heading[:, np.newaxis] + deviation
        return self.speed * np.stack([np.cos(angle), np.sin(angle)], axis=2)

    @cached_property
    def tuning(self) -> NDArray[np.float32]:
        """Profile of each field along one axis at 256 places, (256, fields_per_side)."""
        place = np.linspace(0.0, 1.0, _LEVELS)[:, np.newaxis]
        centre = np.linspace(0.0, 1.0, self.fields_per_side)
        profile = np.exp(-((place - centre) ** 2) / (2.0 * self.field_width**2))
        return profile.astype(np.float32)

    def rates(self, places: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Return the bytes below which place cells fire at places (n, 2) in [0, 1].

        Shape (n, fields_per_side ** 2), uint8: the field's row (y) outside, its column (x) inside.
        """
        # A table instead of exponentials, for speed.
        index = np.rint(places * (_LEVELS - 1)).astype(np.int64)
        x, y = self.tuning[index[:, 0]], self.tuning[index[:, 1]]
        share = (y[:, :, np.newaxis] * x[:, np.newaxis, :]).reshape(len(places), -1)
        scaled = np.float32(self.peak_rate_hz * 0.256) * share
        total = np.rint(scaled + np.float32(self.background_rate_hz * 0.256))
        rates: NDArray[np.uint8] = total.astype(np.uint8)
        return rates


class WaterMaze(RateTask):
    """Task: swim to a platform hidden at one of a few places of a pool, the same for a session.

    The action is a heading; place cells encode the place. On the platform the animal earns
    ``1 / full_visits`` and the platform's neurons fire; the next environment step, whatever the
    action, moves it to a random place off the platform. It therefore pays to remember the
    platform's place.

    After Frémaux, Sprekeler and Gerstner, "Reinforcement learning using a continuous time
    actor-critic framework with spiking neurons", PLoS Computational Biology 9 (2013),
    https://doi.org/10.1371/journal.pcbi.1003024. Their platform stays for all trials, so synapses
    can learn its place; here it moves with each session, so activity must hold it.
    """

    settings_class = WaterMazeSettings
    settings: WaterMazeSettings
    info_arrays = (("platform", "_platform"), ("place", "_place"), ("reached", "_reached"))
    channels_per_band = PLATFORM_CHANNELS

    def _make_action_space(self) -> gym.Space[Any]:
        return gym.spaces.Discrete(self.settings.headings)

    def _allocate(self, num_envs: int) -> None:
        settings = self.settings
        self._sites = settings.sites
        self._moves = settings.moves()
        self._platform, self._place = np.zeros((2, num_envs, 2))
        self._on_platform = np.zeros(num_envs, np.bool_)
        self._reached = np.zeros(num_envs, np.int64)
        self._trails: list[list[list[float]]] = [[] for _ in range(num_envs)]
        low = byte_rate(settings.background_rate_hz / 1000.0)
        high = byte_rate((settings.background_rate_hz + settings.peak_rate_hz) / 1000.0)
        self._platform_rates = np.array([low, high], np.uint8)

    def _begin(self, rows: Rows, numbers: NDArray[np.float64]) -> None:
        site = np.floor(numbers[:, 0] * len(self._sites)).astype(np.int64)
        platform = self._sites[site]
        self._platform[rows] = platform
        self._place[rows] = self._off_platform(numbers[:, 1:], platform)
        self._on_platform[rows] = False
        self._reached[rows] = 0
        if self.render_mode:
            for index in np.arange(self.num_envs)[rows]:
                self._trails[index] = [self._place[index].tolist()]

    def _move(
        self, actions: NDArray[Any], noise: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        lifted = self._on_platform
        swum = np.clip(self._place + self._moves[actions, noise[:, 4]], 0.0, 1.0)
        # Two bytes for each coordinate of a new place.
        words = np.ascontiguousarray(noise[:, :4]).view("<u2")  # (B, 2)
        fresh = self._off_platform(words / 65536.0, self._platform)
        self._place = np.where(lifted[:, np.newaxis], fresh, swum)
        self._on_platform = self._is_on(self._place, self._platform)
        self._reached += self._on_platform
        if self.render_mode:
            self._follow(lifted)
        over = self._steps + 1 >= self.settings.episode_steps
        return self._on_platform / self.settings.full_visits, over

    def _thresholds(self, rows: Rows) -> NDArray[np.uint8]:
        settings, on = self.settings, self._on_platform[rows]
        thresholds = np.empty((len(on), settings.channels), np.uint8)
        thresholds[:, :-PLATFORM_CHANNELS] = settings.rates(self._place[rows])
        thresholds[:, -PLATFORM_CHANNELS:] = self._platform_rates[on.astype(np.int64), np.newaxis]
        return thresholds

    def _is_on(
        self, places: NDArray[np.float64], platforms: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        away = places - platforms
        distance = away[:, 0] * away[:, 0] + away[:, 1] * away[:, 1]
        on: NDArray[np.bool_] = distance <= self.settings.platform_radius**2
        return on

    def _off_platform(
        self, places: NDArray[np.float64], platforms: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return places (n, 2), those on the platform moved by half a pool along both axes."""
        on = self._is_on(places, platforms)
        return np.where(on[:, np.newaxis], (places + 0.5) % 1.0, places)

    def _follow(self, lifted: NDArray[np.bool_]) -> None:
        """Append the latest places to the trails, at most 16 each; ``lifted`` (B,) restarts one."""
        for trail, place, is_new in zip(self._trails, self._place.tolist(), lifted, strict=True):
            if is_new:
                trail.clear()
            trail.append(place)
            del trail[:-_TRAIL]

    def _scene(self, index: int) -> NDArray[np.uint8]:
        return draw_water_maze(
            self._trails[index],
            self._sites.tolist(),
            self._platform[index].tolist(),
            self.settings.platform_radius,
            bool(self._on_platform[index]),
        )


WaterMazeEnv = single_env(WaterMaze)


# ---- image ---------------------------------------------------------------------------------------
_POOL_MARGIN = 14
_POOL = WIDTH - 2 * _POOL_MARGIN


def draw_water_maze(
    trail: list[list[float]],
    sites: list[list[float]],
    platform: list[float],
    radius: float,
    on_platform: bool,
) -> NDArray[np.uint8]:
    """Draw the pool; x goes to the right, y up.

    The platform is green, the other sites are white rings, the animal is blue, or red on the
    platform. A line joins the places of its ``trail``, newest last.
    """
    image = blank()
    rectangle(image, _POOL_MARGIN - 3, _POOL_MARGIN - 3, _POOL + 6, _POOL + 6, INK)
    rectangle(image, _POOL_MARGIN, _POOL_MARGIN, _POOL, _POOL, FAINT)
    for site in sites:
        row, column = _pixel(site)
        disc(image, row, column, radius * _POOL, PAPER)
        disc(image, row, column, radius * _POOL - 2, FAINT)
    disc(image, *_pixel(platform), radius * _POOL, GOOD)
    points = [_pixel(place) for place in trail]
    for start, end in pairwise(points):
        line(image, start, end, INK, width=2.0)
    for row, column in points[:-1]:
        disc(image, row, column, 3.0, INK)
    disc(image, *points[-1], 9.0, PAPER)
    disc(image, *points[-1], 7.0, ACCENT if on_platform else INK)
    return image


def _pixel(place: list[float]) -> tuple[float, float]:
    """Return row and column of a place; row 0 is the top of the image."""
    x, y = place
    return HEIGHT - 1 - _POOL_MARGIN - y * (_POOL - 1), _POOL_MARGIN + x * (_POOL - 1)
