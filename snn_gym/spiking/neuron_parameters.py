"""Typed parameters of the registered neurons and readouts, in milliseconds.

They hold numbers only, so that reading a configuration loads neither torch nor Norse.
``snn_gym.spiking.neurons`` turns them into Norse's parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields


def _check_finite(parameters: object) -> None:
    for field in fields(parameters):  # type: ignore[arg-type]
        value = getattr(parameters, field.name)
        if not math.isfinite(value):
            raise ValueError(f"{field.name} must be finite, got {value}")
        if field.name.startswith("tau_") and value <= 0:
            raise ValueError(f"{field.name} must be above 0 ms, got {value}")


def _check_threshold(v_threshold: float, v_reset: float, v_leak: float) -> None:
    if v_leak >= v_threshold:
        raise ValueError(
            f"v_leak must be below v_threshold, or the neuron fires without input; "
            f"got v_leak={v_leak}, v_threshold={v_threshold}"
        )
    if v_reset >= v_threshold:
        raise ValueError(
            f"v_reset must be below v_threshold, or the neuron never stops firing; "
            f"got v_reset={v_reset}, v_threshold={v_threshold}"
        )


@dataclass(frozen=True)
class LIFBoxParameters:
    """Leaky integrate-and-fire without synaptic current: ``tau_mem dv/dt = v_leak - v + x``."""

    tau_mem_ms: float = 2.0
    """Membrane time constant (ms)."""
    v_threshold: float = 1.0
    """Potential above which the neuron fires."""
    v_reset: float = 0.0
    """Potential after a spike."""
    v_leak: float = 0.0
    """Resting potential."""

    def __post_init__(self) -> None:
        """Check the values."""
        _check_finite(self)
        _check_threshold(self.v_threshold, self.v_reset, self.v_leak)


@dataclass(frozen=True)
class LIFParameters:
    """Current-based leaky integrate-and-fire.

    ``tau_mem dv/dt = v_leak - v + i`` and ``tau_syn di/dt = -i``; an input jumps the current.
    """

    tau_mem_ms: float = 2.0
    """Membrane time constant (ms)."""
    tau_syn_ms: float = 2.0
    """Time constant of the synaptic current (ms)."""
    v_threshold: float = 1.0
    """Potential above which the neuron fires."""
    v_reset: float = 0.0
    """Potential after a spike."""
    v_leak: float = 0.0
    """Resting potential."""

    def __post_init__(self) -> None:
        """Check the values."""
        _check_finite(self)
        _check_threshold(self.v_threshold, self.v_reset, self.v_leak)


@dataclass(frozen=True)
class IAFParameters:
    """Integrate-and-fire without leak: every time step adds its input to ``v``."""

    v_threshold: float = 1.0
    """Potential above which the neuron fires."""
    v_reset: float = 0.0
    """Potential after a spike."""

    def __post_init__(self) -> None:
        """Check the values."""
        _check_finite(self)
        _check_threshold(self.v_threshold, self.v_reset, v_leak=self.v_reset)


NeuronParameters = LIFBoxParameters | LIFParameters | IAFParameters

NEURON_PARAMETERS: dict[str, type[NeuronParameters]] = {
    "lif_box": LIFBoxParameters,
    "lif": LIFParameters,
    "iaf": IAFParameters,
}
"""Parameter type of each registered neuron."""


@dataclass(frozen=True)
class MeanRateParameters:
    """Mean of the last layer's spikes over the time steps; nothing to set."""


@dataclass(frozen=True)
class LastVoltageParameters:
    """Final voltage of a leaky integrator that never fires."""

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


DecoderParameters = MeanRateParameters | LastVoltageParameters

DECODER_PARAMETERS: dict[str, type[DecoderParameters]] = {
    "mean_rate": MeanRateParameters,
    "last_voltage": LastVoltageParameters,
}
"""Parameter type of each decoder."""
