"""``Dynamics``: measures of the neurons, synapses and layers of a recording."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
from torch import Tensor, nn

from snn_gym.program.costs import READOUT
from snn_gym.spiking.decoders import read_head
from snn_gym.spiking.layer_neurons import as_array, surrogate_half_width
from snn_gym.spiking.measures import (
    LAYER_MEASURES,
    NEURON_MEASURES,
    SYNAPSE_MEASURES,
    WEIGHT_MEASURES,
    Array,
    ConnectionView,
    Definition,
    FloatArray,
    LayerView,
    Measure,
    delayed,
    drive,
    firing_rate_hz,
)
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.recording import Recording, layer_names
from snn_gym.spiking.spiking_layer import learned_synapses

# ---- connections ---------------------------------------------------------------------------------
_RECURRENT = "_recurrent"


class Connection(NamedTuple):
    """All synapses from one layer to another, or to the readout."""

    weights: Array
    pre: str | None
    """Layer that they come from; None for an analogue input, which has no spikes."""
    post: str | None
    """Layer that they drive; None for the readout, which does not spike."""


def network_weights(network: SpikingNetwork, readout: nn.Module | None = None) -> dict[str, Array]:
    """Return copies of a network's weights by connection, as ``Dynamics`` takes them.

    Args:
        network: Network.
        readout: Head that reads the network, ``nn.Linear`` or ``PopulationHead``; None for the
            network's head, if it has one.

    Returns:
        Weights (post, pre), float32: ``hidden_1``, ``hidden_1_recurrent``, ..., ``output`` for the
        populations of the decoder ``population``, and ``readout``. Outputs that read separate
        populations have weight 0 elsewhere.
    """
    weights: dict[str, Array] = {}
    # Any: a ModuleList forgets the type of its members
    layers: list[Any] = list(network.layers)
    for name, layer in zip(layer_names(network.config, layers), layers, strict=True):
        weights[name] = as_array(layer.linear.weight)
        if layer.recurrent is not None:
            weights[name + _RECURRENT] = as_array(layer.recurrent.weight)
    head = network.head if readout is None else readout
    if head is not None:
        weights[READOUT] = read_head(head, layers[-1].size).weights
    return weights


def relative_gradients(network: SpikingNetwork) -> dict[str, float]:
    """Return the present gradients' norms over the weights' norms, by connection of the layers.

    Of a convolution they are those of its filters. Layers without a gradient, as before the first
    update, are left out.
    """
    found: dict[str, float] = {}
    layers: list[Any] = list(network.layers)
    for name, layer in zip(layer_names(network.config, layers), layers, strict=True):
        weights = {name: learned_synapses(layer.linear)[0]}
        if layer.recurrent is not None:
            weights[name + _RECURRENT] = layer.recurrent.weight
        for connection, weight in weights.items():
            if weight.grad is not None:
                found[connection] = float(weight.grad.norm() / weight.detach().norm())
    return found


def connect(recording: Recording, weights: Mapping[str, Array]) -> dict[str, Connection]:
    """Return the connections of ``weights`` and a recording's layers, input side first.

    Raises:
        ValueError: A driven layer lacks weights, or names or shapes do not match.
    """
    sizes = {layer.name: layer.spikes.shape[2] for layer in recording.layers}
    driven = [name for name in sizes if name != "input"]
    order = ["input" if "input" in sizes else None, *driven]
    ends: dict[str, tuple[str | None, str | None]] = {}
    for pre, post in zip(order, driven, strict=False):
        ends[post] = (pre, post)
        ends[post + _RECURRENT] = (post, post)
    ends[READOUT] = (driven[-1], None)
    fix = "record the network whose weights these are"
    recorded = ", ".join(f"{name} ({size})" for name, size in sizes.items())
    unmatched = sorted(set(weights) - set(ends)) + [x for x in driven if x not in weights]
    if unmatched:
        raise ValueError(
            f"weights and recording differ in {', '.join(unmatched)}: the recording has layers "
            f"{recorded}; {fix}"
        )
    connections = {name: Connection(weights[name], *ends[name]) for name in ends if name in weights}
    for name, connection in connections.items():
        shape = connection.weights.shape
        rows = shape[0] if connection.post is None else sizes[connection.post]
        columns = shape[-1] if connection.pre is None else sizes[connection.pre]
        if shape != (rows, columns):
            raise ValueError(
                f"weights of {name} have shape {shape}, the recording needs ({rows}, {columns}): "
                f"it has layers {recorded}; {fix}"
            )
    return connections


# ---- dynamics ------------------------------------------------------------------------------------
_ViewT = TypeVar("_ViewT", LayerView, ConnectionView)

_ACTIVITY = {**NEURON_MEASURES, **LAYER_MEASURES}
_SYNAPTIC = {**SYNAPSE_MEASURES, **WEIGHT_MEASURES}
# The means of the other synapse measures repeat a layer's measures.
_SUMMARISED_SYNAPTIC = ("eligibility", "coincidence", *WEIGHT_MEASURES)

_FIXES = {
    "voltages": "was recorded without voltages; choose a layer that has a membrane and was "
    "recorded with it",
    "threshold": "states no threshold; use a neuron of NetworkConfig, whose threshold is recorded",
    "half_width": "has no surrogate window; give network, or half_width",
    "before": "has no recorded layer before it; choose a deeper layer",
    "pre": "gets analogue input, which has no spikes; choose a connection from a spiking layer",
    "post": "drives the readout, which does not spike; choose another connection",
    "synops": "was recorded without counts; record it by a network",
    "older": "has no older weights to compare with; give older_weights",
    "gradient": "has no gradient; give gradients, of a network that has been differentiated",
    "next_gradient": "has no layer behind it whose gradient is given; choose an earlier layer",
}


class Dynamics:
    """Measures of the neurons, synapses and layers of one recording.

    The decisions of a batch are pooled: B decisions of T time steps count as one recording of T·B.
    Exceptions are measures within a decision (intervals, eligibility, synchrony) and over decisions
    (Fano factor, participation dimension).

    Args:
        recording: Recording of a network that spikes.
        network: The network that was recorded, for its weights and surrogate gradient.
        weights: Weights (post, pre) by connection, as ``network_weights`` returns them, in place of
            the network's weights; for instance with the head by which a policy reads the network.
        older_weights: Weights to measure change from.
        gradients: Norm of the gradient over norm of the weights by connection, as
            ``relative_gradients`` returns them, for the gain of the backward pass.
        half_width: Half-width of the surrogate window (voltage); by default the distance at which
            each layer's surrogate gradient is half its maximum (``surrogate_half_width``).
        tau_pre_ms: Time constant of the presynaptic trace (ms); see ``mean_eligibility``.
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
        gradients: Mapping[str, float] | None = None,
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
        self._connections = _view_connections(
            connected, older, gradients or {}, self._layers, taus_ms
        )

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
            of: A name in ``layers`` for the first two, in ``connections`` for the last two.

        Raises:
            ValueError: A name is unknown, or the measure does not apply there.
        """
        if name in _ACTIVITY:
            return _measure(name, _ACTIVITY[name], "layer", of, self._layers)
        if name in _SYNAPTIC:
            if not self._connections:
                raise ValueError(f"measure {name!r} needs weights; give network, or weights")
            return _measure(name, _SYNAPTIC[name], "connection", of, self._connections)
        known = ", ".join([*_ACTIVITY, *_SYNAPTIC])
        raise ValueError(f"measure {name!r} is unknown; known: {known}")

    def summary(self) -> dict[str, float]:
        """Return each measure's mean over its valid values, by ``hidden_1/rate_hz`` and so on.

        Measures that don't apply or have no valid value are left out. Of the synapse measures,
        only eligibility and coincidence are included.
        """
        synaptic = {name: _SYNAPTIC[name] for name in _SUMMARISED_SYNAPTIC}
        return _summarise(_ACTIVITY, self._layers) | _summarise(synaptic, self._connections)


def _summarise(
    definitions: Mapping[str, Definition[_ViewT]], views: Mapping[str, _ViewT]
) -> dict[str, float]:
    means: dict[str, float] = {}
    for view_name, view in views.items():
        for name, definition in definitions.items():
            if all(getattr(view, field) is not None for field in definition.needs):
                measure = definition.compute(view)
                if measure.valid.any():
                    means[f"{view_name}/{name}"] = measure.mean()
    return means


def _measure(
    name: str,
    definition: Definition[_ViewT],
    kind: str,
    view_name: str,
    views: Mapping[str, _ViewT],
) -> Measure:
    if view_name not in views:
        raise ValueError(f"there is no {kind} {view_name!r}; choose one of {', '.join(views)}")
    view = views[view_name]
    for field in definition.needs:
        if getattr(view, field) is None:
            raise ValueError(f"measure {name!r} does not apply: {view_name!r} {_FIXES[field]}")
    return definition.compute(view)


def _array(tensor: Any) -> Any:
    """Return a tensor's numbers without a copy; numbers and None stay."""
    return tensor.detach().cpu().numpy() if isinstance(tensor, Tensor) else tensor


