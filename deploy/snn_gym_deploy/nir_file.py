"""Reader of untrusted NIR graphs (HDF5).

HDF5 is a wide format: a file can name other files, expand without end, and break its parser; one of
300 files with changed bytes kept it busy for ever. So a separate process with limited memory and
time, ``python -m snn_gym_deploy.nir_file``, reads a file and returns named arrays and edges only.
Of the nodes of ``nir`` 1.0 (https://neuroir.org) it reads those that our networks consist of, and
refuses others by name.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from snn_gym.leaderboard import Limits, limit_process, read_regular_file, shorten

MAX_FILE_BYTES = 64 << 20
MAX_VALUES = 8 << 20  # numbers in all arrays together
MAX_NODES = 128
_MAX_NAME = 128
_MAX_DIMENSIONS = 4
_LIMITS = Limits(memory_bytes=1 << 30, cpu_seconds=10, file_bytes=256 << 20)
_WALL_SECONDS = 120.0
_REFUSED = 3  # exit status of the reader if its last line names a fault of the file

FIELDS: dict[str, tuple[str, ...]] = {
    "Input": ("shape",),
    "Output": ("shape",),
    "Affine": ("weight", "bias"),
    "Linear": ("weight",),
    "Conv2d": ("input_shape", "weight", "stride", "padding", "dilation", "groups", "bias"),
    "AvgPool2d": ("kernel_size", "stride", "padding"),
    "Flatten": (),
    "IF": ("r", "v_threshold", "v_reset"),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
}
"""Arrays of each kind of node. A missing ``v_reset`` is 0, as in ``nir``."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Node:
    """A node of a graph, of a kind in ``FIELDS``, with its finite arrays by field."""

    kind: str
    arrays: dict[str, Array]


@dataclass(frozen=True)
class Graph:
    """Nodes by name, and edges as names of source and target."""

    nodes: dict[str, Node]
    edges: tuple[tuple[str, str], ...]


def read_graph(path: str | os.PathLike[str]) -> Graph:
    """Read a NIR graph of ``nir.write`` in a limited process; ValueError for other files."""
    from snn_gym.leaderboard import ask_limited  # the reading process does without it

    name = shorten(Path(path).name)
    data = read_regular_file(path, max_bytes=MAX_FILE_BYTES)
    status, answer, message = ask_limited("snn_gym_deploy.nir_file", data, _LIMITS, _WALL_SECONDS)
    if status == _REFUSED:
        raise ValueError(f"{name}: {message}")
    if status != 0:
        ended = f"it took more than {_WALL_SECONDS:g} s" if status is None else f"status {status}"
        raise ValueError(
            f"{name} can't be read as a NIR graph ({ended}: {message}); expected the HDF5 file "
            "that nir.write makes"
        )
    head, _, tensors = answer.partition(b"\n")
    kinds, edges = json.loads(head)
    arrays = load(tensors)
    nodes = {
        node: Node(kind, {field: arrays[f"{k}/{field}"] for field in FIELDS[kind]})
        for k, (node, kind) in enumerate(kinds.items())
    }
    return Graph(nodes, tuple((a, b) for a, b in edges))


def main() -> None:
    """Limit this process, then turn the HDF5 file on standard input into safetensors."""
    limit_process()
    with h5py.File(io.BytesIO(sys.stdin.buffer.read()), "r") as file:
        try:
            graph = _graph(file)
        except RefusedError as error:
            print(error, file=sys.stderr)  # noqa: T201
            sys.exit(_REFUSED)
    arrays = {
        f"{k}/{field}": np.ascontiguousarray(array)
        for k, node in enumerate(graph.nodes.values())
        for field, array in node.arrays.items()
    }
    kinds = {name: node.kind for name, node in graph.nodes.items()}
    sys.stdout.buffer.write(json.dumps([kinds, graph.edges]).encode() + b"\n" + save(arrays))


