"""The whole cost of a policy that sheds: its price, and the parts that are cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from snn_gym.policies.base import SpikingPolicy
from snn_gym.spiking import SpikingNetwork
from snn_gym.spiking.execution import NetworkRun, spikes_of
from snn_gym.spiking.regulation.lean import spike_cost
from snn_gym.spiking.regulation.whole_cost import (
    Moments,
    Signal,
    Synapses,
    bias_cost,
    event_prices,
    moments_of,
    present,
    shed,
    signal_of,
    synapses_of,
)
from snn_gym.spiking.spiking_layer import SpikingLayer

_MEMORY = 64
"""Decisions in which a state that is carried may add up a bias until a neuron fires."""


class WholeCost:
    """The cost of a spiking policy's decisions under a price, which parts of its network share."""

    smoothing = 1.0
    """Weight of a pass in the running means by which ``shed`` knows signals."""

    def __init__(self, policy: SpikingPolicy, price: str) -> None:
        network = policy.acting_network()
        assert isinstance(network, SpikingNetwork)  # as Shedding has checked
        self._policy, self._network, self._prices = policy, network, event_prices(price)
        self._moments: list[Moments] = []  # of the input and of each layer
        self._passes = 0
        self._steps = 0  # time steps of a decision in these passes
        # A ModuleList forgets the type of its members.
        self._layers = cast("list[SpikingLayer]", list(network.layers))
        self._least: list[float] = []
        # Where an environment sends spikes, silence has a meaning: without them none is sent on.
        if network.spike_input:
            steps = network.config.time_steps * (_MEMORY if policy.carries_state else 1)
            self._least = [x.neuron.rheobase(steps) for x in self._layers]

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
        return self._shed(self._signals(runs), 0.0, None)

    def shed(self, runs: Sequence[NetworkRun], limit: float, before: Sequence[Tensor]) -> float:
        """Cut what passes show to be below ``limit`` of relevance for each unit of its price.

        ``runs`` are of the latest pass, and ``before`` is the result of ``present`` before the last
        update. Nothing is cut before there are passes enough. Return the price left.
        """
        signals = self._signals(runs)
        if self.smoothing < 1.0:
            signals = self._smoothed(signals)
            limit = limit if self._passes * self.smoothing >= 1.0 else 0.0
        return self._shed(signals, limit, before)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the state as arrays by name, for a checkpoint."""
        numbers = {"passes": np.array(self._passes), "steps": np.array(self._steps)}
        parts = {
            f"{k}.{name}": x.cpu().numpy()
            for k, moments in enumerate(self._moments)
            for name, x in moments._asdict().items()
        }
        return numbers | parts if self._moments else {}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restore the state that ``arrays`` returned."""
        if not arrays:
            return
        self._passes, self._steps = int(arrays["passes"]), int(arrays["steps"])
        device = self._policy.device
        self._moments = [
            Moments(
                *(torch.tensor(arrays[f"{k}.{name}"], device=device) for name in Moments._fields)
            )
            for k in range(1 + len(self._layers))
        ]

    def _smoothed(self, signals: Sequence[Signal]) -> list[Signal]:
        """Add a pass to the running means, and return these."""
        steps = self._network.config.time_steps
        if steps != self._steps:
            self._moments, self._passes, self._steps = [*map(moments_of, signals)], 0, steps
        self._passes += 1
        share = max(self.smoothing, 1.0 / self._passes)  # a plain mean of the first ones
        together = zip(self._moments, signals, strict=True)
        self._moments = [moments.step(signal, share) for moments, signal in together]
        return [x.signal for x in self._moments]

    def _shed(
        self, signals: Sequence[Signal], limit: float, before: Sequence[Tensor] | None
    ) -> float:
        """Cut by given signals, where ``before`` is None for synapses that were all there."""
        network = self._network
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
        head = network.any_head(self._policy.readout())
        assert head is not None  # behind every acting network
        linear = isinstance(head, nn.Linear)
        gain = float(network.decoder.coefficients[0].sum())
        # Biases that take over means would make neurons fire in silence.
        folds = not network.spike_input
        return synapses_of(self._layers, head, gain, folds=folds, linear=linear)
