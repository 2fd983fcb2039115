"""``Program``, an acting network as one value of plain arrays and names, without code or PyTorch.

Policies make a `Program`; exporters, frozen agents, predictions of discrete actions and chips'
limits read nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from snn_gym.program.encoders import (
    ReceptiveFields,
    SpikeEncoder,
)
from snn_gym.program.layers import (
    Array,
    GatedLayer,
    Layer,
    LeakyLayer,
    NeuronLayer,
    check_name,
)

Held = Literal["constant", "spikes"]
"""``constant``: the values of an observation are held as currents at all time steps; ``spikes``:
an observation is a spike train (T, D), of which each time step sees a row."""
Encoder = Held | SpikeEncoder | ReceptiveFields
"""Inputs of the first layer: the observation itself, or the spikes of an encoder."""
Rule = Literal["argmax", "clip", "squash"]
"""``argmax``: the action is the place of the largest output; ``clip``: outputs within ``low`` and
``high``; ``squash``: ``low + (tanh(output) + 1) / 2 * (high - low)``."""


@dataclass(frozen=True, eq=False)
class Normaliser:
    """Standardisation of observations: ``clip((x - mean) / std)``."""

    mean: Array
    """(D,)"""
    std: Array
    """(D,), above 0."""
    clip: float
    """Limit of standardised values, [-clip, clip]."""

    def __post_init__(self) -> None:
        """Refuse statistics that do not fit each other."""
        if self.mean.shape != self.std.shape or self.mean.ndim != 1:
            raise ValueError(
                f"the normaliser has means of shape {self.mean.shape} and deviations of "
                f"{self.std.shape}; expected one of each for every input"
            )
        if not (np.all(self.std > 0) and self.clip > 0):
            raise ValueError("the normaliser's deviations and its clip must be above 0")


_KINDS = get_args(Layer)


@dataclass(frozen=True, eq=False)
class Decoder:
    """Readout of the last layer's spikes over the time steps of a decision.

    It is linear in the spikes: one value for each neuron.
    """

    coefficients: Array
    """(1 + S, T): the first row weighs spikes for the value, the others for S state variables."""
    transition: Array
    """(1 + S, S): weights of the state variables for the value and the next state variables."""

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other."""
        first, then = self.coefficients.shape, self.transition.shape
        if not (len(first) == len(then) == 2 and first[0] == then[0] == 1 + then[1]):
            raise ValueError(
                f"the decoder has coefficients of shape {first} and a transition of {then}; "
                "expected (1 + S, T) and (1 + S, S)"
            )

    @property
    def variables(self) -> int:
        """State variables S for each neuron."""
        variables: int = self.transition.shape[1]
        return variables


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
    """Rule by which outputs become an action, with its limits."""

    rule: Rule
    low: Array
    """(O,) least values of continuous actions, else (0,)."""
    high: Array
    """(O,) greatest values of continuous actions, else (0,)."""
    limit: float | None = None
    """Limit [-limit, limit] of outputs before they are squashed; None for none."""

    def __post_init__(self) -> None:
        """Refuse unknown rules, and limits that do not fit each other."""
        check_name("choice", self.rule, Rule)
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
        """Whether actions are discrete."""
        return self.rule == "argmax"


