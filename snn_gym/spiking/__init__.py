"""Spiking networks: encoders, neurons, layers, decoders and recordings.

Names load on first use, so that environments can use the encoders without loading torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snn_gym._base.lazy import lazy_names
from snn_gym.program.builtin_neurons import (
    ALIFParameters,
    IAFParameters,
    LIFBoxParameters,
    LIFParameters,
    register_neuron,
)
from snn_gym.program.neuron import Neuron, NeuronParameters

if TYPE_CHECKING:
    from snn_gym.program.encoders import SpikeEncoder, register_encoder
    from snn_gym.spiking.decoders import PopulationHead, make_head
    from snn_gym.spiking.dynamics import Dynamics, network_weights, relative_gradients
    from snn_gym.spiking.measures import Measure
    from snn_gym.spiking.modules import ModuleConfig, ModuleNetwork
    from snn_gym.spiking.network import SpikingNetwork
    from snn_gym.spiking.network_config import (
        ControllerParameters,
        LastVoltageParameters,
        LearnablePopulationParameters,
        MeanRateParameters,
        NetworkConfig,
        PopulationDecoderParameters,
        RegulationParameters,
    )
    from snn_gym.spiking.normaliser import ObservationNormaliser
    from snn_gym.spiking.recording import LayerRecording, Recording
    from snn_gym.spiking.spiking_layer import SpikingLayer


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
    "MeanRateParameters",
    "Measure",
    "ModuleConfig",
    "ModuleNetwork",
    "NetworkConfig",
    "Neuron",
    "NeuronParameters",
    "ObservationNormaliser",
    "PopulationDecoderParameters",
    "PopulationHead",
    "Recording",
    "RegulationParameters",
    "SpikeEncoder",
    "SpikingLayer",
    "SpikingNetwork",
    "make_head",
    "network_weights",
    "register_encoder",
    "register_neuron",
    "relative_gradients",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "ControllerParameters": "network_config",
        "Dynamics": "dynamics",
        "LastVoltageParameters": "network_config",
        "LayerRecording": "recording",
        "LearnablePopulationParameters": "network_config",
        "MeanRateParameters": "network_config",
        "Measure": "measures",
        "ModuleConfig": "modules",
        "ModuleNetwork": "modules",
        "NetworkConfig": "network_config",
        "ObservationNormaliser": "normaliser",
        "PopulationDecoderParameters": "network_config",
        "PopulationHead": "decoders",
        "Recording": "recording",
        "RegulationParameters": "network_config",
        "SpikeEncoder": ".program.encoders",
        "SpikingLayer": "spiking_layer",
        "SpikingNetwork": "network",
        "make_head": "decoders",
        "network_weights": "dynamics",
        "relative_gradients": "dynamics",
        "register_encoder": ".program.encoders",
    },
)
