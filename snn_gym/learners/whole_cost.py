"""Shedding by the whole cost: neurons, inputs and synapses that matter less than their price.

A decision costs synaptic operations, multiply-accumulates and updates of neurons, each at a price.
After every update of the weights, parts are cut whose **relevance** is below a multiple of their
share in the price of the network:

- A synapse contributes the square of its weight times the variance of its sender over decisions to
  the variance of the current that it feeds. Its relevance is its share in that variance, times the
  relevance of the neuron behind it; those of all synapses to outputs sum to 1.
- A neuron's relevance is that of its outgoing synapses together. Its price is that of its updates
  and of all of its remaining synapses, incoming and outgoing.

So relevance flows from the outputs to the inputs, as in Yu et al. 2018
(https://arxiv.org/abs/1711.05908), whose importance flows by absolute weights. The mean of a sender
that is cut is added to the biases behind it, as in constant folding. The multiple is the strength
of the cost, so the divergence decides how much is cut: a hard threshold in place of the gradient of
a price that has none.

Variances and prices are those of an update's decisions. Of filters that became dense layers most
neurons are silent there, so that running means over about fifty updates take their place.

What is cut hardly comes back. So weights within the bound are stored, and restored where later ones
stay beyond it; and in the last quarter of the updates nothing is cut, so that the smaller network
repairs its behaviour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from snn_gym.learners.lean_rules import spike_cost
from snn_gym.policies.base import SpikingPolicy
from snn_gym.program.costs import NUMBER_BYTES, OPERATIONS
from snn_gym.program.prices import PRICES
from snn_gym.spiking import SpikingNetwork
from snn_gym.spiking.execution import NetworkRun, spikes_of
from snn_gym.spiking.spiking_layer import SpikingLayer

_TINY = 1e-12
_ROUNDS = 8
"""Recurrent synapses that relevance passes at most, one after the other."""


@dataclass(frozen=True)
class EventPrices:
    """Prices of single events in a decision."""

    synop: float
    mac: float
    update: float
    spike: float = 0.0
    """Price of a spike beside its synaptic operations."""


def event_prices(price: str) -> EventPrices:
    """Return what events cost under one of ``snn_gym.program.prices.PRICES``.

    A synapse or product reads a parameter, an update a variable of state, and a spike is a message
    to one layer.
    """
    each = PRICES[price].each
    read = NUMBER_BYTES * each.get("parameter_bytes_per_decision", 0.0)
    state = NUMBER_BYTES * each.get("state_bytes_per_decision", 0.0)
    synop, mac, update = (each[name] for name in OPERATIONS)
    spike = each.get("spikes_per_decision", 0.0) + each.get("messages_per_decision", 0.0)
    return EventPrices(synop + read, mac + read, update + state, spike)


class Signal(NamedTuple):
    """Values that the senders of synapses, such as a layer's N neurons, send in decisions."""

    mean: Tensor
    """(N,) at a time step."""
    variance: Tensor
    """(N,) over decisions, of the mean over a decision's time steps."""
    price: Tensor
    """(N,) of one synapse in a decision."""


def signal_of(values: Tensor, time_steps: int, prices: EventPrices, *, spikes: bool) -> Signal:
    """Return the signal of values (K * T, B, N): spikes, or analogue values with T = 1."""
    # (K * T, B, N) -> (K, T, B, N)
    of_decisions = values.detach().view(-1, time_steps, *values.shape[1:]).mean(1)
    mean, variance = values.detach().mean((0, 1)), of_decisions.var((0, 1), correction=0)
    if spikes:
        return Signal(mean, variance, prices.synop * time_steps * mean)
    return Signal(mean, variance, prices.mac * (values.detach() != 0).float().mean((0, 1)))


class SignalMeans(NamedTuple):
    """Running means of what senders send, over the decisions of several updates."""

    mean: Tensor
    """(N,) at a time step."""
    square: Tensor
    """(N,) of the mean over a decision's time steps, squared."""
    price: Tensor
    """(N,) of one synapse in a decision."""

    def step(self, signal: Signal, share: float) -> SignalMeans:
        """Return the means after more decisions, which count by ``share``."""
        new = means_of(signal)
        return SignalMeans(*(x.lerp(y, share) for x, y in zip(self, new, strict=True)))

    @property
    def signal(self) -> Signal:
        """The signal of all decisions that were counted."""
        variance = (self.square - self.mean.square()).clamp_min(0.0)
        return Signal(self.mean, variance, self.price)


