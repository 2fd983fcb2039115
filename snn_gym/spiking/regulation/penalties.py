"""Regulation of neurons while a network is optimised: penalties, their rescue, and homeostasis.

An identity follows every spiking layer. Its backward pass adds the gradient of a penalty ``P`` on
the layer's spikes ``z`` and potentials ``v``, so that any algorithm trains as if its loss contained
``P``. With T time steps, B samples and the rate ``f_j = sum_tb z_tbj / (T B)`` of neuron j::

    P = rate_strength / 2 sum_j (max(0, f_j - max_rate)^2 + max(0, min_rate - f_j)^2)
      + voltage_strength / (2 T B) sum_tbj (max(0, u_tbj - 1)^2 + max(0, -u_tbj - 1)^2),
    u = (v - v_rest) / (threshold - v_rest).

``P`` is a mean over samples, independent of any factor of the algorithm's own loss: strengths mean
the same at every batch size. The neurons of a filter, which share their weights, count as one of
their mean rate, wherever rates are measured, penalised or controlled.

Source: the regularisers of e-prop (Bellec et al. 2020, https://doi.org/10.1038/s41467-020-17236-y,
Methods, and https://github.com/IGITUGraz/eligibility_propagation). Differences: they pull the rate
to one target, which is ``min_rate = max_rate`` here; their potentials rest at 0 and their
excursions are not divided by the threshold; they sum excursions over time steps where we average;
their code has no factors 1/2, and its gradient reaches an adaptive threshold, which is a constant
here.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from snn_gym.spiking.bookkeeping import BookkeepingModule
from snn_gym.spiking.convolution import learned_synapses
from snn_gym.spiking.layer_neurons import LayerNeurons, Run
from snn_gym.spiking.layers import SpikingLayer
from snn_gym.spiking.regulation.parameters import (
    ControllerParameters,
    RegulationParameters,
)
from snn_gym.spiking.surrogates import surrogate_half_width

# ---- rescue --------------------------------------------------------------------------------------
# A neuron that hardly ever or nearly always spikes says little about its input, and a surrogate
# gradient teaches little through it. A rescue begins when more than half of the network's neurons
# are so, and ends below a twentieth; while it lasts, rates are penalised with ``rescue_strength``.
SILENT_RATE = 0.01
"""Spikes per time step below which a neuron counts as silent."""
SATURATED_RATE = 0.95
"""Spikes per time step above which a neuron counts as saturated."""
BEGIN, END = 0.5, 0.05
"""Shares of silent and saturated neurons above which a rescue begins and below which it ends."""


def next_strength(share: float, rescuing: bool, full: float) -> float:
    """Return the rescue strength: ``full`` to begin or continue a rescue, else 0.

    It begins above a ``share`` of silent and saturated neurons of 0.5, and continues above 0.05.
    """
    return full if share > (END if rescuing else BEGIN) else 0.0


class Rescue(BookkeepingModule):
    """Rate penalty of strength ``full`` while many neurons are silent or saturated."""

    present: Tensor

    def __init__(self, full: float, layers: int) -> None:
        super().__init__()
        self._full, self._layers = full, layers
        self._unresponsive = self._neurons = 0
        self.register_bookkeeping("present", torch.zeros(1, dtype=torch.float64))

    @property
    def strength(self) -> float:
        """Current strength of the penalty, 0 without a rescue."""
        return self.present.item()

    @torch.no_grad()
    def measure(self, index: int, rates: Tensor) -> None:
        """Count a layer's silent and saturated neurons by their rates (N,); layers come in order.

        After the last layer, begin, continue or end the rescue.
        """
        if index == 0:
            self._unresponsive = self._neurons = 0
        silent_or_saturated = (rates < SILENT_RATE) | (rates > SATURATED_RATE)
        self._unresponsive += int(silent_or_saturated.sum())
        self._neurons += len(rates)
        if index == self._layers - 1:
            share = self._unresponsive / self._neurons
            self.present.fill_(next_strength(share, self.strength > 0, self._full))


# ---- homeostasis ---------------------------------------------------------------------------------
# When a rollout starts, a proportional rule moves one quantity of every neuron, or of the layer,
# against the distance ``e`` of the measured activity from its range (0 inside, positive above):
#
#     u <- clip(u - step e, -limit, limit),   u = 0 at the start.
#
# - ``gain``: ``e`` of the neuron's rate; its synapses, bias included, are multiplied by ``exp(u)``.
#   The synaptic scaling of Turrigiano 2008, https://doi.org/10.1016/j.cell.2008.10.008:
#   multiplicative, of all synapses of a neuron, towards a rate.
# - ``synapses``: as ``gain``, without the bias, so that input counts more. Ours.
# - ``threshold``: ``e`` of the neuron's rate; its bias grows by ``u`` rheobases, like a falling
#   threshold. Intrinsic plasticity (Triesch 2005, https://doi.org/10.1007/11550822_11): his rule
#   shapes the distribution of outputs by gain and offset, ours moves the offset to a mean rate.
# - ``slope``: ``e`` of the share of the layer's potentials where the surrogate gradient is at least
#   half of its maximum; the slope is multiplied by ``exp(-u)``, which widens the window. Ours.
#
# Gains and thresholds are folded into the weights, so that acting, kernels, target networks and
# saved agents need no controller; measurements and ``u`` are bookkeeping, for training alone.
_SCALED = ("gain", "synapses")


class Homeostasis(BookkeepingModule):
    """The controller of one layer; neuron j is controlled by the rate of neuron ``order[j]``."""

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
        assert parameters.controller is not None  # checked by Regulation
        self._controller: ControllerParameters = parameters.controller
        self._rates = parameters.min_rate, parameters.max_rate
        self._order = order
        controlled, neuron = self._controller.controlled, layer.neuron
        if isinstance(neuron, LayerNeurons):
            if controlled == "slope" and not neuron.tells_threshold:
                raise ValueError(
                    "controlled='slope' needs a neuron that compares its potential with a "
                    f"threshold, which {neuron.text.__name__} does not; control 'gain'"
                )
            self._slope = neuron.slope
            self._rheobase = neuron.rheobase(time_steps)
        elif controlled not in _SCALED:
            raise ValueError(
                f"controlled={controlled!r} needs a registered neuron, got "
                f"{type(neuron).__name__}; control 'gain'"
            )
        size = 1 if controlled == "slope" else layer.units
        self.register_bookkeeping("count", torch.zeros(1, dtype=torch.float64))
        self.register_bookkeeping("total", torch.zeros(size, dtype=torch.float64))
        self.register_bookkeeping("moved", torch.zeros(size, dtype=torch.float64))

    @torch.no_grad()
    def measure(self, layer: SpikingLayer, run: Run) -> None:
        """Add a run of the layer, each of its decisions as a sample."""
        spikes = run.spikes
        samples = len(run.entered[0])
        rounds = samples // spikes.shape[1]
        self.count += samples
        if self._controller.controlled != "slope":
            # A count of spikes is exact in float32.
            counts = layer.of_units(spikes.sum((0, 1)).double())
            self.total += counts / (spikes.shape[0] // rounds)
            return
        neuron = layer.neuron
        assert isinstance(neuron, LayerNeurons)  # checked at the start
        threshold = neuron.thresholds(spikes, run.entered)
        assert threshold is not None  # tells_threshold was checked at the start
        width = surrogate_half_width(neuron.surrogate, neuron.slope)
        inside = (run.voltages - threshold).abs() < width
        self.total += inside.double().mean((0, 2)).sum() * rounds

    @torch.no_grad()
    def act(self, layer: SpikingLayer) -> None:
        """Move the controlled quantity against the error, then reset; wait for enough samples."""
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
        """Apply a change (N,) of ``moved`` to the weights; ``prepare`` applies a slope."""
        weight, bias = learned_synapses(layer.linear)
        if self._controller.controlled == "threshold":
            bias.add_(self._rheobase * change)
        if self._controller.controlled in _SCALED:
            gain = change.exp().to(weight)
            weight.mul_(gain[:, None])
            if self._controller.controlled == "gain":
                bias.mul_(gain)
            if layer.recurrent is not None:
                layer.recurrent.weight.mul_(gain[:, None])

    def prepare(self, layer: SpikingLayer) -> None:
        """Set the neurons' slope if it is controlled, before a differentiated run."""
        if self._controller.controlled == "slope":
            assert isinstance(layer.neuron, LayerNeurons)  # checked at the start
            layer.neuron.slope = self._slope * math.exp(-self.moved.item())


