"""Spiking networks: encoders, neurons, layers, decoders and recordings.

Names load on first use, so that environments can use the encoders without loading torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snn_gym.spiking.config import NetworkConfig
    from snn_gym.spiking.network import SpikingNetwork
    from snn_gym.spiking.neuron_parameters import (
        IAFParameters,
        LastVoltageParameters,
        LIFBoxParameters,
        LIFParameters,
        MeanRateParameters,
    )
    from snn_gym.spiking.normaliser import ObservationNormaliser
    from snn_gym.spiking.recording import LayerRecording, Recording

_HOMES = {
    "NetworkConfig": "config",
    "SpikingNetwork": "network",
    "LIFBoxParameters": "neuron_parameters",
    "LIFParameters": "neuron_parameters",
    "IAFParameters": "neuron_parameters",
    "MeanRateParameters": "neuron_parameters",
    "LastVoltageParameters": "neuron_parameters",
    "ObservationNormaliser": "normaliser",
    "LayerRecording": "recording",
    "Recording": "recording",
}

__all__ = [
    "IAFParameters",
    "LIFBoxParameters",
    "LIFParameters",
    "LastVoltageParameters",
    "LayerRecording",
    "MeanRateParameters",
    "NetworkConfig",
    "ObservationNormaliser",
    "Recording",
    "SpikingNetwork",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
