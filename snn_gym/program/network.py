"""An acting network as one value: everything between an observation and an action, as numbers.

Policies make a `Program`; exporters, frozen agents, predictions of discrete actions and chips'
limits read it and nothing else. It holds plain arrays and names, no code, and needs no PyTorch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.config import Config, Count, Length, from_mapping, to_mapping
from snn_gym._base.storage import dump_tensors, load_arrays, write_bytes_atomic
from snn_gym.program.encoders import (
    LEARNED,
    ReceptiveFields,
    SpikeEncoder,
    encoder_name,
    make_encoder,
)
from snn_gym.program.neuron import Neuron, equations
from snn_gym.program.neurons import NEURONS, name_of

Array = NDArray[np.float32]
Activation = Literal["tanh", "relu"]
"""Activation of an ANN's units."""
Gates = Literal["gru", "lstm"]
"""Kind of gated units."""
Operator = Literal["linear"]
"""Operator of a layer on its inputs: ``linear`` is a product with a matrix of weights."""
Held = Literal["constant", "spikes"]
"""``constant``: the values of an observation are held as currents at all time steps; ``spikes``:
an observation is a spike train (T, D), seen a time step at a time."""
Encoder = Held | SpikeEncoder | ReceptiveFields
"""How observations enter the first layer: as they are, or as spikes that an encoder makes of them.
"""
Execution = Literal["clocked"]
"""``clocked``: all neurons are updated at every time step, in 32-bit floats."""
Maximum = Literal["neurons", "outputs"]
"""Of what a decoder of several values takes the maximum: of each neuron's, which the head reads, or
of the outputs that the head has for each."""
Rule = Literal["argmax", "clip", "squash"]
"""``argmax``: the action is the place of the largest output; ``clip``: outputs within ``low`` and
``high``; ``squash``: ``low + (tanh(output) + 1) / 2 * (high - low)``."""

MAX_BYTES = 1 << 26
"""Largest file that is read."""
_KEY = "snn_gym.program"
"""Key of a program's names in the header of its file."""


@dataclass(frozen=True, eq=False)
class Normaliser:
    """Standardisation of observations: ``clip((x - mean) / std)``."""

    mean: Array
    """(D,)"""
    std: Array
    """(D,), above 0."""
    clip: float
    """Standardised values are within [-clip, clip]."""

    def __post_init__(self) -> None:
        """Refuse statistics that do not fit each other."""
        if self.mean.shape != self.std.shape or self.mean.ndim != 1:
            raise ValueError(
                f"the normaliser has means of shape {self.mean.shape} and deviations of "
                f"{self.std.shape}; expected one of each for every input"
            )
        if not (np.all(self.std > 0) and self.clip > 0):
            raise ValueError("the normaliser's deviations and its clip must be above 0")


@dataclass(frozen=True, eq=False)
class NeuronLayer:
    """Layer of spiking neurons with its synapses."""

    neuron: type[Neuron]
    """Text of the neurons."""
    constants: Array
    """(P,), the constants of its equations, in their order; (P, N) where each neuron has its own.
    """
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
    """Operator of the weights on inputs."""

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
        """Whether each neuron has constants of its own."""
        return self.constants.ndim == 2

    @property
    def numbers(self) -> dict[str, float]:
        """The constants by name.

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
    """Activation of the units."""
    weights: Array
    """(D, N): row d has the weights of input d."""
    biases: Array
    """(N,)"""
    operator: Operator = "linear"
    """Operator of the weights on inputs."""

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other, and unknown names."""
        _check_weights(self.weights, self.biases, self.operator)
        _check_name("activation", self.activation, Activation)

    @property
    def size(self) -> int:
        """Number of units N."""
        return len(self.biases)


