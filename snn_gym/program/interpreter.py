"""Reference interpreter of programs: a decision in plain numpy, time step by time step.

Compiled calls, exporters and chips are tested against it. Its products are numpy's, with sums in
another order than in compiled code.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.program.encoders import INTENSITY_RANGE, NOTHING_SEEN, ReceptiveFields
from snn_gym.program.layers import (
    GATES,
    Array,
    DenseLayer,
    GatedLayer,
    Layer,
    LeakyLayer,
    NeuronLayer,
)
from snn_gym.program.neuron import equations
from snn_gym.program.program import Choice, Program


@dataclass(frozen=True)
class Decision:
    """Decisions on a batch of B observations, as ``decide`` returns them."""

    actions: NDArray[Any]
    """(B,) int64 of discrete actions, else (B, O) float32."""
    outputs: Array
    """(B, O), from which actions are chosen."""
    entered: Array
    """(K, B, channels), inputs of the first layer: K is T for spikes, 1 for held values. Where
    rows of a spike train enter together, it is their number of spikes."""
    layers: tuple[Array, ...]
    """Spikes (T, B, N) of each layer, 0 or 1, or the activations (B, N) of an ANN."""
    state: Array
    """(B, F), the next state: state variables of each layer (``h`` and ``c`` of gated units) and
    its last spikes if it is recurrent, state variables of the decoder, and the intensity for an
    encoder that compares."""

    @property
    def spikes(self) -> tuple[Array, ...]:
        """Spikes (T, B, N) of each layer; empty for an ANN."""
        return tuple(x for x in self.layers if x.ndim == 3)


def decide(
    program: Program,
    observations: NDArray[Any],
    state: Array | None = None,
    noise: Array | None = None,
) -> Decision:
    """Decide on a batch of observations.

    Args:
        program: The program.
        observations: (B, D), or (B, rows, D) of spike trains, in the environment's units.
        state: (B, F), ``state`` of the last ``Decision``; None starts from rest.
        noise: (T, B, channels), uniform in [0, 1), if the program needs noise.

    Raises:
        ValueError: Observations, state or noise have another shape.
    """
    batch = len(observations)
    parts = _split(program, rest_state(program, batch) if state is None else state)
    seen = parts.pop()["seen"] if program.compares else None
    signal, seen = enter(program, observations, seen, noise)
    if seen is not None:
        parts.append({"seen": seen})
    if program.spiking:
        outputs = _spikes(program, signal, parts)
        values = _decoded(program, outputs[-1], parts[len(program.layers)])
    else:
        outputs = _units(program, signal[0], parts)
        values = (signal[0], *outputs)[-1]
    values = (values[np.newaxis] @ program.head.weights.T)[0] + program.head.biases
    actions = chosen(program.choice, values)
    empty = np.zeros((batch, 0), np.float32)
    state = np.concatenate([empty, *(x for own in parts for x in own.values())], axis=1)
    return Decision(actions, values, signal, outputs, state)


def _spikes(program: Program, signal: Array, state: list[dict[str, Array]]) -> tuple[Array, ...]:
    """Return each layer's spikes (T, B, N), and update its state."""
    if len(signal) == 1:
        signal = np.repeat(signal, program.time_steps, axis=0)
    spikes = []
    for layer, own in zip(program.neurons, state, strict=False):
        signal = _neurons(layer, signal, own)
        spikes.append(signal)
    return tuple(spikes)