@dataclass(frozen=True, eq=False, kw_only=True)
class Program:
    """An acting network, spiking or not.

    Raises:
        ValueError: Parts do not fit each other, or a name is unknown.
    """

    inputs: int
    """Values D of an observation, or channels of a spike train."""
    encoder: Encoder
    normalisers: tuple[Normaliser, ...]
    """Standardisations of observations, one after the other; empty for none."""
    layers: tuple[Layer, ...]
    """Hidden layers, input side first, all of spiking neurons or all of an ANN's units; none of a
    linear policy."""
    time_steps: int
    """Time steps T of a decision; 1 for an ANN."""
    decoder: Decoder | None
    """Readout of spikes; None for an ANN."""
    head: Head
    choice: Choice
    stateful: bool = False
    """Whether a decision begins with the state after the last one, until an episode ends."""
    bits: int | None = None
    """Bits of a weight, 2 to 8: weights of an array are few levels times one scale; None: float."""
    rows_per_step: int = 1
    """Rows of an observed spike train that enter together, as their sum, in one time step."""

    def __post_init__(self) -> None:
        """Refuse parts that do not fit each other, and unknown names."""
        if not isinstance(self.encoder, SpikeEncoder | ReceptiveFields):
            check_name("encoder", self.encoder, Held)
        kinds = {type(layer) for layer in self.layers}
        if not kinds <= set(_KINDS) or (NeuronLayer in kinds and len(kinds) > 1):
            names = ", ".join(sorted(x.__name__ for x in kinds))
            known = ", ".join(x.__name__ for x in _KINDS if x is not NeuronLayer)
            raise ValueError(f"layers are all NeuronLayer, or each one of {known}, got {names}")
        if self.bits is not None and not 2 <= self.bits <= 8:
            raise ValueError(f"bits must be 2 to 8, or None for floats, got {self.bits}")
        if self.rows_per_step != 1 and (self.rows_per_step < 1 or not self.spike_input):
            raise ValueError(
                f"rows_per_step is 1 or, of spike trains, more, got {self.rows_per_step}"
            )
        if self.spiking != (self.decoder is not None):
            raise ValueError("a program of neurons has a decoder, and an ANN has none")
        _check_ann_or_decoder(self)
        _check_sizes(self)

    @property
    def spiking(self) -> bool:
        """Whether layers are of spiking neurons."""
        return bool(self.neurons)

    @property
    def neurons(self) -> tuple[NeuronLayer, ...]:
        """Layers of spiking neurons: all or none."""
        return tuple(x for x in self.layers if isinstance(x, NeuronLayer))

    @property
    def remembering(self) -> tuple[GatedLayer | LeakyLayer, ...]:
        """Layers of an ANN's units with a state."""
        return tuple(x for x in self.layers if isinstance(x, GatedLayer | LeakyLayer))

    @property
    def spike_input(self) -> bool:
        """Whether observations are spike trains."""
        return self.encoder == "spikes"

    @property
    def held(self) -> bool:
        """Whether the first layer gets the values of an observation, at each time step."""
        return self.encoder == "constant"

    @property
    def coder(self) -> SpikeEncoder | ReceptiveFields | None:
        """Encoder from observations to spikes; None if observations are spikes or currents."""
        return None if isinstance(self.encoder, str) else self.encoder

    @property
    def needs_noise(self) -> bool:
        """Whether a decision needs uniform random numbers."""
        return isinstance(self.encoder, SpikeEncoder) and self.encoder.needs_noise

    @property
    def compares(self) -> bool:
        """Whether the encoder compares an observation with the last one, which the state holds."""
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
        """Decoder of a spiking program.

        Raises:
            ValueError: It is an ANN.
        """
        if self.decoder is None:
            raise ValueError("an ANN has no decoder; give a program of spiking neurons")
        return self.decoder

    @property
    def observation_size(self) -> int:
        """Number of values of an observation: D, or rows * D of a spike train."""
        return self.inputs * (self.time_steps * self.rows_per_step if self.spike_input else 1)

    @property
    def outputs(self) -> int:
        """Outputs O of the head."""
        return len(self.head.biases)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Neurons or units of each hidden layer."""
        return tuple(layer.size for layer in self.layers)


def _check_ann_or_decoder(program: Program) -> None:
    steps = 1 if program.decoder is None else program.decoder.coefficients.shape[1]
    if program.time_steps != steps:
        raise ValueError(
            f"time_steps is {program.time_steps}, and the decoder reads {steps}; expected as many"
        )
    if program.decoder is None and program.coder is not None:
        raise ValueError("an ANN takes values; set encoder='constant'")
    if program.decoder is None and program.stateful != bool(program.remembering):
        raise ValueError(
            "gated units and leaky integrators carry a state, and other ANNs carry none; set "
            "stateful so"
        )


def _check_sizes(program: Program) -> None:
    inputs, fan_ins = program.inputs, (program.channels, *program.sizes)
    limits = 0 if program.choice.discrete else program.outputs  # discrete actions have no limits
    encoder = program.encoder
    fields = [len(encoder.centres)] if isinstance(encoder, ReceptiveFields) else []
    counts = [
        *(("a normaliser has {} values", len(x.mean), inputs) for x in program.normalisers),
        *(("there are receptive fields of {} values", size, inputs) for size in fields),
        *(
            (f"layer {k} has {{}} inputs", len(layer.weights), fan_ins[k - 1])
            for k, layer in enumerate(program.layers, start=1)
        ),
        ("the head reads {} values", program.head.weights.shape[1], fan_ins[-1]),
        (f"actions by {program.choice.rule!r} have {{}} limits", len(program.choice.low), limits),
    ]
    for text, found, expected in counts:
        if found != expected:
            raise ValueError(f"{text.format(found)}, expected {expected}")


UNCHOSEN = Choice("argmax", np.zeros(0, np.float32), np.zeros(0, np.float32))
"""Choice for discrete actions, and for programs of which only the outputs are read."""


# ---- compaction ----------------------------------------------------------------------------------
Mask = NDArray[np.bool_]
Places = NDArray[np.intp]


def compact(program: Program, fired: Sequence[Mask] | None = None) -> Program:
    """Return a program without the neurons or units on which no output depends.

    From the output side, neurons are cut whose outgoing synapses all have the weight 0 or lead to
    cut neurons; outputs stay equal. Neurons with equal constants share them. With ``fired``,
    neurons that never fired are cut first: in states in which they would have fired, outputs
    differ. The state has fewer values, too.

    Args:
        program: The program.
        fired: Mask (N,) of the neurons of each layer that fired; None for not known.

    Returns:
        The smaller program; a layer without other neurons keeps its first one.

    Raises:
        ValueError: The masks differ from the layers in number or size.
    """
    if fired is not None:
        program = _restricted(program, fired)
    return _restricted(program, neurons_with_effect(program))


def neurons_with_effect(program: Program) -> list[Mask]:
    """Return a mask (N,) for each layer of the neurons on which an output depends."""
    masks: list[Mask] = []
    onward: Array = program.head.weights.T
    for layer in reversed(program.layers):
        used: Mask = (onward != 0).any(1)
        loop = layer.recurrent if isinstance(layer, NeuronLayer | GatedLayer) else None
        while loop is not None:  # neurons that drive a used neuron are used
            wider: Mask = used | (loop[:, _columns(layer, np.flatnonzero(used))] != 0).any(1)
            if (wider == used).all():
                break
            used = wider
        masks.append(used)
        onward = layer.weights[:, _columns(layer, np.flatnonzero(used))]
    return masks[::-1]


def _columns(layer: Layer, own: Places) -> Places:
    """Return the columns of weights of the neurons ``own``; gated units have several each."""
    gates = len(layer.biases) // layer.size
    return (np.arange(gates)[:, np.newaxis] * layer.size + own).reshape(-1)


def _restricted(program: Program, masks: Sequence[Mask]) -> Program:
    """Return a program of the neurons in the masks (N,) of each layer; of none, the first."""
    sizes, given = [layer.size for layer in program.layers], [mask.size for mask in masks]
    if sizes != given:
        raise ValueError(f"layers have {sizes} neurons, got masks of {given}")
    if not masks:
        return program
    # A layer without neurons has no form in compiled code and C.
    places = [np.flatnonzero(mask) if mask.any() else np.array([0]) for mask in masks]
    sources = [np.arange(program.channels), *places[:-1]]
    parts = zip(program.layers, sources, places, strict=True)
    layers = tuple(_restricted_layer(layer, source, own) for layer, source, own in parts)
    head = np.ascontiguousarray(program.head.weights[:, places[-1]])
    return replace(program, layers=layers, head=Head(head, program.head.biases))


def _restricted_layer(layer: Layer, sources: Places, own: Places) -> Layer:
    """Return a layer of the neurons ``own``, with synapses from ``sources`` of the layer below."""
    columns = _columns(layer, own)
    arrays: dict[str, Any] = {
        "weights": np.ascontiguousarray(layer.weights[np.ix_(sources, columns)]),
        "biases": layer.biases[columns],
    }
    if isinstance(layer, NeuronLayer | GatedLayer) and layer.recurrent is not None:
        arrays["recurrent"] = layer.recurrent[np.ix_(own, columns)]
    if isinstance(layer, GatedLayer):
        arrays["recurrent_biases"] = layer.recurrent_biases[columns]
    if isinstance(layer, LeakyLayer):
        arrays["decay"] = layer.decay[own]
    if isinstance(layer, NeuronLayer):
        arrays["rest"] = np.ascontiguousarray(layer.rest[:, own])
        if layer.each:
            constants = layer.constants[:, own]
            shared = (constants == constants[:, :1]).all()
            arrays["constants"] = np.ascontiguousarray(constants[:, 0] if shared else constants)
    whole = arrays["weights"].shape == layer.weights.shape
    return replace(layer, **arrays, operator=layer.operator if whole else "linear")
