"""Scripted policies of interval timing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from references.policy import Scripted
from snn_gym.envs.native.base import SpikeTask
from snn_gym.envs.native.interval_timing import GROUP, IntervalTiming, IntervalTimingSettings

_SEED = 2_000_000
_HAZARDS = 200
# Odds of an interval that has passed, below which the oracle doesn't bother to go.
_NEGLIGIBLE = 1e-6


class BayesianTimer(Scripted):
    """Policy that weighs all foreperiods and intervals by the spikes, and goes when most is earned.

    As go is ignored before the set pulse, only the hypotheses whose set pulse has passed matter at
    any time: go if no later time earns more under them. This is optimal, because these hypotheses
    predict the same spikes from here on and their weights stay. An ignored go rules them out.
    """

    def __init__(self, task: SpikeTask) -> None:
        settings: IntervalTimingSettings = task.settings
        fore = range(settings.foreperiod_jitter_steps + 1)
        pairs = itertools.product(fore, settings.intervals_steps)
        foreperiod, interval = np.array(list(pairs)).T
        self._ready = foreperiod + settings.foreperiod_steps
        self._set = self._ready + interval
        # Reward (H, episode_steps) of going at an environment step under each hypothesis
        times = np.arange(settings.episode_steps)
        produced = times - self._set[:, np.newaxis]
        self._reward = settings.score(produced, interval[:, np.newaxis])
        pulse, background = _probabilities(settings)
        # The floor keeps the odds finite where the background is silent.
        floor = max(background, 1e-12)
        self._weight = float(np.log(pulse * (1 - background) / (floor * (1 - pulse))))
        cells = GROUP * settings.time_steps
        self._silence = cells * float(np.log((1 - pulse) / (1 - background)))
        self._steps = np.zeros(task.num_envs, np.int64)
        self._evidence = np.zeros((task.num_envs, len(interval)))

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return 1 (go) where no later time earns more under the passed hypotheses, else 0."""
        self._steps[starts] = 0
        self._evidence[starts] = 0.0
        now = self._steps[:, np.newaxis]
        counts = spikes.reshape(*spikes.shape[:2], -1, GROUP).sum(axis=(1, 3), dtype=np.int64)
        ready, set_ = (counts[:, :2].T * self._weight + self._silence)[:, :, np.newaxis]
        self._evidence += np.where(now == self._ready, ready, 0.0)
        self._evidence += np.where(now == self._set, set_, 0.0)
        top = self._evidence.max(axis=1, keepdims=True)
        weights = np.exp(self._evidence - np.where(np.isfinite(top), top, 0.0))
        has_passed = self._set <= now
        values = np.where(has_passed, weights, 0.0) @ self._reward
        values[np.arange(values.shape[1]) < now] = -1.0
        best = values.argmax(axis=1)
        goes = (best == self._steps) & (values[np.arange(len(best)), best] > _NEGLIGIBLE)
        self._evidence[goes[:, np.newaxis] & has_passed] = -np.inf
        self._steps += 1
        chosen: NDArray[np.int64] = goes.astype(np.int64)
        return chosen


class ConstantHazard(Scripted):
    """Best policy without memory: a constant probability of go, lower where set fires."""

    def __init__(self, task: SpikeTask) -> None:
        _, share, count = best_memoryless(task.settings)
        self._share, self._count = share, count
        self._random = np.random.default_rng(_SEED)

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return 1 (go) below a count of the set spikes, at it with a probability, else 0."""
        del starts
        counts = spikes[:, :, GROUP : 2 * GROUP].sum(axis=(1, 2), dtype=np.int64)
        at_count = (counts == self._count) & (self._random.random(len(counts)) < self._share)
        chosen: NDArray[np.int64] = ((counts < self._count) | at_count).astype(np.int64)
        return chosen


class FixedDelay(Scripted):
    """Policy that goes a fixed time after every set pulse, the best one, without measuring.

    It reads the time of the set pulse from the task.
    """

    def __init__(self, task: IntervalTiming) -> None:
        self._task = task
        _, self._delay = best_fixed_delay(task.settings)
        self._steps = np.zeros(task.num_envs, np.int64)

    def act(self, spikes: NDArray[np.int8], starts: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return 1 (go) in the one step that ends the delay since the set pulse, else 0."""
        del spikes
        self._steps[starts] = 0
        chosen: NDArray[np.int64] = (self._steps == self._task.set_steps + self._delay).astype(
            np.int64
        )
        self._steps += 1
        return chosen


def expected_rewards(settings: IntervalTimingSettings) -> NDArray[np.float64]:
    """Return each produced interval's reward (response_steps + 1,), averaged over intervals."""
    produced = np.arange(settings.response_steps + 1)
    intervals = np.array(settings.intervals_steps)[:, np.newaxis]
    mean: NDArray[np.float64] = settings.score(produced, intervals).mean(axis=0)
    return mean


def best_fixed_delay(settings: IntervalTimingSettings) -> tuple[float, int]:
    """Return the exact return of the best constant delay, and the delay (environment steps)."""
    rewards = expected_rewards(settings)
    return float(rewards.max()), int(rewards.argmax())


def best_memoryless(settings: IntervalTimingSettings) -> tuple[float, float, int]:
    """Return mean return, probability at a count, and count of the best memoryless policy.

    It goes with a probability g at the set pulse and h at each later environment step, whatever
    spikes it uses: from set to go pass 0 environment steps with probability g, and k > 0 with ``(1
    - g) (1 - h)^(k - 1) h``. Going at the set pulse earns nothing, so the best g for an h is the
    lowest, which the lemma of Neyman and Pearson gives: go where the set group has few spikes. The
    rest is a scan of h, over the count below which it goes and the probability at the count.
    """
    pulse, background = _probabilities(settings)
    cells = GROUP * settings.time_steps
    counts = np.arange(cells + 1)[:, np.newaxis]
    share = np.linspace(0.0, 1.0, _HAZARDS + 1)
    # (counts, shares)
    at_set, hazard = (
        binom.cdf(counts - 1, cells, probability) + share * binom.pmf(counts, cells, probability)
        for probability in (pulse, background)
    )
    steps = np.arange(settings.response_steps)
    waiting = (1.0 - hazard[..., np.newaxis]) ** steps * hazard[..., np.newaxis]
    returns = (1.0 - at_set) * (waiting @ expected_rewards(settings)[1:])
    count, place = np.unravel_index(int(returns.argmax()), returns.shape)
    return float(returns[count, place]), float(share[place]), int(count)


def _probabilities(settings: IntervalTimingSettings) -> tuple[float, float]:
    """Return the probabilities of a spike in a time step, in a pulse and otherwise."""
    background, pulse = settings.rate_bytes()
    return pulse / 256.0, background / 256.0


POLICIES: dict[str, Callable[[Any], Scripted]] = {
    "oracle": BayesianTimer,
    "memoryless": ConstantHazard,
    "fixed_delay": FixedDelay,
}
FIXED_KIND = "oracle"
