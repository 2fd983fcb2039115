"""Regulation of a network: a controller, and penalties added in the backward pass.

The controller is ``snn_gym.spiking.regulation.penalties``; the penalties are on firing rates
and membrane potentials.

An identity follows every spiking layer. Forward it changes nothing; backward it adds to the
arriving gradient that of a penalty ``P`` on the layer's spikes ``z`` and potentials ``v``. So any
algorithm is trained as if ``P`` stood in its loss, and none has to know of it. With T time steps,
B samples and the rate ``f_j = sum_tb z_tbj / (T B)`` of neuron j::

    P = rate_strength / 2 sum_j (max(0, f_j - max_rate)^2 + max(0, min_rate - f_j)^2)
      + voltage_strength / (2 T B) sum_tbj (max(0, u_tbj - 1)^2 + max(0, -u_tbj - 1)^2),
    u = (v - v_rest) / (threshold - v_rest).

``rescue_strength`` adds to ``rate_strength`` in a network that does not respond, for as long as it
does not (``snn_gym.spiking.regulation.penalties``).

``P`` is a mean over samples and is added as it is, whatever the algorithm multiplies or averages
its own loss by: the strengths mean the same at every batch size.

Source: the regularisers of e-prop (Bellec et al. 2020, https://doi.org/10.1038/s41467-020-17236-y,
Methods, and https://github.com/IGITUGraz/eligibility_propagation). Differences: they pull the rate
to one target, which is ``min_rate = max_rate`` here; their potentials rest at 0 and their
excursions are not divided by the threshold; they sum excursions over time steps where we average;
their code has no factors 1/2, and its gradient reaches an adaptive threshold, which is a constant
here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from snn_gym.spiking.bookkeeping import BookkeepingModule
from snn_gym.spiking.layer_neurons import LayerNeurons, Run
from snn_gym.spiking.layers import SpikingLayer
from snn_gym.spiking.regulation.parameters import (
    ControllerParameters,
    RegulationParameters,
    Signals,
)
from snn_gym.spiking.surrogates import surrogate_half_width

# ---- rescue --------------------------------------------------------------------------------------
# Rescue of a network whose neurons do not respond, and release once they do.
#
# A neuron that hardly ever or nearly always spikes says little about what it gets, and a surrogate
# gradient teaches little through it. The share of such neurons in the whole network is measured at
# every update. A share of more than one half begins a rescue, one of less than a twentieth ends it,
# and while it lasts rates out of their range are penalised with ``rescue_strength``. A network that
# responds is never touched.
SILENT_RATE = 0.01
"""Spikes per time step below which a neuron counts as silent."""
SATURATED_RATE = 0.95
"""Spikes per time step above which a neuron counts as saturated."""
BEGIN, END = 0.5, 0.05
"""Shares of silent and saturated neurons above which a rescue begins and below which it ends."""


def next_strength(share: float, rescuing: bool, full: float) -> float:
    """Return the strength of a rescue after a measurement, 0 for none.

    Args:
        share: Silent and saturated neurons of the network, 0 to 1.
        rescuing: Whether a rescue goes on.
        full: Strength while it goes on.
    """
    return full if share > (END if rescuing else BEGIN) else 0.0


class Rescue(BookkeepingModule):
    """The rescue of one network.

    Args:
        full: Strength while it goes on.
        layers: Spiking layers of the network.
    """

    present: Tensor

    def __init__(self, full: float, layers: int) -> None:
        super().__init__()
        self._full, self._layers = full, layers
        self._unresponsive = self._neurons = 0
        self.register_bookkeeping("present", torch.zeros(1, dtype=torch.float64))

    @property
    def strength(self) -> float:
        """Present strength of the penalty, 0 where nothing is rescued."""
        return self.present.item()

    @torch.no_grad()
    def measure(self, index: int, spikes: Tensor) -> None:
        """Take in what a layer did, the layers one after the other.

        Args:
            index: Place of the layer.
            spikes: (T, B, N), 0 or 1.
        """
        if index == 0:
            self._unresponsive = self._neurons = 0
        rates = spikes.mean((0, 1))
        silent_or_saturated = (rates < SILENT_RATE) | (rates > SATURATED_RATE)
        self._unresponsive += int(silent_or_saturated.sum())
        self._neurons += len(rates)
        if index == self._layers - 1:
            share = self._unresponsive / self._neurons
            self.present.fill_(next_strength(share, self.strength > 0, self._full))


# ---- homeostasis ---------------------------------------------------------------------------------
# A controller that keeps neurons in their responsive range, between updates.
#
# While a network is optimised, each layer's activity is measured; when the next rollout starts, a
# proportional rule moves one quantity of every neuron, or of the layer, against the distance
# ``e`` of what was measured from its range (0 inside, positive above, negative below):
#
# u <- clip(u - step e, -limit, limit),   u = 0 at the start,
#
# with, by what is controlled,
#
# - ``gain``: ``e`` of the neuron's firing rate; its synapses, bias included, are multiplied by
#   ``exp(u)``. The synaptic scaling of Turrigiano 2008,
#   https://doi.org/10.1016/j.cell.2008.10.008: multiplicative, of all synapses of a neuron,
#   towards a rate.
# - ``synapses``: as ``gain``, but the bias stays. What a neuron gets counts more, beside what it
#   is without input. Ours.
# - ``threshold``: ``e`` of the neuron's firing rate; its bias grows by ``u`` rheobases, which is
#   its threshold falling as far. Intrinsic plasticity (Triesch 2005,
#   https://doi.org/10.1007/11550822_11): his rule shapes the distribution of outputs by gain and
#   offset, ours moves the offset alone, towards a range of mean rates.
# - ``slope``: ``e`` of the share of the layer's potentials within the surrogate gradient's
#   window, where the gradient is at least half of its maximum; the slope is multiplied by
#   ``exp(-u)``, so that too few potentials inside widen the window. Ours.
#
# A silent neuron has rate 0 and is below its range, a saturated one has rate 1 and is above: both
# are moved. Gains and thresholds are folded into the weights, so acting, kernels, target networks
# and saved agents know of no controller; what is measured and ``u`` are bookkeeping, for training
# alone.
_SCALED = ("gain", "synapses")
"""Quantities that are controlled by multiplying weights."""


class Homeostasis(BookkeepingModule):
    """The controller of one layer.

    Args:
        parameters: Ranges, and what is controlled.
        layer: The layer; changed in place when a rollout starts.
        time_steps: T, by which the rheobase counts.
        order: (N,) int64: neuron j is moved by what neuron ``order[j]`` does; None for itself.

    Raises:
        ValueError: The layer's neurons lack what is controlled.
    """

    count: Tensor
    total: Tensor
    moved: Tensor

    def __init__(
        self,
        parameters: RegulationParameters,
        layer: SpikingLayer,
        time_steps: int,
        order: Tensor | None,
    ) -> None:
        super().__init__()
        assert parameters.controller is not None  # or there would be nothing to make
        self._controller: ControllerParameters = parameters.controller
        self._rates = parameters.min_rate, parameters.max_rate
        self._order = order
        if self._controller.controlled not in _SCALED and not isinstance(
            layer.neuron, LayerNeurons
        ):
            raise ValueError(
                f"controlled={self._controller.controlled!r} needs a registered neuron, got "
                f"{type(layer.neuron).__name__}; control 'gain'"
            )
        if isinstance(layer.neuron, LayerNeurons):
            if self._controller.controlled == "slope" and not layer.neuron.tells_threshold:
                raise ValueError(
                    "controlled='slope' needs a neuron that compares its potential with a "
                    f"threshold, which {layer.neuron.text.__name__} does not; control 'gain'"
                )
            self._slope = layer.neuron.slope
            self._rheobase = layer.neuron.rheobase(time_steps)
        size = 1 if self._controller.controlled == "slope" else layer.size
        self.register_bookkeeping("count", torch.zeros(1, dtype=torch.float64))
        self.register_bookkeeping("total", torch.zeros(size, dtype=torch.float64))
        self.register_bookkeeping("moved", torch.zeros(size, dtype=torch.float64))

    @torch.no_grad()
    def measure(self, layer: SpikingLayer, run: Run) -> None:
        """Count a run of the layer, every decision of it as a sample."""
        spikes = run.spikes
        samples = len(run.entered[0])
        rounds = samples // spikes.shape[1]
        self.count += samples
        if self._controller.controlled != "slope":
            # A count of spikes is exact in float32.
            self.total += spikes.sum((0, 1)).double() / (spikes.shape[0] // rounds)
            return
        neuron = layer.neuron
        assert isinstance(neuron, LayerNeurons)  # checked at the start
        threshold = neuron.thresholds(spikes, run.entered)
        assert threshold is not None  # of a neuron
        width = surrogate_half_width(neuron.surrogate, neuron.slope)
        inside = (run.voltages - threshold).abs() < width
        self.total += inside.double().mean((0, 2)).sum() * rounds

    @torch.no_grad()
    def act(self, layer: SpikingLayer) -> None:
        """Move what is controlled by what was measured, if it was measured often enough."""
        if self.count.item() < self._controller.min_samples:
            return
        controller, ends = self._controller, self._rates
        if controller.controlled == "slope":
            ends = controller.min_window_share, controller.max_window_share
        measured = self.total / self.count
        error = measured - measured.clamp(*ends)
        if self._order is not None:
            error = error[self._order.to(error.device)]
        before = self.moved.clone()
        self.moved.sub_(controller.step * error).clamp_(-controller.limit, controller.limit)
        self._fold(layer, self.moved - before)
        self.count.zero_()
        self.total.zero_()

    def _fold(self, layer: SpikingLayer, change: Tensor) -> None:
        """Fold a change (N,) of ``moved`` into the weights; the slope is set by ``prepare``."""
        if self._controller.controlled == "threshold":
            layer.linear.bias.add_(self._rheobase * change)
        if self._controller.controlled in _SCALED:
            gain = change.exp().to(layer.linear.weight)
            layer.linear.weight.mul_(gain[:, None])
            if self._controller.controlled == "gain":
                layer.linear.bias.mul_(gain)
            if layer.recurrent is not None:
                layer.recurrent.weight.mul_(gain[:, None])

    def prepare(self, layer: SpikingLayer) -> None:
        """Give the layer's neurons the controlled slope, before a run that is differentiated."""
        if self._controller.controlled == "slope":
            assert isinstance(layer.neuron, LayerNeurons)  # checked at the start
            layer.neuron.slope = self._slope * math.exp(-self.moved.item())


