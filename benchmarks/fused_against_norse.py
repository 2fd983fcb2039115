"""Our network against the same network written with Norse's own cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import norse.torch as norse
import torch
from torch import Tensor, nn

from benchmarks.timing import Paired, paired
from snn_gym.spiking import NetworkConfig, SpikingNetwork
from snn_gym.spiking.layers import SpikingLayer


class NorseNetwork(nn.Module):
    """Two LIFBox layers stepped by Norse, with the weights of a ``SpikingNetwork``.

    Args:
        network: The network to copy.
        hoisted: Whether the constant input's product is made once instead of T times, which
            Norse's examples do not do.
    """

    def __init__(self, network: SpikingNetwork, hoisted: bool) -> None:
        super().__init__()
        self.time_steps = network.config.time_steps
        self.hoisted = hoisted
        parameters = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(500.0))
        linears = [cast(SpikingLayer, layer).linear for layer in network.layers]
        self.linears = nn.ModuleList(
            nn.Linear(linear.in_features, linear.out_features) for linear in linears
        )
        for ours, theirs in zip(linears, self.linears, strict=True):
            theirs.load_state_dict(ours.state_dict())
        self.cells = nn.ModuleList(norse.LIFBoxCell(parameters) for _ in linears)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean rates of the last layer for observations ``x`` (B, inputs)."""
        first, second = self.linears
        first_state = second_state = None
        total = torch.zeros(())
        current = first(x)
        for _ in range(self.time_steps):
            if not self.hoisted:
                current = first(x)
            z, first_state = self.cells[0](current, first_state)
            z, second_state = self.cells[1](second(z), second_state)
            total = total + z
        return total / self.time_steps


def _forward_backward(module: nn.Module, run: Callable[[Tensor], Tensor], x: Tensor) -> None:
    module.zero_grad()
    run(x).square().sum().backward()  # type: ignore[no-untyped-call]


def measure() -> dict[str, Paired]:
    """Return timings by name: 64-64 neurons, T = 8, one thread."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = SpikingNetwork(NetworkConfig(hidden_sizes=(64, 64), time_steps=8), 4)
    results = {}
    for hoisted in (False, True):
        reference = NorseNetwork(network, hoisted)
        against = "Norse, input product hoisted" if hoisted else "Norse"
        for batch in (1, 8):
            x = torch.randn(batch, 4)
            with torch.no_grad():
                assert torch.allclose(network.decide(x), reference(x))
                results[f"acting, batch {batch}, against {against}"] = paired(
                    lambda x=x: network.decide(x),  # type: ignore[misc]
                    lambda x=x, r=reference: r(x),  # type: ignore[misc]
                    300,
                )
        x = torch.randn(256, 4)
        results[f"forward + backward, batch 256, against {against}"] = paired(
            lambda x=x: _forward_backward(network, network.decide, x),  # type: ignore[misc]
            lambda x=x, r=reference: _forward_backward(r, r, x),  # type: ignore[misc]
            60,
        )
    return results