@dataclass(frozen=True, eq=False)
class GatedLayer:
    """Layer of gated recurrent units, one step of recurrence for each decision.

    ``gru``: Cho et al. 2014, https://arxiv.org/abs/1406.1078, with the gates reset, update and new;
    ``lstm``: Hochreiter and Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735, with the
    gates input, forget, cell and output; both with the equations and biases of PyTorch.
    """

    gates: Gates
    """Kind of the units, of G gates."""
    weights: Array
    """(D, G * N): row d has the weights of input d, gate by gate."""
    biases: Array
    """(G * N,), added to the products of the inputs."""
    recurrent: Array
    """(N, G * N): row j has the weights of what unit j gave in the decision before."""
    recurrent_biases: Array
    """(G * N,), added to the products of those."""
    operator: Operator = "linear"
    """Operator of the weights on inputs."""

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other, and unknown names."""
        _check_name("gates", self.gates, Gates)
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


GATES: Mapping[Gates, int] = {"gru": 3, "lstm": 4}
"""Gates of each kind of units."""
GATED_STATES: Mapping[Gates, tuple[str, ...]] = {"gru": ("h",), "lstm": ("h", "c")}
"""State variables of each kind of units, the output first."""
Layer = NeuronLayer | DenseLayer | GatedLayer
"""A hidden layer."""


@dataclass(frozen=True, eq=False)
class Decoder:
    """Readout of the last layer's spikes over the time steps of a decision.

    It is linear in the spikes, or the maximum of R values that are.
    """

    coefficients: Array
    """(R + S, T): the first rows weigh spikes for the values, the others for S state variables."""
    transition: Array
    """(R + S, S): what the state variables add to the values and to their next ones."""
    maximum: Maximum = "neurons"
    """Of what several values are the maximum."""

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other, and unknown names."""
        _check_name("maximum", self.maximum, Maximum)
        first, then = self.coefficients.shape, self.transition.shape
        if not (len(first) == len(then) == 2 and first[0] == then[0] > then[1]):
            raise ValueError(
                f"the decoder has coefficients of shape {first} and a transition of {then}; "
                "expected (R + S, T) and (R + S, S)"
            )

    @property
    def variables(self) -> int:
        """State variables S of each neuron that it reads."""
        variables: int = self.transition.shape[1]
        return variables

    @property
    def values(self) -> int:
        """Values R of each neuron, of which the maximum counts."""
        return len(self.coefficients) - self.variables


