"""The order in a NIR graph: affine maps and layers of neurons from its input to its output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snn_gym.export.nir_file import Graph, Node

Array = NDArray[np.float64]
_AFFINE = ("Affine", "Linear")
_MAX_IDENTITY = 4096


@dataclass(frozen=True)
class ChainLayer:
    """A layer of neurons, with what leads to it."""

    name: str
    """The neurons' name in the graph."""
    neurons: Node
    """The neurons."""
    weights: Array
    """(N, D)"""
    biases: Array
    """(N,)"""
    recurrent: Array | None
    """(N, N), of the loop; None for none."""


@dataclass(frozen=True)
class Chain:
    """What a graph does at a time step, in order."""

    layers: tuple[ChainLayer, ...]
    """At least one, input side first."""
    head_weights: Array
    """(O, N)"""
    head_biases: Array
    """(O,)"""

    @property
    def inputs(self) -> int:
        """Values that it takes."""
        return int(self.layers[0].weights.shape[1])


def chain_of(graph: Graph) -> Chain:
    """Put a graph in order.

    Args:
        graph: The graph.

    Raises:
        ValueError: It is no chain, or shapes do not fit; one line names the node.
    """
    loops = dict(_loops(graph))
    layers: list[ChainLayer] = []
    affine: tuple[Array, Array] | None = None
    width = 0
    for name in _walk(graph, set(loops.values())):
        node = graph.nodes[name]
        if node.kind == "Input":
            width = _size(node, name)
        elif node.kind in _AFFINE:
            own = _affine(node, name, width)
            affine = own if affine is None else (own[0] @ affine[0], own[0] @ affine[1] + own[1])
            width = len(own[1])
        elif node.kind == "Output":
            _check_size(_size(node, name), width, f"output {name!r}")
        else:
            loop = _loop(graph, loops.get(name), width)
            layers.append(ChainLayer(name, node, *(affine or _identity(width, name)), loop))
            affine = None
    if not layers:
        raise ValueError(
            "the graph has no neurons; expected a layer of LIF, CubaLIF or IF at least"
        )
    return Chain(tuple(layers), *(affine or _identity(width, "the output")))


def _walk(graph: Graph, aside: set[str]) -> Iterator[str]:
    """Yield the names from input to output.

    Raises:
        ValueError: The graph branches, runs in a circle or has loose ends.
    """
    ends = {kind: [x for x, node in graph.nodes.items() if node.kind == kind] for kind in _ENDS}
    for kind, found in ends.items():
        if len(found) != 1:
            raise ValueError(f"the graph has {len(found)} nodes {kind}; expected one")
    edges = [(a, b) for a, b in _edges(graph) if a not in aside and b not in aside]
    (name,), passed = ends["Input"], set[str]()
    while True:
        passed.add(name)
        yield name
        after = [b for a, b in edges if a == name]
        if graph.nodes[name].kind == "Output" and not after:
            break
        if len(after) != 1:
            raise ValueError(f"{name!r} leads to {len(after)} nodes; expected a chain")
        (name,) = after
        if name in passed or sum(b == name for _, b in edges) != 1:
            raise ValueError(
                f"a circle or a branch leads to {name!r}; expected a chain, in which a layer of "
                "neurons may have one Linear from itself to itself"
            )
    loose = sorted(graph.nodes.keys() - passed - aside)
    if loose:
        raise ValueError(f"{loose[0]!r} is not on the way from input to output; leave it out")


_ENDS = ("Input", "Output")


def _edges(graph: Graph) -> tuple[tuple[str, str], ...]:
    """Return the edges, each once between nodes that there are."""
    for edge, times in Counter(graph.edges).items():
        missing = [x for x in edge if x not in graph.nodes]
        if missing or times > 1:
            raise ValueError(
                f"the edge from {edge[0]!r} to {edge[1]!r} "
                + (f"names no node: {missing[0]!r}" if missing else f"is there {times} times")
            )
    return graph.edges


def _loops(graph: Graph) -> Iterator[tuple[str, str]]:
    """Yield the neurons that have a loop, and the map in it."""
    edges, seen = _edges(graph), set[str]()
    for name, node in graph.nodes.items():
        before = [a for a, b in edges if b == name]
        after = [b for a, b in edges if a == name]
        if node.kind not in _AFFINE or len(before) != 1 or before != after or before == [name]:
            continue
        (neurons,) = before
        if graph.nodes[neurons].kind in (*_AFFINE, *_ENDS) or neurons in seen:
            raise ValueError(
                f"{name!r} leads from {neurons!r} back to it; expected one such loop at most, and "
                "around neurons"
            )
        seen.add(neurons)
        yield neurons, name


def _loop(graph: Graph, name: str | None, width: int) -> Array | None:
    if name is None:
        return None
    weights, biases = _affine(graph.nodes[name], name, width)
    _check_size(len(weights), width, f"loop {name!r}")
    if biases.any():
        raise ValueError(
            f"loop {name!r} has biases, which simulators add from different time steps on; put "
            "them into the map before the neurons"
        )
    return weights


def _affine(node: Node, name: str, width: int) -> tuple[Array, Array]:
    weights = node.arrays["weight"]
    if weights.ndim != 2 or not len(weights):
        raise ValueError(f"weight of {name!r} has the shape {weights.shape}; expected a matrix")
    _check_size(weights.shape[1], width, f"weight of {name!r}")
    biases = node.arrays.get("bias", np.zeros(len(weights)))
    if biases.shape != (len(weights),):
        raise ValueError(
            f"bias of {name!r} has the shape {biases.shape}; expected ({len(weights)},)"
        )
    return weights, biases


def _size(node: Node, name: str) -> int:
    shape = node.arrays["shape"]
    sizes = shape.reshape(-1)
    if not sizes.size or (sizes < 1).any() or (sizes > 1 << 20).any() or (sizes % 1).any():
        raise ValueError(f"{name!r} has the shape {sizes.tolist()}; expected sizes from 1")
    return int(np.prod(sizes))


def _check_size(found: int, width: int, what: str) -> None:
    if found != width:
        raise ValueError(f"{what} takes {found} values; expected {width}, which come to it")


def _identity(width: int, name: str) -> tuple[Array, Array]:
    if width > _MAX_IDENTITY:
        raise ValueError(
            f"no weights lead to {name!r}, of {width} values; expected an Affine or Linear there"
        )
    return np.eye(width), np.zeros(width)
