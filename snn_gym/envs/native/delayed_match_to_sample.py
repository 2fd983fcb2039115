"""Delayed match to sample: remember a spike pattern and compare it with a second one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.config import Count, Natural, Range
from snn_gym.envs.batch import Rows, single_env
from snn_gym.envs.native.base import RateTask, SignalTaskSettings
from snn_gym.envs.rendering import ACCENT, FAINT, GOOD, HEIGHT, INK, WIDTH, Colour, blank, rectangle

NON_MATCH, MATCH = 0, 1
"""Actions."""

STIMULUS, GO = 30, 10
"""Neurons that show patterns, the first channels, and neurons of the go signal, the last ones."""

GROUP = 10


@dataclass(frozen=True)
class DelayedMatchToSampleSettings(SignalTaskSettings):
    """Patterns, length of the delay, distractors and rates."""

    signal_rate = "pattern_rate_hz"
    channels: ClassVar[int] = STIMULUS + GO

    patterns: Annotated[int, Range(at_least=2, at_most=STIMULUS)] = 2
    """Patterns K that a sample and a test are drawn from."""
    active_channels: Annotated[int, Range(at_least=1, below=STIMULUS)] = 10
    """Stimulus neurons that fire in a pattern; not all, so that patterns differ."""
    burst_steps: Count = 4
    """Time steps that an active neuron's burst lasts."""
    sample_steps: Count = 2
    """Environment steps that show the sample."""
    delay_steps: Natural = 2
    """Environment steps between sample and test, at least."""
    delay_jitter_steps: Natural = 0
    """Environment steps by which the delay may be longer, uniformly drawn."""
    distractors: Natural = 0
    """Patterns shown during the delay, evenly spread, one environment step each: number j of D at
    place ⌊j ``delay_steps`` / (D + 1)⌋."""
    pattern_rate_hz: float = 400.0
    """Rate of neurons during their burst and of the go signal (Hz)."""
    pattern_seed: Natural = 0
    """Seed of the patterns, which are part of the task: episodes do not change them."""

    def _check(self) -> None:
        super()._check()
        if self.burst_steps > self.time_steps:
            raise ValueError(
                f"burst_steps must be at most time_steps, {self.time_steps}, got {self.burst_steps}"
            )
        if self.distractors > 0 and self.distractors >= self.delay_steps:
            raise ValueError(
                f"distractors must be fewer than delay_steps, {self.delay_steps}, got "
                f"{self.distractors}"
            )

    @property
    def episode_steps(self) -> int:
        """Environment steps of the longest episode."""
        return self.sample_steps + self.delay_steps + self.delay_jitter_steps + 1

    @property
    def start_size(self) -> int:
        """Uniform numbers for a start: sample, match, test of a non-match, delay, distractors."""
        return 4 + self.distractors


def make_patterns(settings: DelayedMatchToSampleSettings) -> NDArray[np.bool_]:
    """Return the bursts (K, T, 30), bool, of the stimulus neurons in each pattern.

    The neurons lie on a ring in a random order. Pattern k takes ``active_channels`` neighbours from
    place ``k * 30 // K`` on, so that patterns overlap only when there is no room. Each neuron of a
    pattern has its own onset.
    """
    # `random` alone: its numbers are the same in every version of numpy.
    generator = np.random.Generator(np.random.PCG64(settings.pattern_seed))
    ring = np.argsort(generator.random(STIMULUS))
    latest = settings.time_steps - settings.burst_steps
    shape = (settings.patterns, settings.active_channels)
    onsets = np.floor(generator.random(shape) * (latest + 1)).astype(np.int64)
    first = np.arange(settings.patterns) * STIMULUS // settings.patterns
    places = (first[:, np.newaxis] + np.arange(settings.active_channels)) % STIMULUS
    since = np.arange(settings.time_steps)[:, np.newaxis] - onsets[:, np.newaxis, :]
    patterns = np.zeros((settings.patterns, settings.time_steps, STIMULUS), np.bool_)
    # since (K, T, active) -> the neurons of each pattern
    for pattern, neurons, burst in zip(patterns, ring[places], since, strict=True):
        pattern[:, neurons] = (burst >= 0) & (burst < settings.burst_steps)
    return patterns


