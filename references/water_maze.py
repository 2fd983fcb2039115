"""Scripted policies of the water maze."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ncx2

from references.policy import Privileged, Scripted
from snn_gym.envs.native.base import SpikeTask
from snn_gym.envs.native.water_maze import PLATFORM_CHANNELS, WaterMazeSettings

Places = NDArray[np.float64]
"""Places (x, y), (n, 2), in sides of the pool."""

_GRID = 33  # candidate places per side of the decoder
_LEAST_SPREAD = 0.02  # standard deviation of a place, at least: the decoder's grid is no finer

TOURS = {
    1: (0,),
    2: (0, 1, 3, 2),
    3: (0, 1, 2, 5, 8, 7, 4, 6, 3),
    4: (0, 1, 2, 3, 7, 6, 5, 9, 10, 11, 15, 14, 13, 12, 8, 4),
}
"""Short closed tours through all sites, by sites to a side."""


class Decoder:
    """Posterior of the place for the spikes of one environment step and a prior."""

    def __init__(self, settings: WaterMazeSettings) -> None:
        line = np.linspace(0.0, 1.0, _GRID)
        self._places = np.stack([np.tile(line, _GRID), np.repeat(line, _GRID)], axis=1)
        self._square = (self._places**2).sum(axis=1)
        chance = np.maximum(settings.rates(self._places), 1e-3) / 256.0
        self._odds = np.log(chance / (1.0 - chance)).T  # (fields, places)
        self._silence = settings.time_steps * np.log1p(-chance).sum(axis=1)

    def __call__(
        self, spikes: NDArray[np.int8], before: Places, precision: NDArray[np.float64]
    ) -> tuple[Places, NDArray[np.float64]]:
        """Return the mean place (B, 2) and its variance along an axis (B,), for spikes (B, T, N).

        ``before`` (B, 2) is the mean of a Gaussian prior, ``precision`` (B,) its inverse variance
        along an axis; 0 is a uniform prior.
        """
        counts = spikes[:, :, :-PLATFORM_CHANNELS].sum(axis=1, dtype=np.float64)
        evidence = counts @ self._odds + self._silence
        nearness = before @ self._places.T - 0.5 * self._square
        evidence += precision[:, np.newaxis] * nearness
        weights = np.exp(evidence - evidence.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        mean: Places = weights @ self._places
        variance: NDArray[np.float64] = 0.5 * (weights @ self._square - (mean**2).sum(axis=1))
        return mean, variance


def heading_to(settings: WaterMazeSettings, places: Places, goals: Places) -> NDArray[np.int64]:
    """Return headings (n,) whose step from ``places`` (n, 2) ends nearest to goals (n, 2)."""
    moves = settings.moves().mean(axis=1)
    ends = np.clip(places[:, np.newaxis] + moves, 0.0, 1.0)
    away = ends - goals[:, np.newaxis]
    heading: NDArray[np.int64] = (away**2).sum(axis=2).argmin(axis=1)
    return heading


class Swimmer(Privileged):
    """Policy that knows the places of animal and platform and swims straight there."""

    def choose(self, info: dict[str, Any], settings: WaterMazeSettings) -> NDArray[np.int64]:
        """Return the headings to the platform."""
        return heading_to(settings, info["place"], info["platform"])


class TourField(Scripted):
    """Memoryless policy that swims along one closed tour through the candidate places.

    The decoded place is projected on the tour, and the aim lies ``ahead`` (sides of the pool) of
    the projection. ``scale`` is the distance of the corners from the pool's centre, relative to the
    sites; ``order`` lists the visited sites.
    """

    def __init__(self, task: SpikeTask, scale: float, ahead: float, order: tuple[int, ...]) -> None:
        self._settings: WaterMazeSettings = task.settings
        self._decode = Decoder(self._settings)
        corners = self._settings.sites[list(order)]
        corners = 0.5 + scale * (corners - 0.5)
        self._track = _along(corners, 512)
        length = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T).sum()
        self._ahead = round(512 * ahead / max(length, 1e-9)) % 512

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the headings along the tour."""
        del starts
        place, _ = self._decode(spikes, np.zeros((len(spikes), 2)), np.zeros(len(spikes)))
        square = (self._track**2).sum(axis=1) - 2.0 * place @ self._track.T
        nearest = square.argmin(axis=1)
        aim = self._track[(nearest + self._ahead) % len(self._track)]
        return heading_to(self._settings, place, aim)


