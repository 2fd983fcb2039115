"""Scripted policies of event tracking."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from references.policy import Privileged, Scripted
from snn_gym.envs.native.base import SpikeTask
from snn_gym.envs.native.event_tracking import VIEW, EventTrackingSettings

KINDS = ("oracle", "memoryless", "tracker")
FIXED_AGENT = "memoryless"
"""The kind whose score shows that a level is harder."""

Vectors = NDArray[np.float64]
"""(x, y) for each environment, (B, 2), in pixels."""

_AXIS = np.arange(VIEW) - 0.5 * (VIEW - 1)


class Follower(Privileged):
    """Knows the light's place and velocity, and turns the camera to where it will be."""

    def choose(self, info: dict[str, Any], settings: EventTrackingSettings) -> NDArray[np.float32]:
        """Return the pan to the light's next place, as far as it goes."""
        ahead = info["light"] + info["velocity"]
        ahead = settings.arena_px - np.abs(settings.arena_px - np.abs(ahead))  # the border reflects
        return _pan(ahead - info["camera"], settings)


class Proportional(Scripted):
    """A memoryless policy: turns towards the middle of the present events.

    The pan is linear in two features of the latest spikes: the mean place of all events, and the
    mean place of ON less that of OFF events, which points along the light's way over the sensor.

    Args:
        task: The batch.
        gain: Pan by the mean place.
        lead: Pan by the difference of polarities.
        prior: Events at the middle of the view that are added to the means, so that a few noise
            events turn nothing.
    """

    def __init__(self, task: SpikeTask, gain: float, lead: float, prior: float) -> None:
        self._settings: EventTrackingSettings = task.settings
        self._gain, self._lead, self._prior = gain, lead, prior

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return the pan."""
        del starts
        images = _images(spikes)
        counts = images.sum(axis=(2, 3))
        sums = _moments(images)
        middle = sums.sum(axis=1) / (counts.sum(axis=1) + self._prior)[:, np.newaxis]
        means = sums / (counts + 0.5 * self._prior)[:, :, np.newaxis]
        wanted = self._gain * middle + self._lead * (means[:, 0] - means[:, 1])
        return _pan(wanted, self._settings)


class Tracker(Scripted):
    """Keeps an estimate of the light's place and velocity relative to the arena.

    It weighs the present events by their distance to where it expects the light, takes their mean
    for the light's place, corrects the velocity by how far that is from what it expected, and turns
    to the place that it expects next. Where there are no events, the light is where it expected it.

    Args:
        task: The batch.
        velocity_gain: Share of the error by which the velocity is corrected.
        width: Standard deviation of the window around the expected place (px).
        prior: Events at the expected place that are added to the mean.
        lag: How far back along the light's way over the sensor the mean of the events of an
            environment step is, in ways of an environment step.
    """

    def __init__(
        self,
        task: SpikeTask,
        velocity_gain: float,
        width: float = 9.0,
        prior: float = 6.0,
        lag: float = 0.6,
    ) -> None:
        self._settings: EventTrackingSettings = task.settings
        self._gain, self._width, self._prior, self._lag = velocity_gain, width, prior, lag
        self._offset = np.zeros((task.num_envs, 2))  # of the light from the middle of the view
        self._velocity = np.zeros((task.num_envs, 2))
        self._slip = np.zeros((task.num_envs, 2))  # way over the sensor in the latest step

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return the pan to where the light is expected next."""
        self._offset[starts] = 0.0
        self._velocity[starts] = 0.0
        self._slip[starts] = 0.0
        width = np.where(starts, 2.0 * VIEW, self._width)[:, np.newaxis, np.newaxis]
        away = _AXIS - self._offset[:, :, np.newaxis]
        window = np.exp(-0.5 * (away / width) ** 2)
        weights = window[:, 1, :, np.newaxis] * window[:, 0, np.newaxis, :]
        images = _images(spikes) * weights[:, np.newaxis]
        total = images.sum(axis=(1, 2, 3))[:, np.newaxis]
        seen = self._offset - self._lag * self._slip
        mean = (_moments(images).sum(axis=1) + self._prior * seen) / (total + self._prior)
        error = mean - seen
        place = self._offset + error
        self._velocity += np.where(starts, 0.0, self._gain)[:, np.newaxis] * error
        action = _pan(place + self._velocity, self._settings)
        self._slip = self._velocity - action * self._settings.pan_speed_px
        self._offset = place + self._slip
        return action


def _images(spikes: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return the numbers of events (B, 2, VIEW, VIEW)."""
    counts: NDArray[np.float64] = spikes.sum(axis=1, dtype=np.float64)
    return counts.reshape(-1, 2, VIEW, VIEW)


def _moments(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums (B, 2, 2) of x and y over the events of each polarity."""
    return np.stack([images.sum(axis=2) @ _AXIS, images.sum(axis=3) @ _AXIS], axis=2)


def _pan(wanted: Vectors, settings: EventTrackingSettings) -> NDArray[np.float32]:
    """Return the actions (B, 2) that turn the camera by so much, or as far as it goes."""
    action: NDArray[np.float32] = np.clip(wanted / settings.pan_speed_px, -1, 1).astype(np.float32)
    return action


def oracle(task: SpikeTask) -> Scripted:
    """Return the one that knows place and velocity of the light."""
    return Follower(task)


# Gains found on other seeds than those of the scores: the faster the light, the larger. Per
# pixel of the light's way in an environment step.
_GAIN, _VELOCITY_GAIN = 2.0, 0.6


def memoryless(task: SpikeTask) -> Scripted:
    """Return the best controller of the present events that was found."""
    settings: EventTrackingSettings = task.settings
    return Proportional(task, gain=_GAIN * settings.target_speed_px, lead=0.2, prior=1.0)


def tracker(task: SpikeTask) -> Scripted:
    """Return the one that remembers."""
    settings: EventTrackingSettings = task.settings
    return Tracker(task, velocity_gain=_VELOCITY_GAIN * settings.target_speed_px)
