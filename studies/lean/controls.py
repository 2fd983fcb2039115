"""Shedding by another signal than each neuron's own: the controls of the study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from snn_gym.learners.shedding import Shedding
from snn_gym.spiking.regulation import shuffled_order
from snn_gym.spiking.spiking_layer import SharedLinear, SpikingLayer, learned_synapses

_SEED = 0
"""Seed of the permutation of neurons, whatever the seed of the training is."""


class Control(Shedding):
    """Shedding whose gradients of the cost are redirected; neurons are not folded."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        layers = list(self._policy.acting_network().layers)
        self.orders = shuffled_orders(neurons_of(self._weights, layers), _SEED)
        """Permutation of the neurons (N,) by the name of a parameter whose rows are neurons."""

    def redirected(self, rows: Tensor, order: Tensor) -> Tensor:
        """Return the gradient (N, ...) of the cost by a parameter, as the control changes it.

        A row holds a neuron's synapses, so its gradient is the neuron's whole signal: cost times
        surrogate gradient times input.
        """
        del order
        return rows

    def _fold(self) -> None:
        """Fold nothing."""

    def _set_gradients(self, far: Tensor, cost: Tensor) -> None:
        weights = self._weights
        of_cost = dict(zip(weights, gradients_of(cost, list(weights.values())), strict=True))
        for name, order in self.orders.items():
            of_cost[name] = self.redirected(of_cost[name], order.to(of_cost[name].device))
        of_far = gradients_of(far, list(weights.values()))
        for weight, gradient, own in zip(weights.values(), of_far, of_cost.values(), strict=True):
            weight.grad = gradient + own


class Shuffled(Control):
    """Each neuron receives the signal of another neuron of its layer."""

    def redirected(self, rows: Tensor, order: Tensor) -> Tensor:
        """Permute the rows; see ``Control.redirected``."""
        return rows[order]


class Uniform(Control):
    """Each neuron receives the layer's mean signal."""

    def redirected(self, rows: Tensor, order: Tensor) -> Tensor:
        """Average the rows; see ``Control.redirected``."""
        del order
        return rows.mean(0, keepdim=True).expand_as(rows)


class Scale(Uniform):
    """One threshold of each layer receives the layer's mean signal; weights receive none."""

    def redirected(self, rows: Tensor, order: Tensor) -> Tensor:
        """Average vectors and zero matrices; see ``Control.redirected``."""
        return torch.zeros_like(rows) if rows.dim() > 1 else super().redirected(rows, order)


class Blind(Control):
    """Weights and biases decay; spikes have no cost."""

    def _cost(self, spikes: Sequence[Tensor]) -> tuple[Tensor, float]:
        _, synops = super()._cost(spikes)
        return decay_cost([self._weights[name] for name in self.orders]), synops


CONTROLS: Mapping[str, type[Shedding]] = MappingProxyType(
    {"shuffled": Shuffled, "uniform": Uniform, "scale": Scale, "blind": Blind}
)
"""Kinds of shedding by the name of the arm."""


def gradients_of(loss: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return the gradient of each weight, zero if it has no part in the loss."""
    # Divergence and cost share the graph, which is retained for the second.
    return torch.autograd.grad(
        loss, weights, retain_graph=True, allow_unused=True, materialize_grads=True
    )


def decay_cost(weights: Sequence[Tensor]) -> Tensor:
    """Return half the sum of squared weights, a cost that ignores spikes."""
    return torch.stack([x.square().sum() / 2 for x in weights]).sum()


def neurons_of(parameters: dict[str, Tensor], layers: Sequence[SpikingLayer]) -> dict[str, int]:
    """Return the number of neurons of every parameter whose rows belong to neurons, by name."""
    sizes = {id(x): layer.size for layer in layers for x in layer.parameters()}
    for layer in layers:
        if isinstance(layer.linear, SharedLinear):  # the neurons of a filter count as one
            sizes |= {id(x): len(x) for x in learned_synapses(layer.linear)}
    return {
        name: sizes[id(x)]
        for name, x in parameters.items()
        if id(x) in sizes and x.dim() > 0 and len(x) == sizes[id(x)]
    }


def shuffled_orders(sizes: dict[str, int], seed: int) -> dict[str, Tensor]:
    """Return a cyclic permutation for each parameter; parameters of equal size share one."""
    orders = {
        size: shuffled_order(size, torch.Generator().manual_seed(seed))
        for size in set(sizes.values())
    }
    return {name: orders[size] for name, size in sizes.items()}