# ---- penalties -----------------------------------------------------------------------------------
def rate_error(rates: Tensor, parameters: RegulationParameters) -> Tensor:
    """Return how far rates are above (positive) or below (negative) their range.

    Args:
        rates: Spikes per time step, any shape, 0 to 1.
        parameters: The range.
    """
    return rates - rates.clamp(parameters.min_rate, parameters.max_rate)


def penalty_gradients(
    spikes: Tensor,
    voltages: Tensor,
    v_rest: float,
    threshold: Tensor | float | None,
    parameters: RegulationParameters,
    order: Tensor | None = None,
    rescue: float = 0.0,
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradient of the penalty of one layer, as this module defines it.

    Args:
        spikes: (T, B, N), 0 or 1.
        voltages: (T, B, N) membrane potentials before the reset.
        v_rest: Resting potential.
        threshold: What the potentials were compared with, above rest; (T, B, N) where it adapts.
            Unused without a penalty on potentials.
        parameters: Range and strengths.
        order: (N,) int64: neuron j gets the signals of neuron ``order[j]``; None for its own.
        rescue: What the rate's strength is raised by.

    Returns:
        Gradients by spikes and by voltages, each of a shape that broadcasts to (T, B, N); None for
        one that is zero everywhere.
    """
    samples = spikes.shape[0] * spikes.shape[1]
    by_spikes = by_voltages = None
    strength = parameters.rate_strength + rescue
    if strength > 0:
        error = rate_error(spikes.mean((0, 1)), parameters)
        by_spikes = _reordered(error, order) * (strength / samples)
    if parameters.voltage_strength > 0:
        assert threshold is not None  # checked where the layers are made
        scale = threshold - v_rest
        # max(0, u - 1) - max(0, -u - 1), in one pass over u
        excess = nn.functional.softshrink((voltages - v_rest) / scale, 1.0)
        by_voltages = _reordered(excess, order) * (parameters.voltage_strength / samples / scale)
    return by_spikes, by_voltages


def _reordered(signals: Tensor, order: Tensor | None) -> Tensor:
    return signals if order is None else signals[..., order.to(signals.device)]


def shuffled_order(size: int, generator: torch.Generator) -> Tensor:
    """Return a permutation (size,), int64, that is one cycle: no neuron keeps its own place.

    Args:
        size: Neurons; a single one has no other's place to take.
        generator: What it is drawn from.
    """
    cycle = torch.randperm(size, generator=generator)
    order = torch.empty_like(cycle)
    order[cycle] = cycle.roll(1)
    return order


class _Penalised(torch.autograd.Function):
    """Spikes unchanged; on the way back the penalty's gradient is added to theirs."""

    @staticmethod
    def forward(
        ctx: Any, spikes: Tensor, voltages: Tensor, threshold: Tensor | float | None, penalty: Any
    ) -> Tensor:
        ctx.save_for_backward(spikes, voltages)
        ctx.threshold, ctx.penalty = threshold, penalty
        return spikes.view_as(spikes)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        # Grad mode is on in here only under create_graph.
        if torch.is_grad_enabled():
            raise RuntimeError(
                "penalties on the dynamics are added to first-order gradients only, and "
                "create_graph=True asks for second derivatives, as TRPO does; train with PPO, or "
                "leave rate_strength and voltage_strength at 0"
            )
        spikes, voltages = ctx.saved_tensors
        by_spikes, by_voltages = ctx.penalty.gradients(spikes, voltages, ctx.threshold)
        grad_spikes = grads[0] if by_spikes is None else grads[0] + by_spikes
        return grad_spikes, by_voltages, None, None


class LayerPenalty:
    """The penalty of one layer.

    Args:
        parameters: Range and strengths.
        layer: The layer.
        order: As in ``penalty_gradients``.
        rescue: Rescue of the network, or None.

    Raises:
        ValueError: Potentials are penalised and the layer's neurons state no threshold above rest.
    """

    def __init__(
        self,
        parameters: RegulationParameters,
        layer: SpikingLayer,
        order: Tensor | None,
        rescue: Rescue | None = None,
    ) -> None:
        self._parameters = parameters
        self._rescue = rescue
        self._order = order
        self._neuron = layer.neuron
        self._v_rest = layer.neuron.rest[0] if isinstance(layer.neuron, LayerNeurons) else 0.0
        v_threshold = layer.neuron.v_threshold
        if parameters.voltage_strength > 0 and (v_threshold is None or v_threshold <= self._v_rest):
            raise ValueError(
                "voltage_strength needs neurons with a threshold above their resting potential, "
                f"got {v_threshold} over {self._v_rest}; use rate_strength alone"
            )

    def __call__(self, run: Run) -> Tensor:
        """Return the spikes of a run of the layer unchanged, with the penalty in their gradient."""
        threshold = None
        if self._parameters.voltage_strength > 0:
            with torch.no_grad():
                threshold = self._neuron.thresholds(run.spikes, run.entered)
        result: Tensor = _Penalised.apply(  # type: ignore[no-untyped-call]
            run.spikes, run.voltages, threshold, self
        )
        return result

    def gradients(
        self, spikes: Tensor, voltages: Tensor, threshold: Tensor | float | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return the penalty's gradients by spikes and voltages, the latter (T, B, N)."""
        rescue = 0.0 if self._rescue is None else self._rescue.strength
        return penalty_gradients(
            spikes, voltages, self._v_rest, threshold, self._parameters, self._order, rescue
        )


class Regulation(nn.Module):
    """Regulation of the layers of one network while it is optimised.

    It sees only passes that are differentiated for the network's own sake: not acting, evaluation,
    target networks or recordings.

    Args:
        parameters: What is regulated, and how strongly.
        layers: Spiking layers, input side first.
        time_steps: T.

    Raises:
        ValueError: The layers' neurons lack what the regulation needs.
    """

    def __init__(
        self, parameters: RegulationParameters, layers: list[SpikingLayer], time_steps: int
    ) -> None:
        super().__init__()
        orders = _orders(parameters.shuffle_seed, layers)
        strength = parameters.rescue_strength
        self.rescue = Rescue(strength, len(layers)) if strength > 0 else None
        self._penalties: list[LayerPenalty] = []
        if parameters.penalised:
            self._penalties = [
                LayerPenalty(parameters, layer, order, self.rescue)
                for layer, order in zip(layers, orders, strict=True)
            ]
        self.controllers = nn.ModuleList()
        if parameters.controller is not None:
            self.controllers.extend(
                Homeostasis(parameters, layer, time_steps, order)
                for layer, order in zip(layers, orders, strict=True)
            )

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing that it watches, as where spikes are only shed (``lean``)."""
        return self.rescue is None and not self._penalties and not self.controllers

    def watch(self, index: int, layer: SpikingLayer, run: Run) -> Tensor:
        """Measure a run of a layer and return its spikes, penalised in the backward pass.

        Args:
            index: Place of the layer.
            layer: The layer.
            run: What it did.
        """
        if self.rescue is not None:
            self.rescue.measure(index, run.spikes)
        if self.controllers and self._is_controlled:
            self._controllers[index].measure(layer, run)
        if not self._penalties:
            return run.spikes
        return self._penalties[index](run)

    @property
    def _controllers(self) -> list[Homeostasis]:
        # A ModuleList forgets the type of its members.
        return cast(list[Homeostasis], list(self.controllers))

    @property
    def _is_controlled(self) -> bool:
        """Whether controllers act: where there is a rescue, as long as it lasts."""
        return self.rescue is None or self.rescue.strength > 0

    def rollout_started(self, layers: list[SpikingLayer]) -> None:
        """Let the controllers act on their layers, by what updates have measured."""
        if not self._is_controlled:
            return
        for controller, layer in zip(self._controllers, layers, strict=False):
            controller.act(layer)

    def prepare(self, layers: list[SpikingLayer]) -> None:
        """Give the layers their controlled slopes, before a pass that is differentiated."""
        for controller, layer in zip(self._controllers, layers, strict=False):
            controller.prepare(layer)


def _orders(shuffle_seed: int | None, layers: list[SpikingLayer]) -> list[Tensor | None]:
    if shuffle_seed is None:
        return [None for _ in layers]
    generator = torch.Generator().manual_seed(shuffle_seed)
    return [shuffled_order(layer.size, generator) for layer in layers]


# The cost of a network's spikes, and its gradient, by which they are shed.
#
# With the rate ``f_j`` of neuron j (spikes per time step, mean over decisions) and the fan-out of
# its layer, a decision of T time steps costs
#
#     C = sum over layers of fan_out T sum_j (f_j / 2 + f_j^2),
#
# half of its synaptic operations and as much again where a neuron fires at every other time step: a
# square spares those that say much with few spikes and takes from those that fire all the time, as
# in the rate regulariser of e-prop (Bellec et al. 2020,
# https://doi.org/10.1038/s41467-020-17236-y). A layer with less than one spike in a decision costs
# nothing, so that none falls silent.
# ---- folding -------------------------------------------------------------------------------------
# Folding: neurons that fire at nearly every time step become biases of what they drive.
#
# A neuron that fires at every time step tells those after it the same in every state, as a bias
# does, at the price of all its synapses. Its weights can be added to their biases and the neuron
# be silenced, and nothing else changes: constant folding, as compilers do it with expressions
# (Aho et al. 2006, Compilers, section 9.4). A gradient does not find this way: such a neuron's
# potential lies far above the threshold, where the surrogate gradient is next to nothing, and
# halfway down it says something else in every state. Of a neuron that fires at nearly every time
# step the mean is added.
FOLDED_RATES = 0.95, 0.98, 1.0
"""Rates (spikes per time step) from which on neurons are folded, the first that behaviour bears."""
REPAIRED = 10.0
"""Divergence that folding may make, in units of the bound: the updates after it undo as much."""


@torch.no_grad()
def fold(
    layers: Sequence[SpikingLayer],
    rates: Sequence[Tensor],
    least: float,
    head: nn.Linear | None,
    gain: float,
) -> int:
    """Fold neurons that fire at nearly every time step, in place.

    Exact for neurons that always fire, but for the first step of a recurrent layer's episode,
    before which nothing has fired.

    Args:
        layers: Spiking layers, from the input side.
        rates: (N,) spikes per time step of each neuron of a layer, 0 to 1.
        least: Rate from which on a neuron is folded.
        head: Linear readout of the last layer, None where it is not linear: none of that layer is
            folded.
        gain: What the head's decoder makes of a neuron that fires at every time step.

    Returns:
        The number of neurons that were folded.
    """
    readers = [*(layer.linear for layer in layers[1:]), head]
    gains = [*(1.0 for _ in layers[1:]), gain]
    count = 0
    for layer, rate, reader, share in zip(layers, rates, readers, gains, strict=True):
        folded = rate >= least
        if reader is None or not folded.any():
            continue
        count += int(folded.sum())
        mean = torch.where(folded, rate, torch.zeros_like(rate))
        reader.bias.add_(reader.weight @ (share * mean))
        if layer.recurrent is not None:
            layer.linear.bias.add_(layer.recurrent.weight @ mean)
        _silence(layer, folded)
    return count


def _silence(layer: SpikingLayer, neurons: Tensor) -> None:
    """Take all input from some neurons (N,) of a layer, so that they rest."""
    layer.linear.bias[neurons] = 0.0
    for synapses in (layer.linear, layer.recurrent):
        if synapses is not None:
            synapses.weight[neurons] = 0.0


# ---- cost of spikes ------------------------------------------------------------------------------
REDIRECTED: tuple[Signals, ...] = ("shuffled", "uniform", "scale")
"""Signals by which neurons are told another gradient of the cost than its own."""
LEAST_SPIKES = 1.0
"""Spikes of a layer in a decision below which they cost nothing."""


def spike_cost(
    spikes: Sequence[Tensor],
    fan_outs: Sequence[int],
    time_steps: int,
    zeros: Sequence[Tensor] | None = None,
) -> tuple[Tensor, float]:
    """Return what the spikes of a network cost, for its gradient, and what they are.

    Args:
        spikes: (L * T, B, N) of each layer, 0 or 1.
        fan_outs: Synapses that leave each neuron of a layer.
        time_steps: T.
        zeros: (N,) of each layer, how many of these synapses have the weight zero; None for none.

    Returns:
        The cost, differentiable, as if no weight were zero: a price that fell with the synapses
        would let the spikes come back. And the synaptic operations of a decision, without those
        synapses.
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


def decay_cost(weights: Iterable[Tensor]) -> Tensor:
    """Return half the sum of squares of some weights, the cost to which spikes are nothing."""
    return torch.stack([x.square().sum() / 2 for x in weights]).sum()


def redirect(
    gradients: dict[str, Tensor], orders: dict[str, Tensor], signals: Signals
) -> dict[str, Tensor]:
    """Return gradients of the cost as a control sees them.

    A row of a layer's weights is a neuron's synapses, so that its gradient is the whole of what a
    neuron is told: cost times surrogate gradient times input.

    Args:
        gradients: Gradient of each parameter by name, (N, ...).
        orders: Of each parameter of a spiking layer whose neuron takes whose place, (N,) int64;
            gradients of all others stay.
        signals: ``shuffled`` permutes rows, ``uniform`` averages them, ``scale`` does so for
            thresholds, biases and other numbers of a neuron and tells its synapses nothing; all
            others change nothing.
    """
    if signals not in REDIRECTED:
        return gradients
    changed = dict(gradients)
    for name in orders.keys() & gradients.keys():
        rows = gradients[name]
        if signals == "shuffled":
            changed[name] = rows[orders[name].to(rows.device)]
        elif signals == "scale" and rows.dim() > 1:
            changed[name] = torch.zeros_like(rows)
        else:
            changed[name] = rows.mean(0, keepdim=True).expand_as(rows)
    return changed


def prune(layers: Sequence[SpikingLayer], strength: float, *, spikes_enter: bool) -> None:
    """Set the weakest synapses that spikes pass into each layer to zero, in place.

    What a synapse adds to the variance of a current is the square of its weight times the variance
    of its spikes, and what it costs grows with these too, so that the weakest do least for what
    they cost, whatever their neurons' rates.

    Magnitude pruning (Han et al. 2015, https://arxiv.org/abs/1506.02626), after every update, as in
    iterative hard thresholding (Blumensath and Davies 2009, https://arxiv.org/abs/0805.0510): a
    synapse that was pruned follows its gradient like any other and comes back, from zero, once it
    is not among the weakest any more, because it has grown or because fewer are pruned.

    Args:
        layers: Spiking layers, of which synapses from other layers and from the same one are pruned
            apart; biases stay.
        strength: Synapses that are zero for each that is left, at least 0.
        spikes_enter: Whether spikes enter the first layer; its synapses stay where a current does,
            whose products are made once in a decision.
    """
    share = strength / (1.0 + strength)
    with torch.no_grad():
        for k, layer in enumerate(layers):
            for part in (layer.linear if k > 0 or spikes_enter else None, layer.recurrent):
                if part is not None:
                    part.weight.copy_(pruned(part.weight, share))


def pruned(weight: Tensor, share: float) -> Tensor:
    """Return weights of which a share, those of the smallest magnitude, is zero.

    Args:
        weight: Weights of any shape.
        share: 0 to 1.
    """
    count = int(share * weight.numel())
    if count == 0:
        return weight
    magnitudes = weight.abs()
    weakest = magnitudes.flatten().kthvalue(count).values
    return weight.masked_fill(magnitudes <= weakest, 0.0)


def neurons_of(parameters: dict[str, Tensor], layers: Sequence[SpikingLayer]) -> dict[str, int]:
    """Return the number of neurons of every parameter, by name, whose rows are neurons'.

    Args:
        parameters: Parameters by name.
        layers: Spiking layers, whose synapses, biases and learned constants these may be.
    """
    sizes = {id(x): layer.size for layer in layers for x in layer.parameters()}
    return {
        name: sizes[id(x)]
        for name, x in parameters.items()
        if id(x) in sizes and x.dim() > 0 and len(x) == sizes[id(x)]
    }


def shuffled_orders(sizes: dict[str, int], seed: int) -> dict[str, Tensor]:
    """Return a cycle for the parameters of each number of neurons: none keeps its own place.

    Args:
        sizes: Neurons of each parameter, by name.
        seed: Of the permutations.
    """
    orders = {
        size: shuffled_order(size, torch.Generator().manual_seed(seed))
        for size in set(sizes.values())
    }
    return {name: orders[size] for name, size in sizes.items()}
