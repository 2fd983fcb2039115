"""The same network in other libraries, each by its fastest path on a CPU.

All share the linear layers of ours, make the product of a constant input once, and return the mean
rates of the last layer. Their neurons are ours (``lif_box`` at its defaults: the potential moves
half of the way to the input, fires above 1 and is reset to 0), so that spikes are equal:

- Norse's step of ``lif_box``, as a function, with a rate of 500 Hz;
- SpikingJelly's multi-step LIF with ``tau=2``, ``decay_input`` and hard reset, as a function;
- snnTorch's ``Leaky`` with ``beta=0.5`` and reset to zero, at twice the threshold for a potential
  that is twice as large.

Surrogate gradients are each library's own: equal in cost, not in value.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.timing import Run
from snn_gym.spiking import NetworkConfig, SpikingNetwork

Forward = Callable[[Tensor], Tensor]
"""From inputs (B, I) to mean rates (B, N)."""

COMPILED = ", torch.compile"
"""Suffix of the names of compiled peers."""


def hidden_linears(network: SpikingNetwork) -> list[nn.Linear]:
    """Return the products into the layers of a network, input side first."""
    linears: list[nn.Linear] = [layer.linear for layer in network._layers]
    return linears


# The loops of Norse and snnTorch are alike, but are no common function: where PyTorch's compiler
# gives up on a function for one of them, it gives up on it for both.


def _norse(network: SpikingNetwork) -> Forward:
    lif_box: Any = importlib.import_module("norse.torch.functional.lif_box")
    linears, time_steps = hidden_linears(network), network.config.time_steps
    rate_hz = torch.tensor(1000.0 / network.config.neuron_parameters.tau_mem_ms)  # type: ignore[union-attr]
    parameters = lif_box.LIFBoxParameters(tau_mem_inv=rate_hz)

    def forward(x: Tensor) -> Tensor:
        held = linears[0](x)
        states = [
            lif_box.LIFBoxFeedForwardState(x.new_zeros(len(x), linear.out_features))
            for linear in linears
        ]
        total: Any = 0.0
        for _ in range(time_steps):
            signal = held
            for index, linear in enumerate(linears):
                signal, states[index] = lif_box.lif_box_feed_forward_step(
                    linear(signal) if index else signal, states[index], parameters
                )
            total = total + signal
        rates: Tensor = total / time_steps
        return rates

    return forward


def _snntorch(network: SpikingNetwork) -> Forward:
    snntorch: Any = importlib.import_module("snntorch")
    surrogate: Any = importlib.import_module("snntorch.surrogate")
    linears, time_steps = hidden_linears(network), network.config.time_steps
    settings = {"beta": 0.5, "threshold": 2.0, "reset_mechanism": "zero"}
    cells = [snntorch.Leaky(**settings, spike_grad=surrogate.fast_sigmoid()) for _ in linears]

    def forward(x: Tensor) -> Tensor:
        held = linears[0](x)
        potentials = [x.new_zeros(len(x), linear.out_features) for linear in linears]
        total: Any = 0.0
        for _ in range(time_steps):
            signal = held
            for index, linear in enumerate(linears):
                signal, potentials[index] = cells[index](
                    linear(signal) if index else signal, potentials[index]
                )
            total = total + signal
        rates: Tensor = total / time_steps
        return rates

    return forward


def _spikingjelly(network: SpikingNetwork) -> Forward:
    functional: Any = importlib.import_module("spikingjelly.activation_based.functional")
    linears, time_steps = hidden_linears(network), network.config.time_steps

    def neurons(currents: Tensor) -> Tensor:
        rest = torch.zeros_like(currents[0])
        spikes: Tensor = functional.lif_multi_step(currents, rest, 2.0, True, 1.0, 0.0, None)[0]
        return spikes

    def forward(x: Tensor) -> Tensor:
        spikes = neurons(linears[0](x).expand(time_steps, -1, -1))
        for linear in linears[1:]:
            spikes = neurons(linear(spikes))
        return spikes.mean(0)

    return forward


@dataclass(frozen=True)
class Peer:
    """Another library."""

    name: str
    """How it is called."""
    package: str
    """Import name."""
    distribution: str
    """Package name."""
    build: Callable[[SpikingNetwork], Forward]
    """Builds the network of one of ours."""

    def absent(self) -> str | None:
        """Return why it can't be measured; None if it can."""
        if importlib.util.find_spec(self.package) is not None:
            return None
        return f"{self.distribution} is not installed"


PEERS = (
    Peer("Norse", "norse", "norse", _norse),
    Peer("SpikingJelly", "spikingjelly", "spikingjelly", _spikingjelly),
    Peer("snnTorch", "snntorch", "snntorch", _snntorch),
)
PEER_NAMES = tuple(peer.name for peer in PEERS)
COMPILED_NAMES = tuple(f"{name}{COMPILED}" for name in PEER_NAMES)


def build_peers(network: SpikingNetwork) -> tuple[dict[str, Forward], dict[str, str]]:
    """Return the networks of the peers that are installed, and why others are missing."""
    own = NetworkConfig(hidden_sizes=network.config.hidden_sizes)
    for part in ("neuron", "neuron_parameters", "recurrent", "encoder", "decoder", "dt_ms"):
        if getattr(network.config, part) != getattr(own, part):
            raise ValueError(
                f"peers copy networks whose {part} is {getattr(own, part)!r}, got "
                f"{getattr(network.config, part)!r}"
            )
    built, missing = {}, {}
    for peer in PEERS:
        reason = peer.absent()
        if reason is None:
            built[peer.name] = peer.build(network)
        else:
            missing[peer.name] = reason
    return built, missing


def compiled(forward: Forward, cache: Path) -> Forward:
    """Return a peer's network under ``torch.compile``, compiled for each shape."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(cache.resolve())
    result: Forward = torch.compile(forward, dynamic=False)
    return result


def forward_backward(linears: list[nn.Linear], forward: Forward, x: Tensor) -> Run:
    """Return a function that makes the gradients of all weights for a batch.

    Args:
        linears: The learned layers.
        forward: A network of these.
        x: Inputs (B, I).
    """
    parameters = [parameter for linear in linears for parameter in linear.parameters()]

    def run() -> None:
        for parameter in parameters:
            parameter.grad = None
        forward(x).square().sum().backward()  # type: ignore[no-untyped-call]

    return run


def check_equal(forwards: dict[str, Forward], reference: Forward, x: Tensor) -> None:
    """Refuse networks that give other rates.

    Args:
        forwards: Networks by name.
        reference: The reference of the comparison.
        x: Inputs (B, I).
    """
    with torch.no_grad():
        expected = reference(x)
        for name, forward in forwards.items():
            differing = (forward(x) - expected).abs() > 1e-6
            share = float(differing.float().mean())
            if share > 1e-3:
                raise ValueError(
                    f"{name} gives other rates than ours in {share:.2%} of neurons; it is no "
                    "longer the same network: compare its neuron with lif_box"
                )
