"""Typed parameters of the decoders and of the encoder that is learned, in plain numbers.

As with the neurons' parameters, reading them loads neither torch nor Norse.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class MeanRateParameters:
    """Mean of the last layer's spikes over the time steps; nothing to set."""


@dataclass(frozen=True)
class LeakyReadoutParameters:
    """A leaky integrator that never fires, driven by the last layer's spikes."""

    tau_mem_ms: float = 2.0
    """Membrane time constant (ms)."""
    tau_syn_ms: float = 0.0
    """Time constant of the synaptic current (ms); 0 for none (Norse's LIBox)."""

    def __post_init__(self) -> None:
        """Check the values."""
        if not (math.isfinite(self.tau_mem_ms) and self.tau_mem_ms > 0):
            raise ValueError(f"tau_mem_ms must be above 0 ms and finite, got {self.tau_mem_ms}")
        if not (math.isfinite(self.tau_syn_ms) and self.tau_syn_ms >= 0):
            raise ValueError(f"tau_syn_ms must be at least 0 ms and finite, got {self.tau_syn_ms}")


@dataclass(frozen=True)
class LastVoltageParameters(LeakyReadoutParameters):
    """Final voltage of a leaky integrator that never fires."""


@dataclass(frozen=True)
class MaxVoltageParameters(LeakyReadoutParameters):
    """Highest voltage, over the time steps, of a leaky integrator that never fires."""


@dataclass(frozen=True)
class PopulationDecoderParameters:
    """Mean rates of output neurons, a population of them for each output.

    Tang et al. 2020, https://arxiv.org/abs/2010.09635.
    """

    neurons_per_output: int = 10
    """Spiking neurons of each output's population, at least 1."""

    def __post_init__(self) -> None:
        """Check the value."""
        if type(self.neurons_per_output) is not int or self.neurons_per_output < 1:
            raise ValueError(
                "neurons_per_output must be a whole number of at least 1, "
                f"got {self.neurons_per_output!r}"
            )


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
class LearnablePopulationParameters:
    """Gaussian receptive fields whose centres and widths are learned (PopSAN's encoder).

    For networks only. At the start the centres of each value's neurons are spread evenly over the
    standardised observations' range.
    """

    neurons_per_dimension: int = 10
    """Neurons for each value of an observation, at least 2."""
    width: float = 1.0
    """Standard deviation of a receptive field at the start, in units of the centres' spacing."""

    def __post_init__(self) -> None:
        """Check the values."""
        if type(self.neurons_per_dimension) is not int or self.neurons_per_dimension < 2:
            raise ValueError(
                "neurons_per_dimension must be a whole number of at least 2, "
                f"got {self.neurons_per_dimension!r}"
            )
        if not (math.isfinite(self.width) and self.width > 0):
            raise ValueError(f"width must be above 0 and finite, got {self.width}")

    @property
    def needs_noise(self) -> bool:
        """Whether encoding draws random numbers: no."""
        return False

    @property
    def needs_previous(self) -> bool:
        """Whether encoding compares with the environment step before: no."""
        return False

    def channels(self, dimensions: int) -> int:
        """Return ``dimensions`` times ``neurons_per_dimension``."""
        return dimensions * self.neurons_per_dimension
