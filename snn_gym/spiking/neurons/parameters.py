"""Parameters of neurons under the name that pickles of 1.0.0 and before know them by.

Stable-Baselines3's own files hold such pickles. The types are those of ``snn_gym.program``.
"""

from __future__ import annotations

from snn_gym.program.neuron import NeuronParameters
from snn_gym.program.neurons import (
    ALIFParameters,
    IAFParameters,
    LIFBoxParameters,
    LIFParameters,
    SoftIAFParameters,
)

__all__ = [
    "ALIFParameters",
    "IAFParameters",
    "LIFBoxParameters",
    "LIFParameters",
    "NeuronParameters",
    "SoftIAFParameters",
]