@dataclass(frozen=True, eq=False)
class Head:
    """Linear map from the last layer to the outputs."""

    weights: Array
    """(O, N)"""
    biases: Array
    """(O,)"""

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other."""
        if self.weights.ndim != 2 or self.biases.shape != self.weights.shape[:1]:
            raise ValueError(
                f"the head has weights of shape {self.weights.shape} and biases of "
                f"{self.biases.shape}; expected (O, N) and (O,)"
            )


@dataclass(frozen=True, eq=False)
class Choice:
    """How outputs become an action."""

    rule: Rule
    """How."""
    low: Array
    """(O,) least values of continuous actions, else (0,)."""
    high: Array
    """(O,) greatest values of continuous actions, else (0,)."""
    limit: float | None = None
    """Outputs are within [-limit, limit] before they are squashed; None for no limit."""

    def __post_init__(self) -> None:
        """Refuse unknown rules, and limits that do not fit each other."""
        _check_name("choice", self.rule, Rule)
        if self.low.shape != self.high.shape or self.low.ndim != 1:
            raise ValueError(
                f"actions have limits of the shapes {self.low.shape} and {self.high.shape}; "
                "expected one of each for every output"
            )
        if self.limit is not None and not (self.rule == "squash" and 0.0 < self.limit < np.inf):
            raise ValueError(
                f"a limit of outputs is above 0, and for the choice 'squash', got {self.limit} for "
                f"{self.rule!r}"
            )

    @property
    def discrete(self) -> bool:
        """Whether the action is a number of a list."""
        return self.rule == "argmax"


@dataclass(frozen=True, eq=False, kw_only=True)
class Program:
    """An acting network, spiking or not.

    Raises:
        ValueError: Parts do not fit each other, or a name is unknown; the message says which.
    """

    inputs: int
    """Values D of an observation, or channels of a spike train."""
    encoder: Encoder
    """How observations enter the first layer."""
    normalisers: tuple[Normaliser, ...]
    """Standardisations of observations, each of what the one before gave; empty for none."""
    layers: tuple[Layer, ...]
    """Hidden layers, input side first: all of neurons, of an ANN's units, or of gated units."""
    time_steps: int
    """Time steps T of a decision; 1 of an ANN."""
    decoder: Decoder | None
    """Readout of spikes; None of an ANN."""
    head: Head
    """Map to the outputs."""
    choice: Choice
    """How outputs become an action."""
    stateful: bool = False
    """Whether neurons go on from the state that the last decision left, until an episode ends."""
    execution: Execution = "clocked"
    """How the network runs."""

    def __post_init__(self) -> None:
        """Refuse parts that do not fit each other, and unknown names."""
        if not isinstance(self.encoder, SpikeEncoder | ReceptiveFields):
            _check_name("encoder", self.encoder, Held)
        _check_name("execution", self.execution, Execution)
        kinds = {type(layer) for layer in self.layers}
        if kinds not in ({NeuronLayer}, {DenseLayer}, {GatedLayer}):
            found = ", ".join(sorted(x.__name__ for x in kinds)) or "none"
            raise ValueError(
                f"layers are all NeuronLayer, all DenseLayer or all GatedLayer, got {found}"
            )
        if self.spiking != (self.decoder is not None):
            raise ValueError("a program of neurons has a decoder, and an ANN has none")
        _check_ann_or_decoder(self)
        _check_sizes(self)

    @property
    def spiking(self) -> bool:
        """Whether its layers are of spiking neurons."""
        return isinstance(self.layers[0], NeuronLayer)

    @property
    def neurons(self) -> tuple[NeuronLayer, ...]:
        """Its layers of spiking neurons: all of them, or none."""
        return tuple(x for x in self.layers if isinstance(x, NeuronLayer))

    @property
    def dense(self) -> tuple[DenseLayer, ...]:
        """Its layers of an ANN: all of them, or none."""
        return tuple(x for x in self.layers if isinstance(x, DenseLayer))

    @property
    def gated(self) -> tuple[GatedLayer, ...]:
        """Its layers of gated units: all of them, or none."""
        return tuple(x for x in self.layers if isinstance(x, GatedLayer))

    @property
    def spike_input(self) -> bool:
        """Whether observations are spike trains."""
        return self.encoder == "spikes"

    @property
    def held(self) -> bool:
        """Whether the first layer gets the values of an observation as currents."""
        return self.encoder == "constant"

    @property
    def coder(self) -> SpikeEncoder | ReceptiveFields | None:
        """Encoder from observations to spikes; None where observations are spikes or currents."""
        return None if isinstance(self.encoder, str) else self.encoder

    @property
    def needs_noise(self) -> bool:
        """Whether a decision draws uniform random numbers."""
        return isinstance(self.encoder, SpikeEncoder) and self.encoder.needs_noise

    @property
    def compares(self) -> bool:
        """Whether an observation is compared with the one before, which the state then holds."""
        return isinstance(self.encoder, SpikeEncoder) and self.encoder.needs_previous

    @property
    def channels(self) -> int:
        """Inputs of the first layer."""
        if isinstance(self.encoder, ReceptiveFields):
            return self.encoder.centres.size
        if isinstance(self.encoder, SpikeEncoder):
            return self.encoder.channels(self.inputs)
        return self.inputs

    @property
    def readout(self) -> Decoder:
        """The decoder of a spiking program.

        Raises:
            ValueError: It is an ANN.
        """
        if self.decoder is None:
            raise ValueError("an ANN has no decoder; give a program of spiking neurons")
        return self.decoder

    @property
    def observation_size(self) -> int:
        """Numbers of an observation."""
        return self.inputs * (self.time_steps if self.spike_input else 1)

    @property
    def outputs(self) -> int:
        """Outputs O of the head."""
        return len(self.head.biases)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Neurons or units of each hidden layer."""
        return tuple(layer.size for layer in self.layers)

    @property
    def recurrent(self) -> bool:
        """Whether a layer has recurrent synapses or gates."""
        return bool(self.gated) or any(x.recurrent is not None for x in self.neurons)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the program to one safetensors file; its names stand in the header, as JSON.

        Args:
            path: File to write.
        """
        write_bytes_atomic(path, dump_tensors(_arrays(self), {_KEY: json.dumps(_described(self))}))

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Program:
        """Read a program; the file is not trusted.

        Args:
            path: A file that ``save`` wrote.

        Raises:
            ValueError: It is no such file, or its parts do not fit each other.
        """
        arrays, header = load_arrays(path, max_bytes=MAX_BYTES)
        where = Path(path).name
        if _KEY not in header:
            raise ValueError(f"{where} holds no program; give a file that Program.save wrote")
        try:
            described = from_mapping(_Description, json.loads(header[_KEY]), "program")
            return _program(described, arrays)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{where}: {error}") from error


