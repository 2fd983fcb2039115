"""Export of a spiking agent as a NIR graph, with the description of its host."""

from __future__ import annotations

import io
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import nir
import numpy as np
from msgspec import Meta, Struct
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from snn_gym.leaderboard import read_regular_file, shorten
from snn_gym.policies import program_of
from snn_gym.program import (
    IAF,
    INPUT,
    LIF,
    SPIKE,
    Convolution,
    Equations,
    Expression,
    Filtered,
    LIFBox,
    Neuron,
    NeuronLayer,
    Program,
    encoder_name,
    equations,
    name_of,
)
from snn_gym_deploy.files import write_files
from snn_gym_deploy.nir_file import Array, Graph, Node

# ---- host ----------------------------------------------------------------------------------------
DT_S = 1e-4  # time step of exported graphs (s)
MAX_HOST_BYTES = 1 << 20
_MAX_VALUES = 1 << 16
_MAX_STEPS = 10_000

# In the 32-bit floats of networks, smaller numbers are 0 and larger ones infinite.
_LEAST, _MOST = 1e-37, 1e38
_Number = Annotated[float, Meta(ge=-_MOST, le=_MOST)]
_Numbers = Annotated[tuple[_Number, ...], Meta(max_length=_MAX_VALUES)]
_Scale = Annotated[float, Meta(ge=_LEAST, le=_MOST)]
_Scales = Annotated[tuple[_Scale, ...], Meta(min_length=1, max_length=_MAX_VALUES)]