# ---- penalties -----------------------------------------------------------------------------------
def rate_error(rates: Tensor, parameters: RegulationParameters) -> Tensor:
    """Return how far rates are above (positive) or below (negative) their range, else 0."""
    return rates - rates.clamp(parameters.min_rate, parameters.max_rate)


def penalty_gradients(
    spikes: Tensor,
    voltages: Tensor,
    v_rest: float,
    threshold: Tensor | float | None,
    parameters: RegulationParameters,
    order: Tensor | None = None,
    rescue: float = 0.0,
    places: int = 1,
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients of ``P`` by spikes (N,) and voltages (T, B, N); None at strength 0.

    ``order`` (units,) gives unit j the signals of unit ``order[j]``, where a unit is a neuron or
    the ``places`` of a filter; ``rescue`` is added to the rate strength.
    """
    samples = spikes.shape[0] * spikes.shape[1]
    by_spikes = by_voltages = None
    strength = parameters.rate_strength + rescue
    if strength > 0:
        error = rate_error(spikes.mean((0, 1)).view(-1, places).mean(1), parameters)
        spread = _reordered(error, order).repeat_interleave(places)
        by_spikes = spread * (strength / (samples * places))
    if parameters.voltage_strength > 0:
        assert threshold is not None  # checked where the layers are made
        scale = threshold - v_rest
        # max(0, u - 1) - max(0, -u - 1), in one pass over u
        excess = nn.functional.softshrink((voltages - v_rest) / scale, 1.0)
        excess = _reordered(excess, order, places)
        by_voltages = excess * (parameters.voltage_strength / samples / scale)
    return by_spikes, by_voltages


def _reordered(signals: Tensor, order: Tensor | None, places: int = 1) -> Tensor:
    if order is None:
        return signals
    units = signals.view(*signals.shape[:-1], -1, places)
    return units[..., order.to(signals.device), :].flatten(-2)


def shuffled_order(size: int, generator: torch.Generator) -> Tensor:
    """Return a permutation (size,), int64, that is one cycle: no neuron keeps its place."""
    cycle = torch.randperm(size, generator=generator)
    order = torch.empty_like(cycle)
    order[cycle] = cycle.roll(1)
    return order


class _Penalised(torch.autograd.Function):
    """Spikes unchanged; the backward pass adds the penalty's gradient."""

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
    """The penalty of one layer on its rates and potentials, added in the backward pass."""

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
        self._neuron, self._places = layer.neuron, layer.places
        self._v_rest = layer.neuron.rest[0] if isinstance(layer.neuron, LayerNeurons) else 0.0
        v_threshold = layer.neuron.v_threshold
        if parameters.voltage_strength > 0 and (v_threshold is None or v_threshold <= self._v_rest):
            raise ValueError(
                "voltage_strength needs neurons with a threshold above their resting potential, "
                f"got {v_threshold} over {self._v_rest}; use rate_strength alone"
            )

    def __call__(self, run: Run) -> Tensor:
        """Return the spikes of a run, whose backward pass adds the penalty's gradient."""
        threshold = None
        if self._parameters.voltage_strength > 0:
            with torch.no_grad():
                threshold = self._neuron.thresholds(run.spikes, run.entered)
        result: Tensor = _Penalised.apply(run.spikes, run.voltages, threshold, self)
        return result

    def gradients(
        self, spikes: Tensor, voltages: Tensor, threshold: Tensor | float | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return ``penalty_gradients``, with the strength of a present rescue."""
        rescue = 0.0 if self._rescue is None else self._rescue.strength
        return penalty_gradients(
            spikes, voltages, self._v_rest, threshold, self._parameters, self._order, rescue,
            self._places,
        )  # fmt: skip


class Regulation(nn.Module):
    """Regulation of the layers of one network while it is optimised.

    It sees only passes that are differentiated to optimise the network: no acting, evaluation,
    target networks or recordings.
    """

    def __init__(
        self, parameters: RegulationParameters, layers: list[SpikingLayer], time_steps: int
    ) -> None:
        super().__init__()
        orders: list[Tensor | None] = [None] * len(layers)
        if parameters.shuffle_seed is not None:
            generator = torch.Generator().manual_seed(parameters.shuffle_seed)
            orders = [shuffled_order(layer.units, generator) for layer in layers]
        strength = parameters.rescue_strength
        self.rescue = Rescue(strength, len(layers)) if strength > 0 else None
        self._penalties: list[LayerPenalty] = []
        if parameters.penalised:
            self._penalties = [
                LayerPenalty(parameters, layer, order, self.rescue)
                for layer, order in zip(layers, orders, strict=True)
            ]
        self._controllers: list[Homeostasis] = []
        if parameters.controller is not None:
            self._controllers = [
                Homeostasis(parameters, layer, time_steps, order)
                for layer, order in zip(layers, orders, strict=True)
            ]
        self.controllers = nn.ModuleList(self._controllers)  # forgets the type of its members

    @property
    def is_idle(self) -> bool:
        """Whether nothing is measured or penalised, as where spikes are only shed (``lean``)."""
        return self.rescue is None and not self._penalties and not self._controllers

    def watch(self, index: int, layer: SpikingLayer, run: Run) -> Tensor:
        """Measure a run of layer ``index``; return its spikes, penalised in the backward pass."""
        if self.rescue is not None:
            self.rescue.measure(index, layer.of_units(run.spikes.mean((0, 1))))
        if self._controllers and self._is_controlled:
            self._controllers[index].measure(layer, run)
        if not self._penalties:
            return run.spikes
        return self._penalties[index](run)

    @property
    def _is_controlled(self) -> bool:
        """Whether controllers act: with a rescue only while it lasts."""
        return self.rescue is None or self.rescue.strength > 0

    def rollout_started(self, layers: list[SpikingLayer]) -> None:
        """Let the controllers act on their layers, by the measurements of updates."""
        if self._is_controlled:
            for controller, layer in zip(self._controllers, layers, strict=False):
                controller.act(layer)

    def prepare(self, layers: list[SpikingLayer]) -> None:
        """Set the layers' controlled slopes, before a differentiated pass."""
        for controller, layer in zip(self._controllers, layers, strict=False):
            controller.prepare(layer)
