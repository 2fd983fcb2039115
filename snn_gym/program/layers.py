"""Layers of a ``Program``: spiking neurons, units of an ANN, units with a state, convolutions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.config import Config, Count, Natural
from snn_gym.program.builtin_neurons import name_of
from snn_gym.program.neuron import Neuron, equations

Array = NDArray[np.float32]


# ---- convolutions --------------------------------------------------------------------------------
Readers = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class Convolution(Config):
    """A layer of filters over planes, whose weights are the same at every place."""

    filters: Count
    """Planes of the layer."""
    kernel: Count = 3
    """Rows and columns of a filter."""
    stride: Count = 1
    """Places between neighbours."""
    padding: Natural = 0
    """Places of zeros around the planes."""
    pool: Count = 1
    """Rows and columns of planes that are averaged to one place before; 1 for none."""

    def shape(self, planes: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return filters, rows and columns of the layer over ``planes`` (C, H, W).

        Raises:
            ValueError: The planes are smaller than a filter.
        """
        rows, columns = (
            (side // self.pool + 2 * self.padding - self.kernel) // self.stride + 1
            for side in planes[1:]
        )
        if rows < 1 or columns < 1:
            raise ValueError(
                f"convolutions: a filter of {self.kernel} x {self.kernel} does not fit planes of "
                f"{planes[1]} x {planes[2]} (pool {self.pool}, padding {self.padding}); take a "
                "smaller kernel or pool, or more padding"
            )
        return self.filters, rows, columns


@dataclass(frozen=True)
class Filtered(Config):
    """Operator of a layer on planes: a convolution, whose weights stand at many places."""

    layer: Convolution
    planes: tuple[Count, Count, Count]
    """Number, rows and columns of the planes (C, H, W)."""
    channels_last: bool = False
    """Whether the planes are flattened as (H, W, C)."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Filters, rows and columns of the layer."""
        return self.layer.shape(self.planes)

    def receptive_fields(self) -> NDArray[np.int64]:
        """Return the inputs (P, K, pool * pool) that each element of a filter reads at each place.

        Inputs are numbered as in the flattened planes, places as in the flattened rows and columns
        of the layer, elements as in a flattened filter (C, kernel, kernel). ``C * H * W`` stands
        for the zeros of the padding.
        """
        layer, (count, height, width) = self.layer, self.planes
        _, rows, columns = self.shape
        pooled = height // layer.pool, width // layer.pool
        y = layer.stride * np.arange(rows)[:, None] + np.arange(layer.kernel) - layer.padding
        x = layer.stride * np.arange(columns)[:, None] + np.arange(layer.kernel) - layer.padding
        part = np.arange(layer.pool)
        # Axes: row, column, plane, row and column in the filter, row and column in the pool.
        y = y[:, None, None, :, None, None, None]
        x = x[None, :, None, None, :, None, None]
        inside = (y >= 0) & (y < pooled[0]) & (x >= 0) & (x < pooled[1])
        plane = np.arange(count)[:, None, None, None, None]
        row, column = layer.pool * y + part[:, None], layer.pool * x + part
        if self.channels_last:
            at = (row * width + column) * count + plane
        else:
            at = (plane * height + row) * width + column
        at = np.where(inside, at, count * height * width)
        return at.reshape(rows * columns, -1, layer.pool**2)

    def readers(self) -> Readers:
        """Return inputs, ascending, with the places and elements of a filter that read them.

        These are three arrays (M,), without the zeros of the padding.
        """
        fields = self.receptive_fields()
        places, elements, _ = np.indices(fields.shape)
        order = np.argsort(fields, axis=None, kind="stable")
        inside = order[: np.count_nonzero(fields < math.prod(self.planes))]
        sources, at, of = (x.ravel()[inside] for x in (fields, places, elements))
        return sources, at, of

    def unrolled(self, filters: NDArray[Any]) -> NDArray[Any]:
        """Return the weights (D, N) of the equivalent dense layer for filters (F, K)."""
        sources, places, elements = self.readers()
        inputs, size = math.prod(self.planes), math.prod(self.shape[1:])
        weights = np.zeros((inputs, len(filters), size), filters.dtype)
        share = filters.dtype.type(1.0 / self.layer.pool**2)
        weights[sources, :, places] = filters.T[elements] * share
        return weights.reshape(inputs, -1)

    @property
    def synapses(self) -> int:
        """Number of weights of the equivalent dense layer that are values of filters."""
        return self.shape[0] * len(self.readers()[0])

    def shared(self, weights: Array) -> Array:
        """Return the values (F, K) that stand at the places of dense weights (D, N).

        They are the filters divided by ``pool * pool``.

        Raises:
            ValueError: The weights are not those of a convolution.
        """
        sources, places, elements = self.readers()
        count, side = self.shape[0], self.layer.kernel
        by_place = weights.reshape(len(weights), count, -1)
        found = np.zeros((count, self.planes[0] * side * side), weights.dtype)
        found[:, elements] = by_place[sources, :, places].T
        again = np.zeros_like(by_place)
        again[sources, :, places] = found.T[elements]
        if not np.array_equal(again, by_place):
            raise ValueError(
                f"the weights are not those of {count} filters at {by_place.shape[2]} places; keep "
                "them shared, or give the layer the operator 'linear'"
            )
        return found


# ---- layers --------------------------------------------------------------------------------------
Activation = Literal["tanh", "relu", "threshold"]
"""``threshold`` is 1 above 0, else 0: without a state such a unit is one of an ANN."""
Gates = Literal["gru", "lstm", "rnn", "rnn_relu"]
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
    """Layer of an ANN: an activation of weights (D, N), inputs by units, and biases (N,)."""

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
    https://doi.org/10.1207/s15516709cog1402_1, ``h = tanh(W x + b + U h + c)``; ``rnn_relu``: the
    same with ReLU for tanh; all with the equations and biases of PyTorch.
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


GATES: Mapping[Gates, int] = {"gru": 3, "lstm": 4, "rnn": 1, "rnn_relu": 1}
"""Number of gates of each kind of units."""
GATE_PRODUCTS: Mapping[Gates, int] = {"gru": 3, "lstm": 3, "rnn": 0, "rnn_relu": 0}
"""Products of two values, a gate's and another, for each unit."""
GATED_STATES: Mapping[Gates, tuple[str, ...]] = {
    "gru": ("h",),
    "lstm": ("h", "c"),
    "rnn": ("h",),
    "rnn_relu": ("h",),
}
"""State variables of each kind of units, the output first."""


@dataclass(frozen=True, eq=False)
class LeakyLayer:
    """Layer of leaky integrators, ``h = decay * h + x W + b``, one step for each decision.

    The output of a unit is its state ``h``, or the part of it above 0 if ``rectified``.
    """

    weights: Array
    """(D, N): row d has the weights of input d."""
    biases: Array
    """(N,)"""
    decay: Array
    """(N,), share of each unit's state that remains after a decision, in [0, 1)."""
    operator: Operator = "linear"
    rectified: bool = False

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
        """Names of the state variables."""
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
