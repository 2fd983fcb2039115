"""Neurons as texts, and what is made of a text: gradients, traces, kernels, printers.

Names load on first use; none loads torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snn_gym._lazy import lazy_names

if TYPE_CHECKING:
    from snn_gym.program.expressions import clip, exp, log, maximum, minimum, sqrt, tanh, where
    from snn_gym.program.neuron import Neuron, NeuronParameters

__all__ = [
    "Neuron",
    "NeuronParameters",
    "clip",
    "exp",
    "log",
    "maximum",
    "minimum",
    "sqrt",
    "tanh",
    "where",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Neuron": "neuron",
        "NeuronParameters": "neuron",
        "clip": "expressions",
        "exp": "expressions",
        "log": "expressions",
        "maximum": "expressions",
        "minimum": "expressions",
        "sqrt": "expressions",
        "tanh": "expressions",
        "where": "expressions",
    },
)
