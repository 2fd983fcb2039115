"""The learnable population encoder of PopSAN."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from snn_gym.program.encoders import INTEGRATED
from snn_gym.spiking.coding.parameters import LearnablePopulationParameters


class _RegularSpikes(torch.autograd.Function):
    """Spikes (T, ...) of neurons without leak that add up a constant activity (...)."""

    @staticmethod
    def forward(_ctx: Any, activity: Tensor, time_steps: int) -> Tensor:
        spikes = []
        voltage = torch.zeros_like(activity)
        for _ in range(time_steps):
            voltage += activity
            fired = voltage.clone().gt_(INTEGRATED)
            voltage.sub_(fired, alpha=INTEGRATED)
            spikes.append(fired)
        return torch.stack(spikes)

    @staticmethod
    def backward(_ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0].sum(0), None


class LearnablePopulationEncoder(nn.Module):
    """Gaussian receptive fields with learned centres and widths, encoded as regular spikes.

    Neuron i of value s has the activity ``exp(-((s - centre_i) / width_i)^2 / 2)``, which it adds
    to its potential at every time step; above ``1 - ε = 0.999`` it fires and loses as much. The
    gradient of every spike with respect to the activity is taken as 1 (straight-through). Channels
    are ordered value by value.

    Tang et al. 2020, "Deep reinforcement learning with population-coded spiking neural network for
    continuous control", https://arxiv.org/abs/2010.09635, deterministic encoding. There the widths
    start as a hyper-parameter in the observation's unit, here in units of the centres' spacing; the
    gradient through the soft reset, a factor of ε, is left out.

    Args:
        dimensions: Values of an observation.
        parameters: Neurons for each value, and widths at the start.
        value_range: The centres at the start are spread over [-value_range, value_range].
    """

    def __init__(
        self, dimensions: int, parameters: LearnablePopulationParameters, value_range: float
    ) -> None:
        super().__init__()
        neurons = parameters.neurons_per_dimension
        centres = torch.linspace(-value_range, value_range, neurons)
        spacing = 2.0 * value_range / (neurons - 1)
        self.centres = nn.Parameter(centres.repeat(dimensions, 1))
        self.widths = nn.Parameter(torch.full((dimensions, neurons), parameters.width * spacing))

    def forward(self, values: Tensor, time_steps: int) -> Tensor:
        """Encode standardised observations.

        Args:
            values: (B, D), float.
            time_steps: T.

        Returns:
            Spikes (T, B, D * n), 0 or 1, with gradient to values, centres and widths.
        """
        # (B, D, 1) against (D, n) -> (B, D, n) -> (B, D * n)
        distance = (values.unsqueeze(-1) - self.centres) / self.widths
        activity = torch.exp(-0.5 * distance.square()).flatten(1)
        spikes: Tensor = _RegularSpikes.apply(  # type: ignore[no-untyped-call]
            activity, time_steps
        )
        return spikes
