"""A spiking layer: synapses and the neurons that they drive."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from snn_gym.spiking.config import NetworkConfig
from snn_gym.spiking.fused import run_fused, supports
from snn_gym.spiking.neurons import Neuron, State, make_neuron
from snn_gym.spiking.norse_cells import CellFactory, NorseCell


class SynapticLinear(nn.Linear):
    """A linear layer into spiking neurons, whose initialisation belongs to the network."""


class SpikingLayer(nn.Module):
    """Synapses and the neurons that they drive."""

    def __init__(self, inputs: int, size: int, dynamics: Neuron | NorseCell, backend: str) -> None:
        super().__init__()
        self.linear = SynapticLinear(inputs, size)
        self.dynamics = dynamics
        self.backend = backend
        self.size = size

    def forward(
        self, inputs: Tensor, state: State, time_steps: int
    ) -> tuple[Tensor, Tensor, State]:
        """Run all time steps.

        Args:
            inputs: (T, B, inputs), or (1, B, inputs) for the same input at every time step.
            state: State variables, each (B, size).
            time_steps: T.

        Returns:
            Spikes (T, B, size), membrane potentials (T, B, size), and the final state.

        Raises:
            ValueError: The backend is ``fused`` and the kernels can't serve the input.
        """
        # One product for all T steps: (K, B, in) -> (K * B, in) -> (K, B, size)
        steps, batch, _ = inputs.shape
        currents = self.linear(inputs.reshape(steps * batch, -1)).view(steps, batch, self.size)
        if isinstance(self.dynamics, Neuron) and self.backend != "norse":
            if supports(currents):
                return run_fused(self.dynamics, currents, state, time_steps)
            if self.backend == "fused":
                raise ValueError(
                    f"backend 'fused' runs float32 on the CPU, got {currents.dtype} on "
                    f"{currents.device}; use backend='auto'"
                )
        return self.dynamics.run_stepped(currents, state, time_steps)


def make_layers(
    config: NetworkConfig, channels: int, cell_factory: CellFactory | None
) -> list[SpikingLayer]:
    """Return the spiking layers that a configuration names, input side first.

    Args:
        config: Configuration of the network.
        channels: Inputs of the first layer.
        cell_factory: Makes a Norse cell in place of the configured neuron, or None.
    """
    sizes = [channels, *config.hidden_sizes]
    neuron = make_neuron(config)
    return [
        SpikingLayer(
            inputs,
            size,
            neuron if cell_factory is None else NorseCell(cell_factory, size),
            config.backend,
        )
        for inputs, size in pairwise(sizes)
    ]
