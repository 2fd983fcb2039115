"""Layers of a ``Program``: spiking neurons, units of an ANN, and units that carry a state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from snn_gym.program.convolution import Filtered
from snn_gym.program.neuron import Neuron, equations
from snn_gym.program.neurons import name_of

Array = NDArray[np.float32]
Activation = Literal["tanh", "relu"]
Gates = Literal["gru", "lstm", "rnn"]
Operator = Literal["linear"] | Filtered
"""Operator of a layer on its inputs: ``linear`` is a product with a matrix of weights. It is
whatever the operator is; of ``Filtered`` the matrix is that of a convolution, which exporters may
write as one."""


@dataclass(frozen=True, eq=False)
class NeuronLayer:
    """Layer of spiking neurons with its synapses."""

    neuron: type[Neuron]
    constants: Array
    """(P,), the constants of its equations, in their order; (P, N) if each neuron has its own."""
    weights: Array
    """(D, N): row d has the synapses from input d."""
    biases: Array
    """(N,)"""
    recurrent: Array | None
    """(N, N): row j has the synapses from neuron j, whose spikes arrive one time step later; None
    for a layer without recurrence."""
    rest: Array
    """(S, N), the neuron's state variables at rest."""
    operator: Operator = "linear"

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other."""
        text, size = equations(self.neuron), self.size
        _check_weights(self.weights, self.biases, self.operator)
        own = (size,) if self.constants.ndim == 2 else ()
        expected = {
            "constants": (self.constants, (len(text.constants), *own)),
            "rest": (self.rest, (len(text.state), size)),
        }
        if self.recurrent is not None:
            expected["recurrent weights"] = (self.recurrent, (size, size))
        _check_shapes(f"{size} neurons {self.neuron.__name__!r}", expected)

    @property
    def size(self) -> int:
        """Number of neurons N."""
        return len(self.biases)

    @property
    def each(self) -> bool:
        """Whether each neuron has its own constants."""
        return self.constants.ndim == 2

    @property
    def numbers(self) -> dict[str, float]:
        """Constants by name.

        Raises:
            ValueError: Each neuron has its own.
        """
        if self.each:
            raise ValueError(
                f"neurons {name_of(self.neuron)!r} have constants of their own, and this form has "
                "one for a layer; train without learnable constants, or export as C in float"
            )
        names = equations(self.neuron).constants
        return dict(zip(names, self.constants.tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class DenseLayer:
    """Layer of an ANN."""

    activation: Activation
    weights: Array
    """(D, N): row d has the weights of input d."""
    biases: Array
    """(N,)"""
    operator: Operator = "linear"
    levels: int | None = None
    """Outputs are rounded to multiples of ``1 / levels``, those of ``relu`` after they are limited
    to [0, 1]; None for no rounding."""

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other, and unknown names."""
        _check_weights(self.weights, self.biases, self.operator)
        check_name("activation", self.activation, Activation)
        if self.levels is not None and self.levels < 1:
            raise ValueError(
                f"levels must be at least 1, or None for no rounding, got {self.levels}"
            )

    @property
    def size(self) -> int:
        """Number of units N."""
        return len(self.biases)

    @property
    def state(self) -> tuple[str, ...]:
        """Names of the state variables: none."""
        return ()


@dataclass(frozen=True, eq=False)
class GatedLayer:
    """Layer of gated recurrent units, one step of recurrence for each decision.

    ``gru``: Cho et al. 2014, https://arxiv.org/abs/1406.1078, with the gates reset, update and new;
    ``lstm``: Hochreiter and Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735, with the
    gates input, forget, cell and output; ``rnn``: Elman 1990,
    https://doi.org/10.1207/s15516709cog1402_1, ``h = tanh(W x + b + U h + c)``; all with the
    equations and biases of PyTorch.
    """

    gates: Gates
    """Kind of the units, with G gates."""
    weights: Array
    """(D, G * N): row d has the weights of input d, gate by gate."""
    biases: Array
    """(G * N,), added to the products of the inputs."""
    recurrent: Array
    """(N, G * N): row j has the weights of unit j's output in the decision before."""
    recurrent_biases: Array
    """(G * N,), added to the products of these outputs."""
    operator: Operator = "linear"

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other, and unknown names."""
        check_name("gates", self.gates, Gates)
        _check_weights(self.weights, self.biases, self.operator)
        wide = GATES[self.gates] * self.size
        expected = {
            "biases": (self.biases, (wide,)),
            "recurrent weights": (self.recurrent, (self.size, wide)),
            "recurrent biases": (self.recurrent_biases, (wide,)),
        }
        _check_shapes(f"{self.size} units {self.gates!r}", expected)

    @property
    def size(self) -> int:
        """Number of units N."""
        return len(self.biases) // GATES[self.gates]

    @property
    def state(self) -> tuple[str, ...]:
        """Names of the state variables, the output first."""
        return GATED_STATES[self.gates]


GATES: Mapping[Gates, int] = {"gru": 3, "lstm": 4, "rnn": 1}
"""Number of gates of each kind of units."""
GATE_PRODUCTS: Mapping[Gates, int] = {"gru": 3, "lstm": 3, "rnn": 0}
"""Products of two values, a gate's and another, for each unit."""
GATED_STATES: Mapping[Gates, tuple[str, ...]] = {"gru": ("h",), "lstm": ("h", "c"), "rnn": ("h",)}
"""State variables of each kind of units, the output first."""


@dataclass(frozen=True, eq=False)
class LeakyLayer:
    """Layer of leaky integrators, ``h = decay * h + x W + b``, one step for each decision.

    They are linear: the output of a unit is its state ``h``.
    """

    weights: Array
    """(D, N): row d has the weights of input d."""
    biases: Array
    """(N,)"""
    decay: Array
    """(N,), share of each unit's state that remains after a decision, in [0, 1)."""
    operator: Operator = "linear"

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other, and decays outside of [0, 1)."""
        _check_weights(self.weights, self.biases, self.operator)
        _check_shapes(f"{self.size} leaky integrators", {"decay": (self.decay, (self.size,))})
        if not np.all((self.decay >= 0) & (self.decay < 1)):
            raise ValueError(f"decays must be at least 0 and below 1, got {self.decay.tolist()}")

    @property
    def size(self) -> int:
        """Number of units N."""
        return len(self.biases)

    @property
    def state(self) -> tuple[str, ...]:
        """Names of the state variables: the output."""
        return ("h",)


Layer = NeuronLayer | DenseLayer | GatedLayer | LeakyLayer
"""A layer of any kind."""


def check_name(field: str, name: Any, known: Any) -> None:
    """Refuse a name that is none of the ``known`` literals."""
    if name not in get_args(known):
        raise ValueError(f"{field} {name!r} is unknown; known: {', '.join(get_args(known))}")


def _check_weights(weights: Array, biases: Array, operator: Operator) -> None:
    if isinstance(operator, Filtered):
        expected = math.prod(operator.planes), math.prod(operator.shape)
        _check_shapes("a convolution", {"weights": (weights, expected)})
    else:
        check_name("operator", operator, Literal["linear"])
    if weights.ndim != 2 or weights.shape[1:] != biases.shape:
        raise ValueError(
            f"a layer has weights of shape {weights.shape} and biases of {biases.shape}; expected "
            "(D, N) and (N,)"
        )


def _check_shapes(owner: str, expected: Mapping[str, tuple[Array, tuple[int, ...]]]) -> None:
    for label, (array, shape) in expected.items():
        if array.shape != shape:
            raise ValueError(f"{label} of {owner} have the shape {array.shape}, expected {shape}")
