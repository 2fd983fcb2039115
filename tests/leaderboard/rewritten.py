"""Copies of a network: written another way, or with noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from snn_gym.leaderboard.weights import Floats, Layer, Network

Generator = np.random.Generator
Rewriting = Callable[[Network, Generator], Network]

NOISES = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
"""Standard deviations of noise, relative to that of the weights of each tensor."""

_TANH = ("a2c-mlp", "ppo-mlp")
_RELU = ("dqn-mlp", "qrdqn-mlp", "sac-mlp")


@dataclass(frozen=True)
class Attack:
    """A way to make a copy that is not equal."""

    name: str
    """Name in the report."""
    rewrite: Rewriting
    """Makes the copy."""
    agents: tuple[str, ...] | None = None
    """Agents that act alike after it; None for all."""
    logits: bool = False
    """Whether they act alike only where the readout gives a value for each action."""

    def fits(self, agent: str, network: Network) -> bool:
        """Return whether it is of use against a row."""
        return (self.agents is None or agent in self.agents) and not (
            self.logits and len(network.layers[-1].inward) == 1
        )


def ulps(network: Network, rng: Generator) -> Network:
    """Move each weight to the next float32."""
    del rng

    def moved(array: Floats) -> Floats:
        return np.nextafter(array.astype(np.float32), np.float32(np.inf)).astype(np.float64)

    return _each(network, moved)


def permuted(network: Network, rng: Generator) -> Network:
    """Write the hidden units in another order."""
    layers = list(network.layers)
    for index in range(len(layers) - 1):
        layer = layers[index]
        order = _another_order(layer.units, rng)
        rows = np.arange(len(layer.inward)).reshape(-1, layer.units)[:, order].ravel()
        recurrent = layer.recurrent
        if recurrent is not None:
            recurrent = recurrent[rows][:, order]
        layers[index] = Layer(layer.inward[rows], layer.biases[rows], recurrent)
        after = layers[index + 1]
        layers[index + 1] = replace(after, inward=after.inward[:, order])
    return replace(network, layers=tuple(layers))


def _another_order(units: int, rng: Generator) -> NDArray[np.int64]:
    """Draw an order of units until it is another than theirs; a single unit has none."""
    order = rng.permutation(units)
    while units > 1 and (np.diff(order) == 1).all():
        order = rng.permutation(units)
    return order


def turned(network: Network, rng: Generator) -> Network:
    """Turn the signs of half of the hidden units, which are odd functions."""
    return _units_times(network, lambda units: rng.choice((-1.0, 1.0), units))


def rescaled(network: Network, rng: Generator) -> Network:
    """Scale the hidden units, which are positively homogeneous, by factors of e or so."""
    return _units_times(network, lambda units: np.exp(rng.standard_normal(units)))


def shifted(network: Network, rng: Generator) -> Network:
    """Add the same function to all logits."""
    readout = network.layers[-1]
    inward = readout.inward + rng.standard_normal(readout.inward.shape[1])
    return _with_readout(network, replace(readout, inward=inward, biases=readout.biases + 3.0))


def sharpened(network: Network, rng: Generator) -> Network:
    """Double all logits, as the most probable action stays."""
    del rng
    readout = network.layers[-1]
    doubled = replace(readout, inward=readout.inward * 2.0, biases=readout.biases * 2.0)
    return _with_readout(network, doubled)


def restated(network: Network, rng: Generator) -> Network:
    """Write other observation statistics, and the first weights that make up for them."""
    if network.mean is None or network.std is None:
        return network
    first = network.layers[0]
    std = network.std * np.exp(0.5 * rng.standard_normal(network.std.shape))
    mean = network.mean + network.std * rng.standard_normal(network.std.shape)
    biases = first.biases.copy()
    biases[:, 0] += first.inward @ ((mean - network.mean) / network.std)
    first = replace(first, inward=first.inward * (std / network.std), biases=biases)
    return Network((first, *network.layers[1:]), mean, std)


def noisy(size: float) -> Rewriting:
    """Return a change that adds normal noise."""

    def rewrite(network: Network, rng: Generator) -> Network:
        return _each(
            network, lambda array: array + size * array.std() * rng.standard_normal(array.shape)
        )

    return rewrite


def chained(*rewritings: Rewriting) -> Rewriting:
    """Return a change that applies changes in turn."""

    def rewrite(network: Network, rng: Generator) -> Network:
        for one in rewritings:
            network = one(network, rng)
        return network

    return rewrite


def attacks() -> tuple[Attack, ...]:
    """Return all ways to copy."""
    everything = (noisy(1e-2), permuted, shifted, sharpened, restated)
    return (
        Attack("ulps", ulps),
        Attack("units in another order", permuted),
        Attack("signs of tanh units", turned, _TANH),
        Attack("scales of ReLU units", rescaled, _RELU),
        Attack("shift of logits", shifted, logits=True),
        Attack("scale of logits", sharpened, logits=True),
        Attack("observation statistics", restated),
        *(Attack(f"noise of {size:g}", noisy(size)) for size in NOISES),
        Attack(
            "noise of 0.01, then all that tanh allows", chained(*everything, turned), _TANH, True
        ),
        Attack(
            "noise of 0.01, then all that ReLU allows", chained(*everything, rescaled), _RELU, True
        ),
        Attack(
            "noise of 0.01, then order and statistics", chained(noisy(1e-2), permuted, restated)
        ),
    )


def _each(network: Network, change: Callable[[Floats], Floats]) -> Network:
    layers = (
        Layer(
            change(x.inward),
            change(x.biases),
            None if x.recurrent is None else change(x.recurrent),
        )
        for x in network.layers
    )
    return replace(network, layers=tuple(layers))


def _units_times(network: Network, factors: Callable[[int], Floats]) -> Network:
    """Multiply units of layers without recurrence, and divide the weights that they act by."""
    layers = list(network.layers)
    for index in range(len(layers) - 1):
        layer = layers[index]
        factor = factors(layer.units)
        layers[index] = Layer(layer.inward * factor[:, None], layer.biases * factor[:, None])
        after = layers[index + 1]
        layers[index + 1] = replace(after, inward=after.inward / factor)
    return replace(network, layers=tuple(layers))


def _with_readout(network: Network, readout: Layer) -> Network:
    return replace(network, layers=(*network.layers[:-1], readout))
