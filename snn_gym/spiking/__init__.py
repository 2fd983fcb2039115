"""Spiking networks: encoders, neurons, layers, decoders and recordings.

Names load on first use, so that environments can use the encoders without loading torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snn_gym._base.lazy import lazy_names
from snn_gym.program.neuron import Neuron, NeuronParameters
from snn_gym.program.neurons import ALIFParameters, IAFParameters, LIFBoxParameters, LIFParameters

if TYPE_CHECKING:
    from snn_gym.program.encoders import SpikeEncoder, register_encoder
    from snn_gym.spiking.config import (
        LastVoltageParameters,
        LearnablePopulationParameters,
        MaxVoltageParameters,
        MeanRateParameters,
        NetworkConfig,
        PopulationDecoderParameters,
    )
    from snn_gym.spiking.decoders import PopulationHead, make_head
    from snn_gym.spiking.eligibility import EligibilityTraces, LayerGradients
    from snn_gym.spiking.layer_neurons import register_neuron
    from snn_gym.spiking.measures import (
        Dynamics,
        Measure,
        damage_spreading,
        network_weights,
        record_with_damage,
    )
    from snn_gym.spiking.modules import ModuleConfig, ModuleNetwork
    from snn_gym.spiking.network import SpikingNetwork
    from snn_gym.spiking.normaliser import ObservationNormaliser
    from snn_gym.spiking.recording import LayerRecording, Recording
    from snn_gym.spiking.regulation.parameters import ControllerParameters, RegulationParameters


__all__ = [
    "ALIFParameters",
    "ControllerParameters",
    "Dynamics",
    "EligibilityTraces",
    "IAFParameters",
    "LIFBoxParameters",
    "LIFParameters",
    "LastVoltageParameters",
    "LayerGradients",
    "LayerRecording",
    "LearnablePopulationParameters",
    "MaxVoltageParameters",
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
    "SpikingNetwork",
    "damage_spreading",
    "make_head",
    "network_weights",
    "record_with_damage",
    "register_encoder",
    "register_neuron",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "NetworkConfig": "config",
        "ControllerParameters": "regulation.parameters",
        "PopulationHead": "decoders",
        "make_head": "decoders",
        "SpikeEncoder": ".program.encoders",
        "register_encoder": ".program.encoders",
        "EligibilityTraces": "eligibility",
        "LayerGradients": "eligibility",
        "Dynamics": "measures",
        "Measure": "measures",
        "damage_spreading": "measures",
        "network_weights": "measures",
        "record_with_damage": "measures",
        "ModuleConfig": "modules",
        "ModuleNetwork": "modules",
        "SpikingNetwork": "network",
        "register_neuron": "layer_neurons",
        "ObservationNormaliser": "normaliser",
        "LastVoltageParameters": "config",
        "LearnablePopulationParameters": "config",
        "MaxVoltageParameters": "config",
        "MeanRateParameters": "config",
        "PopulationDecoderParameters": "config",
        "LayerRecording": "recording",
        "Recording": "recording",
        "RegulationParameters": "regulation.parameters",
    },
)