def enter(
    program: Program,
    observations: NDArray[Any],
    seen: Array | None = None,
    noise: Array | None = None,
) -> tuple[Array, Array | None]:
    """Return inputs of the first layer (K, B, channels), and the intensities (B, D) to carry on.

    K is the number of time steps, or 1 if all of them have the same input. ``seen`` (B, D) are the
    intensities that the last call returned. They are negative where an episode starts, and None if
    all episodes start. The returned intensities are None unless the encoder compares them with the
    last ones. ``noise`` is that of ``decide``.
    """
    batch, encoder = len(observations), program.coder
    if observations[0].size != program.observation_size:
        raise ValueError(
            f"observations have {observations[0].size} values, expected {program.observation_size}"
        )
    # (B, ...) -> (K, B, D)
    signal = np.asarray(observations, np.float32).reshape(batch, -1, program.inputs).swapaxes(0, 1)
    if program.rows_per_step > 1:
        signal = signal.reshape(-1, program.rows_per_step, *signal.shape[1:]).sum(1)
    for scaling in program.normalisers:
        signal = np.clip((signal - scaling.mean) / scaling.std, -scaling.clip, scaling.clip)
    if encoder is None:
        return signal, None
    if isinstance(encoder, ReceptiveFields):
        return encoder.encode(signal[0], program.time_steps), None
    intensity = signal[0] / np.float32(2.0 * INTENSITY_RANGE) + np.float32(0.5)
    if not encoder.needs_previous:
        return encoder.encode(intensity, program.time_steps, noise=noise), None
    intensity = np.clip(intensity, np.float32(0.0), np.float32(1.0))
    # At the start of an episode nothing has changed.
    before = intensity if seen is None else np.where(seen < 0, intensity, seen)
    return encoder.encode(intensity, program.time_steps, noise=noise, previous=before), intensity


def rest_state(program: Program, batch: int) -> Array:
    """Return the state (B, F) at the start of an episode."""
    parts = (rest.reshape(-1) for _, rest in parts_at_rest(program))
    row = np.concatenate([np.zeros(0, np.float32), *parts])
    return np.tile(row, (batch, 1))


def parts_at_rest(program: Program) -> list[tuple[tuple[str, ...], Array]]:
    """Return the names and the state at rest (S, N) of each layer, ``z`` for last spikes.

    Then those of the decoder, if there is one, and of an encoder that compares.
    """
    parts: list[tuple[tuple[str, ...], Array]] = []
    for layer in program.layers:
        names = state_names(layer)
        rest = np.zeros((len(names), layer.size), np.float32)
        if isinstance(layer, NeuronLayer):
            rest[: len(layer.rest)] = layer.rest
        parts.append((names, rest))
    if program.decoder is not None:
        names = tuple(map(str, range(program.decoder.variables)))
        parts.append((names, np.zeros((len(names), program.sizes[-1]), np.float32)))
    if program.compares:
        parts.append((("seen",), np.full((1, program.inputs), NOTHING_SEEN, np.float32)))
    return parts


def state_names(layer: Layer) -> tuple[str, ...]:
    """Return the names of a layer's state variables; last spikes are ``z``."""
    if not isinstance(layer, NeuronLayer):
        return layer.state
    return layer.neuron.state if layer.recurrent is None else (*layer.neuron.state, "z")


def _split(program: Program, state: Array) -> list[dict[str, Array]]:
    """Return the state variables (B, N), by name, of each of ``parts_at_rest``."""
    rests = parts_at_rest(program)
    width = sum(rest.size for _, rest in rests)
    if state.ndim != 2 or state.shape[1] != width:
        raise ValueError(f"the state has the shape {state.shape}, expected (B, {width})")
    parts, first = [], 0
    for names, rest in rests:
        size = rest.shape[1]
        parts.append({x: state[:, first + k * size :][:, :size] for k, x in enumerate(names)})
        first += rest.size
    return parts


def hidden_before(program: Program, state: Array | None, batch: int) -> list[Array]:
    """Return the last ``h`` (B, N) of each layer, (B, 0) without a state; None is at rest."""
    parts = _split(program, rest_state(program, batch) if state is None else state)
    return [own.get("h", np.zeros((batch, 0), np.float32)) for own in parts]


def _units(program: Program, values: Array, state: list[dict[str, Array]]) -> tuple[Array, ...]:
    """Return the activations (B, N) of each layer of an ANN, and update its state."""
    activations = []
    for layer, own in zip(program.layers, state, strict=True):
        if isinstance(layer, GatedLayer):
            values = _gated(layer, values, own)
        elif isinstance(layer, LeakyLayer):
            own["h"] = layer.decay * own["h"] + (values @ layer.weights + layer.biases)
            values = np.maximum(own["h"], np.float32(0.0)) if layer.rectified else own["h"]
        else:
            assert isinstance(layer, DenseLayer)  # of an ANN
            values = _activated(layer, values @ layer.weights + layer.biases)
        activations.append(values)
    return tuple(activations)


