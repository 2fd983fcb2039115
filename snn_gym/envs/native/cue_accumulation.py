"""Cue accumulation: count cues, remember the balance through a delay, choose a side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.config import Count, Natural
from snn_gym.envs.batch import Rows, single_env
from snn_gym.envs.native.base import RateTask, SignalTaskSettings
from snn_gym.envs.rendering import ACCENT, FAINT, GOOD, HEIGHT, INK, WIDTH, blank, disc, rectangle

LEFT, RIGHT = 0, 1
"""Actions, and the sides of cues."""

GROUP = 10
"""Neurons in each group of channels: left, right, go, background."""


@dataclass(frozen=True)
class CueAccumulationSettings(SignalTaskSettings):
    """Number of cues, length of the delay and rates."""

    signal_rate = "cue_rate_hz"
    channels: ClassVar[int] = 4 * GROUP

    cues: Count = 3
    """Cues of an episode, odd so that one side has more."""
    gap_steps: Natural = 1
    """Environment steps without a cue after each cue."""
    delay_steps: Natural = 2
    """Environment steps between the last gap and the go signal, at least."""
    delay_jitter_steps: Natural = 0
    """Environment steps by which the delay may be longer, uniformly drawn."""
    cue_rate_hz: float = 200.0
    """Rate of a group's neurons while they show a cue or the go signal (Hz)."""

    def _check(self) -> None:
        super()._check()
        if self.cues % 2 == 0:
            raise ValueError(f"cues must be odd, got {self.cues}: a tie would have no right answer")

    @property
    def cue_period(self) -> int:
        """Environment steps from the start to the end of the last gap."""
        return self.cues * (1 + self.gap_steps)

    @property
    def episode_steps(self) -> int:
        """Environment steps of the longest episode."""
        return self.cue_period + self.delay_steps + self.delay_jitter_steps + 1

    @property
    def start_size(self) -> int:
        """Uniform numbers for the start of an episode: the side of each cue, and the delay."""
        return self.cues + 1


class CueAccumulation(RateTask):
    """Task: choose the side, left or right, on which more cues appeared before a delay.

    Each cue is on either side with equal probability: a group of neurons fires for one environment
    step, and then none for ``gap_steps``. After a delay a third group fires. The action taken then
    ends the episode, with reward 1 for the side of more cues and else 0. Earlier actions are
    ignored.

    After Morcos and Harvey, "History-dependent variability in population dynamics during evidence
    accumulation in cortex", Nature Neuroscience 19 (2016), https://doi.org/10.1038/nn.4403, and
    Bellec et al., "A solution to the learning dilemma for recurrent networks of spiking neurons",
    Nature Communications 11 (2020), https://doi.org/10.1038/s41467-020-17236-y. Both draw the cues
    of an episode with a bias to one side, and count milliseconds where this task counts environment
    steps.
    """

    settings_class = CueAccumulationSettings
    settings: CueAccumulationSettings
    info_arrays = (("majority", "_majority"), ("go_step", "_go_step"))
    channels_per_band = GROUP

    def right_actions(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the side of more cues, which matters at the go signal, (B,) each."""
        return self._majority.copy(), (self._steps >= self._go_step).astype(np.float64)

    def _allocate(self, num_envs: int) -> None:
        settings = self.settings
        self._cues = np.zeros((num_envs, settings.cues), np.int8)
        self._majority, self._go_step = np.zeros((2, num_envs), np.int64)
        low, high = settings.rate_bytes()
        # Row g < 3: group g fires; row 3: none does. (4, T, N)
        self._rates = np.full((4, self.time_steps, self.channels), low, np.uint8)
        for group in range(3):
            self._rates[group, :, group * GROUP : (group + 1) * GROUP] = high

    def _begin(self, rows: Rows, numbers: NDArray[np.float64]) -> None:
        settings = self.settings
        cues = (numbers[:, : settings.cues] < 0.5).astype(np.int8)
        self._cues[rows] = cues
        self._majority[rows] = 2 * cues.sum(axis=1) > settings.cues
        jitter = np.floor(numbers[:, settings.cues] * (settings.delay_jitter_steps + 1))
        self._go_step[rows] = settings.cue_period + settings.delay_steps + jitter.astype(np.int64)

    def _move(
        self, actions: NDArray[Any], noise: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        del noise  # the dynamics are deterministic
        over = self._steps >= self._go_step
        return (over & (actions == self._majority)).astype(np.float64), over

    def _thresholds(self, rows: Rows) -> NDArray[np.uint8]:
        return self._rates[self._shown(rows)]

    def _shown(self, rows: Rows) -> NDArray[np.int64]:
        """Return the group that fires (n,): 0 left, 1 right, 2 go, 3 none."""
        step, cues = self._steps[rows], self._cues[rows]
        number, place = np.divmod(step, 1 + self.settings.gap_steps)
        side = np.take_along_axis(
            cues, np.minimum(number, self.settings.cues - 1)[:, np.newaxis], axis=1
        )[:, 0]
        is_cue = (number < self.settings.cues) & (place == 0)
        shown = np.where(is_cue, side, 3)
        return np.where(step == self._go_step[rows], 2, shown)

    def _scene(self, index: int) -> NDArray[np.uint8]:
        step = int(self._steps[index])
        count = min(-(-(step + 1) // (1 + self.settings.gap_steps)), self.settings.cues)
        shown = int(self._shown(np.array([index]))[0])
        return draw_cue_accumulation(self._cues[index].tolist()[:count], self.settings.cues, shown)


CueAccumulationEnv = single_env(CueAccumulation)


# ---- image ---------------------------------------------------------------------------------------
_GO = 2


def draw_cue_accumulation(cues: list[int], total: int, shown: int) -> NDArray[np.uint8]:
    """Draw each cue so far as a disc on its side (0 left, 1 right), with room for ``total``.

    The first is at the bottom. ``shown`` is the present signal: a side, 2 for go, 3 for none. The
    present cue is red, earlier ones are blue, the go signal is a green bar.
    """
    image = blank()
    rectangle(image, 0, WIDTH * 0.36, HEIGHT, WIDTH * 0.28, FAINT)
    spacing = HEIGHT * 0.8 / total
    for number, side in enumerate(cues):
        row = HEIGHT * 0.95 - (number + 0.5) * spacing
        is_present = number == len(cues) - 1 and shown == side
        column = WIDTH * (0.18 if side == 0 else 0.82)
        disc(image, row, column, min(14.0, spacing * 0.4), ACCENT if is_present else INK)
    if shown == _GO:
        rectangle(image, HEIGHT * 0.04, WIDTH * 0.36, HEIGHT * 0.08, WIDTH * 0.28, GOOD)
    return image
