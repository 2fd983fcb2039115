"""A controller that keeps neurons in their responsive range, between updates.

While a network is optimised, each layer's activity is measured; when the next rollout starts, a
proportional rule moves one quantity of every neuron, or of the layer, against the distance ``e``
of what was measured from its range (0 inside, positive above, negative below):

    u <- clip(u - step e, -limit, limit),   u = 0 at the start,

with, by what is controlled,

- ``gain``: ``e`` of the neuron's firing rate; its synapses, bias included, are multiplied by
  ``exp(u)``. The synaptic scaling of Turrigiano 2008, https://doi.org/10.1016/j.cell.2008.10.008:
  multiplicative, of all synapses of a neuron, towards a rate.
- ``synapses``: as ``gain``, but the bias stays. What a neuron gets counts more, beside what it is
  without input. Ours.
- ``threshold``: ``e`` of the neuron's firing rate; its bias grows by ``u`` rheobases, which is its
  threshold falling as far. Intrinsic plasticity (Triesch 2005,
  https://doi.org/10.1007/11550822_11): his rule shapes the distribution of outputs by gain and
  offset, ours moves the offset alone, towards a range of mean rates.
- ``slope``: ``e`` of the share of the layer's potentials within the surrogate gradient's window,
  where the gradient is at least half of its maximum; the slope is multiplied by ``exp(-u)``, so
  that too few potentials inside widen the window. Ours.

A silent neuron has rate 0 and is below its range, a saturated one has rate 1 and is above: both are
moved. Gains and thresholds are folded into the weights, so acting, kernels, target networks and
saved agents know of no controller; what is measured and ``u`` are bookkeeping, for training alone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from snn_gym.spiking.bookkeeping import BookkeepingModule
from snn_gym.spiking.layers import SpikingLayer
from snn_gym.spiking.neurons.base import LayerNeurons, Run
from snn_gym.spiking.neurons.surrogates import surrogate_half_width
from snn_gym.spiking.regulation.parameters import ControllerParameters, RegulationParameters

_SCALED = ("gain", "synapses")
"""What is controlled by multiplying weights."""


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
