"""Regulation of a network: a controller, and penalties added in the backward pass.

The controller is ``snn_gym.spiking.regulation.homeostasis``; the penalties are on firing rates
and membrane potentials.

An identity follows every spiking layer. Forward it changes nothing; backward it adds to the
arriving gradient that of a penalty ``P`` on the layer's spikes ``z`` and potentials ``v``. So any
algorithm is trained as if ``P`` stood in its loss, and none has to know of it. With T time steps,
B samples and the rate ``f_j = sum_tb z_tbj / (T B)`` of neuron j::

    P = rate_strength / 2 sum_j (max(0, f_j - max_rate)^2 + max(0, min_rate - f_j)^2)
      + voltage_strength / (2 T B) sum_tbj (max(0, u_tbj - 1)^2 + max(0, -u_tbj - 1)^2),
    u = (v - v_rest) / (threshold - v_rest).

``rescue_strength`` adds to ``rate_strength`` in a network that does not respond, for as long as it
does not (``snn_gym.spiking.regulation.rescue``).

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

from typing import Any, cast

import torch
from torch import Tensor, nn

from snn_gym.spiking.layers import SpikingLayer
from snn_gym.spiking.neurons.base import LayerNeurons, Run
from snn_gym.spiking.regulation.homeostasis import Homeostasis
from snn_gym.spiking.regulation.parameters import RegulationParameters
from snn_gym.spiking.regulation.rescue import Rescue


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
    """What watches the layers of one network while it is optimised.

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
