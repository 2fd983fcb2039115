"""Neurons as texts and acting networks as values, with kernels, costs and checks derived from them.

Names load on first use; none loads torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snn_gym._base.lazy import lazy_names

if TYPE_CHECKING:
    from snn_gym.program.compaction import compact
    from snn_gym.program.compiled import CompiledProgram
    from snn_gym.program.costs import count_costs
    from snn_gym.program.events import Events, with_events
    from snn_gym.program.expressions import clip, exp, log, maximum, minimum, sqrt, tanh, where
    from snn_gym.program.interpreter import Decision, decide
    from snn_gym.program.network import (
        Choice,
        Decoder,
        DenseLayer,
        GatedLayer,
        Head,
        LeakyLayer,
        NeuronLayer,
        Normaliser,
        Program,
    )
    from snn_gym.program.neuron import Neuron, NeuronParameters

__all__ = [
    "Choice",
    "CompiledProgram",
    "Decision",
    "Decoder",
    "DenseLayer",
    "Events",
    "GatedLayer",
    "Head",
    "LeakyLayer",
    "Neuron",
    "NeuronLayer",
    "NeuronParameters",
    "Normaliser",
    "Program",
    "clip",
    "compact",
    "count_costs",
    "decide",
    "exp",
    "log",
    "maximum",
    "minimum",
    "sqrt",
    "tanh",
    "where",
    "with_events",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Choice": "network",
        "CompiledProgram": "compiled",
        "Decision": "interpreter",
        "Decoder": "network",
        "DenseLayer": "network",
        "Events": "events",
        "GatedLayer": "network",
        "Head": "network",
        "LeakyLayer": "network",
        "Neuron": "neuron",
        "NeuronLayer": "network",
        "NeuronParameters": "neuron",
        "Normaliser": "network",
        "Program": "network",
        "clip": "expressions",
        "compact": "compaction",
        "count_costs": "costs",
        "decide": "interpreter",
        "exp": "expressions",
        "log": "expressions",
        "maximum": "expressions",
        "minimum": "expressions",
        "sqrt": "expressions",
        "tanh": "expressions",
        "where": "expressions",
        "with_events": "events",
    },
)
