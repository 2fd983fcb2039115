"""Damage spreading: how far a small change of the input drives two runs of a network apart."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from snn_gym.spiking.measures.measure import Array, FloatArray
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.recording import Recording


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