class Standardised(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Standardisation of observations: ``(x - mean) / std``, then within ``[-clip, clip]``."""

    mean: _Numbers
    std: _Scales
    clip: _Scale | None
    """None for no limit."""


class Observation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Input of the graph at each time step of a decision."""

    values: Annotated[int, Meta(ge=1, le=_MAX_VALUES)]
    """Values of an observation, or channels of a spike train."""
    form: Literal["held", "spikes"]
    """``held``: all values at every time step; ``spikes``: a row of a spike train (T, values)."""
    standardised: Standardised | None
    """None: values are not standardised."""

    def __post_init__(self) -> None:
        """Refuse scales of another size."""
        scale = self.standardised
        if scale is not None and {len(scale.mean), len(scale.std)} != {self.values}:
            raise ValueError(
                f"standardised has {len(scale.mean)} numbers in mean and {len(scale.std)} in std; "
                f"expected {self.values} in each, one for each value"
            )


class Action(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an action is chosen from the graph's output."""

    choice: Literal["argmax", "clip", "squash"]
    """``argmax``: the place of the largest; ``clip``: within ``low`` and ``high``; ``squash``:
    ``low + (tanh(x) + 1) / 2 * (high - low)``."""
    low: _Numbers
    """Least values of continuous actions, else empty."""
    high: _Numbers
    """Greatest values of continuous actions, else empty."""


class Host(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Description of a graph's host, which feeds it and chooses actions: the JSON beside it."""

    format: Literal["snn_gym.host/1"]
    """Version of this schema."""
    dt_s: Annotated[float, Meta(gt=0.0)]
    """Time step (s) of the graph's time constants."""
    time_steps: Annotated[int, Meta(ge=1, le=_MAX_STEPS)]
    """Time steps of a decision."""
    observation: Observation
    state: Literal["reset", "carried"]
    """Whether the neurons' state is reset at every decision, or carried through an episode."""
    output: Literal["mean"]
    """Readout of a decision, from which the action is chosen: the mean over its time steps."""
    action: Action


def host_of(program: Program) -> Host:
    """Return the host of an agent's graph; ValueError for what a graph does not hold."""
    if program.rows_per_step > 1:
        raise ValueError(
            "rows of a spike train that enter together are not exported to NIR; train with "
            "rows_per_step=1, or export as C"
        )
    if len(program.normalisers) > 1:
        raise ValueError(
            "observations that are standardised twice, as by VecNormalize and by the policy, "
            "are not exported to NIR; train with normalise_observations=False, or export as C"
        )
    standardised = None
    for normaliser in program.normalisers:
        mean, std = tuple(normaliser.mean.tolist()), tuple(normaliser.std.tolist())
        standardised = Standardised(mean=mean, std=std, clip=normaliser.clip)
    form: Literal["held", "spikes"] = "spikes" if program.spike_input else "held"
    return Host(
        format="snn_gym.host/1",
        dt_s=DT_S,
        time_steps=program.time_steps,
        observation=Observation(values=program.inputs, form=form, standardised=standardised),
        state="carried" if program.stateful else "reset",
        output="mean",
        action=Action(
            choice=program.choice.rule,
            low=tuple(program.choice.low.tolist()),
            high=tuple(program.choice.high.tolist()),
        ),
    )


def read_host(path: str | os.PathLike[str]) -> Host:
    """Read the JSON file that describes a graph's host, without unknown or missing keys.

    Args:
        path: The file.

    Raises:
        ValueError: It is no such file.
    """
    data = read_regular_file(path, max_bytes=MAX_HOST_BYTES)
    try:
        return msgspec.json.decode(data, type=Host)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        name = shorten(Path(path).name)
        raise ValueError(
            f"{name}: {shorten(str(error))}; expected the file that `snn-gym export --nir` writes"
        ) from error


# ---- nir chain -----------------------------------------------------------------------------------
_AFFINE = ("Affine", "Linear")
_MAX_IDENTITY = 4096


@dataclass(frozen=True)
class ChainLayer:
    """A layer of neurons with its synapses; ``name`` is that of the neurons' node."""

    name: str
    neurons: Node
    weights: Array
    """(N, D)"""
    biases: Array
    """(N,)"""
    recurrent: Array | None
    """(N, N), None without a loop."""


@dataclass(frozen=True)
class Chain:
    """Layers of a graph, at least one, input side first, and the map to its output."""

    layers: tuple[ChainLayer, ...]
    head_weights: Array
    """(O, N)"""
    head_biases: Array
    """(O,)"""

    @property
    def inputs(self) -> int:
        """Number of input values."""
        return int(self.layers[0].weights.shape[1])


def chain_of(graph: Graph) -> Chain:
    """Return a graph's layers in order; ValueError for no chain, and for no neurons."""
    loops = dict(_loops(graph))
    layers: list[ChainLayer] = []
    affine: tuple[Array, Array] | None = None
    shape: tuple[int, ...] = ()
    pool = 1
    for name in _walk(graph, set(loops.values())):
        node, width = graph.nodes[name], math.prod(shape)
        if node.kind == "Input":
            _ = _size(node, name)
            shape = tuple(map(int, node.arrays["shape"].reshape(-1)))
        elif node.kind == "AvgPool2d":
            pool = _pool(node, name)
        elif node.kind in (*_AFFINE, "Conv2d"):
            if node.kind == "Conv2d":
                operator = _convolution(node, name, shape, pool)
                own, shape, pool = _unrolled(node, operator), operator.shape, 1
            else:
                own = _affine(node, name, width)
                shape = (len(own[1]),)
            affine = own if affine is None else (own[0] @ affine[0], own[0] @ affine[1] + own[1])
        elif node.kind == "Output":
            _check_size(_size(node, name), width, f"output {name!r}")
        elif node.kind != "Flatten":  # all values are flat here
            flat = Node(node.kind, {field: x.reshape(-1) for field, x in node.arrays.items()})
            loop = _loop(graph, loops.get(name), width)
            layers.append(ChainLayer(name, flat, *(affine or _identity(width, name)), loop))
            affine = None
        if pool > 1 and node.kind not in ("AvgPool2d", "Conv2d"):
            raise ValueError(f"a pool leads to {name!r}; expected a Conv2d there")
    if not layers:
        raise ValueError(
            "the graph has no neurons; expected a layer of LIF, CubaLIF or IF at least"
        )
    return Chain(tuple(layers), *(affine or _identity(width, "the output")))


def _walk(graph: Graph, aside: set[str]) -> Iterator[str]:
    """Yield the names from input to output, but ``aside``; refuse all graphs but chains."""
    ends = {kind: [x for x, node in graph.nodes.items() if node.kind == kind] for kind in _ENDS}
    for kind, names in ends.items():
        if len(names) != 1:
            raise ValueError(f"the graph has {len(names)} nodes {kind}; expected one")
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
    """Return the edges; refuse edges that are repeated or lead nowhere."""
    for edge, times in Counter(graph.edges).items():
        missing = [x for x in edge if x not in graph.nodes]
        if missing or times > 1:
            raise ValueError(
                f"the edge from {edge[0]!r} to {edge[1]!r} "
                + (f"names no node: {missing[0]!r}" if missing else f"is there {times} times")
            )
    return graph.edges


def _loops(graph: Graph) -> Iterator[tuple[str, str]]:
    """Yield pairs of names: neurons with a loop, and the affine map in the loop."""
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
    """Return the weights (N, N) of the affine map ``name`` in a loop; None without a name."""
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
    """Return weights (N, ``width``) and biases (N,), 0 if missing; refuse other shapes."""
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


def _pool(node: Node, name: str) -> int:
    """Return the side of a pool whose squares lie side by side; refuse others."""
    sides = {*node.arrays["kernel_size"].ravel().tolist(), *node.arrays["stride"].ravel().tolist()}
    if len(sides) != 1 or node.arrays["padding"].any() or min(sides) < 1:
        raise ValueError(f"pool {name!r} has sides {sorted(sides)}; expected squares side by side")
    return int(sides.pop())


def _convolution(node: Node, name: str, shape: tuple[int, ...], pool: int) -> Filtered:
    """Return a node's convolution over planes of a shape; refuse what our layers do not have."""
    weights, arrays = node.arrays["weight"], node.arrays
    alike = {field: {*arrays[field].ravel().tolist()} for field in ("stride", "padding")}
    fits = (
        weights.ndim == 4
        and weights.shape[2] == weights.shape[3]
        and all(len(x) == 1 for x in alike.values())
        and (arrays["dilation"] == 1).all()
        and (arrays["groups"] == 1).all()
        and arrays["bias"].shape == weights.shape[:1]
        and len(shape) == 3
        and (weights.shape[1], *(x // pool for x in shape[1:]))
        == (shape[0], *arrays["input_shape"].ravel().tolist())
    )
    if not fits:
        raise ValueError(
            f"convolution {name!r} has weights {weights.shape} for planes {shape}; expected square "
            "filters of all planes, with one stride and padding, no dilation and no groups"
        )
    stride, padding = (int(min(x)) for x in alike.values())
    layer = Convolution(len(weights), weights.shape[2], stride, padding, pool)
    return Filtered(layer, (shape[0], shape[1], shape[2]))


def _unrolled(node: Node, operator: Filtered) -> tuple[Array, Array]:
    """Return weights (N, D) and biases (N,) of the equivalent dense layer."""
    filters, biases = node.arrays["weight"], node.arrays["bias"]
    weights = operator.unrolled(filters.reshape(len(filters), -1)).T
    return weights, biases.repeat(len(weights) // len(biases))


def _size(node: Node, name: str) -> int:
    shape = node.arrays["shape"]
    sizes = shape.reshape(-1)
    if not sizes.size or (sizes < 1).any() or (sizes > 1 << 20).any() or (sizes % 1).any():
        raise ValueError(f"{name!r} has the shape {sizes.tolist()}; expected sizes from 1")
    return int(np.prod(sizes))


def _check_size(size: int, width: int, place: str) -> None:
    if size != width:
        raise ValueError(f"{place} takes {size} values; expected {width}, which come to it")


def _identity(width: int, name: str) -> tuple[Array, Array]:
    if width > _MAX_IDENTITY:
        raise ValueError(
            f"no weights lead to {name!r}, of {width} values; expected an Affine or Linear there"
        )
    return np.eye(width), np.zeros(width)


# ---- nir graph -----------------------------------------------------------------------------------
# NIR (Pedersen et al. 2024, https://doi.org/10.1038/s41467-024-52259-9; https://neuroir.org) stores
# neurons as differential equations, without a time step, and simulators interpret them differently.
# Our contract: explicit Euler steps of 1e-4 s give the spikes of our networks. ``lif_box`` is LIF
# with r = 1; ``lif`` is CubaLIF with r = tau_mem / dt and w_in = tau_syn / dt, whose potentials are
# in units of dt / tau_mem. At each time step the graph takes the network's inputs and returns the
# head's outputs for the spikes of that time step. The host standardises observations, repeats them,
# averages outputs and chooses, as the JSON file beside the graph describes.
#
# Nodes are written by ``nir`` itself, not by ``nirtorch``'s default maps, whose biases are random
# up to 2.6 (https://github.com/neuromorphs/NIRTorch/pull/55).
@dataclass(frozen=True)
class NIRFiles:
    """Files that ``to_nir`` wrote."""

    graph: Path
    """HDF5 file."""
    host: Path
    """JSON file that describes the host."""


def to_nir(model: BaseAlgorithm | BasePolicy, path: str | os.PathLike[str]) -> NIRFiles:
    """Write an agent as a NIR graph, and the description of its host beside it.

    Args:
        model: Algorithm with a spiking policy, or the policy.
        path: File to write, such as ``agent.nir``; the host's is called ``agent.json``.

    Raises:
        ValueError: Importers disagree on a part of the agent; the message names the nearest one.
    """
    program = program_of(model)
    if not program.spiking:
        raise ValueError("an ANN has no spikes to export as NIR; export it as C")
    file = Path(path)
    graph, host = nir_graph(program), host_of(program)
    written = io.BytesIO()
    nir.write(written, graph)
    described = file.with_suffix(".json")
    text = msgspec.json.format(msgspec.json.encode(host), indent=2) + b"\n"
    write_files({file: written.getvalue(), described: text})
    return NIRFiles(file, described)


def nir_graph(program: Program) -> nir.NIRGraph:
    """Return a program's graph: affine maps and neurons in turn, the head last; or ValueError."""
    _check(program)
    convolutions = _convolutions(program)
    first = convolutions[0]
    shape: tuple[int, ...] = (program.inputs,) if first is None else first.planes
    nodes: dict[str, Any] = {"input": nir.Input(np.array(shape))}
    edges, source = [], "input"
    for k, (layer, operator) in enumerate(zip(program.neurons, convolutions, strict=True), start=1):
        neurons, before = f"neurons_{k}", _synapses(k, layer, operator, shape)
        shape = (layer.size,) if operator is None else operator.shape
        for name, node in (*before, (neurons, _neurons(layer, shape))):
            nodes[name] = node
            edges.append((source, name))
            source = name
        if layer.recurrent is not None:
            nodes[f"recurrent_{k}"] = nir.Linear(np.ascontiguousarray(layer.recurrent.T))
            edges += [(neurons, f"recurrent_{k}"), (f"recurrent_{k}", neurons)]
    head = nir.Affine(program.head.weights, program.head.biases)
    output = nir.Output(np.array([program.outputs]))
    for name, node in (*_flattened("head", shape), ("head", head), ("output", output)):
        nodes[name] = node
        edges.append((source, name))
        source = name
    return nir.NIRGraph(nodes, edges)


def _convolutions(program: Program) -> list[Filtered | None]:
    """Return the convolution of each layer that is written as one, None for a dense one."""
    found = [x.operator if isinstance(x.operator, Filtered) else None for x in program.neurons]
    # NIR convolves no planes whose channels come last, and behind a dense layer none.
    last = any(x is not None and x.channels_last for x in found)
    return [None] * len(found) if last else found


def _flattened(name: str, shape: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    """Yield a node before ``name`` that flattens planes, by name; none for values."""
    if len(shape) > 1:
        yield f"flatten_{name}", nir.Flatten({"input": np.array(shape)}, start_dim=0)


def _synapses(
    k: int, layer: NeuronLayer, operator: Filtered | None, shape: tuple[int, ...]
) -> Iterator[tuple[str, Any]]:
    """Yield the nodes before a layer's neurons by name, for inputs of a shape."""
    if operator is None:
        yield from _flattened(f"affine_{k}", shape)
        yield f"affine_{k}", nir.Affine(np.ascontiguousarray(layer.weights.T), layer.biases)
        return
    own, (count, height, width) = operator.layer, operator.planes
    if own.pool > 1:
        sides = np.array([own.pool, own.pool])
        yield f"pool_{k}", nir.AvgPool2d(sides, sides, np.zeros(2, np.int64))
    filters = operator.shared(layer.weights) * own.pool**2
    yield f"convolution_{k}", nir.Conv2d(
        (height // own.pool, width // own.pool),
        filters.reshape(own.filters, count, own.kernel, own.kernel),
        own.stride, own.padding, 1, 1, layer.biases.reshape(own.filters, -1)[:, 0].copy(),
    )  # fmt: skip


def _check(program: Program) -> None:
    """Raise ValueError for parts of a program that importers of NIR do not agree on."""
    if program.coder is not None:
        raise ValueError(
            f"encoder {encoder_name(program.coder)!r} is not exported to NIR, whose hosts hold "
            "values or pass spikes on; train with encoder 'constant', or export as C"
        )
    if program.choice.limit is not None:
        raise ValueError(
            "actions whose mean is clipped before it is squashed, as use_sde has it, are not "
            "exported to NIR; train without use_sde, or export as C"
        )
    for layer in program.neurons:
        _, numbers = node_of(layer.neuron, layer.numbers)
        leak, reset = numbers["v_leak"], numbers["v_reset"]
        if leak != 0.0 or reset != 0.0:
            raise ValueError(
                f"v_leak={leak:g} and v_reset={reset:g} are not exported to NIR, as importers "
                "ignore them; train with both 0"
            )
    if np.any(program.readout.coefficients != np.float32(1.0 / program.time_steps)):
        raise ValueError(
            "decoder 'last_voltage' is not exported to NIR, as importers read leaky integrators in "
            "different ways; train with 'mean_rate'"
        )


def node_of(
    neuron: type[Neuron], numbers: Mapping[str, float]
) -> tuple[type[Neuron], dict[str, float]]:
    """Return the one of ``LIFBox`` and ``LIF`` with equal equations, and its constants by name."""
    for pattern in (LIFBox, LIF):
        names = matched(equations(neuron), equations(pattern))
        if names is not None:
            return pattern, {x: float(numbers[y]) for x, y in names.items()}
    if matched(equations(neuron), equations(IAF)) is not None:
        raise ValueError(
            f"neuron {name_of(neuron)!r} has no form that importers of NIR agree on; train with "
            "neuron 'lif_box'"
        )
    raise ValueError(
        f"neuron {name_of(neuron)!r} has no node in NIR; train with neuron 'lif_box' or 'lif'"
    )


def matched(text: Equations, pattern: Equations) -> dict[str, str] | None:
    """Return names of ``text``'s constants by ``pattern``'s; None if more than names differ."""
    if len(text.state) != len(pattern.state):
        return None
    given = (*text.moved, text.margin, *text.after, *text.rest)
    wanted = (*pattern.moved, pattern.margin, *pattern.after, *pattern.rest)
    bound = dict(zip(pattern.state, text.state, strict=True))
    bound |= dict(zip(pattern.moved_names, text.moved_names, strict=True))
    bound |= {INPUT: INPUT, SPIKE: SPIKE}
    fixed = set(bound)
    if not all(_matches(a, b, bound) for a, b in zip(given, wanted, strict=True)):
        return None
    constants = {x: y for x, y in bound.items() if x not in fixed}
    # One constant in the place of two would be a special case of the pattern.
    return constants if len(set(constants.values())) == len(constants) else None


def _matches(given: Expression, wanted: Expression, bound: dict[str, str]) -> bool:
    """Return whether expressions differ in names alone; enter pairs of names in ``bound``."""
    if given.operator != wanted.operator or given.number != wanted.number:
        return False
    if wanted.operator == "name":
        return bound.setdefault(wanted.label, given.label) == given.label
    pairs = zip(given.inputs, wanted.inputs, strict=True)
    return all(_matches(a, b, bound) for a, b in pairs)


def node_numbers(neuron: type[Neuron], numbers: Mapping[str, float]) -> dict[str, float]:
    """Return the numbers of the NIR node for ``LIFBox`` or ``LIF`` with given constants."""
    gain, threshold = numbers["mem_gain"], numbers["v_threshold"]
    rest = {"v_leak": 0.0, "v_reset": 0.0}
    if neuron is LIFBox:
        return {"tau": DT_S / gain, "r": 1.0, "v_threshold": threshold, **rest}
    decay = numbers["syn_gain"]
    return {
        "tau_syn": DT_S / decay,
        "tau_mem": DT_S / gain,
        "r": 1.0 / gain,
        "v_threshold": threshold / gain,
        "w_in": 1.0 / decay,
        **rest,
    }


def _neurons(layer: NeuronLayer, shape: tuple[int, ...]) -> Any:
    neuron, numbers = node_of(layer.neuron, layer.numbers)
    node = nir.CubaLIF if neuron is LIF else nir.LIF
    return node(
        **{
            name: np.full(shape, value, np.float32)
            for name, value in node_numbers(neuron, numbers).items()
        }
    )
