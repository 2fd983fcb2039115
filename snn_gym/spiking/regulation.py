"""Regulation of neurons while a network is optimised: a penalty, its rescue, and homeostasis.

An identity follows every spiking layer. Its backward pass adds the gradient of a penalty ``P`` on
the layer's spikes ``z``, so that any algorithm trains as if its loss contained ``P``. With T time
steps, B samples and the rate ``f_j = sum_tb z_tbj / (T B)`` of neuron j::

    P = rate_strength / 2 sum_j (max(0, f_j - max_rate)^2 + max(0, min_rate - f_j)^2)

``P`` is a mean over samples, independent of any factor of the algorithm's own loss: strengths mean
the same at every batch size. The neurons of a filter, which share their weights, count as one of
their mean rate, wherever rates are measured, penalised or controlled.

Source: the regularisers of e-prop (Bellec et al. 2020, https://doi.org/10.1038/s41467-020-17236-y,
Methods, and https://github.com/IGITUGraz/eligibility_propagation). Differences: they pull the rate
to one target, which is ``min_rate = max_rate`` here; their code has no factor 1/2.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from snn_gym.spiking.bookkeeping import BookkeepingModule
from snn_gym.spiking.layer_neurons import Run
from snn_gym.spiking.network_config import ControllerParameters, RegulationParameters
from snn_gym.spiking.spiking_layer import SpikingLayer, learned_synapses

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
# When a rollout starts, a proportional rule moves a number ``u`` of every neuron against the
# distance ``e`` of its measured rate from the range (0 inside, positive above):
#
#     u <- clip(u - step e, -limit, limit),   u = 0 at the start.
#
# The neuron's synapses, without its bias, are multiplied by ``exp(u)``, so that input counts more.
# Multiplicative, of all synapses of a neuron and towards a rate, as the synaptic scaling of
# Turrigiano 2008, https://doi.org/10.1016/j.cell.2008.10.008; to leave out the bias is ours.
#
# Gains are folded into the weights, so that acting, kernels, target networks and saved agents need
# no controller; measurements and ``u`` are bookkeeping, for training alone.
class Homeostasis(BookkeepingModule):
    """The controller of one layer; neuron j is controlled by the rate of neuron ``order[j]``."""

    count: Tensor
    total: Tensor
    moved: Tensor

    def __init__(
        self, parameters: RegulationParameters, layer: SpikingLayer, order: Tensor | None
    ) -> None:
        super().__init__()
        assert parameters.controller is not None  # checked by Regulation
        self._controller: ControllerParameters = parameters.controller
        self._rates = parameters.min_rate, parameters.max_rate
        self._order = order
        self.register_bookkeeping("count", torch.zeros(1, dtype=torch.float64))
        self.register_bookkeeping("total", torch.zeros(layer.units, dtype=torch.float64))
        self.register_bookkeeping("moved", torch.zeros(layer.units, dtype=torch.float64))

    @torch.no_grad()
    def measure(self, layer: SpikingLayer, run: Run) -> None:
        """Add a run of the layer, each of its decisions as a sample."""
        samples = len(run.entered[0])
        rounds = samples // run.spikes.shape[1]
        self.count += samples
        # A count of spikes is exact in float32.
        counts = layer.of_units(run.spikes.sum((0, 1)).double())
        self.total += counts / (run.spikes.shape[0] // rounds)

    @torch.no_grad()
    def act(self, layer: SpikingLayer) -> None:
        """Scale synapses against the error of rates and measure anew, if samples are enough."""
        controller = self._controller
        if self.count.item() < controller.min_samples:
            return
        measured = self.total / self.count
        error = measured - measured.clamp(*self._rates)
        if self._order is not None:
            error = error[self._order.to(error.device)]
        before = self.moved.clone()
        self.moved.sub_(controller.step * error).clamp_(-controller.limit, controller.limit)
        weight, _ = learned_synapses(layer.linear)
        gain = (self.moved - before).exp().to(weight)[:, None]
        weight.mul_(gain)
        if layer.recurrent is not None:
            layer.recurrent.weight.mul_(gain)
        self.count.zero_()
        self.total.zero_()


# ---- penalty -------------------------------------------------------------------------------------
def rate_error(rates: Tensor, parameters: RegulationParameters) -> Tensor:
    """Return how far rates are above (positive) or below (negative) their range, else 0."""
    return rates - rates.clamp(parameters.min_rate, parameters.max_rate)


def shuffled_order(size: int, generator: torch.Generator) -> Tensor:
    """Return a permutation (size,), int64, that is one cycle: no neuron keeps its place."""
    cycle = torch.randperm(size, generator=generator)
    order = torch.empty_like(cycle)
    order[cycle] = cycle.roll(1)
    return order


class _Penalised(torch.autograd.Function):
    """Spikes unchanged; the backward pass adds the penalty's gradient."""

    @staticmethod
    def forward(ctx: Any, spikes: Tensor, penalty: RatePenalty) -> Tensor:
        ctx.save_for_backward(spikes)
        ctx.penalty = penalty
        return spikes.view_as(spikes)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        # Grad mode is on in here only under create_graph.
        if torch.is_grad_enabled():
            raise RuntimeError(
                "penalties on the dynamics are added to first-order gradients only, and "
                "create_graph=True asks for second derivatives, as TRPO does; train with PPO, or "
                "leave rate_strength and rescue_strength at 0"
            )
        (spikes,) = ctx.saved_tensors
        own = ctx.penalty.gradient(spikes)
        return grads[0] if own is None else grads[0] + own, None