def means_of(signal: Signal) -> SignalMeans:
    """Return the moments of one signal."""
    return SignalMeans(signal.mean, signal.variance + signal.mean.square(), signal.price)


class Synapses(NamedTuple):
    """All synapses from the input or a layer, the sender, to a layer or the outputs.

    The input has the place 0, layer k the place k, and the outputs come after the last layer.
    """

    sender: int
    receiver: int
    weight: Tensor
    """(N, D), from D senders to N receivers."""
    bias: Tensor | None
    """(N,) that takes over the mean of a sender that is cut; None where none may."""
    gain: float = 1.0
    """Value at the receiver of a sender that fires at every time step."""


def synapses_of(
    layers: Sequence[SpikingLayer], head: nn.Module, gain: float, *, folds: bool, linear: bool
) -> list[Synapses]:
    """Return the synapses of layers and of the ``head`` behind them.

    ``gain`` is the decoded value of a neuron that fires at every time step. Means are taken over by
    biases if ``folds``, and by those of the head only if the readout is ``linear``.
    """
    found = []
    for place, layer in enumerate(layers, start=1):
        bias = layer.linear.bias if folds else None
        found.append(Synapses(place - 1, place, layer.linear.weight, bias))
        if layer.recurrent is not None:
            found.append(Synapses(place, place, layer.recurrent.weight, bias))
    last = len(layers)
    if isinstance(head, nn.Linear):
        bias = head.bias if linear else None
        return [*found, Synapses(last, last + 1, head.weight, bias, gain)]
    # Each output of a population reads neurons of its own: a copy, so that none of them is cut.
    assert isinstance(head.weight, Tensor)  # both kinds have weights
    whole: Tensor = torch.block_diag(*head.weight.detach())  # type: ignore[no-untyped-call]
    return [*found, Synapses(last, last + 1, whole, None, gain)]