def _check_name(what: str, name: Any, known: Any) -> None:
    if name not in get_args(known):
        raise ValueError(f"{what} {name!r} is unknown; known: {', '.join(get_args(known))}")


def _check_weights(weights: Array, biases: Array, operator: Operator) -> None:
    _check_name("operator", operator, Operator)
    if weights.ndim != 2 or weights.shape[1:] != biases.shape:
        raise ValueError(
            f"a layer has weights of shape {weights.shape} and biases of {biases.shape}; expected "
            "(D, N) and (N,)"
        )


def _check_shapes(owner: str, expected: Mapping[str, tuple[Array, tuple[int, ...]]]) -> None:
    for label, (array, shape) in expected.items():
        if array.shape != shape:
            raise ValueError(f"{label} of {owner} have the shape {array.shape}, expected {shape}")


def _check_ann_or_decoder(program: Program) -> None:
    steps = 1 if program.decoder is None else program.decoder.coefficients.shape[1]
    if program.time_steps != steps:
        raise ValueError(
            f"time_steps is {program.time_steps}, and the decoder reads {steps}; expected as many"
        )
    if program.decoder is None and program.coder is not None:
        raise ValueError("an ANN takes values; set encoder='constant'")
    if program.decoder is None and program.stateful != bool(program.gated):
        raise ValueError("gated units carry a state, and other ANNs carry none; set stateful so")


def _check_sizes(program: Program) -> None:
    inputs, fields = program.inputs, program.encoder
    for normaliser in program.normalisers:
        if len(normaliser.mean) != inputs:
            raise ValueError(f"a normaliser has {len(normaliser.mean)} values, expected {inputs}")
    if isinstance(fields, ReceptiveFields) and len(fields.centres) != inputs:
        raise ValueError(
            f"there are receptive fields of {len(fields.centres)} values, expected {inputs}"
        )
    fan_in = program.channels
    for number, layer in enumerate(program.layers, start=1):
        if len(layer.weights) != fan_in:
            raise ValueError(f"layer {number} has {len(layer.weights)} inputs, expected {fan_in}")
        fan_in = layer.size
    if program.head.weights.shape[1] != fan_in:
        raise ValueError(
            f"the head reads {program.head.weights.shape[1]} values, expected {fan_in}"
        )
    expected = 0 if program.choice.discrete else program.outputs
    if len(program.choice.low) != expected:
        raise ValueError(
            f"actions have {len(program.choice.low)} limits, expected {expected} for "
            f"{program.choice.rule!r}"
        )


UNCHOSEN = Choice("argmax", np.zeros(0, np.float32), np.zeros(0, np.float32))
"""The choice of an action where outputs are all that is asked for, and of discrete actions."""