class RatePenalty:
    """The penalty of one layer on its rates, added in the backward pass.

    Args:
        parameters: Range and strength.
        layer: The layer.
        order: (units,) gives unit j the signal of unit ``order[j]``, where a unit is a neuron or
            the places of a filter; None for its own.
        rescue: Rescue whose strength is added; None for none.
    """

    def __init__(
        self,
        parameters: RegulationParameters,
        layer: SpikingLayer,
        order: Tensor | None,
        rescue: Rescue | None = None,
    ) -> None:
        self._parameters, self._order, self._rescue = parameters, order, rescue
        self._places = layer.places

    def __call__(self, spikes: Tensor) -> Tensor:
        """Return spikes (L * T, B, N), whose backward pass adds the penalty's gradient."""
        result: Tensor = _Penalised.apply(spikes, self)
        return result

    def gradient(self, spikes: Tensor) -> Tensor | None:
        """Return the gradient (N,) of ``P`` by each spike of a neuron; None at strength 0."""
        rescue = 0.0 if self._rescue is None else self._rescue.strength
        strength = self._parameters.rate_strength + rescue
        if strength == 0:
            return None
        error = rate_error(spikes.mean((0, 1)).view(-1, self._places).mean(1), self._parameters)
        if self._order is not None:
            error = error[self._order.to(error.device)]
        samples = spikes.shape[0] * spikes.shape[1]
        return error.repeat_interleave(self._places) * (strength / (samples * self._places))


class Regulation(nn.Module):
    """Regulation of the layers of one network while it is optimised.

    It sees only passes that are differentiated to optimise the network: no acting, evaluation,
    target networks or recordings.
    """

    def __init__(self, parameters: RegulationParameters, layers: list[SpikingLayer]) -> None:
        super().__init__()
        orders: list[Tensor | None] = [None] * len(layers)
        if parameters.shuffle_seed is not None:
            generator = torch.Generator().manual_seed(parameters.shuffle_seed)
            orders = [shuffled_order(layer.units, generator) for layer in layers]
        strength = parameters.rescue_strength
        self.rescue = Rescue(strength, len(layers)) if strength > 0 else None
        self._penalties: list[RatePenalty] = []
        if parameters.penalised:
            self._penalties = [
                RatePenalty(parameters, layer, order, self.rescue)
                for layer, order in zip(layers, orders, strict=True)
            ]
        self._controllers: list[Homeostasis] = []
        if parameters.controller is not None:
            self._controllers = [
                Homeostasis(parameters, layer, order)
                for layer, order in zip(layers, orders, strict=True)
            ]
        self.controllers = nn.ModuleList(self._controllers)  # forgets the type of its members
        self._waits = strength > 0 and parameters.rate_strength == 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is measured or penalised, as where spikes are only shed (``lean``)."""
        return self.rescue is None and not self._penalties and not self._controllers

    @property
    def waits(self) -> bool:
        """Whether nothing is penalised or controlled until a rescue begins."""
        return self._waits and not self._is_controlled

    def measure(self, index: int, layer: SpikingLayer, run: Run) -> None:
        """Measure the rates of layer ``index``, which may begin or end a rescue."""
        if self.rescue is not None:
            self.rescue.measure(index, layer.of_units(run.spikes.mean((0, 1))))

    def watch(self, index: int, layer: SpikingLayer, run: Run) -> Tensor:
        """Measure a run of layer ``index``; return its spikes, penalised in the backward pass."""
        self.measure(index, layer, run)
        if self._controllers and self._is_controlled:
            self._controllers[index].measure(layer, run)
        return self._penalties[index](run.spikes) if self._penalties else run.spikes

    @property
    def _is_controlled(self) -> bool:
        """Whether controllers act: with a rescue only while it lasts."""
        return self.rescue is None or self.rescue.strength > 0

    def rollout_started(self, layers: list[SpikingLayer]) -> None:
        """Let the controllers act on their layers, by the measurements of updates."""
        if self._is_controlled:
            for controller, layer in zip(self._controllers, layers, strict=False):
                controller.act(layer)
