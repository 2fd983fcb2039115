"""Smaller programs that do the same: neurons that change nothing are cut out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.program.network import Array, DenseLayer, GatedLayer, Head, Layer, NeuronLayer, Program

Mask = NDArray[np.bool_]
Places = NDArray[np.intp]


def compact(program: Program, fired: Sequence[Mask] | None = None) -> Program:
    """Return a program without the neurons or units that no output depends on.

    Cut are those whose synapses onward all have the weight 0, layer by layer from the output side,
    so that every output stays as it is. With ``fired``, those that never fired are cut too: in
    states in which they would have, outputs differ.

    Args:
        program: The program.
        fired: Which neurons (N,) of each layer fired; None for not known.

    Returns:
        The smaller program. A layer keeps one neuron at least.

    Raises:
        ValueError: There is not one mask for each layer, of its size.
    """
    if fired is not None:
        program = _cut(program, list(fired))
    return _cut(program, _with_effect(program))


def _with_effect(program: Program) -> list[Mask]:
    """Return which neurons (N,) of each layer some output depends on."""
    masks: list[Mask] = []
    onward: Array = program.head.weights.T
    for layer in reversed(program.layers):
        used: Mask = (onward != 0).any(1)
        loop = None if isinstance(layer, DenseLayer) else layer.recurrent
        while loop is not None:  # what drives a neuron that is used is used
            wider: Mask = used | (loop[:, _columns(layer, np.flatnonzero(used))] != 0).any(1)
            if (wider == used).all():
                break
            used = wider
        masks.append(used)
        onward = layer.weights[:, _columns(layer, np.flatnonzero(used))]
    return masks[::-1]


def _columns(layer: Layer, own: Places) -> Places:
    """Return the columns of weights that drive the neurons ``own``: of gated units several."""
    gates = len(layer.biases) // layer.size
    columns: Places = (np.arange(gates)[:, np.newaxis] * layer.size + own).reshape(-1)
    return columns


def _cut(program: Program, kept: Sequence[Mask]) -> Program:
    """Return a program of the neurons (N,) of each layer that are kept."""
    sizes, given = [layer.size for layer in program.layers], [x.size for x in kept]
    if sizes != given:
        raise ValueError(f"layers have {sizes} neurons, got masks of {given}")
    places = [np.flatnonzero(x) if x.any() else np.array([0]) for x in kept]
    sources = [np.arange(program.channels), *places[:-1]]
    parts = zip(program.layers, sources, places, strict=True)
    layers = tuple(_layer(layer, source, own) for layer, source, own in parts)
    head = np.ascontiguousarray(program.head.weights[:, places[-1]])
    return replace(program, layers=layers, head=Head(head, program.head.biases))


def _layer(layer: Layer, sources: Places, own: Places) -> Layer:
    """Return a layer of the neurons ``own``, behind those of the layer below that are kept."""
    columns = _columns(layer, own)
    kept: dict[str, Any] = {
        "weights": np.ascontiguousarray(layer.weights[np.ix_(sources, columns)]),
        "biases": layer.biases[columns],
    }
    if not isinstance(layer, DenseLayer) and layer.recurrent is not None:
        kept["recurrent"] = layer.recurrent[np.ix_(own, columns)]
    if isinstance(layer, GatedLayer):
        kept["recurrent_biases"] = layer.recurrent_biases[columns]
    if isinstance(layer, NeuronLayer):
        kept["rest"] = np.ascontiguousarray(layer.rest[:, own])
    if isinstance(layer, NeuronLayer) and layer.each:
        kept["constants"] = np.ascontiguousarray(layer.constants[:, own])
    return replace(layer, **kept)