def _half_widths(
    recording: Recording, network: SpikingNetwork | None, half_width: float | None
) -> dict[str, float]:
    """Return the half-width of each layer's surrogate window, where it is known."""
    driven = [layer.name for layer in recording.layers if layer.name != "input"]
    if half_width is not None:
        return dict.fromkeys(driven, half_width)
    # Each layer's own neurons, because a controller may have moved their slope.
    layers: Iterable[Any] = () if network is None else network.layers
    return {
        name: surrogate_half_width(layer.neuron.surrogate, layer.neuron.slope)
        for name, layer in zip(driven, layers, strict=False)
    }


def _view_layers(recording: Recording, half_widths: Mapping[str, float]) -> dict[str, LayerView]:
    views: dict[str, LayerView] = {}
    before: Array | None = None
    for layer in recording.layers:
        views[layer.name] = LayerView(
            name=layer.name,
            spikes=_array(layer.spikes),
            voltages=_array(layer.voltages),
            threshold=_array(layer.v_threshold),
            half_width=half_widths.get(layer.name),
            before=before,
            dt_ms=recording.dt_ms,
            synops=recording.costs.synops_per_decision.get(layer.name),
        )
        before = views[layer.name].spikes
    return views


def _view_connections(
    connections: Mapping[str, Connection],
    older: Mapping[str, Connection],
    gradients: Mapping[str, float],
    layers: Mapping[str, LayerView],
    taus_ms: tuple[float, float, float],
) -> dict[str, ConnectionView]:
    dt_ms = next(iter(layers.values())).dt_ms
    after = dict(itertools.pairwise(x for x in connections if connections[x].post == x))
    received: dict[str, Array | None] = {}
    for name, (_, source, target) in connections.items():
        spikes = None if source is None else layers[source].spikes
        received[name] = delayed(spikes) if spikes is not None and source == target else spikes
    # Drive (post,) of each layer's neurons, summed over its spiking connections
    drives: dict[str | None, FloatArray] = {}
    for name, connection in connections.items():
        pre = received[name]
        if pre is not None:
            delivered = drive(connection.weights, firing_rate_hz(pre, dt_ms)).sum(axis=1)
            drives[connection.post] = drives.get(connection.post, np.zeros(1)) + delivered
    return {
        name: ConnectionView(
            name=name,
            weights=connection.weights,
            pre=received[name],
            post=None if connection.post is None else layers[connection.post].spikes,
            older=older[name].weights if name in older else None,
            gradient=gradients.get(name),
            next_gradient=gradients.get(after.get(connection.post or "", "")),
            total_drive=drives.get(connection.post),
            dt_ms=dt_ms,
            taus_ms=taus_ms,
        )
        for name, connection in connections.items()
    }
