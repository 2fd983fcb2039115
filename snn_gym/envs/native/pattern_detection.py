"""Pattern detection: tell a spatio-temporal pattern from noise of the same rates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.config import Count, Natural, Range
from snn_gym.envs.batch import EVERY, Infos, Rows, single_env
from snn_gym.envs.native.base import SpikeTask, SpikeTaskSettings
from snn_gym.envs.rendering import ACCENT, FAINT, GOOD, INK, WIDTH, blank, rectangle

NOISE, PATTERN = 0, 1
"""Actions, and the two contents of a window."""

_KEY_BYTES = 4
# Noise for a spike is a key of 4 bytes and a byte of jitter, of the T bytes there are.
_TimeSteps = Annotated[int, Range(at_least=5, at_most=32)]


@dataclass(frozen=True)
class PatternDetectionSettings(SpikeTaskSettings):
    """Pattern, precision of its spikes, number and length of windows."""

    windows: Count = 10
    """Windows of an episode, one in each environment step."""
    channels: Count = 40
    """Number N of channels, a multiple of ``time_steps``."""
    pattern_channels: Count = 40
    """Channels that take part in the pattern, a multiple of ``time_steps``; the others fire at
    random in every window."""
    jitter_steps: Natural = 0
    """Time steps by which each spike is moved at most, earlier or later."""
    shift_steps: Natural = 0
    """Time steps by which the whole pattern comes later at most, uniformly drawn."""
    pattern_seed: Natural = 0
    """Seed of the pattern, which is a part of the task."""
    time_steps: _TimeSteps = field(default=8, kw_only=True)
    """Time steps T of a window, 1 ms each."""

    def _check(self) -> None:
        for name in ("channels", "pattern_channels"):
            if getattr(self, name) % self.time_steps != 0:
                raise ValueError(
                    f"{name} must be a multiple of time_steps, {self.time_steps}, "
                    f"got {getattr(self, name)}"
                )
        if self.pattern_channels > self.channels:
            raise ValueError(
                f"pattern_channels must be at most channels, {self.channels}, "
                f"got {self.pattern_channels}"
            )
        # More jitter would move a spike to one time step in two ways.
        limits = {"jitter_steps": (self.time_steps - 1) // 2, "shift_steps": self.time_steps - 1}
        for name, most in limits.items():
            if getattr(self, name) > most:
                raise ValueError(f"{name} must be at most {most}, got {getattr(self, name)}")

    @property
    def episode_steps(self) -> int:
        """Environment steps of every episode."""
        return self.windows

    @property
    def start_size(self) -> int:
        """Uniform numbers for the start of an episode: presence and shift in each window."""
        return 2 * self.windows

    def pattern(self) -> NDArray[np.uint8]:
        """Return the time step (pattern_channels,) at which each channel fires in the pattern.

        In each block of ``time_steps`` channels every time step holds one spike.
        """
        generator = np.random.default_rng(self.pattern_seed)
        blocks = self.pattern_channels // self.time_steps
        orders = [generator.permutation(self.time_steps) for _ in range(blocks)]
        return np.concatenate(orders).astype(np.uint8)

    def moves(self) -> NDArray[np.uint8]:
        """Return the move (256,) of a spike for each byte of noise, in time steps modulo T."""
        span = 2 * self.jitter_steps + 1
        moves = np.arange(256) * span // 256 - self.jitter_steps
        return (moves % self.time_steps).astype(np.uint8)


class PatternDetection(SpikeTask):
    """Task: say of each window of spikes whether it is noise or, with probability 1/2, a pattern.

    In every window every channel fires exactly one spike. The channels form blocks of T, and in
    each block the times of the spikes are a permutation of the T time steps: a random one in noise,
    a fixed one in the blocks of the pattern. Jitter moves spikes in both. Neither the counts of the
    channels nor those of the time steps carry information. A right answer earns ``1 / windows``.

    After Masquelier, Guyonneau and Thorpe, "Spike timing dependent plasticity finds the start of
    repeating patterns in continuous spike trains", PLoS ONE 3 (2008),
    https://doi.org/10.1371/journal.pone.0001377.
    """

    settings_class = PatternDetectionSettings
    settings: PatternDetectionSettings
    channels_per_band = 8

    def right_actions(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return whether the window has the pattern, which always matters, (B,) each."""
        present = self._now(self._present, EVERY).astype(np.int64)
        return present, np.ones(self.num_envs)

    def _allocate(self, num_envs: int) -> None:
        settings = self.settings
        self._present = np.zeros((num_envs, settings.windows), np.bool_)
        self._shift = np.zeros((num_envs, settings.windows), np.uint8)
        self._pattern = settings.pattern()
        self._moves = settings.moves()
        # Low bits of the keys of a block, which make all of them different
        self._low_bits = np.uint32((1 << (settings.time_steps - 1).bit_length()) - 1)
        self._places = np.arange(settings.time_steps, dtype=np.uint32)[:, np.newaxis]
        self._times = np.arange(settings.time_steps, dtype=np.uint8)[:, np.newaxis]

    def _begin(self, rows: Rows, numbers: NDArray[np.float64]) -> None:
        windows = self.settings.windows
        self._present[rows] = numbers[:, :windows] < 0.5
        shift = np.floor(numbers[:, windows:] * (self.settings.shift_steps + 1))
        self._shift[rows] = shift.astype(np.uint8)

    def _move(
        self, actions: NDArray[Any], noise: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        del noise  # the dynamics are deterministic
        right = actions == self._now(self._present, EVERY)
        return right / self.settings.windows, self._steps >= self.settings.windows - 1

    def _emit(self, rows: Rows, noise: NDArray[np.uint8], spikes: NDArray[np.bool_]) -> None:
        settings = self.settings
        count, time_steps, taking_part = len(noise), self.time_steps, settings.pattern_channels
        times = self._random_times(noise)
        present = self._now(self._present, rows)
        placed = self._wrapped(self._pattern + self._now(self._shift, rows)[:, np.newaxis])
        times[:, :taking_part] = np.where(present[:, np.newaxis], placed, times[:, :taking_part])
        if settings.jitter_steps:
            jitter = noise[:, _KEY_BYTES * self.channels : (_KEY_BYTES + 1) * self.channels]
            times = self._wrapped(times + self._moves[jitter])
        # (n, 1, N) with (T, 1) -> (n, T, N)
        shown = spikes.reshape(count, time_steps, self.channels)
        np.equal(times[:, np.newaxis], self._times, out=shown)

    def _random_times(self, noise: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return time steps (n, N) of spikes, a random permutation in each block."""
        keys = np.ascontiguousarray(noise[:, : _KEY_BYTES * self.channels]).view("<u4")
        # (n, N) -> (T, n * blocks): the rank of a key in its block is the time of the spike
        keys = np.ascontiguousarray(keys.reshape(-1, self.time_steps).T)
        keys = (keys & ~self._low_bits) | self._places
        ranks = (keys[:, np.newaxis] > keys).sum(axis=1, dtype=np.uint8)
        return np.ascontiguousarray(ranks.T).reshape(len(noise), self.channels)

    def _wrapped(self, times: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return times, below 2 T, modulo T; below T, ``times - T`` wraps to a large uint8."""
        wrapped: NDArray[np.uint8] = np.minimum(times, times - np.uint8(self.time_steps))
        return wrapped

    def _now(self, values: NDArray[Any], rows: Rows) -> NDArray[Any]:
        """Return the values (n,) of the present window, or of the last one after the end."""
        window = np.minimum(self._steps[rows], self.settings.windows - 1)
        now: NDArray[Any] = np.take_along_axis(values[rows], window[:, np.newaxis], axis=1)[:, 0]
        return now

    def _info(self) -> Infos:
        return {
            "present": self._now(self._present, EVERY),
            "shift_steps": self._now(self._shift, EVERY).astype(np.int64),
            "schedule": self._present,
        }

    def _scene(self, index: int) -> NDArray[np.uint8]:
        count = min(int(self._steps[index]) + 1, self.settings.windows)
        return draw_pattern_detection(
            self._latest_spikes(index),
            self._present[index, :count].tolist(),
            self.settings.windows,
            self.settings.pattern_channels,
        )


PatternDetectionEnv = single_env(PatternDetection)


# ---- image ---------------------------------------------------------------------------------------
_WINDOW_MARGIN = 16.0
_WINDOW_HEIGHT = 176.0
_STRIP_TOP, _STRIP_HEIGHT = 216.0, 24.0


def draw_pattern_detection(
    spikes: NDArray[np.int8], present: list[bool], windows: int, pattern_channels: int
) -> NDArray[np.uint8]:
    """Draw the spikes (T, N) of the window above a strip of the windows so far, ``present``.

    Time runs to the right, channels downwards. Spikes of the pattern are red, all others blue. In
    the strip, windows with the pattern are green, without it pale, later ones thin; a frame marks
    the present one.
    """
    image = blank()
    time_steps, channels = spikes.shape
    width = WIDTH - 2 * _WINDOW_MARGIN
    column, row = width / time_steps, _WINDOW_HEIGHT / channels
    for step in range(time_steps + 1):
        rectangle(image, _WINDOW_MARGIN, _WINDOW_MARGIN + step * column, _WINDOW_HEIGHT, 1, FAINT)
    for step, channel in np.argwhere(spikes):
        is_pattern = present[-1] and channel < pattern_channels
        top, left = _WINDOW_MARGIN + channel * row, _WINDOW_MARGIN + step * column
        colour = ACCENT if is_pattern else INK
        rectangle(image, top, left + 2, max(row - 1, 1), column - 3, colour)
    cell = width / windows
    last = len(present) - 1
    rectangle(image, _STRIP_TOP - 4, _WINDOW_MARGIN + last * cell, _STRIP_HEIGHT + 8, cell, INK)
    for window in range(windows):
        colour = GOOD if window <= last and present[window] else FAINT
        height = _STRIP_HEIGHT if window <= last else 2
        left = _WINDOW_MARGIN + window * cell + 2
        rectangle(image, _STRIP_TOP + (_STRIP_HEIGHT - height) / 2, left, height, cell - 4, colour)
    return image