def _graph(file: Any) -> Graph:
    """Return the graph of an opened file."""
    top = _inside(file, "node", "the file")
    kind = _text(_inside(top, "type", "the graph"), "the graph's type")
    if kind != "NIRGraph":
        raise _refuse(f"its top node is a {kind!r}; expected a NIRGraph")
    folder = _inside(top, "nodes", "the graph")
    if len(folder) > MAX_NODES:
        raise _refuse(f"it has {len(folder)} nodes; expected at most {MAX_NODES}")
    nodes, room = {}, MAX_VALUES
    for name in folder:
        _name(name, "a node's name")
        nodes[name] = _node(_inside(folder, name, "the graph"), f"node {name!r}", room)
        room -= sum(x.size for x in nodes[name].arrays.values())
    return Graph(nodes, tuple(_edges(_inside(top, "edges", "the graph"))))


def _node(group: Any, where: str, room: int) -> Node:
    kind = _text(_inside(group, "type", where), f"the type of {where}")
    if kind not in FIELDS:
        raise _refuse(
            f"{where} is a {kind!r}, which no network here has; expected {', '.join(FIELDS)}"
        )
    arrays: dict[str, Array] = {}
    for field in FIELDS[kind]:
        if field == "v_reset" and field not in group:
            arrays[field] = np.zeros_like(arrays["v_threshold"])
            continue
        arrays[field] = _array(_inside(group, field, where), f"{field} of {where}", room)
        room -= arrays[field].size
    return Node(kind, arrays)


def _array(data: Any, where: str, room: int) -> Array:
    """Return the numbers of a data set; refuse more than ``room``, and NaN and infinity."""
    _check_here(data, where)
    if data.dtype.kind not in "fiu" or data.dtype.itemsize > 8:
        raise _refuse(f"{where} has elements of type {data.dtype}; expected numbers")
    if len(data.shape) > _MAX_DIMENSIONS or data.size > room:
        raise _refuse(f"{where} has the shape {data.shape}; expected at most {MAX_VALUES} numbers")
    values: Array = np.asarray(data[()], dtype=np.float64)
    if not np.isfinite(values).all():
        raise _refuse(f"{where} has values that are NaN or infinite; expected finite ones")
    return values


def _edges(data: Any) -> Iterator[tuple[str, str]]:
    _check_here(data, "edges")
    shape = data.shape
    if len(shape) != 2 or shape[1] != 2 or shape[0] > 4 * MAX_NODES:
        raise _refuse(f"edges have the shape {shape}; expected pairs of names")
    for k in range(shape[0]):  # one at a time: many may be one long text
        yield _name(data[k, 0], "an edge"), _name(data[k, 1], "an edge")


def _text(data: Any, where: str) -> str:
    _check_here(data, where)
    if data.shape != ():
        raise _refuse(f"{where} has the shape {data.shape}; expected one name")
    return _name(data[()], where)


def _name(value: Any, where: str) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str) or len(value) > _MAX_NAME:
        raise _refuse(f"{where} is no text of at most {_MAX_NAME} characters")
    return value


def _inside(group: Any, name: str, where: str) -> Any:
    """Return a member of a group; refuse links to another place or file."""
    if not isinstance(group, h5py.Group) or name not in group:
        raise _refuse(f"{where} has no {name!r}")
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise _refuse(f"{where}: {name!r} is a link to another place; expected the data itself")
    return group[name]


def _check_here(data: Any, where: str) -> None:
    """Refuse a data set with numbers in other files, or with filters from plug-ins."""
    if not isinstance(data, h5py.Dataset):
        raise _refuse(f"{where} is no data set")
    if data.is_virtual or data.external:
        raise _refuse(f"{where} lies in another file; expected the data itself")
    written = data.id.get_create_plist()
    filters = {written.get_filter(k)[0] for k in range(written.get_nfilters())}
    if not filters <= {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE}:
        raise _refuse(f"{where} is packed by the filters {sorted(filters)}; expected gzip")


class RefusedError(ValueError):
    """A fault of the file."""


def _refuse(problem: str) -> RefusedError:
    return RefusedError(shorten(problem))


if __name__ == "__main__":
    main()
