"""Lean networks: a network that has learned sheds spikes while its behaviour stays the same.

It is optimised for

    divergence / bound + strength * cost / cost of the frozen network

where the divergence is from the network's own frozen policy (policy distillation, Rusu et al. 2016,
https://arxiv.org/abs/1511.06295). Three rules control this:

- **End of learning** (``learning_is_over``): the training return is at its best and has not
  improved for a while, or, late in the training, hardly rises any more.
- **Inner loop** (``StrengthControl``), at every update: the strength grows while the divergence is
  within the bound and shrinks beyond it. It is the multiplier of a constraint in dual ascent, as in
  GECO (Rezende and Viola 2018, https://arxiv.org/abs/1810.00597) and in Lagrangian safe
  reinforcement learning, here the integral term alone of Stooke et al. 2020
  (https://arxiv.org/abs/2007.03964). Differences: the multiplier stands before the cost, it moves
  on a logarithmic scale, and it follows the divergence smoothed over updates.
- **Outer loop** (``BoundControl``), slowly: the bound is widened, up to a limit, where training
  episodes significantly keep the return of the frozen policy, and halved where they significantly
  lose it. If that does not help, or the final weights lose return or are not measured although they
  have to be, the last good weights come back. Where even the smallest weight changes exceed the
  bound, as in a network with recurrent spikes, the bound restarts above their divergence, and
  returns decide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from snn_gym.spiking.network_config import LeanParameters
from snn_gym.spiking.spiking_layer import SharedLinear, SpikingLayer, learned_synapses

# ---- control -------------------------------------------------------------------------------------
SMOOTHING = 0.1
"""Weight of an update's divergence in its running mean."""
STRENGTHS = 0.01, math.exp(9.0)
"""Least and largest strength. Where the first steps of the optimiser exceed the bound, as for
action values, a strength below the least would recover too late."""
STRETCHES = 20
"""Stretches of a training, each with the mean return of its episodes."""
_TENTH = STRETCHES // 10
EARLIEST_START = 0.4
"""Share of a training before which learning is not over."""
MARGIN = 0.02
"""Difference of returns that counts, in units of the gain since the start."""
SETTLING = 0.25
"""Last share of the updates, in which the bound is not widened, and in which the behaviour is only
repaired where the final weights have to be measured or neurons are shed."""
COMPARED = 0.2
"""First share of the shedding, in which the frozen policy acts; its return is the reference."""
WHOLE_COMPARED = 0.25
"""That share by a ``cost`` other than ``synops``: in 20,000 steps, 8 environments end 500 steps."""
SURE = 1.7
"""Standard errors of a significant difference: one-sided 95 %."""
CHECKED = 0.15
"""Last share of the shedding, in which the final weights act and are judged."""
MEASURED = 0.4, 1 / 3
"""The first and last of these shares where the final weights have to be measured: of five rollouts
two are the frozen policy's, one shows the states for the repair, and two measure."""
STUCK = 0.1
"""Share of the updates in a row beyond the bound, at the least strength, after which the bound
counts as out of reach."""
REACHED = 3.0
"""Restarted bound in units of the least divergence that was reached."""
SYNOPS_MARGIN = 0.75
"""Share of ``max_synops`` that is the target, because the final policy visits other states."""

Verdict = Literal["kept", "lost", "unclear"]


