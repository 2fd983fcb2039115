"""Neurons as texts and acting networks as values, with kernels, costs and checks derived from them.

Names load on first use; none loads torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snn_gym._base.lazy import lazy_names

if TYPE_CHECKING:
    from snn_gym.program.compiled import CompiledProgram
    from snn_gym.program.costs import count_costs
    from snn_gym.program.events import Events, with_events
    from snn_gym.program.expressions import clip, exp, log, maximum, minimum, sqrt, tanh, where
    from snn_gym.program.interpreter import Decision, decide
    from snn_gym.program.layers import DenseLayer, GatedLayer, LeakyLayer, NeuronLayer
    from snn_gym.program.neuron import Neuron, NeuronParameters
    from snn_gym.program.prices import PRICES, Price, price_of
    from snn_gym.program.program import Choice, Decoder, Head, Normaliser, Program, compact

__all__ = [
    "PRICES",
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
    "Price",
    "Program",
    "clip",
    "compact",
    "count_costs",
    "decide",
    "exp",
    "log",
    "maximum",
    "minimum",
    "price_of",
    "sqrt",
    "tanh",
    "where",
    "with_events",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Choice": "program",
        "CompiledProgram": "compiled",
        "Decision": "interpreter",
        "Decoder": "program",
        "DenseLayer": "layers",
        "Events": "events",
        "GatedLayer": "layers",
        "Head": "program",
        "LeakyLayer": "layers",
        "Neuron": "neuron",
        "NeuronLayer": "layers",
        "NeuronParameters": "neuron",
        "Normaliser": "program",
        "PRICES": "prices",
        "Price": "prices",
        "Program": "program",
        "clip": "expressions",
        "compact": "program",
        "count_costs": "costs",
        "decide": "interpreter",
        "exp": "expressions",
        "log": "expressions",
        "maximum": "expressions",
        "minimum": "expressions",
        "price_of": "prices",
        "sqrt": "expressions",
        "tanh": "expressions",
        "where": "expressions",
        "with_events": "events",
    },
)
