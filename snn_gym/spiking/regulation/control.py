"""Control of the shedding of spikes: measurements in, strengths and decisions out.

A network that has learned is optimised for

    divergence / bound + strength * cost / cost of the frozen network

by three rules, each a pure function or a small state that is stepped:

- **When learning is over** (``learning_is_over``): the return of training is at its best and has
  not improved for a while, or most of the training is spent.
- **Inner loop** (``StrengthControl``), at every update: the strength grows while the divergence
  is within the bound and shrinks beyond it. It is the multiplier of a constraint in dual ascent,
  as in GECO (Rezende and Viola 2018, https://arxiv.org/abs/1810.00597) and in Lagrangian safe
  reinforcement learning, here the integral term alone of Stooke et al. 2020
  (https://arxiv.org/abs/2007.03964). Differences: the multiplier stands before the cost, it moves
  on a logarithmic scale, and what it follows is the divergence smoothed over updates.
- **Outer loop** (``BoundControl``), slowly: the bound is widened where training episodes surely
  earn what those of the frozen policy did, up to a largest one, and halved where they surely do
  not; where that does not help, or the final weights earn less, the last good weights come back.
  A bound below what the smallest changes of the weights already make of behaviour, as in a network
  with recurrent spikes, says nothing: it begins anew above that, and returns decide.

The frozen policy that teaches its own network is policy distillation (Rusu et al. 2016,
https://arxiv.org/abs/1511.06295).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snn_gym.spiking.regulation.parameters import LeanParameters

SMOOTHING = 0.1
"""Weight of an update's divergence in its running mean."""
STRENGTHS = 0.01, math.exp(9.0)
"""Least and largest strength. Where the optimiser's first steps alone are beyond the bound, as they
are for action values, a strength that fell further would be back when few updates are left."""
STRETCHES = 20
"""Stretches of a training, each with the mean return of its episodes."""
EARLIEST_START = 0.4
"""Share of a training before which learning is not over."""
MARGIN = 0.02
"""Difference of returns that counts, in units of what was gained since the start."""
SETTLING = 0.25
"""Share of the updates, the last ones, in which the bound is not widened any more."""
COMPARED = 0.2
"""Share of the shedding, at its beginning, in which the frozen policy is played: what it earns is
what is compared with."""
SURE = 1.7
"""Standard errors by which a verdict must be clear: one-sided 95 %."""
CHECKED = 0.15
"""Share of the shedding, at its very end, in which the final weights are played and judged."""
STUCK = 0.1
"""Share of the updates in a row without any success, at the least strength, after which a bound is
held to be out of reach."""
REACHED = 3.0
"""Bound in units of the least divergence that was reached, where it begins anew above that."""
SYNOPS_MARGIN = 0.75
"""Share of ``max_synops`` that is aimed at, because other states are visited in the end."""

Verdict = Literal["kept", "lost", "unclear"]


