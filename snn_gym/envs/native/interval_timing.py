"""Interval timing: measure the interval between two pulses and wait as long again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.config import Count, Natural, PositiveShare
from snn_gym.envs.batch import Rows, single_env
from snn_gym.envs.native.base import RateTask, SignalTaskSettings
from snn_gym.envs.rendering import ACCENT, FAINT, GOOD, INK, blank, disc, line, rectangle

WAIT, GO = 0, 1
"""Actions."""

GROUP = 10
"""Neurons in each group of channels: ready, set, and two of background."""

_READY, _SET, _NOTHING = 0, 1, 2


@dataclass(frozen=True)
class IntervalTimingSettings(SignalTaskSettings):
    """Intervals, foreperiod, tolerance and rates."""

    signal_rate = "pulse_rate_hz"
    channels: ClassVar[int] = 4 * GROUP
    start_size: ClassVar[int] = 2
    """Uniform numbers for the start of an episode: the foreperiod and the interval."""

    intervals_steps: tuple[Count, ...] = (2, 4, 6)
    """Environment steps from ready to set: one of these, all equally probable; rising."""
    foreperiod_steps: Natural = 1
    """Environment steps before the ready pulse, at least."""
    foreperiod_jitter_steps: Natural = 1
    """Environment steps by which the foreperiod may be longer, uniformly drawn."""
    response_steps: Count = 9
    """Environment steps from the set pulse to the end of an episode without go."""
    tolerance: PositiveShare = 0.6
    """Error at which the reward reaches 0, as a share of the interval."""
    pulse_rate_hz: float = 200.0
    """Rate of a group's neurons during its pulse (Hz)."""

    def _check(self) -> None:
        super()._check()
        intervals = self.intervals_steps
        if not intervals or sorted(set(intervals)) != list(intervals):
            raise ValueError(f"intervals_steps must hold rising numbers, got {list(intervals)}")
        if self.response_steps < intervals[-1]:
            raise ValueError(
                f"response_steps must be at least the longest interval, {intervals[-1]}, "
                f"got {self.response_steps}"
            )

    @property
    def episode_steps(self) -> int:
        """Environment steps of the longest episode."""
        foreperiod = self.foreperiod_steps + self.foreperiod_jitter_steps
        return foreperiod + self.intervals_steps[-1] + self.response_steps + 1

    def score(self, produced: NDArray[np.int64], interval: NDArray[np.int64]) -> NDArray[Any]:
        """Return ``max(0, 1 - |produced - interval| / (tolerance * interval))``, by broadcasting.

        Both count environment steps; ``produced`` outside [0, response_steps] earns 0.
        """
        error = np.abs(produced - interval) / (self.tolerance * interval)
        counts = (produced >= 0) & (produced <= self.response_steps)
        reward: NDArray[np.float64] = np.where(counts, np.maximum(0.0, 1.0 - error), 0.0)
        return reward


