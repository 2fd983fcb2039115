"""Dynamics: measures of neurons, synapses and layers over a recording.

``neurons``, ``synapses``, ``layers`` and ``damage`` hold the measures as functions of arrays,
``definitions`` their names, units and validity; ``Dynamics`` applies them to a recording.
"""

from snn_gym.spiking.measures.connections import network_weights
from snn_gym.spiking.measures.damage import (
    damage_spreading,
    hamming_distance,
    record_with_damage,
)
from snn_gym.spiking.measures.definitions import (
    LAYER_MEASURES,
    NEURON_MEASURES,
    SYNAPSE_MEASURES,
    WEIGHT_MEASURES,
)
from snn_gym.spiking.measures.dynamics import Dynamics
from snn_gym.spiking.measures.measure import Measure

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