# ---- files --------------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class _Unit(Config):
    """Names of a layer in a file."""

    operator: Operator
    """Operator of the weights on inputs."""
    neuron: str | None = None
    """Registered name of its neurons; None of an ANN."""
    activation: Activation | None = None
    """Activation of an ANN's units; None of others."""
    gates: Gates | None = None
    """Kind of gated units; None of others."""


@dataclass(frozen=True, kw_only=True)
class _Description(Config):
    """Names and numbers of a program in a file, beside its arrays."""

    format: Literal["snn_gym.program/1"]
    """Version of this schema."""
    inputs: Count
    """Values of an observation, or channels of a spike train."""
    encoder: str
    """How observations enter the first layer: as they are, or registered name of an encoder."""
    encoder_parameters: Mapping[str, Any]
    """Those of a registered encoder."""
    clips: Annotated[tuple[float, ...], Length(0, 100)]
    """Limit of each standardisation of observations."""
    layers: Annotated[tuple[_Unit, ...], Length(1, 1000)]
    """Hidden layers, input side first."""
    time_steps: Count
    """Time steps of a decision."""
    maximum: Maximum
    """Of what the decoder takes the maximum, where it has several values."""
    rule: Rule
    """How outputs become an action."""
    limit: float | None
    """Limit of outputs before they are squashed; None for none."""
    stateful: bool
    """Whether a state is carried."""
    execution: Execution
    """How the network runs."""


def _described(program: Program) -> dict[str, Any]:
    """Return what a file says of a program beside its arrays."""
    encoder, parameters = _encoder_named(program.encoder)
    description = _Description(
        format="snn_gym.program/1",
        inputs=program.inputs,
        encoder=encoder,
        encoder_parameters=parameters,
        clips=tuple(x.clip for x in program.normalisers),
        layers=tuple(map(_unit, program.layers)),
        time_steps=program.time_steps,
        maximum="neurons" if program.decoder is None else program.decoder.maximum,
        rule=program.choice.rule,
        limit=program.choice.limit,
        stateful=program.stateful,
        execution=program.execution,
    )
    return to_mapping(description)


def _encoder_named(encoder: Encoder) -> tuple[str, Mapping[str, Any]]:
    """Return name and parameters of an encoder; receptive fields are arrays, not parameters."""
    if isinstance(encoder, str):
        return encoder, {}
    parameters = {} if isinstance(encoder, ReceptiveFields) else to_mapping(encoder)
    return encoder_name(encoder), parameters


def _unit(layer: Layer) -> _Unit:
    if isinstance(layer, NeuronLayer):
        return _Unit(operator=layer.operator, neuron=_registered(layer.neuron))
    if isinstance(layer, GatedLayer):
        return _Unit(operator=layer.operator, gates=layer.gates)
    return _Unit(operator=layer.operator, activation=layer.activation)


def _registered(neuron: type[Neuron]) -> str:
    name = name_of(neuron)
    if NEURONS.get(name) is not neuron:
        raise ValueError(
            f"neuron {name!r} is not registered, and files hold names and no code; call "
            "snn_gym.spiking.register_neuron first"
        )
    return name


def _arrays(program: Program) -> dict[str, Array]:
    """Return the arrays of a program by name."""
    found = {
        "head.weights": program.head.weights,
        "head.biases": program.head.biases,
        "choice.low": program.choice.low,
        "choice.high": program.choice.high,
    }
    for number, normaliser in enumerate(program.normalisers, start=1):
        found[f"normalisers.{number}.mean"] = normaliser.mean
        found[f"normalisers.{number}.std"] = normaliser.std
    if isinstance(program.encoder, ReceptiveFields):
        found["encoder.centres"] = program.encoder.centres
        found["encoder.widths"] = program.encoder.widths
    if program.decoder is not None:
        found["decoder.coefficients"] = program.decoder.coefficients
        found["decoder.transition"] = program.decoder.transition
    for number, layer in enumerate(program.layers, start=1):
        own = {"weights": layer.weights, "biases": layer.biases}
        if isinstance(layer, NeuronLayer):
            own |= {"constants": layer.constants, "rest": layer.rest}
        if isinstance(layer, GatedLayer):
            own["recurrent_biases"] = layer.recurrent_biases
        if not isinstance(layer, DenseLayer) and layer.recurrent is not None:
            own["recurrent"] = layer.recurrent
        found |= {f"layers.{number}.{name}": array for name, array in own.items()}
    return found


