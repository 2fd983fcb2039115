"""Measures of a spiking network's recording, damage spreading among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from snn_gym.spiking.decoders import PopulationHead
from snn_gym.spiking.layer_neurons import LayerNeurons
from snn_gym.spiking.layers import SpikingLayer
from snn_gym.spiking.measures.arrays import (
    Array,
    FloatArray,
    Measure,
    delayed,
    drive,
    firing_rate_hz,
)
from snn_gym.spiking.measures.definitions import (
    LAYER_MEASURES,
    NEURON_MEASURES,
    SYNAPSE_MEASURES,
    WEIGHT_MEASURES,
    ConnectionView,
    Definition,
    LayerView,
)
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.recording import LayerRecording, Recording
from snn_gym.spiking.surrogates import surrogate_half_width


# ---- damage --------------------------------------------------------------------------------------
def hamming_distance(spikes: Array, other: Array) -> FloatArray:
    """Return the share of neurons whose spikes differ, at every time step.

    Args:
        spikes: (T, B, N), 0 or 1.
        other: (T, B, N), 0 or 1.

    Returns:
        (T,) float64 in [0, 1], mean over the batch.
    """
    share: FloatArray = (spikes != other).mean(axis=(1, 2), dtype=np.float64)
    return share


def damage_spreading(recording: Recording, perturbed: Recording) -> dict[str, FloatArray]:
    """Return the Hamming distance of two recordings' rasters, at every time step.

    Damage that grows over time steps or from layer to layer tells of chaotic dynamics, damage that
    heals of ordered ones (Derrida & Pomeau 1986, https://doi.org/10.1209/0295-5075/1/2/001).

    Args:
        recording: A recording.
        perturbed: The recording of the same network on a slightly other input.

    Returns:
        (T,) float64 in [0, 1] of each layer: the share of neurons that differ, mean over the
        batch. Damage of the layer ``input``, if recorded, is what was done to it.

    Raises:
        ValueError: There are no layers, or the recordings are not of the same layers.
    """
    if not recording.layers:
        raise ValueError("the recording is empty: record a network that spikes")
    shapes, other_shapes = (
        {layer.name: tuple(layer.spikes.shape) for layer in x.layers}
        for x in (recording, perturbed)
    )
    if shapes != other_shapes:
        raise ValueError(
            f"the recordings are of different layers or shapes, {shapes} and {other_shapes}; "
            "record the same network twice, on batches of the same size"
        )
    return {
        layer.name: hamming_distance(
            layer.spikes.detach().cpu().numpy(), perturbed[layer.name].spikes.detach().cpu().numpy()
        )
        for layer in recording.layers
    }


def record_with_damage(
    network: SpikingNetwork,
    inputs: Tensor,
    generator: torch.Generator,
    *,
    step: float = 0.1,
) -> tuple[Recording, Recording]:
    """Record a network on inputs, and again with one value of each sample changed.

    In a spike train one spike is flipped, at a random channel of the first time step; of analogue
    observations one random value is raised. A noisy encoder draws the same noise both times.

    Args:
        network: Network; its noise stream stays where it was.
        inputs: Observations (B, input_size), or spike trains (B, T, input_size) of 0 and 1.
        generator: Source of what is changed.
        step: By how much an analogue value is raised, in its standard deviations.

    Returns:
        The recording of the inputs, and that of the changed ones.
    """
    changed = inputs.clone()
    batch = torch.arange(inputs.shape[0])
    channel = torch.randint(network.input_size, (inputs.shape[0],), generator=generator)
    if network.spike_input:
        changed[batch, 0, channel] = 1.0 - changed[batch, 0, channel]
    else:
        changed[batch, channel] += step
    with torch.no_grad():
        return network.record(inputs), network.record(changed)


# ---- connections ---------------------------------------------------------------------------------
READOUT = "readout"
_RECURRENT = "_recurrent"


@dataclass(frozen=True, eq=False)
class Connection:
    """All synapses from one layer to another, or to the readout."""

    name: str
    """Name of the layer that they drive; with ``_recurrent`` if they come from that layer itself,
    and ``readout`` for the linear head."""
    weights: Array
    """(post, pre), as in ``nn.Linear.weight``."""
    pre: str | None
    """Layer that they come from; None for an analogue input, which has no spikes."""
    post: str | None
    """Layer that they drive; None for the readout, which does not spike."""

    @property
    def recurrent(self) -> bool:
        """Whether they come from the layer that they drive, one time step late."""
        return self.post is not None and self.pre == self.post


def network_weights(network: SpikingNetwork, readout: nn.Module | None = None) -> dict[str, Array]:
    """Return copies of a network's weights by connection, as ``Dynamics`` takes them.

    Args:
        network: Network.
        readout: The head that reads it, ``nn.Linear`` or ``PopulationHead``, where the network has
            none of its own.

    Returns:
        Weights (post, pre), float32: ``hidden_1``, ``hidden_1_recurrent``, ..., ``output`` for the
        populations of the decoder ``population``, and ``readout``. Outputs that read populations
        of their own have weight 0 elsewhere.
    """
    hidden = len(network.config.hidden_sizes)
    weights: dict[str, Array] = {}
    for k, layer in enumerate(network.layers):
        assert isinstance(layer, SpikingLayer)  # a ModuleList forgets the type of its members
        name = f"hidden_{k + 1}" if k < hidden else "output"
        weights[name] = _copy(layer.linear.weight)
        if layer.recurrent_weight is not None:
            weights[name + _RECURRENT] = _copy(layer.recurrent_weight)
    head = network.head if readout is None else readout
    if head is not None:
        weights[READOUT] = _dense_head(head)
    return weights


def connect(recording: Recording, weights: Mapping[str, Array]) -> dict[str, Connection]:
    """Match weights with the layers of a recording.

    Args:
        recording: Recording of a network that spikes.
        weights: (post, pre) by name, as ``network_weights`` gives them.

    Returns:
        Connections by name, input side first.

    Raises:
        ValueError: The weights are not those of the recorded layers.
    """
    sizes = {layer.name: layer.spikes.shape[2] for layer in recording.layers}
    driven = [name for name in sizes if name != "input"]
    order = ["input" if "input" in sizes else None, *driven]
    ends: dict[str, tuple[str | None, str | None]] = {}
    for pre, post in zip(order, driven, strict=False):
        ends[post] = (pre, post)
        ends[post + _RECURRENT] = (post, post)
    ends[READOUT] = (driven[-1], None)
    _check_weights(weights, ends, sizes, driven)
    return {name: Connection(name, weights[name], *ends[name]) for name in ends if name in weights}


def _check_weights(
    weights: Mapping[str, Array],
    ends: Mapping[str, tuple[str | None, str | None]],
    sizes: Mapping[str, int],
    driven: Sequence[str],
) -> None:
    fix = "record the network whose weights these are"
    recorded = ", ".join(f"{name} ({size})" for name, size in sizes.items())
    unmatched = sorted(set(weights) - set(ends)) + [x for x in driven if x not in weights]
    if unmatched:
        raise ValueError(
            f"weights and recording differ in {', '.join(unmatched)}: the recording has layers "
            f"{recorded}; {fix}"
        )
    for name, (pre, post) in ends.items():
        if name not in weights:
            continue
        shape = weights[name].shape
        rows = shape[0] if post is None else sizes[post]
        columns = shape[-1] if pre is None else sizes[pre]
        if shape != (rows, columns):
            raise ValueError(
                f"weights of {name} have shape {shape}, the recording needs ({rows}, {columns}): "
                f"it has layers {recorded}; {fix}"
            )


def _copy(weight: Tensor) -> Array:
    copied: Array = weight.detach().cpu().numpy().copy()
    return copied


def _dense_head(head: nn.Module) -> Array:
    assert isinstance(head, nn.Linear | PopulationHead)  # what make_head makes
    weight = _copy(head.weight)
    if isinstance(head, nn.Linear):
        return weight
    outputs, neurons = weight.shape
    dense = np.zeros((outputs, outputs, neurons), dtype=weight.dtype)
    dense[np.arange(outputs), np.arange(outputs)] = weight
    # (outputs, outputs, k) -> (outputs, outputs * k): row i reads its own k neurons
    return dense.reshape(outputs, -1)


# ---- dynamics ------------------------------------------------------------------------------------
_ViewT = TypeVar("_ViewT", LayerView, ConnectionView)

_ACTIVITY = {**NEURON_MEASURES, **LAYER_MEASURES}
_SYNAPTIC = {**SYNAPSE_MEASURES, **WEIGHT_MEASURES}
# The others' means over synapses say nothing that a layer's measures do not.
_SUMMARISED_SYNAPTIC = ("eligibility", "coincidence", *WEIGHT_MEASURES)

_FIXES = {
    "voltages": "was recorded without voltages; choose a layer that has a membrane and was "
    "recorded with it",
    "threshold": "states no threshold; use a neuron of NetworkConfig, whose threshold is recorded",
    "half_width": "has no surrogate window; give network, or half_width",
    "before": "has no recorded layer before it; choose a deeper layer",
    "pre": "gets analogue input, which has no spikes; choose a connection from a spiking layer",
    "post": "drives the readout, which does not spike; choose another connection",
    "older": "has no older weights to compare with; give older_weights",
}


class Dynamics:
    """Measures of the neurons, synapses and layers of one recording.

    The decisions of a batch are pooled: they count as recording length, as if B decisions of T
    time steps were one recording of T·B. Only what is defined within a decision (intervals,
    eligibility, synchrony) or over decisions (Fano factor, participation dimension) is not.

    Args:
        recording: Recording of a network that spikes.
        network: The network that was recorded, for its weights and surrogate gradient.
        weights: Weights (post, pre) by connection, as ``network_weights`` gives them, in place of
            the network's own; for instance with the head that a policy reads the network by.
        older_weights: Weights to measure change from.
        half_width: Half-width of the surrogate window (voltage); where each layer's surrogate
            gradient has fallen to half its maximum if None (``surrogate_half_width``).
        tau_pre_ms: Time constant of the presynaptic trace (ms); see ``eligibility_trace``.
        tau_post_ms: Time constant of the postsynaptic trace (ms); 0 for the spike itself.
        tau_e_ms: Time constant of the eligibility (ms).

    Raises:
        ValueError: The recording is empty, or the weights are not of the recorded layers.
    """

    def __init__(
        self,
        recording: Recording,
        network: SpikingNetwork | None = None,
        *,
        weights: Mapping[str, Array] | None = None,
        older_weights: Mapping[str, Array] | None = None,
        half_width: float | None = None,
        tau_pre_ms: float = 20.0,
        tau_post_ms: float = 0.0,
        tau_e_ms: float = 20.0,
    ) -> None:
        if not recording.layers:
            raise ValueError("the recording is empty: record a network that spikes")
        if weights is None and network is not None:
            weights = network_weights(network)
        self.recording = recording
        self._layers = _view_layers(recording, _half_widths(recording, network, half_width))
        connected = {} if weights is None else connect(recording, weights)
        older = {} if older_weights is None else connect(recording, older_weights)
        taus_ms = (tau_pre_ms, tau_post_ms, tau_e_ms)
        self._connections = _view_connections(connected, older, self._layers, taus_ms)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the recorded layers, input side first."""
        return tuple(self._layers)

    @property
    def connections(self) -> tuple[str, ...]:
        """Names of the connections; empty without network or weights."""
        return tuple(self._connections)

    def measure(self, name: str, of: str) -> Measure:
        """Return a measure of a layer's neurons, of a layer, or of a connection's synapses.

        Args:
            name: A key of ``NEURON_MEASURES`` (N,), ``LAYER_MEASURES`` (), ``SYNAPSE_MEASURES``
                (post, pre) or ``WEIGHT_MEASURES`` ().
            of: One of ``layers`` for the first two, one of ``connections`` for the others.

        Raises:
            ValueError: A name is unknown, or the measure does not apply there.
        """
        if name in _ACTIVITY:
            return _measure(name, _ACTIVITY[name], _choose("layer", of, self._layers))
        if name in _SYNAPTIC:
            if not self._connections:
                raise ValueError(f"measure {name!r} needs weights; give network, or weights")
            view = _choose("connection", of, self._connections)
            return _measure(name, _SYNAPTIC[name], view)
        known = ", ".join([*_ACTIVITY, *_SYNAPTIC])
        raise ValueError(f"measure {name!r} is unknown; known: {known}")

    def summary(self) -> dict[str, float]:
        """Return one number for every valid measure: ``hidden_1/rate_hz`` and so on.

        A measure of neurons or synapses is given by the mean of its valid values. Measures that
        don't apply or have no valid value are left out; of the synapses' there are eligibility and
        coincidence.
        """
        layers = _summarise(_ACTIVITY, self._layers)
        synaptic = {name: _SYNAPTIC[name] for name in _SUMMARISED_SYNAPTIC}
        return layers | _summarise(synaptic, self._connections)


def _summarise(
    definitions: Mapping[str, Definition[_ViewT]], views: Mapping[str, _ViewT]
) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for of, view in views.items():
        for name, definition in definitions.items():
            if any(getattr(view, field) is None for field in definition.needs):
                continue
            measure = definition.compute(view)
            if measure.valid.any():
                numbers[f"{of}/{name}"] = measure.mean()
    return numbers


def _measure(name: str, definition: Definition[_ViewT], view: _ViewT) -> Measure:
    for field in definition.needs:
        if getattr(view, field) is None:
            raise ValueError(f"measure {name!r} does not apply: {view.name!r} {_FIXES[field]}")
    return definition.compute(view)


def _choose(kind: str, name: str, views: Mapping[str, _ViewT]) -> _ViewT:
    if name not in views:
        raise ValueError(f"there is no {kind} {name!r}; choose one of {', '.join(views)}")
    return views[name]


def _array(tensor: Tensor) -> Array:
    array: Array = tensor.detach().cpu().numpy()
    return array


def _half_widths(
    recording: Recording, network: SpikingNetwork | None, told: float | None
) -> dict[str, float]:
    """Return the half-width of each layer's surrogate window, where it is known."""
    driven = [layer.name for layer in recording.layers if layer.name != "input"]
    if told is not None:
        return dict.fromkeys(driven, told)
    # Each layer's own neurons, because a controller may have moved their slope.
    layers: Iterable[Any] = () if network is None else network.layers
    neurons = [layer.neuron for layer in layers]
    return {
        name: surrogate_half_width(neuron.surrogate, neuron.slope)
        for name, neuron in zip(driven, neurons, strict=False)
        if isinstance(neuron, LayerNeurons)
    }


def _view_layers(recording: Recording, half_widths: Mapping[str, float]) -> dict[str, LayerView]:
    views: dict[str, LayerView] = {}
    before: Array | None = None
    for layer in recording.layers:
        view = _view_layer(layer, before, half_widths.get(layer.name), recording.dt_ms)
        views[layer.name] = view
        before = view.spikes
    return views


def _view_layer(
    layer: LayerRecording, before: Array | None, half_width: float | None, dt_ms: float
) -> LayerView:
    threshold: Any = layer.v_threshold
    if isinstance(threshold, Tensor):
        threshold = _array(threshold)
    return LayerView(
        name=layer.name,
        spikes=_array(layer.spikes),
        voltages=None if layer.voltages is None else _array(layer.voltages),
        threshold=threshold,
        half_width=half_width,
        before=before,
        dt_ms=dt_ms,
        synops=layer.synops_per_decision(),
    )


def _view_connections(
    connections: Mapping[str, Connection],
    older: Mapping[str, Connection],
    layers: Mapping[str, LayerView],
    taus_ms: tuple[float, float, float],
) -> dict[str, ConnectionView]:
    presynaptic = {name: _presynaptic(x, layers) for name, x in connections.items()}
    drives = _total_drives(connections, presynaptic, layers)
    views: dict[str, ConnectionView] = {}
    for name, connection in connections.items():
        post = None if connection.post is None else layers[connection.post].spikes
        views[name] = ConnectionView(
            name=name,
            weights=connection.weights,
            pre=presynaptic[name],
            post=post,
            older=older[name].weights if name in older else None,
            total_drive=drives.get(connection.post),
            dt_ms=next(iter(layers.values())).dt_ms,
            taus_ms=taus_ms,
        )
    return views


def _presynaptic(connection: Connection, layers: Mapping[str, LayerView]) -> Array | None:
    if connection.pre is None:
        return None
    spikes = layers[connection.pre].spikes
    return delayed(spikes) if connection.recurrent else spikes


def _total_drives(
    connections: Mapping[str, Connection],
    presynaptic: Mapping[str, Array | None],
    layers: Mapping[str, LayerView],
) -> dict[str | None, FloatArray]:
    """Return the drive (post,) of each layer's neurons over all its spiking connections."""
    totals: dict[str | None, FloatArray] = {}
    for name, connection in connections.items():
        pre = presynaptic[name]
        if pre is None or connection.pre is None:
            continue
        rates = firing_rate_hz(pre, layers[connection.pre].dt_ms)
        delivered = drive(connection.weights, rates).sum(axis=1)
        totals[connection.post] = totals.get(connection.post, np.zeros(1)) + delivered
    return totals