def _along(corners: Places, points: int) -> Places:
    """Return evenly spaced points (points, 2) on the closed line through some corners."""
    closed = np.concatenate([corners, corners[:1]])
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    at = np.arange(points) * (length[-1] / points)
    return np.stack([np.interp(at, length, closed[:, axis]) for axis in range(2)], axis=1)


class Searcher(Scripted):
    """Policy that searches the sites, remembers the one with the platform, and returns to it.

    It sees spikes only. It keeps a Gaussian belief of its place, moved by its headings and
    corrected by the place cells, and a probability of the platform at each site, which falls at
    visited sites where the platform's neurons are silent. It goes where the platform is most
    probable for the way, and once it is found, straight back.
    """

    def __init__(self, task: SpikeTask) -> None:
        self._settings: WaterMazeSettings = task.settings
        self._decode = Decoder(self._settings)
        self._sites = self._settings.sites
        moves = self._settings.moves()
        self._moves = moves.mean(axis=1)
        self._diffusion = 0.5 * float(((moves[0] - self._moves[0]) ** 2).sum(axis=1).mean())
        self._place = np.zeros((task.num_envs, 2))
        self._precision = np.zeros(task.num_envs)
        self._chance = np.ones((task.num_envs, len(self._sites)))
        self._found = np.zeros(task.num_envs, np.bool_)

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the headings to the known platform or to the next site to search."""
        counts = spikes[:, :, -PLATFORM_CHANNELS:].sum(axis=(1, 2), dtype=np.int64)
        expected = PLATFORM_CHANNELS * self._settings.time_steps * self._settings.peak_rate_hz
        on_platform = counts > expected / 2000.0
        self._precision[starts] = 0.0
        self._place, variance = self._decode(spikes, self._place, self._precision)
        variance = np.maximum(variance, _LEAST_SPREAD**2)
        self._search(variance, on_platform, starts)
        away = np.sqrt(((self._place[:, np.newaxis] - self._sites) ** 2).sum(axis=2))
        goal = (self._chance / (away + self._settings.speed)).argmax(axis=1)
        heading = heading_to(self._settings, self._place, self._sites[goal])
        self._place = np.clip(self._place + self._moves[heading], 0.0, 1.0)
        # The task moves the animal from the platform to a random place.
        self._precision = np.where(on_platform, 0.0, 1.0 / (variance + self._diffusion))
        return heading

    def _search(
        self,
        variance: NDArray[np.float64],
        on_platform: NDArray[np.bool_],
        starts: NDArray[np.bool_],
    ) -> None:
        """Update the probability (B, sites) of the platform at each site; ``starts`` reset it."""
        self._chance[starts] = 1.0 / len(self._sites)
        self._found[starts] = False
        square = ((self._place[:, np.newaxis] - self._sites) ** 2).sum(axis=2)
        spread = variance[:, np.newaxis]
        inside = ncx2.cdf(self._settings.platform_radius**2 / spread, 2, square / spread)
        seen = np.where(on_platform[:, np.newaxis], inside, 1.0 - inside)
        seen = np.where(on_platform[:, np.newaxis] | ~self._found[:, np.newaxis], seen, 1.0)
        self._chance *= np.maximum(seen, 1e-6)
        self._chance /= self._chance.sum(axis=1, keepdims=True)
        self._found |= on_platform


# Scale, way ahead and sites in order, by sites to a side: the best that the card describes.
_BEST_TOURS: dict[int, tuple[float, float, tuple[int, ...]]] = {
    1: (1.0, 0.2, TOURS[1]),
    2: (1.0, 0.2, TOURS[2]),
    3: (1.0, 0.2, (0, 1, 2, 5, 8, 7, 6, 3)),
    4: (1.15, 0.3, (1, 2, 7, 11, 14, 13, 8, 4)),
}


def best_tour(task: SpikeTask) -> Scripted:
    """Return the best known tour for the task's sites; ValueError above 4 sites to a side."""
    side = task.settings.sites_per_side
    if side not in _BEST_TOURS:
        raise ValueError(f"tours are known for 1 to 4 sites to a side, got {side}")
    return TourField(task, *_BEST_TOURS[side])


POLICIES: dict[str, Callable[[SpikeTask], Scripted]] = {
    # The reference that an agent with memory can reach
    "oracle": Searcher,
    "memoryless": best_tour,
    "searcher": Searcher,
    "privileged": Swimmer,
}
FIXED_KIND = "searcher"