class _Taken:
    """Arrays of a file, each of which is taken once."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._left = dict(arrays)

    def __call__(self, name: str) -> Array:
        """Return an array that has to be there."""
        found = self.optional(name)
        if found is None:
            raise ValueError(f"array {name} is missing")
        return found

    def optional(self, name: str) -> Array | None:
        """Return an array, or None."""
        found = self._left.pop(name, None)
        if found is not None and (found.dtype != np.float32 or not np.isfinite(found).all()):
            raise ValueError(f"array {name} must hold finite float32, got {found.dtype}")
        return found

    def check_empty(self) -> None:
        """Refuse arrays that nothing took."""
        if self._left:
            raise ValueError(f"arrays {', '.join(sorted(self._left))} belong to no part")


def _program(described: _Description, arrays: Mapping[str, NDArray[Any]]) -> Program:
    take = _Taken(arrays)
    layers = tuple(
        _layer(unit, f"layers.{number}", take)
        for number, unit in enumerate(described.layers, start=1)
    )
    decoder, spiking = None, described.layers[0].neuron is not None
    if spiking:
        arrays_of = take("decoder.coefficients"), take("decoder.transition")
        decoder = Decoder(*arrays_of, described.maximum)
    made = Program(
        inputs=described.inputs,
        encoder=_encoder(described, take),
        normalisers=tuple(
            Normaliser(take(f"normalisers.{k}.mean"), take(f"normalisers.{k}.std"), clip)
            for k, clip in enumerate(described.clips, start=1)
        ),
        layers=layers,
        time_steps=described.time_steps,
        decoder=decoder,
        head=Head(take("head.weights"), take("head.biases")),
        choice=Choice(described.rule, take("choice.low"), take("choice.high"), described.limit),
        stateful=described.stateful,
        execution=described.execution,
    )
    take.check_empty()
    return made


def _encoder(described: _Description, take: _Taken) -> Encoder:
    name = described.encoder
    if name == LEARNED:
        return ReceptiveFields(take("encoder.centres"), take("encoder.widths"))
    if name in get_args(Held):
        return cast("Held", name)
    found = make_encoder(name, described.encoder_parameters)
    assert isinstance(found, SpikeEncoder)  # the constant one is held
    return found


def _layer(unit: _Unit, name: str, take: _Taken) -> Layer:
    weights, biases = take(f"{name}.weights"), take(f"{name}.biases")
    if sum(x is not None for x in (unit.neuron, unit.activation, unit.gates)) != 1:
        raise ValueError(f"{name} must name one of a neuron, an activation and gates")
    if unit.activation is not None:
        return DenseLayer(unit.activation, weights, biases, unit.operator)
    if unit.gates is not None:
        loops = take(f"{name}.recurrent"), take(f"{name}.recurrent_biases")
        return GatedLayer(unit.gates, weights, biases, *loops, unit.operator)
    assert unit.neuron is not None  # as is left
    if unit.neuron not in NEURONS:
        raise ValueError(
            f"neuron {unit.neuron!r} is not registered; registered: {', '.join(NEURONS)}; call "
            "register_neuron first"
        )
    constants, rest = take(f"{name}.constants"), take(f"{name}.rest")
    recurrent = take.optional(f"{name}.recurrent")
    return NeuronLayer(
        NEURONS[unit.neuron], constants, weights, biases, recurrent, rest, unit.operator
    )
