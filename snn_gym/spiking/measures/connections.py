"""The synapses of a network, named and matched with the layers of a recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from snn_gym.spiking.coding.decoders import PopulationHead
from snn_gym.spiking.layers import SpikingLayer
from snn_gym.spiking.measures.measure import Array
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.recording import Recording

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
