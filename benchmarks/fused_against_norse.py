"""Our network against the same network written with Norse's own cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import norse.torch as norse
import torch
from torch import Tensor, nn

from benchmarks.timing import Paired, paired
from snn_gym.spiking import ALIFParameters, NetworkConfig, SpikingNetwork
from snn_gym.spiking.layers import SpikingLayer

_RATE_HZ = torch.tensor(500.0)  # of all time constants, 2 ms


def _box_cell(_layer: SpikingLayer) -> nn.Module:
    cell: nn.Module = norse.LIFBoxCell(norse.LIFBoxParameters(tau_mem_inv=_RATE_HZ))
    return cell


def _adaptive_cell(_layer: SpikingLayer) -> nn.Module:
    defaults = ALIFParameters()
    parameters = norse.LSNNParameters(
        tau_syn_inv=_RATE_HZ,
        tau_mem_inv=_RATE_HZ,
        tau_adapt_inv=torch.tensor(1000.0 / defaults.tau_adapt_ms),
        beta=torch.tensor(defaults.beta),
    )
    cell: nn.Module = norse.LSNNCell(parameters)
    return cell


def _recurrent_cell(layer: SpikingLayer) -> nn.Module:
    assert layer.recurrent is not None
    cell: nn.Module = norse.LIFRecurrentCell(
        layer.linear.in_features,
        layer.size,
        norse.LIFParameters(tau_syn_inv=_RATE_HZ, tau_mem_inv=_RATE_HZ),
        input_weights=nn.Parameter(layer.linear.weight.detach().clone()),
        recurrent_weights=nn.Parameter(layer.recurrent.weight.detach().clone()),
        autapses=True,
    )
    return cell


class NorseNetwork(nn.Module):
    """Two layers stepped by Norse, with the weights of a ``SpikingNetwork``.

    Args:
        network: The network to copy.
        make_cell: Makes the Norse cell that does what a layer's neurons do.
        hoisted: Whether the constant input's product is made once instead of T times, which
            Norse's examples do not do.
    """

    def __init__(
        self,
        network: SpikingNetwork,
        make_cell: Callable[[SpikingLayer], nn.Module],
        hoisted: bool,
    ) -> None:
        super().__init__()
        self.time_steps = network.config.time_steps
        self.hoisted = hoisted
        layers = [cast(SpikingLayer, layer) for layer in network.layers]
        self.linears = nn.ModuleList()
        for layer in layers:
            # Norse's recurrent cells hold their input weights themselves.
            linear: nn.Module = nn.Identity()
            if layer.recurrent is None:
                linear = nn.Linear(layer.linear.in_features, layer.size)
                linear.load_state_dict(layer.linear.state_dict())
            self.linears.append(linear)
        self.cells = nn.ModuleList(make_cell(layer) for layer in layers)

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


def _compare(network: SpikingNetwork, reference: NorseNetwork, label: str) -> dict[str, Paired]:
    results = {}
    for batch in (1, 8):
        x = torch.randn(batch, 4)
        with torch.no_grad():
            assert torch.allclose(network.decide(x), reference(x))
            results[f"acting, batch {batch}, {label}"] = paired(
                lambda x=x: network.decide(x),  # type: ignore[misc]
                lambda x=x: reference(x),  # type: ignore[misc]
                300,
            )
    x = torch.randn(256, 4)
    results[f"forward + backward, batch 256, {label}"] = paired(
        lambda: _forward_backward(network, network.decide, x),
        lambda: _forward_backward(reference, reference, x),
        60,
    )
    return results


def measure() -> dict[str, Paired]:
    """Return timings by name: 64-64 neurons, T = 8, one thread."""
    torch.set_num_threads(1)
    cases: list[tuple[str, dict[str, Any], Callable[[SpikingLayer], nn.Module], bool]] = [
        ("lif_box against Norse", {}, _box_cell, False),
        ("lif_box against Norse, input product hoisted", {}, _box_cell, True),
        ("alif against Norse's LSNNCell", {"neuron": "alif"}, _adaptive_cell, False),
        (
            "recurrent lif against Norse's LIFRecurrentCell",
            {"neuron": "lif", "recurrent": True},
            _recurrent_cell,
            False,
        ),
    ]
    results = {}
    for label, settings, make_cell, hoisted in cases:
        torch.manual_seed(0)
        config = NetworkConfig(hidden_sizes=(64, 64), time_steps=8, **settings)
        network = SpikingNetwork(config, 4)
        if config.recurrent:
            for layer in network.layers:  # Norse's recurrent cells have no biases
                nn.init.zeros_(cast(SpikingLayer, layer).linear.bias)
        results.update(_compare(network, NorseNetwork(network, make_cell, hoisted), label))
    return results