class DelayedMatchToSample(RateTask):
    """Task: after a delay, say whether a test pattern with a go signal equals a sample pattern.

    The action at the test ends the episode, with reward 1 if it is right and else 0. Earlier
    actions are ignored. The test is the sample with probability 1/2, else another pattern,
    uniformly.

    After Miyashita, "Neuronal correlate of visual associative long-term memory in the primate
    temporal cortex", Nature 335 (1988), https://doi.org/10.1038/335817a0. His monkeys remembered
    coloured fractal pictures for seconds; here patterns are spikes, and an environment step is
    8 ms.
    """

    settings_class = DelayedMatchToSampleSettings
    settings: DelayedMatchToSampleSettings
    info_arrays = (("sample", "_sample"), ("test", "_test"), ("go_step", "_go_step"))
    channels_per_band = GROUP

    def right_actions(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return whether the test is the sample, which matters at the go signal, (B,) each."""
        matches = (self._sample == self._test).astype(np.int64)
        return matches, (self._steps >= self._go_step).astype(np.float64)

    def _allocate(self, num_envs: int) -> None:
        settings = self.settings
        self._sample, self._test, self._go_step = np.zeros((3, num_envs), np.int64)
        self.patterns = make_patterns(settings)
        # Column of `_scripts` for each environment step before the go signal: 0 is the sample,
        # 1 + j is distractor j, the last is no pattern. (episode_steps,)
        spread = np.arange(1, settings.distractors + 1) * settings.delay_steps
        self._script = np.full(settings.episode_steps, settings.distractors + 1)
        self._script[: settings.sample_steps] = 0
        places = settings.sample_steps + spread // (settings.distractors + 1)
        self._script[places] = 1 + np.arange(settings.distractors)
        self._scripts = np.full((num_envs, settings.distractors + 2), settings.patterns)
        # Row k: pattern k; row K: none; row K + 1 + k: pattern k with go. (2 K + 1, T, N)
        low, high = settings.rate_bytes()
        count = settings.patterns
        self._rates = np.full((2 * count + 1, self.time_steps, self.channels), low, np.uint8)
        for first in (0, count + 1):
            self._rates[first : first + count, :, :STIMULUS][self.patterns] = high
        self._rates[count + 1 :, :, STIMULUS:] = high

    def _begin(self, rows: Rows, numbers: NDArray[np.float64]) -> None:
        settings = self.settings
        count = settings.patterns
        sample = _uniform(numbers[:, 0], count)
        non_match = (sample + 1 + _uniform(numbers[:, 2], count - 1)) % count
        self._sample[rows] = sample
        self._test[rows] = np.where(numbers[:, 1] < 0.5, sample, non_match)
        jitter = _uniform(numbers[:, 3], settings.delay_jitter_steps + 1)
        self._go_step[rows] = settings.sample_steps + settings.delay_steps + jitter
        self._scripts[rows, 0] = sample
        self._scripts[rows, 1:-1] = _uniform(numbers[:, 4:], count)

    def _move(
        self, actions: NDArray[Any], noise: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        del noise  # the dynamics are deterministic
        over = self._steps >= self._go_step
        right = actions == (self._sample == self._test)
        return (over & right).astype(np.float64), over

    def _thresholds(self, rows: Rows) -> NDArray[np.uint8]:
        return self._rates[self._shown(rows)]

    def _shown(self, rows: Rows) -> NDArray[np.int64]:
        """Return the row (n,) of ``_rates`` for the present environment step."""
        step = self._steps[rows]
        # Steps after the go signal, which only misuse reaches, repeat the last one.
        place = self._script[np.minimum(step, len(self._script) - 1)]
        before = np.take_along_axis(self._scripts[rows], place[:, np.newaxis], axis=1)[:, 0]
        test = self._test[rows] + self.settings.patterns + 1
        return np.where(step == self._go_step[rows], test, before)

    def _scene(self, index: int) -> NDArray[np.uint8]:
        count = self.settings.patterns
        shown = int(self._shown(np.array([index]))[0])
        step = int(self._steps[index])
        return draw_delayed_match_to_sample(
            self.patterns[self._sample[index]],
            None if shown == count else self.patterns[shown % (count + 1)],
            is_sample=step < self.settings.sample_steps,
            is_test=shown > count,
            progress=(step + 1) / (int(self._go_step[index]) + 1),
        )


DelayedMatchToSampleEnv = single_env(DelayedMatchToSample)


def _uniform(numbers: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Scale uniform numbers in [0, 1) to whole numbers in [0, count)."""
    return np.floor(numbers * count).astype(np.int64)


# ---- image ---------------------------------------------------------------------------------------
_TOP, _TRIAL_LEFT, _TRIAL_RIGHT = 20, 20, 140
_HEIGHT, _WIDTH = 180, 96
"""Places and size of the two panels (pixels)."""

_BAR_TOP = 220


def draw_delayed_match_to_sample(
    sample: NDArray[np.bool_],
    shown: NDArray[np.bool_] | None,
    *,
    is_sample: bool,
    is_test: bool,
    progress: float,
) -> NDArray[np.uint8]:
    """Draw the sample on the left, distractors and test on the right, the trial's progress below.

    Patterns are bursts (T, C): time runs to the right, neurons downwards. The right is empty for
    None and while the sample is shown. The sample is red while shown, else blue; distractors are
    red. Test pattern, progress bar and go signal are green at the test; before, the bar is blue.
    """
    image = blank()
    _panel(image, _TRIAL_LEFT, sample, ACCENT if is_sample else INK)
    _panel(image, _TRIAL_RIGHT, None if is_sample else shown, GOOD if is_test else ACCENT)
    length = WIDTH - 2 * _TRIAL_LEFT
    rectangle(image, _BAR_TOP, _TRIAL_LEFT, 12, length, FAINT)
    rectangle(image, _BAR_TOP, _TRIAL_LEFT, 12, length * progress, GOOD if is_test else INK)
    if is_test:
        rectangle(image, HEIGHT * 0.02, _TRIAL_RIGHT, HEIGHT * 0.03, _WIDTH, GOOD)
    return image


def _panel(
    image: NDArray[np.uint8], left: int, pattern: NDArray[np.bool_] | None, colour: Colour
) -> None:
    rectangle(image, _TOP, left, _HEIGHT, _WIDTH, FAINT)
    if pattern is None:
        return
    times, neurons = pattern.shape
    width, height = _WIDTH / times, _HEIGHT / neurons
    for time, neuron in np.argwhere(pattern):
        rectangle(image, _TOP + neuron * height, left + time * width, height - 1, width - 1, colour)
