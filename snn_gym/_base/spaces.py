"""Space of flattened spike trains, questions to any space, and observations as arrays by key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray


class FlatSpikes(spaces.Box):
    """Box of spike trains, flattened to vectors (T * N,) of float32, 0 or 1.

    It equals the Box of its limits, and another ``FlatSpikes`` of the same T and N alone.
    """

    def __init__(self, time_steps: int, channels: int, seed: int | None = None) -> None:
        """Make the space of T time steps and N channels."""
        self.spike_shape = (time_steps, channels)
        super().__init__(0.0, 1.0, (time_steps * channels,), np.float32, seed)

    def flatten(self, spikes: NDArray[Any]) -> NDArray[np.float32]:
        """Return spikes (..., T, N) as a new array (..., T * N), float32."""
        return spikes.reshape(*spikes.shape[:-2], *self.shape).astype(np.float32)

    def sample(self, mask: None = None, probability: None = None) -> NDArray[np.float32]:
        """Return random spikes (T * N,), each with probability 1/2."""
        return np.round(super().sample(mask, probability)).astype(np.float32)

    def __eq__(self, other: object) -> bool:
        """Return whether ``other`` is a Box of equal limits, with equal T and N if it has any."""
        # A plain Box of the same limits has no T and N, and is equal.
        other_shape = getattr(other, "spike_shape", self.spike_shape)
        return super().__eq__(other) and bool(self.spike_shape == other_shape)

    __hash__ = spaces.Box.__hash__

    def __repr__(self) -> str:
        """Return the expression that makes the space."""
        return f"FlatSpikes{self.spike_shape}"


def holds_values(space: spaces.Space[Any], flag_axes: int = 1) -> bool:
    """Tell whether a Box has values, or a discrete space <= 1 axis (MultiBinary ``flag_axes``)."""
    if isinstance(space, spaces.Box):
        return 0 not in space.shape
    axes = {spaces.Discrete: 0, spaces.MultiDiscrete: 1, spaces.MultiBinary: flag_axes}
    return any(isinstance(space, x) and len(space.shape or ()) <= most for x, most in axes.items())


# ---- observations --------------------------------------------------------------------------------


def by_key(observations: Any) -> Any:
    """Return the values of a Dict's observations by key; those of a single space by the key ""."""
    return observations if isinstance(observations, Mapping) else {"": observations}


def each_array(function: Callable[..., Any], *observations: Any) -> Any:
    """Apply a function to the arrays of observations, of a Dict to those of each key."""
    if not isinstance(observations[0], Mapping):
        return function(*observations)
    results = {key: function(*(x[key] for x in observations)) for key in observations[0]}
    return results.get("", results)  # a single space's, as ``by_key`` returns it


def stacked(observations: Sequence[Any]) -> Any:
    """Return single observations as a batch of arrays (B, ...)."""
    return each_array(lambda *parts: np.stack(parts), *observations)


def row(observations: Any, index: int) -> Any:
    """Return one observation of a batch."""
    return each_array(lambda x: x[index], observations)


def set_row(observations: Any, index: int, observation: Any) -> None:
    """Replace one observation of a batch in place."""
    for key, array in by_key(observations).items():
        array[index] = by_key(observation)[key]
