"""Smaller programs with the same outputs, without neurons that change nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.program.layers import Array, GatedLayer, Layer, LeakyLayer, NeuronLayer
from snn_gym.program.network import Head, Program

Mask = NDArray[np.bool_]
Places = NDArray[np.intp]


def compact(program: Program, fired: Sequence[Mask] | None = None) -> Program:
    """Return a program without the neurons or units on which no output depends.

    From the output side, neurons are cut whose outgoing synapses all have the weight 0 or lead to
    cut neurons; outputs stay equal. With ``fired``, neurons that never fired are cut first: in
    states in which they would have fired, outputs differ. The state has fewer values, too.

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
    layers = tuple(_layer(layer, source, own) for layer, source, own in parts)
    head = np.ascontiguousarray(program.head.weights[:, places[-1]])
    return replace(program, layers=layers, head=Head(head, program.head.biases))


def _layer(layer: Layer, sources: Places, own: Places) -> Layer:
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
            arrays["constants"] = np.ascontiguousarray(layer.constants[:, own])
    whole = arrays["weights"].shape == layer.weights.shape
    return replace(layer, **arrays, operator=layer.operator if whole else "linear")
