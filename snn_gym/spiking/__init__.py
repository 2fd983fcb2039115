"""Spiking networks: encoders, neurons, layers, decoders and recordings.

Names load on first use, so that environments can use the encoders without loading torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snn_gym.spiking.config import NetworkConfig
    from snn_gym.spiking.decoders import PopulationHead, make_head
    from snn_gym.spiking.dynamics import (
        Dynamics,
        Measure,
        damage_spreading,
        network_weights,
        record_with_damage,
    )
    from snn_gym.spiking.network import SpikingNetwork
    from snn_gym.spiking.neuron_base import Neuron
    from snn_gym.spiking.neuron_parameters import (
        ALIFParameters,
        IAFParameters,
        LIFBoxParameters,
        LIFParameters,
        NeuronParameters,
    )
    from snn_gym.spiking.neurons import register_neuron
    from snn_gym.spiking.normaliser import ObservationNormaliser
    from snn_gym.spiking.readout_parameters import (
        LastVoltageParameters,
        LearnablePopulationParameters,
        MaxVoltageParameters,
        MeanRateParameters,
        PopulationDecoderParameters,
    )
    from snn_gym.spiking.recording import LayerRecording, Recording
    from snn_gym.spiking.regulation_parameters import ControllerParameters, RegulationParameters

_HOMES = {
    "NetworkConfig": "config",
    "ControllerParameters": "regulation_parameters",
    "PopulationHead": "decoders",
    "make_head": "decoders",
    "Dynamics": "dynamics",
    "Measure": "dynamics",
    "damage_spreading": "dynamics",
    "network_weights": "dynamics",
    "record_with_damage": "dynamics",
    "SpikingNetwork": "network",
    "Neuron": "neuron_base",
    "ALIFParameters": "neuron_parameters",
    "IAFParameters": "neuron_parameters",
    "LIFBoxParameters": "neuron_parameters",
    "LIFParameters": "neuron_parameters",
    "NeuronParameters": "neuron_parameters",
    "register_neuron": "neurons",
    "ObservationNormaliser": "normaliser",
    "LastVoltageParameters": "readout_parameters",
    "LearnablePopulationParameters": "readout_parameters",
    "MaxVoltageParameters": "readout_parameters",
    "MeanRateParameters": "readout_parameters",
    "PopulationDecoderParameters": "readout_parameters",
    "LayerRecording": "recording",
    "Recording": "recording",
    "RegulationParameters": "regulation_parameters",
}

__all__ = [
    "ALIFParameters",
    "ControllerParameters",
    "Dynamics",
    "IAFParameters",
    "LIFBoxParameters",
    "LIFParameters",
    "LastVoltageParameters",
    "LayerRecording",
    "LearnablePopulationParameters",
    "MaxVoltageParameters",
    "MeanRateParameters",
    "Measure",
    "NetworkConfig",
    "Neuron",
    "NeuronParameters",
    "ObservationNormaliser",
    "PopulationDecoderParameters",
    "PopulationHead",
    "Recording",
    "RegulationParameters",
    "SpikingNetwork",
    "damage_spreading",
    "make_head",
    "network_weights",
    "record_with_damage",
    "register_neuron",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
