"""Neurons as texts and acting networks as values, with kernels, costs and checks derived from them.

Nothing here loads torch; ``CompiledProgram``, whose import loads the compiler, loads on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snn_gym._base.lazy import lazy_names
from snn_gym.program.builtin_neurons import (
    IAF,
    LIF,
    NEURONS,
    IAFParameters,
    LIFBox,
    LIFBoxParameters,
    LIFParameters,
    name_of,
)
from snn_gym.program.costs import Costs, count_costs
from snn_gym.program.encoders import (
    INTEGRATED,
    INTENSITY_RANGE,
    LatencyEncoder,
    PopulationEncoder,
    RateEncoder,
    ReceptiveFields,
    SpikeEncoder,
    encoder_name,
)
from snn_gym.program.expressions import (
    COMPARISONS,
    Expression,
    Style,
    clip,
    exp,
    log,
    maximum,
    minimum,
    own,
    print_lines,
    sqrt,
    tanh,
    walk,
    where,
)
from snn_gym.program.interpreter import (
    Decision,
    chosen,
    decide,
    enter,
    hidden_before,
    parts_at_rest,
)
from snn_gym.program.layers import (
    GATES,
    Activation,
    Convolution,
    DenseLayer,
    Filtered,
    GatedLayer,
    Gates,
    Layer,
    LeakyLayer,
    NeuronLayer,
)
from snn_gym.program.neuron import (
    DISTANCE,
    INPUT,
    SPIKE,
    Equations,
    Neuron,
    NeuronParameters,
    equations,
)
from snn_gym.program.prices import PRICES, Price, known_price
from snn_gym.program.program import Choice, Decoder, Head, Normaliser, Program, compact

if TYPE_CHECKING:
    from snn_gym.program.compiled import CompiledProgram

__all__ = [
    "COMPARISONS",
    "DISTANCE",
    "GATES",
    "IAF",
    "INPUT",
    "INTEGRATED",
    "INTENSITY_RANGE",
    "LIF",
    "NEURONS",
    "PRICES",
    "SPIKE",
    "Activation",
    "Choice",
    "CompiledProgram",
    "Convolution",
    "Costs",
    "Decision",
    "Decoder",
    "DenseLayer",
    "Equations",
    "Expression",
    "Filtered",
    "GatedLayer",
    "Gates",
    "Head",
    "IAFParameters",
    "LIFBox",
    "LIFBoxParameters",
    "LIFParameters",
    "LatencyEncoder",
    "Layer",
    "LeakyLayer",
    "Neuron",
    "NeuronLayer",
    "NeuronParameters",
    "Normaliser",
    "PopulationEncoder",
    "Price",
    "Program",
    "RateEncoder",
    "ReceptiveFields",
    "SpikeEncoder",
    "Style",
    "chosen",
    "clip",
    "compact",
    "count_costs",
    "decide",
    "encoder_name",
    "enter",
    "equations",
    "exp",
    "hidden_before",
    "known_price",
    "log",
    "maximum",
    "minimum",
    "name_of",
    "own",
    "parts_at_rest",
    "print_lines",
    "sqrt",
    "tanh",
    "walk",
    "where",
]

__getattr__, __dir__ = lazy_names(__name__, {"CompiledProgram": "compiled"})
