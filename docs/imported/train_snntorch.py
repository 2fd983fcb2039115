"""A network of snnTorch learns CartPole, and leaves as a NIR graph: SEED FILE."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

import snntorch as snn
import torch
from cloning import TIME_STEPS, clone, write
from snntorch.export_nir import export_to_nir
from torch import Tensor, nn


def main(seed: int, path: Path) -> None:
    """Train and export."""
    torch.manual_seed(seed)
    # A reset to zero in the time step of the spike, as in NIR and in other simulators.
    options = {"reset_mechanism": "zero", "reset_delay": False, "init_hidden": True}
    # A value for each neuron, because the exporter infers their number from it.
    decay, ones = torch.full((32,), 0.5), torch.ones(32)
    neurons = [snn.Leaky(decay, threshold=ones, **options) for _ in range(2)]
    network = nn.Sequential(
        nn.Linear(4, 32), neurons[0], nn.Linear(32, 32), neurons[1], nn.Linear(32, 2)
    )

    def decide(seen: Tensor) -> Tensor:
        for layer in neurons:
            layer.reset_mem()
        total = torch.zeros(len(seen), 2)
        for _ in range(TIME_STEPS):
            total = total + network(seen)
        return total / TIME_STEPS

    clone(network, decide, seed)
    for layer in neurons:
        layer.reset_mem()
    with contextlib.redirect_stdout(io.StringIO()):
        graph = export_to_nir(network, torch.zeros(4))
    write(graph, path)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