def sums_of_episodes(
    progress: NDArray[np.float64], returns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return what is remembered of training episodes.

    Args:
        progress: (E,) share of the training that was done when each ended, 0 to 1.
        returns: (E,) sum of the rewards of each.

    Returns:
        (3, STRETCHES) number of those that ended in each stretch, sum of their returns, and sum of
        the squares.
    """
    stretches = np.minimum(STRETCHES - 1, progress * STRETCHES).astype(np.intp)
    columns = np.ones_like(returns), returns, returns**2
    return np.stack([np.bincount(stretches, column, STRETCHES) for column in columns])


def mean_returns(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean return (STRETCHES,) of every stretch of a training, NaN for none.

    Args:
        sums: As ``sums_of_episodes`` returns them.
    """
    return np.where(sums[0] > 0, sums[1] / np.maximum(sums[0], 1), np.nan)


def learning_is_over(
    returns: NDArray[np.float64], progress: float, parameters: LeanParameters
) -> bool:
    """Tell whether the return of a training stopped improving.

    Args:
        returns: (STRETCHES,) mean return of the episodes that ended in each stretch of the
            training, NaN where none did or the stretch is still to come.
        progress: Share of the training that is done, 0 to 1.
        parameters: When it is over.
    """
    if progress >= parameters.latest_start:
        return True
    done = int(progress * STRETCHES)
    recent = max(1, round(parameters.patience * STRETCHES))
    seen, before = returns[:done], returns[: max(0, done - recent)]
    known = seen[~np.isnan(seen)]
    if progress < EARLIEST_START or np.isnan(before).all() or np.isnan(seen[-1]):
        return False
    best = float(known.max())
    gained = best - float(known[0])
    # A training that has gained nothing yet may still find its first reward, and one that is worse
    # than it was may recover.
    improved = best > float(np.nanmax(before)) + MARGIN * gained
    return gained > 0 and not improved and float(seen[-1]) >= best - MARGIN * gained


@dataclass(frozen=True)
class StrengthControl:
    """The inner loop: the strength of the cost, and the running mean that it follows."""

    strength: float
    """Weight of the relative cost."""
    smoothed: float = math.nan
    """Running mean of what is bounded; NaN before the first update."""
    stuck: int = 0
    """Updates in a row in which that was beyond its bound at the least strength."""

    def out_of_reach(self, updates: int) -> float | None:
        """Return the running mean where the bound is held to be out of reach, else None.

        Args:
            updates: All of the shedding.
        """
        return self.smoothed if self.stuck >= STUCK * updates else None

    def step(self, measured: float, limit: float, rate: float, sign: int = 1) -> StrengthControl:
        """Return the control after an update.

        Args:
            measured: What is bounded, at this update.
            limit: Its bound.
            rate: Change of the strength's logarithm where ``measured`` is 0; 0 for none.
            sign: 1 where the strength makes ``measured`` larger, as of a divergence; -1 where it
                makes it smaller, as of a cost.

        Raises:
            ValueError: The measurement is not finite.
        """
        if not math.isfinite(measured):
            raise ValueError(
                f"the network that sheds spikes measured {measured}; lower its learning_rate"
            )
        before = measured if math.isnan(self.smoothed) else self.smoothed
        smoothed = before + SMOOTHING * (measured - before)
        if rate == 0:
            return replace(self, smoothed=smoothed)
        slack = min(1.0, max(-1.0, (limit - smoothed) / limit))
        strength = self.strength * math.exp(sign * rate * slack)
        least, largest = STRENGTHS
        stuck = self.stuck + 1 if strength <= least and smoothed > limit else 0
        return StrengthControl(min(largest, max(least, strength)), smoothed, stuck)


@dataclass(frozen=True)
class BoundControl:
    """The outer loop: the bound, and what returns are compared with."""

    bound: float
    """Divergence that is allowed."""
    ceiling: float
    """Bound that is never exceeded: the one set, or a lower one because one above it lost."""
    reference: float = math.nan
    """Mean return that is compared with, of the frozen policy; NaN for none."""
    error: float = 0.0
    """Standard error of the reference; infinite where it is still to be measured."""
    gained: float = 0.0
    """Gain of the reference over the first episodes of the training."""
    losses: int = 0
    """Verdicts ``lost`` since the last ``kept``."""

    @property
    def is_followed(self) -> bool:
        """Whether there is a return to compare with."""
        return not math.isnan(self.reference)

    def compared_with(self, returns: Sequence[float]) -> BoundControl:
        """Return the control with another reference, if there are enough episodes for one.

        Args:
            returns: Return of each episode of the frozen policy, played as all after it will be.
        """
        count = len(returns)
        if count < 2 or not self.is_followed:
            return self
        mean, error = float(np.mean(returns)), float(np.std(returns, ddof=1)) / math.sqrt(count)
        gained = max(0.0, self.gained + mean - self.reference)
        return replace(self, reference=mean, error=error, gained=gained)

    def judge(self, returns: Sequence[float], parameters: LeanParameters) -> Verdict:
        """Say whether training episodes earned what they did before.

        Args:
            returns: Return of each episode since the last verdict.
            parameters: How many it takes, and what loss is allowed.

        Returns:
            ``kept`` where the loss is within what is allowed by more than 1.7 standard errors,
            ``lost`` where it is as far beyond; ``unclear`` in between and where there are too few.
        """
        count = len(returns)
        if count < max(2, parameters.episodes) or not self.is_followed:
            return "unclear"
        scores = np.asarray(returns, np.float64)
        loss = self.reference - float(scores.mean())
        allowed = parameters.tolerance * self.gained
        doubt = SURE * math.hypot(self.error, float(scores.std(ddof=1)) / math.sqrt(count))
        if loss + doubt <= allowed:
            return "kept"
        return "lost" if loss - doubt > allowed else "unclear"

    def begin_above(self, reached: float, parameters: LeanParameters) -> BoundControl:
        """Return the control with a bound above what can be reached, or itself.

        Only returns can say then what may be shed, so that there must be some to compare with, and
        no bound may have lost yet.

        Args:
            reached: Least divergence to which the network can be brought.
            parameters: Whether the bound moves at all, and up to where without this.
        """
        moves = self.is_followed and math.isfinite(self.error) and parameters.widening > 1
        if not (moves and self.bound <= parameters.max_bound <= self.ceiling):
            return self
        bound = REACHED * reached
        return replace(self, bound=bound, ceiling=parameters.widening * bound)

    def step(self, verdict: Verdict, parameters: LeanParameters, settling: bool) -> BoundControl:
        """Return the control after a verdict.

        Args:
            verdict: What ``judge`` said.
            parameters: How far the bound is widened.
            settling: Whether it is not widened any more.
        """
        if verdict == "lost":
            ceiling = min(self.ceiling, self.bound / parameters.widening)
            return replace(self, bound=self.bound / 2, ceiling=ceiling, losses=self.losses + 1)
        if verdict == "kept":
            wider = self.bound if settling else min(self.bound * parameters.widening, self.ceiling)
            return replace(self, bound=wider, losses=0)
        return self


def begin_bound(sums: NDArray[np.float64], parameters: LeanParameters) -> BoundControl:
    """Return the outer loop at its start, which compares with what was earned of late.

    Args:
        sums: (3, STRETCHES) number of the episodes that ended in each stretch of the training, sum
            of their returns, and sum of the squares. The two latest stretches count, and more
            where there were fewer episodes than are judged together.
        parameters: The first bound.
    """
    control = _first_bound(parameters)
    played = np.flatnonzero(sums[0])
    if len(played) == 0:
        return control
    first = sums[1, played[0]] / sums[0, played[0]]
    for oldest in range(max(0, played[-1] - 1), -1, -1):
        count, total, squares = sums[:, oldest : played[-1] + 1].sum(1)
        if count >= max(2, parameters.episodes):
            mean = total / count
            error = math.sqrt(max(0.0, squares / count - mean**2) / (count - 1))
            gained = max(0.0, mean - first)
            return replace(control, reference=float(mean), error=error, gained=float(gained))
    return control


def unmeasured_bound(first: float, parameters: LeanParameters) -> BoundControl:
    """Return the outer loop at the start of a shedding from a policy of unknown return.

    What the policy earns is measured before the first update; until then every verdict is unclear.

    Args:
        first: Return from which gains are counted, such as that of random play; infinite where
            nobody knows, so that no loss is allowed.
        parameters: The first bound.
    """
    return replace(_first_bound(parameters), reference=first, error=math.inf)


def _first_bound(parameters: LeanParameters) -> BoundControl:
    return BoundControl(parameters.bound, max(parameters.bound, parameters.max_bound))