@torch.no_grad()
def relevances(
    synapses: Sequence[Synapses], signals: Sequence[Signal]
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the relevance of each layer's neurons (N,), and that of all synapses (N, D).

    ``signals`` are those of the input and of each layer. Relevance within a layer sums to 1, or to
    0 where no output varies.
    """
    parts = [x.weight.square() * signals[x.sender].variance for x in synapses]
    outputs = len(signals)
    last = [k for k, x in enumerate(synapses) if x.receiver == outputs]
    whole = torch.stack([parts[k].sum() for k in last]).sum().clamp_min(_TINY)
    found = [p / whole if k in last else torch.zeros_like(p) for k, p in enumerate(parts)]
    neurons: list[Tensor] = []
    for place in range(outputs - 1, 0, -1):
        inward = [k for k, x in enumerate(synapses) if x.receiver == place]
        own = direct = torch.stack(
            [found[k].sum(0) for k, x in enumerate(synapses) if x.sender == place < x.receiver]
        ).sum(0)
        currents = torch.stack([parts[k].sum(1) for k in inward]).sum(0).clamp_min(_TINY)
        shares = {k: parts[k] / currents[:, None] for k in inward}
        for loop in [shares[k] for k in inward if synapses[k].sender == place]:
            for _ in range(_ROUNDS):
                own = direct + own @ loop
        own = own / own.sum().clamp_min(_TINY)
        for k in inward:
            found[k] = shares[k] * own[:, None]
        neurons.insert(0, own)
    return neurons, found


def present(synapses: Sequence[Synapses]) -> list[Tensor]:
    """Return masks of the weights that are not zero."""
    return [x.weight.detach() != 0 for x in synapses]


@torch.no_grad()
def shed(
    synapses: Sequence[Synapses],
    signals: Sequence[Signal],
    units: Sequence[Tensor],
    limit: float,
    before: Sequence[Tensor] | None = None,
    cuttable: int | None = None,
) -> float:
    """Cut, in place, what has a relevance below ``limit`` times its price; return the price left.

    A neuron is cut by its outgoing synapses; without any it is irrelevant, and its incoming ones
    are cut next.

    Args:
        synapses: Synapses of the network.
        signals: Signals of the input and of each layer.
        units: Prices (N,) of each layer's neurons without synapses.
        limit: Least relevance for each unit of price that stays.
        before: Masks of ``present`` before the last update: means of senders go to biases for
            these only, as others were cut before. None for all.
        cuttable: Number of layers, from the input, whose neurons may be cut; None for all.
    """
    neurons, found = relevances(synapses, signals)
    left = [
        there & (part >= limit * signals[x.sender].price)
        for x, part, there in zip(synapses, found, present(synapses), strict=True)
    ]
    price = 0.0
    for place, (unit, relevance) in enumerate(zip(units, neurons, strict=True), start=1):
        whole = unit.clone()
        for x, mask in zip(synapses, left, strict=True):
            costs = mask * signals[x.sender].price
            whole += costs.sum(1) if x.receiver == place else 0.0
            whole += costs.sum(0) if x.sender == place else 0.0
        idle = (relevance < limit * whole) & (cuttable is None or place <= cuttable)
        for x, mask in zip(synapses, left, strict=True):
            if x.sender == place:
                mask.logical_and_(~idle)
        price += float(unit[~idle].sum())
    for k, (x, mask) in enumerate(zip(synapses, left, strict=True)):
        sender = signals[x.sender]
        if x.bias is not None:
            gone = ~mask if before is None else ~mask & before[k]
            x.bias.add_(torch.where(gone, x.weight, 0.0) @ (x.gain * sender.mean))
        x.weight.masked_fill_(~mask, 0.0)
        price += float((mask * sender.price).sum())
    return price


# ---- silence -------------------------------------------------------------------------------------
SILENT = 0.95
"""Bias, in units of the least constant current that fires a neuron, that costs nothing."""


def bias_cost(
    layers: Sequence[SpikingLayer], prices: Sequence[float], least: Sequence[float]
) -> Tensor:
    """Return a differentiable cost of spikes that biases alone, without any input, would make.

    A bias beyond `SILENT` of the ``least`` current that fires its layer's neurons costs the excess,
    in units of that current, times the price of a spike at every time step.
    """
    parts = [
        price * (layer.linear.bias / current - SILENT).clamp_min(0.0).sum()
        for layer, price, current in zip(layers, prices, least, strict=True)
    ]
    return torch.stack(parts).sum()


# ---- time steps ----------------------------------------------------------------------------------
TRIED = 0.1
"""Share of the updates in which a network may learn to act in half of its time steps."""
LATEST = 0.5
"""Share of the updates after which no further halving is tried."""
LEAST_UPDATES = 10


@dataclass(frozen=True)
class Halving:
    """A search for fewer time steps: half of them, as long as the divergence returns to its bound.

    While half of the time steps are tried, the network learns to act as before and sheds nothing.
    """

    begun: int = -1
    """Update at which the present trial began; -1 without one."""
    smoothed: float = 0.0
    """Running mean of the divergence before the trial."""
    refused: bool = False
    """Whether a trial has failed, after which none follows."""

    @property
    def tries(self) -> bool:
        """Whether half of the time steps are being tried."""
        return self.begun >= 0

    def may_begin(self, time_steps: int, divergence: float, bound: float, done: float) -> bool:
        """Return whether to halve ``time_steps`` now; ``done`` is the share of updates made."""
        free = not self.tries and not self.refused and time_steps > 1
        return free and divergence <= bound and done < LATEST

    def verdict(self, update: int, divergence: float, bound: float, updates: int) -> bool | None:
        """Return whether the trial is accepted after ``update`` of all ``updates``, or None.

        ``divergence`` is its running mean since the trial began.
        """
        spent = update - self.begun
        if spent >= LEAST_UPDATES and divergence <= bound:
            return True
        return False if spent >= TRIED * updates else None


# ---- cost of a policy ----------------------------------------------------------------------------
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
        self._means: list[SignalMeans] = []  # of the input and of each layer
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
            for k, moments in enumerate(self._means)
            for name, x in moments._asdict().items()
        }
        return numbers | parts if self._means else {}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restore the state from what the method ``arrays`` returned."""
        if not arrays:
            return
        self._passes, self._steps = int(arrays["passes"]), int(arrays["steps"])
        device = self._policy.device
        self._means = [
            SignalMeans(
                *(
                    torch.tensor(arrays[f"{k}.{name}"], device=device)
                    for name in SignalMeans._fields
                )
            )
            for k in range(1 + len(self._layers))
        ]

    def _smoothed(self, signals: Sequence[Signal]) -> list[Signal]:
        """Add a pass to the running means, and return these."""
        steps = self._network.config.time_steps
        if steps != self._steps:
            self._means, self._passes, self._steps = [*map(means_of, signals)], 0, steps
        self._passes += 1
        share = max(self.smoothing, 1.0 / self._passes)  # a plain mean of the first ones
        together = zip(self._means, signals, strict=True)
        self._means = [moments.step(signal, share) for moments, signal in together]
        return [x.signal for x in self._means]

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
