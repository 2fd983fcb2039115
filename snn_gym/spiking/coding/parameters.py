"""Typed parameters of the decoders and of the encoder that is learned, in plain numbers.

As with the neurons' parameters, reading them loads neither torch nor Norse.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, cast

from snn_gym.config import Config, Count, NonNegative, Positive, Range
from snn_gym.program.encoders import (
    ENCODERS,
    LEARNED,
    RECEPTIVE_FIELD_MACS,
    BaseEncoder,
    ConstantEncoder,
    SpikeEncoder,
)


@dataclass(frozen=True)
class MeanRateParameters(Config):
    """Mean of the last layer's spikes over the time steps; nothing to set."""


@dataclass(frozen=True)
class LeakyReadoutParameters(Config):
    """A leaky integrator that never fires, driven by the last layer's spikes."""

    tau_mem_ms: Positive = 2.0
    """Membrane time constant (ms)."""
    tau_syn_ms: NonNegative = 0.0
    """Time constant of the synaptic current (ms); 0 for none (Norse's LIBox)."""


@dataclass(frozen=True)
class LastVoltageParameters(LeakyReadoutParameters):
    """Final voltage of a leaky integrator that never fires."""


@dataclass(frozen=True)
class MaxVoltageParameters(LeakyReadoutParameters):
    """Highest voltage, over the time steps, of a leaky integrator that never fires."""


@dataclass(frozen=True)
class PopulationDecoderParameters(Config):
    """Mean rates of output neurons, a population of them for each output.

    Tang et al. 2020, https://arxiv.org/abs/2010.09635.
    """

    neurons_per_output: Count = 10
    """Spiking neurons of each output's population."""


DecoderParameters = (
    MeanRateParameters | LastVoltageParameters | MaxVoltageParameters | PopulationDecoderParameters
)

DECODER_PARAMETERS: dict[str, type[DecoderParameters]] = {
    "mean_rate": MeanRateParameters,
    "last_voltage": LastVoltageParameters,
    "max_voltage": MaxVoltageParameters,
    "population": PopulationDecoderParameters,
}
"""Parameter type of each decoder."""


@dataclass(frozen=True)
class LearnablePopulationParameters(BaseEncoder):
    """Gaussian receptive fields whose centres and widths are learned (PopSAN's encoder).

    For networks only. At the start the centres of each value's neurons are spread evenly over the
    standardised observations' range.
    """

    neurons_per_dimension: Annotated[int, Range(at_least=2)] = 10
    """Neurons for each value of an observation."""
    width: Positive = 1.0
    """Standard deviation of a receptive field at the start, in units of the centres' spacing."""

    def channels(self, dimensions: int) -> int:
        """Return ``dimensions`` times ``neurons_per_dimension``."""
        return dimensions * self.neurons_per_dimension

    def macs(self, dimensions: int, time_steps: int) -> int:
        """Return 3 for each channel's activity, and T more for adding it up."""
        return (RECEPTIVE_FIELD_MACS + time_steps) * self.channels(dimensions)


NetworkEncoder = ConstantEncoder | SpikeEncoder | LearnablePopulationParameters
NETWORK_ENCODERS: Mapping[str, type[Any]] = ChainMap(
    {LEARNED: LearnablePopulationParameters}, cast("dict[str, type[Any]]", ENCODERS)
)
"""Parameter type of each encoder of a network."""