class IntervalTiming(RateTask):
    """Task: after a ready and a set pulse, wait as long again as lay between them, then go.

    Each pulse is a group of neurons that fires for one environment step. The first go at or after
    the set pulse ends the episode; its reward falls linearly with the error of the produced
    interval, relative to the measured one. Go before the set pulse is ignored. Without a go the
    episode ends with reward 0.

    After Jazayeri and Shadlen, "Temporal context calibrates interval timing", Nature Neuroscience
    13 (2010), https://doi.org/10.1038/nn.2590.
    """

    settings_class = IntervalTimingSettings
    settings: IntervalTimingSettings
    info_arrays = (
        ("interval_steps", "_interval"),
        ("set_step", "_set_step"),
        ("produced_steps", "_produced"),
    )
    channels_per_band = GROUP

    @property
    def set_steps(self) -> NDArray[np.int64]:
        """Environment steps (B,) at which the set pulses come, not observed; a copy."""
        return self._set_step.copy()

    def right_actions(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return whether to go, which matters from set to 2 steps after the right go, (B,) each.

        The right step weighs three times as much as others, the one before it half as much more.
        """
        elapsed = self._steps - self._set_step
        late = elapsed - self._interval
        weights = np.where((elapsed >= 0) & (late <= 2), 1.0, 0.0)
        weights[late == 0], weights[late == -1] = 3.0, 1.5
        return (late >= 0).astype(np.int64), weights

    def _allocate(self, num_envs: int) -> None:
        settings = self.settings
        self._intervals = np.array(settings.intervals_steps)
        self._interval = np.ones(num_envs, np.int64)
        self._set_step = np.zeros(num_envs, np.int64)
        # Environment steps from set to go; -1 until then.
        self._produced = np.full(num_envs, -1)
        low, high = settings.rate_bytes()
        # Row g < 2: group g fires; row 2: none does. (3, T, N)
        self._rates = np.full((3, self.time_steps, self.channels), low, np.uint8)
        for group in (_READY, _SET):
            self._rates[group, :, group * GROUP : (group + 1) * GROUP] = high

    def _begin(self, rows: Rows, numbers: NDArray[np.float64]) -> None:
        settings = self.settings
        jitter = np.floor(numbers[:, 0] * (settings.foreperiod_jitter_steps + 1)).astype(np.int64)
        interval = self._intervals[(numbers[:, 1] * len(self._intervals)).astype(np.int64)]
        self._interval[rows] = interval
        self._set_step[rows] = settings.foreperiod_steps + jitter + interval
        self._produced[rows] = -1

    def _move(
        self, actions: NDArray[Any], noise: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        del noise  # the dynamics are deterministic
        elapsed = self._steps - self._set_step
        goes = (actions == GO) & (elapsed >= 0)
        self._produced[goes] = elapsed[goes]
        rewards = np.where(goes, self.settings.score(elapsed, self._interval), 0.0)
        return rewards, goes | (elapsed >= self.settings.response_steps)

    def _thresholds(self, rows: Rows) -> NDArray[np.uint8]:
        return self._rates[self._shown(rows)]

    def _shown(self, rows: Rows) -> NDArray[np.int64]:
        """Return the group that fires (n,): 0 ready, 1 set, 2 none."""
        elapsed = self._steps[rows] - self._set_step[rows]
        shown = np.where(elapsed == 0, _SET, _NOTHING)
        return np.where(elapsed == -self._interval[rows], _READY, shown)

    def _scene(self, index: int) -> NDArray[np.uint8]:
        interval, set_step = int(self._interval[index]), int(self._set_step[index])
        step = int(self._steps[index])
        produced = int(self._produced[index])
        return draw_interval_timing(
            measured=min(step - set_step + interval, interval),
            produced=produced if produced >= 0 else step - set_step,
            interval=interval,
            tolerance=self.settings.tolerance,
            longest=self.settings.response_steps,
            has_gone=produced >= 0,
        )


IntervalTimingEnv = single_env(IntervalTiming)


# ---- image ---------------------------------------------------------------------------------------
_LINE_LEFT, _LINE_RIGHT = 32.0, 236.0
_MEASURED_ROW, _PRODUCED_ROW = 84.0, 172.0
_BAR = 16.0
_PULSE_RADIUS = 12.0


def draw_interval_timing(
    measured: int, produced: int, interval: int, tolerance: float, longest: int, has_gone: bool
) -> NDArray[np.uint8]:
    """Draw the interval from ready to set above the interval from set to go, to one scale.

    Pulses are discs, red while they last. The produced interval runs towards the green mark through
    the pale zone that earns a reward; the go is a red bar. ``measured`` and ``produced`` count
    environment steps since ready and set, and are negative before. ``longest`` fills the line.
    """
    image = blank()
    step = (_LINE_RIGHT - _LINE_LEFT) / longest
    for row in (_MEASURED_ROW, _PRODUCED_ROW):
        line(image, (row, _LINE_LEFT), (row, _LINE_RIGHT), FAINT)
    if measured >= 0:
        rectangle(image, _MEASURED_ROW - _BAR / 2, _LINE_LEFT, _BAR, measured * step, INK)
        _pulse(image, _MEASURED_ROW, _LINE_LEFT, is_now=measured == 0)
    if produced >= 0:
        centre, reach = _LINE_LEFT + interval * step, tolerance * interval * step
        width = min(2 * reach, _LINE_RIGHT - centre + reach)
        rectangle(image, _PRODUCED_ROW - 2 * _BAR, centre - reach, 4 * _BAR, width, FAINT)
        rectangle(image, _PRODUCED_ROW - _BAR / 2, _LINE_LEFT, _BAR, produced * step, INK)
        rectangle(image, _PRODUCED_ROW - 2 * _BAR, centre - 2, 4 * _BAR, 4, GOOD)
        is_now = produced == 0 and not has_gone
        _pulse(image, _MEASURED_ROW, _LINE_LEFT + interval * step, is_now)
        _pulse(image, _PRODUCED_ROW, _LINE_LEFT, is_now)
    if has_gone:
        end = _LINE_LEFT + produced * step
        rectangle(image, _PRODUCED_ROW - 2 * _BAR, end - 3, 4 * _BAR, 6, ACCENT)
    return image


def _pulse(image: NDArray[np.uint8], row: float, column: float, is_now: bool) -> None:
    disc(image, row, column, _PULSE_RADIUS, ACCENT if is_now else INK)
