"""Sequences of environment steps through a network, with the state carried from step to step.

A sequence is what stepping gives: at every environment step the samples that start an episode
are reset to rest, the network decides, and its state is carried on. Here the environment steps of
a layer are one run of ``L * T`` time steps: its input is one product, its neurons one compiled
call. The gradient is that of stepping, back through all environment steps or, truncated, to the
last step at which it was cut (Williams and Peng 1990,
https://doi.org/10.1162/neco.1990.2.4.490; here every cut is at a fixed place).

Encoders see the environment steps as samples, ``(T, L * B, channels)``, and layers see time,
``(L * T, B, channels)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from snn_gym.program.encoders import NOTHING_SEEN
from snn_gym.spiking.layers import SpikingLayer
from snn_gym.spiking.neurons.base import Breaks, Run, State
from snn_gym.spiking.regulation.penalties import Regulation


class NetworkRun(NamedTuple):
    """A pass through the layers of a network: one decision, or a sequence of L."""

    signal: Tensor
    """(T, L * B, channels) or (1, L * B, channels), what the first layer got."""
    layers: list[Run]
    """One of each layer."""


Observer = Callable[[NetworkRun], None]
"""Sees what the layers of a network did."""


def spikes_of(runs: Iterable[NetworkRun]) -> list[Tensor]:
    """Return the spikes (T, B, N), of a sequence (L * T, B, N), of all layers of passes."""
    return [layer.spikes for run in runs for layer in run.layers]


def check_inputs(inputs: Tensor, expected: tuple[int, ...], axes: tuple[str, ...]) -> None:
    """Check the shape of a network's inputs.

    Args:
        inputs: Of a network.
        expected: Their last axes.
        axes: What the axes before are.

    Raises:
        ValueError: They have another shape.
    """
    if inputs.shape[len(axes) :] != expected:
        raise ValueError(
            f"inputs must have shape ({', '.join(map(str, axes + expected))}), got "
            f"{tuple(inputs.shape)}; reshape them, or build the network for them"
        )


def make_breaks(
    inputs: Tensor, starts: Tensor, truncate_every: int | None, recurrent_gradient: bool = True
) -> Breaks:
    """Return where the state of a sequence is reset and where its gradient is cut.

    Args:
        inputs: (L, B, ...), of the sequence.
        starts: (L, B) bool: an episode starts at that environment step.
        truncate_every: No gradient passes into environment steps k, 2k, 3k, ...; None for no cut.
        recurrent_gradient: Whether gradients pass back through recurrent spikes.

    Raises:
        ValueError: The sequence is empty, ``starts`` does not fit it, or the number is below 1.
    """
    rounds = inputs.shape[0]
    if rounds == 0:
        raise ValueError(
            f"a sequence needs at least one environment step, got inputs {tuple(inputs.shape)}; "
            "leave empty sequences out"
        )
    if starts.shape != inputs.shape[:2] or starts.dtype != torch.bool:
        raise ValueError(
            f"starts must have shape {tuple(inputs.shape[:2])} and dtype torch.bool, got "
            f"{tuple(starts.shape)} and {starts.dtype}; give one truth value for each environment "
            "step and sample"
        )
    if truncate_every is not None and truncate_every < 1:
        raise ValueError(
            f"truncate_every must be at least 1 environment step, got {truncate_every}; use None "
            "for no truncation"
        )
    every = rounds if truncate_every is None else truncate_every
    cuts = tuple(k > 0 and k % every == 0 for k in range(rounds))
    return Breaks(starts.contiguous(), cuts, recurrent_gradient)


def in_order(signal: Tensor, rounds: int) -> Tensor:
    """Return samples (K, L * B, channels) of L environment steps in time: (L * K, B, channels)."""
    steps, samples, channels = signal.shape
    parted = signal.reshape(steps, rounds, samples // rounds, channels)
    return parted.transpose(0, 1).reshape(rounds * steps, -1, channels)


def next_noise(noise_state: Tensor, shape: tuple[int, int, int], rounds: int) -> Tensor:
    """Draw the encoder's noise of L environment steps, and move its stream on by as many.

    Args:
        noise_state: Seed and position, (2,) int64; the position is moved. Two numbers
            that are saved with a network, which so continues its noise where it stopped.
        shape: (T, B, channels) of one environment step.
        rounds: L.

    Returns:
        Uniform in [0, 1), (T, L * B, channels), float32.
    """
    noise = []
    for _ in range(rounds):
        seed, position = noise_state.tolist()
        generator = torch.Generator().manual_seed((seed << 32) ^ position)
        noise_state[1] += 1
        noise.append(torch.rand(shape, generator=generator))
    return torch.cat(noise, dim=1)


def seen_before(intensity: Tensor, carried: Tensor | None, breaks: Breaks | None) -> Tensor:
    """Return the intensity that each environment step compares with.

    Args:
        intensity: (L * B, D) in [0, 1] of all environment steps.
        carried: (B, D) of the environment step before the first, negative where there was none;
            None for none at all.
        breaks: Where the state is reset; None for one environment step that starts where nothing
            is carried.

    Returns:
        (L * B, D); where nothing was seen, the intensity itself.
    """
    batch = len(intensity) if breaks is None else breaks.starts.shape[1]
    if carried is None:
        carried = torch.full_like(intensity[:batch], NOTHING_SEEN)
    before = torch.cat([carried, intensity[: len(intensity) - batch]])
    nothing = before < 0
    if breaks is not None:
        nothing = nothing | breaks.starts.reshape(-1, 1)
    return torch.where(nothing, intensity, before)


def run_layers(
    layers: Sequence[SpikingLayer],
    regulation: Regulation | None,
    signal: Tensor,
    states: Sequence[State],
    time_steps: int,
    breaks: Breaks | None,
) -> list[Run]:
    """Run layers, each on the spikes of the one before.

    Args:
        layers: Input side first; at least one.
        regulation: What watches the layers, or None.
        signal: Input (L * T, B, channels), or (L, B, channels) for one held over time steps.
        states: State of each layer, from the environment step before.
        time_steps: T.
        breaks: As in ``SpikingLayer.forward``.

    Returns:
        One of each layer.
    """
    runs = []
    for k, (layer, state) in enumerate(zip(layers, states, strict=True)):
        run: Run = layer(signal, state, time_steps, breaks)
        if regulation is not None:
            run = run._replace(spikes=regulation.watch(k, layer, run))
        signal = run.spikes
        runs.append(run)
    return runs


def join_state(layers: Sequence[Tensor], readout: Tensor, intensity: Tensor | None) -> Tensor:
    """Return the flat state (B, state_size) at the end of a run.

    Args:
        layers: State of the layers, parts (B, ...).
        readout: State variables (S, B, N) of the decoder.
        intensity: (B, D) for an encoder that compares with it, or None.
    """
    parts = [*layers, *readout.unbind()]
    if intensity is not None:
        parts.append(intensity)
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
