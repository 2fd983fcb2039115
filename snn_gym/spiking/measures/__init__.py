"""Dynamics: measures of neurons, synapses and layers over a recording."""

from snn_gym.spiking.measures.definitions import (
    LAYER_MEASURES,
    NEURON_MEASURES,
    SYNAPSE_MEASURES,
    WEIGHT_MEASURES,
    Measure,
)
from snn_gym.spiking.measures.dynamics import (
    Dynamics,
    damage_spreading,
    hamming_distance,
    network_weights,
    record_with_damage,
)

__all__ = [
    "LAYER_MEASURES",
    "NEURON_MEASURES",
    "SYNAPSE_MEASURES",
    "WEIGHT_MEASURES",
    "Dynamics",
    "Measure",
    "damage_spreading",
    "hamming_distance",
    "network_weights",
    "record_with_damage",
]