def sums_of_episodes(
    progress: NDArray[np.float64], returns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return number, sum and sum of squares of the returns in each stretch, (3, STRETCHES).

    Stretches are equal parts of a training. ``progress`` (E,) is the share of the training at each
    episode's end, ``returns`` (E,) its return.
    """
    stretches = np.minimum(STRETCHES - 1, progress * STRETCHES).astype(np.intp)
    columns = np.ones_like(returns), returns, returns**2
    return np.stack([np.bincount(stretches, column, STRETCHES) for column in columns])


def mean_returns(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each stretch's mean return (STRETCHES,), NaN where no episode ended."""
    return np.where(sums[0] > 0, sums[1] / np.maximum(sums[0], 1), np.nan)


def learning_is_over(
    sums: NDArray[np.float64], progress: float, parameters: LeanParameters
) -> bool:
    """Return whether the return of a training has settled.

    ``progress`` is the share of the training that is done, and ``sums`` are those of
    ``sums_of_episodes``. The gain is the difference between the first stretch and the best one. The
    return has not settled before 0.4 of the training, nor without a significant gain. Else it has
    settled if the last stretch is at its best, and the last ``patience`` of the training brought
    nothing better, both within 2 % of the gain. From ``latest_start`` on it has settled, too, if
    the rest of the training would change it by at most ``largest_rise`` of the gain, at the rate of
    the latest tenth of the training. If ``largest_rise`` is None, it always has from there on.
    """
    late, most = progress >= parameters.latest_start, parameters.largest_rise
    if late and most is None:
        return True
    returns, done = mean_returns(sums), int(progress * STRETCHES)
    recent = max(1, round(parameters.patience * STRETCHES))
    seen, before = returns[:done], returns[: max(0, done - recent)]
    if progress < EARLIEST_START or np.isnan(before).all() or np.isnan(seen[-1]):
        return False
    best, first = np.nanargmax(seen), np.flatnonzero(~np.isnan(seen))[0]
    gained, doubt = _difference(sums[:, [first]], sums[:, [best]])
    if gained <= doubt:
        # A training that has gained nothing yet may still find its first reward.
        return False
    if late and most is not None:
        change, doubt = _difference(*np.split(sums[:, done - 2 * _TENTH : done], 2, 1))
        if (abs(change) + doubt) * 10 * (1.0 - progress) <= most * gained:
            return True
    # A return that is worse than it was may recover.
    improved = seen[best] > float(np.nanmax(before)) + MARGIN * gained
    return not improved and float(seen[-1]) >= seen[best] - MARGIN * gained


def _difference(earlier: NDArray[np.float64], later: NDArray[np.float64]) -> tuple[float, float]:
    """Return by how much mean returns of stretches differ, and the one-sided 95 % doubt of it."""
    parts = np.stack([earlier.sum(1), later.sum(1)], 1)
    if not parts[0].all():
        return math.nan, math.nan
    means = parts[1] / parts[0]
    variances = np.maximum(0.0, parts[2] / parts[0] - means**2) / np.maximum(1, parts[0] - 1)
    return float(means[1] - means[0]), SURE * math.sqrt(variances.sum())


@dataclass(frozen=True)
class StrengthControl:
    """The inner loop: the strength of the cost, and the running mean of the divergence."""

    strength: float
    smoothed: float = math.nan
    """Running mean of the bounded quantity; NaN before the first update."""
    stuck: int = 0
    """Updates in a row beyond the bound at the least strength."""

    def out_of_reach(self, updates: int) -> float | None:
        """Return the running mean if ``stuck`` is at least a tenth of ``updates``, else None."""
        return self.smoothed if self.stuck >= STUCK * updates else None

    def step(self, measured: float, limit: float, rate: float, sign: int = 1) -> StrengthControl:
        """Return the control after an update that ``measured`` a quantity bounded by ``limit``.

        ``rate`` is the change of the strength's logarithm where the running mean is 0; at rate 0
        the strength stays. ``sign`` is 1 where the strength raises ``measured``, such as a
        divergence, and -1 where it lowers it, such as a cost.

        Raises:
            ValueError: ``measured`` is not finite.
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
    """The outer loop: the bound, and the reference that returns are compared with."""

    bound: float
    ceiling: float
    """Largest bound: the configured one, or less because a higher bound lost return."""
    reference: float = math.nan
    """Mean return of the frozen policy; NaN for none."""
    error: float = 0.0
    """Standard error of the reference; infinite where it is still to be measured."""
    gained: float = 0.0
    """Gain of the reference over the first episodes of the training."""
    losses: int = 0
    """Verdicts ``lost`` since the last ``kept``."""

    @property
    def is_followed(self) -> bool:
        """Whether there is a reference return."""
        return not math.isnan(self.reference)

    def compared_with(self, returns: Sequence[float]) -> BoundControl:
        """Return the control with the mean of ``returns`` as reference.

        It is unchanged if there are fewer than two, or no reference so far.
        """
        count = len(returns)
        if count < 2 or not self.is_followed:
            return self
        mean, error = float(np.mean(returns)), float(np.std(returns, ddof=1)) / math.sqrt(count)
        gained = max(0.0, self.gained + mean - self.reference)
        return replace(self, reference=mean, error=error, gained=gained)

    def judge(self, returns: Sequence[float], parameters: LeanParameters) -> Verdict:
        """Return whether training episodes keep the reference return.

        ``kept`` or ``lost`` where the loss is significantly (1.7 standard errors) below or above
        the tolerance, else ``unclear``, as without a reference or with fewer than ``episodes``.
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

    def seems_kept(self, returns: Sequence[float], parameters: LeanParameters) -> bool:
        """Return whether the mean of enough ``returns`` is within the tolerance."""
        if len(returns) < max(2, parameters.episodes) or not self.is_followed:
            return False
        return self.reference - float(np.mean(returns)) <= parameters.tolerance * self.gained

    def begin_above(self, reached: float, parameters: LeanParameters) -> BoundControl:
        """Return the control with a bound of 3 times the ``reached`` divergence, or unchanged.

        Only returns can tell then how much to shed: unchanged without a measured reference or
        widening, after a lost bound, or above ``max_bound``.
        """
        moves = self.is_followed and math.isfinite(self.error) and parameters.widening > 1
        if not (moves and self.bound <= parameters.max_bound <= self.ceiling):
            return self
        bound = REACHED * reached
        return replace(self, bound=bound, ceiling=parameters.widening * bound)

    def step(self, verdict: Verdict, parameters: LeanParameters, settling: bool) -> BoundControl:
        """Return the control after a verdict.

        ``lost`` halves the bound and lowers the ceiling below it; ``kept`` widens the bound up to
        the ceiling, unless ``settling``; ``unclear`` changes nothing.
        """
        if verdict == "lost":
            ceiling = min(self.ceiling, self.bound / parameters.widening)
            return replace(self, bound=self.bound / 2, ceiling=ceiling, losses=self.losses + 1)
        if verdict == "kept":
            wider = self.bound if settling else min(self.bound * parameters.widening, self.ceiling)
            return replace(self, bound=wider, losses=0)
        return self


def begin_bound(sums: NDArray[np.float64], parameters: LeanParameters) -> BoundControl:
    """Return the outer loop at its start, with the latest training returns as reference.

    ``sums`` are those of ``sums_of_episodes``. The two latest stretches count, and more where they
    have fewer episodes than are judged together; without enough, there is no reference.
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
    """Return the first state of the control of the bound, before the return is measured.

    Gains count from the return ``first``, such as that of random actions. Pass infinity if it is
    unknown: then no gain counts, and no loss is allowed.
    """
    return replace(_first_bound(parameters), reference=first, error=math.inf)


def _first_bound(parameters: LeanParameters) -> BoundControl:
    return BoundControl(parameters.bound, max(parameters.bound, parameters.max_bound))


# ---- folding -------------------------------------------------------------------------------------
# A neuron that fires at every time step acts on its targets like a bias, at the price of all its
# synapses. Its weights are added to the targets' biases and it is silenced: constant folding, as in
# compilers (Aho et al. 2006, Compilers, section 9.4). Gradients do not find this: the potential of
# such a neuron lies far above the threshold, where the surrogate gradient vanishes. The mean is
# folded for neurons that fire at nearly every time step.
FOLDED_RATES = 0.95, 0.98, 1.0
"""Rates (spikes per time step) from which on neurons are folded; the first that behaviour
tolerates."""
REPAIRED = 10.0
"""Divergence that folding may cause, in units of the bound: later updates repair as much."""


@torch.no_grad()
def fold(
    layers: Sequence[SpikingLayer],
    rates: Sequence[Tensor],
    least: float,
    head: nn.Linear | None,
    gain: float,
) -> int:
    """Replace neurons of at least the rate ``least`` by biases, in place; return their number.

    ``rates`` (N,) of each layer are spikes per time step. ``head`` is the linear readout of the
    last layer; None leaves that layer out. ``gain`` is the decoded value of a neuron that fires at
    every time step. Exact for neurons that always fire, except at the first time step of a
    recurrent layer's episode. Neurons of filters stay, and those that filters read.
    """
    readers = [*(layer.linear for layer in layers[1:]), head]
    gains = [*(1.0 for _ in layers[1:]), gain]
    count = 0
    for layer, rate, reader, share in zip(layers, rates, readers, gains, strict=True):
        folded = rate >= least
        # Neurons that share weights have no bias and no input of their own.
        shared = isinstance(layer.linear, SharedLinear) or isinstance(reader, SharedLinear)
        if reader is None or shared or not folded.any():
            continue
        count += int(folded.sum())
        mean = torch.where(folded, rate, torch.zeros_like(rate))
        reader.bias.add_(reader.weight @ (share * mean))
        if layer.recurrent is not None:
            layer.linear.bias.add_(layer.recurrent.weight @ mean)
            layer.recurrent.weight[folded] = 0.0
        # Without input a folded neuron rests.
        layer.linear.weight[folded] = 0.0
        layer.linear.bias[folded] = 0.0
    return count


# ---- cost of spikes ------------------------------------------------------------------------------
# With the rate ``f_j`` of neuron j (spikes per time step, mean over decisions) and the fan-out of
# its layer, a decision of T time steps costs
#
#     C = sum over layers of fan_out T sum_j (f_j / 2 + f_j^2),
#
# half of its synaptic operations, and as much again where a neuron fires at every other time step:
# the square spares neurons that say much with few spikes, as in the rate regulariser of e-prop
# (Bellec et al. 2020, https://doi.org/10.1038/s41467-020-17236-y).
LEAST_SPIKES = 1.0
"""Spikes of a layer in a decision below which they cost nothing, so that no layer falls silent."""


def spike_cost(
    spikes: Sequence[Tensor],
    fan_outs: Sequence[float],
    time_steps: int,
    zeros: Sequence[Tensor] | None = None,
) -> tuple[Tensor, float]:
    """Return a decision's differentiable cost of spikes, and its synaptic operations.

    ``spikes`` (L * T, B, N), ``fan_outs`` and ``zeros`` (N,), the synapses of weight zero, are
    those of each layer. A layer of less than one spike a decision costs nothing. Only the synaptic
    operations leave out zeros: a cost that fell with the synapses would let spikes come back.
    """
    cost, synops = spikes[0].new_zeros(()), 0.0
    for k, (fired, fan_out) in enumerate(zip(spikes, fan_outs, strict=True)):
        rates = fired.mean((0, 1))
        count = time_steps * float(rates.detach().sum())
        synops += count * fan_out
        if zeros is not None:
            synops -= time_steps * float((rates.detach() * zeros[k]).sum())
        price = fan_out * time_steps if count >= LEAST_SPIKES else 0
        cost = cost + price * (rates / 2 + rates.square()).sum()
    return cost, synops


def prune(layers: Sequence[SpikingLayer], strength: float, *, spikes_enter: bool) -> None:
    """Set the weakest synapses into each layer to zero, a share ``strength / (1 + strength)``.

    A synapse contributes the square of its weight times the variance of its spikes to the variance
    of a current, and its cost grows with the spikes too. The weakest synapses therefore contribute
    least per cost. Magnitude pruning (Han et al. 2015, https://arxiv.org/abs/1506.02626) after
    every update, as in iterative hard thresholding (Blumensath and Davies 2009,
    https://arxiv.org/abs/0805.0510): a pruned synapse follows its gradient and returns once it is
    not among the weakest any more.

    Recurrent synapses are ranked apart, biases stay, and so do the synapses of a constant input,
    whose products are computed once in a decision. A weight of a filter goes at all its places.
    """
    inward = [learned_synapses(layer.linear)[0] for layer in layers[0 if spikes_enter else 1 :]]
    loops = [layer.recurrent.weight for layer in layers if layer.recurrent is not None]
    prune_matrices([[x] for x in inward + loops], strength)


@torch.no_grad()
def prune_matrices(groups: Sequence[Sequence[Tensor]], strength: float) -> None:
    """Set the weakest weights of each group to zero, a share ``strength / (1 + strength)``.

    The magnitudes of all matrices of a group are ranked together. A pruned weight returns as in
    ``prune``.
    """
    for group in groups:
        together = pruned(torch.cat([x.flatten() for x in group]), strength / (1.0 + strength))
        parts = torch.split(together, [x.numel() for x in group])
        for matrix, part in zip(group, parts, strict=True):
            matrix.copy_(part.view_as(matrix))


def pruned(weight: Tensor, share: float) -> Tensor:
    """Return weights with the ``share`` of smallest magnitude set to zero, ties included."""
    count = int(share * weight.numel())
    if count == 0:
        return weight
    magnitudes = weight.abs()
    weakest = magnitudes.flatten().kthvalue(count).values
    return weight.masked_fill(magnitudes <= weakest, 0.0)
