"""A network of SpikingJelly learns CartPole, and leaves as a NIR graph: SEED FILE."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from cloning import TIME_STEPS, clone, write
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based.nir_exchange import export_to_nir
from torch import Tensor, nn


def main(seed: int, path: Path) -> None:
    """Train and export."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        layer.Linear(4, 32),
        neuron.LIFNode(tau=2.0, v_reset=0.0),
        layer.Linear(32, 32),
        neuron.LIFNode(tau=2.0, v_reset=0.0),
        layer.Linear(32, 2),
    )

    def decide(seen: Tensor) -> Tensor:
        functional.reset_net(network)
        total = torch.zeros(len(seen), 2)
        for _ in range(TIME_STEPS):
            total = total + network(seen)
        return total / TIME_STEPS

    with torch.no_grad():  # so that neurons of threshold 1 fire at the beginning
        for linear in (network[0], network[2]):
            linear.weight.mul_(3.0)
            linear.bias.add_(0.5)
    clone(network, decide, seed)
    functional.reset_net(network)
    write(export_to_nir(network, torch.zeros(1, 4), dt=1e-4), path)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
