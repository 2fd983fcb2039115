"""Scripted policies of event tracking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from references.policy import Privileged, Scripted
from snn_gym.envs.native.base import SpikeTask
from snn_gym.envs.native.event_tracking import VIEW, EventTrackingSettings

Vectors = NDArray[np.float64]
"""(x, y) for each environment, (B, 2), in pixels."""

# Gains were tuned on other seeds than those of the scores: the faster the light, the larger. They
# are per pixel of the light's way in an environment step.
_GAIN, _VELOCITY_GAIN = 2.0, 0.6
_LEAD = 0.2
"""Pan by the difference of polarities."""
_PRIOR, _TRACKER_PRIOR = 1.0, 6.0
"""Events added to the means at the expected place, so that a few noise events turn nothing."""
_WIDTH = 9.0
"""Standard deviation of the tracker's window around the expected place (px)."""
_LAG = 0.6
"""Distance of the mean event behind the light, in ways over the sensor of an environment step."""
_AXIS = np.arange(VIEW) - 0.5 * (VIEW - 1)


class Follower(Privileged):
    """Policy that knows the light's place and velocity, and pans to its next place."""

    def choose(self, info: dict[str, Any], settings: EventTrackingSettings) -> NDArray[np.float32]:
        """Return the pan (B, 2) to the light's next place, or as far towards it as it goes."""
        ahead = info["light"] + info["velocity"]
        ahead = settings.arena_px - np.abs(settings.arena_px - np.abs(ahead))  # the border reflects
        return _pan(ahead - info["camera"], settings)


class Proportional(Scripted):
    """Memoryless policy that turns towards the middle of the present events.

    The pan is linear in two features of the latest spikes: the mean place of all events, and the
    mean place of ON minus that of OFF events, which points along the light's way over the sensor.
    """

    def __init__(self, task: SpikeTask) -> None:
        self._settings: EventTrackingSettings = task.settings
        self._gain = _GAIN * self._settings.target_speed_px

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return the pan (B, 2) towards the middle of the events."""
        del starts
        images = _images(spikes)
        counts = images.sum(axis=(2, 3))
        sums = _moments(images)
        middle = sums.sum(axis=1) / (counts.sum(axis=1) + _PRIOR)[:, np.newaxis]
        means = sums / (counts + 0.5 * _PRIOR)[:, :, np.newaxis]
        wanted = self._gain * middle + _LEAD * (means[:, 0] - means[:, 1])
        return _pan(wanted, self._settings)


class Tracker(Scripted):
    """Policy that estimates the light's place and velocity from spikes and follows it.

    It weighs the present events by their distance to the expected place of the light, takes their
    mean as the light's place, corrects the velocity by the error, and turns to the next expected
    place. Without events, the light is assumed at its expected place.
    """

    def __init__(self, task: SpikeTask) -> None:
        self._settings: EventTrackingSettings = task.settings
        self._gain = _VELOCITY_GAIN * self._settings.target_speed_px
        self._offset = np.zeros((task.num_envs, 2))  # of the light from the middle of the view
        self._velocity = np.zeros((task.num_envs, 2))
        self._slip = np.zeros((task.num_envs, 2))  # way over the sensor in the latest step

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return the pan to the next expected place of the light."""
        self._offset[starts] = 0.0
        self._velocity[starts] = 0.0
        self._slip[starts] = 0.0
        width = np.where(starts, 2.0 * VIEW, _WIDTH)[:, np.newaxis, np.newaxis]
        away = _AXIS - self._offset[:, :, np.newaxis]
        window = np.exp(-0.5 * (away / width) ** 2)
        weights = window[:, 1, :, np.newaxis] * window[:, 0, np.newaxis, :]
        images = _images(spikes) * weights[:, np.newaxis]
        total = images.sum(axis=(1, 2, 3))[:, np.newaxis]
        seen = self._offset - _LAG * self._slip
        mean = (_moments(images).sum(axis=1) + _TRACKER_PRIOR * seen) / (total + _TRACKER_PRIOR)
        error = mean - seen
        place = self._offset + error
        self._velocity += np.where(starts, 0.0, self._gain)[:, np.newaxis] * error
        action = _pan(place + self._velocity, self._settings)
        self._slip = self._velocity - action * self._settings.pan_speed_px
        self._offset = place + self._slip
        return action


def _images(spikes: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return numbers of events (B, 2, VIEW, VIEW) over the time steps of spikes (B, T, N)."""
    counts: NDArray[np.float64] = spikes.sum(axis=1, dtype=np.float64)
    return counts.reshape(-1, 2, VIEW, VIEW)


def _moments(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums (B, polarity, 2) of x and y, from the middle of the view, of the events."""
    return np.stack([images.sum(axis=2) @ _AXIS, images.sum(axis=3) @ _AXIS], axis=2)


def _pan(wanted: Vectors, settings: EventTrackingSettings) -> NDArray[np.float32]:
    """Return actions (B, 2) that turn the camera by ``wanted`` (B, 2; px), clipped to [-1, 1]."""
    action: NDArray[np.float32] = np.clip(wanted / settings.pan_speed_px, -1, 1).astype(np.float32)
    return action


POLICIES: dict[str, Callable[[SpikeTask], Scripted]] = {
    "oracle": Follower,
    "memoryless": Proportional,
    "tracker": Tracker,
}
FIXED_KIND = "memoryless"
