"""The whole cost of a policy that sheds: its price, and the parts that are cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from snn_gym.policies.base import SpikingPolicy
from snn_gym.spiking import SpikingNetwork
from snn_gym.spiking.execution import NetworkRun, spikes_of
from snn_gym.spiking.layer_neurons import LayerNeurons
from snn_gym.spiking.layers import SpikingLayer
from snn_gym.spiking.regulation.lean import spike_cost
from snn_gym.spiking.regulation.whole_cost import (
    Signal,
    Synapses,
    bias_cost,
    event_prices,
    present,
    shed,
    signal_of,
    synapses_of,
)

_MEMORY = 64
"""Decisions in which a state that is carried may add up a bias until a neuron fires."""


class WholeCost:
    """The cost of a spiking policy's decisions under a price, which parts of its network share."""

    def __init__(self, policy: SpikingPolicy, price: str) -> None:
        network = policy.acting_network()
        assert isinstance(network, SpikingNetwork)  # as Shedding has checked
        self._policy, self._network, self._prices = policy, network, event_prices(price)
        # A ModuleList forgets the type of its members.
        self._layers = cast("list[SpikingLayer]", list(network.layers))
        self._least: list[float] = []
        # Where an environment sends spikes, silence has a meaning: without them none is sent on.
        neurons = [x.neuron for x in self._layers if isinstance(x.neuron, LayerNeurons)]
        if network.spike_input and len(neurons) == len(self._layers):
            decisions = _MEMORY if policy.carries_state else 1
            self._least = [x.rheobase(decisions * network.config.time_steps) for x in neurons]

    def cost(self, spikes: Sequence[Tensor], fan_outs: Sequence[float]) -> Tensor:
        """Return the differentiable part of the price: spikes, and biases that fire alone."""
        prices, network = self._prices, self._network
        beside = prices.spike / prices.synop
        whole = [n + beside for n in fan_outs]
        steps = network.config.time_steps
        cost = prices.synop * spike_cost(spikes, whole, steps)[0]
        if self._least:
            of_spikes = [steps * prices.synop * n for n in whole]
            cost = cost + bias_cost(self._layers, of_spikes, self._least)
        return cost

    def present(self) -> list[Tensor]:
        """Return masks of the weights that are not zero, for ``shed`` after an update."""
        return present(self._synapses())

    def keep(self, before: Sequence[Tensor]) -> None:
        """Set the weights to zero that are not in masks ``before`` of ``present``."""
        with torch.no_grad():
            for x, there in zip(self._synapses(), before, strict=True):
                x.weight.masked_fill_(~there, 0.0)

    def price(self, runs: Sequence[NetworkRun]) -> float:
        """Return the price of a decision, means over a pass."""
        return self.shed(runs, 0.0, None)

    def shed(
        self, runs: Sequence[NetworkRun], limit: float, before: Sequence[Tensor] | None
    ) -> float:
        """Cut what a pass shows to be below ``limit`` of relevance for each unit of its price.

        ``before`` is the result of ``present`` before the last update. Return the price left.
        """
        network, signals = self._network, self._signals(runs)
        steps, hidden = network.config.time_steps, len(network.config.hidden_sizes)
        prices = self._prices
        units = [steps * (prices.update + prices.spike * x.mean) for x in signals[1:]]
        return shed(self._synapses(), signals, units, limit, before, hidden)

    def _signals(self, runs: Sequence[NetworkRun]) -> list[Signal]:
        """Return the signals of the input and of each layer in a pass."""
        network, prices = self._network, self._prices
        (entered,) = [run.signal for run in runs]
        steps, spiking = network.config.time_steps, network.spikes_enter
        first = signal_of(entered, steps if spiking else 1, prices, spikes=spiking)
        return [first, *(signal_of(x, steps, prices, spikes=True) for x in spikes_of(runs))]

    def _synapses(self) -> list[Synapses]:
        network = self._network
        head = network.readout(self._policy.readout()).head
        assert head is not None  # behind every acting network
        linear = isinstance(head, nn.Linear) and not network.decoder.takes_maximum
        gain = float(network.decoder.coefficients[0].sum())
        # Biases that take over means would make neurons fire in silence.
        folds = not network.spike_input
        return synapses_of(self._layers, head, gain, folds=folds, linear=linear)