def _activated(layer: DenseLayer, total: Array) -> Array:
    """Return the outputs (B, N) of a layer for its units' sums."""
    if layer.activation == "threshold":
        return (total > 0).astype(np.float32)
    values: Array = np.tanh(total) if layer.activation == "tanh" else np.maximum(total, 0.0)
    if layer.levels is None:
        return values
    levels: Array = np.array(layer.levels, np.float32)
    # tanh stays below 1 anyway.
    limited: Array = np.minimum(values, np.float32(1.0))
    rounded: Array = np.asarray(np.rint(limited * levels) / levels, np.float32)
    return rounded


def _gated(layer: GatedLayer, values: Array, state: dict[str, Array]) -> Array:
    """Return the outputs (B, N) of gated units, and update their state."""
    x = np.split(values @ layer.weights + layer.biases, GATES[layer.gates], axis=1)
    h = np.split(state["h"] @ layer.recurrent + layer.recurrent_biases, len(x), axis=1)
    if layer.gates == "gru":
        reset, update = (_sigmoid(x[k] + h[k]) for k in range(2))
        new = np.tanh(x[2] + reset * h[2])
        state["h"] = (1 - update) * new + update * state["h"]
    elif layer.gates == "rnn":
        state["h"] = np.tanh(x[0] + h[0])
    elif layer.gates == "rnn_relu":
        state["h"] = np.maximum(x[0] + h[0], np.float32(0.0))
    else:
        entry, forget, output = (_sigmoid(x[k] + h[k]) for k in (0, 1, 3))
        state["c"] = forget * state["c"] + entry * np.tanh(x[2] + h[2])
        state["h"] = output * np.tanh(state["c"])
    return state["h"]


def _sigmoid(x: Array) -> Array:
    result: Array = np.float32(0.5) * (np.tanh(np.float32(0.5) * x) + 1)
    return result


def _neurons(layer: NeuronLayer, signal: Array, state: dict[str, Array]) -> Array:
    """Return spikes (T, B, N) of a layer for inputs (T, B, D), and update its state."""
    p = SimpleNamespace(
        **dict(zip(equations(layer.neuron).constants, layer.constants, strict=True))
    )
    spikes = []
    for inputs in signal:  # a row for each time step
        current = inputs @ layer.weights + layer.biases
        if layer.recurrent is not None:
            current = current + state["z"] @ layer.recurrent
        moved = layer.neuron.integrate(p, SimpleNamespace(**state), current)
        seen = SimpleNamespace(**dict(zip(layer.neuron.state, moved, strict=True)))
        z = (layer.neuron.margin(p, seen) > 0).astype(np.float32)
        for x, value in zip(layer.neuron.state, layer.neuron.after(p, seen, z), strict=True):
            state[x] = np.broadcast_to(np.asarray(value, np.float32), z.shape)
        if layer.recurrent is not None:
            state["z"] = z
        spikes.append(z)
    return np.stack(spikes)


def _decoded(program: Program, spikes: Array, state: dict[str, Array]) -> Array:
    """Return the decoder's values (B, N) of spikes (T, B, N), and update its state."""
    decoder = program.readout
    # The first row is the value, the others the next state.
    rows: Array = np.einsum("qt,tbn->qbn", decoder.coefficients, spikes)
    for s, before in enumerate(list(state.values())):
        rows = rows + decoder.transition[:, s, np.newaxis, np.newaxis] * before
    state.update(zip(list(state), rows[1:], strict=True))
    values: Array = rows[0]
    return values


def chosen(choice: Choice, outputs: Array) -> NDArray[Any]:
    """Return the actions, (B,) int64 by ``argmax``, else (B, O) float32, for outputs (B, O)."""
    if choice.rule == "argmax":
        actions: NDArray[Any] = outputs.argmax(1)
        return actions
    if choice.rule == "squash":
        if choice.limit is not None:
            outputs = np.clip(outputs, -np.float32(choice.limit), np.float32(choice.limit))
        share = np.float32(0.5) * (np.tanh(outputs) + 1)
        outputs = choice.low + share * (choice.high - choice.low)
    return np.clip(outputs, choice.low, choice.high)
