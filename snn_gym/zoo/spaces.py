"""Spaces as plain JSON, to check that a saved agent meets the spaces it was trained on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium import spaces

from snn_gym.spaces import FlatSpikes

SUPPORTED_SPACES = "Box, Discrete, MultiDiscrete or MultiBinary"


def describe_space(space: spaces.Space[Any]) -> dict[str, Any]:
    """Describe a space in plain JSON types; equal spaces have equal descriptions.

    Args:
        space: A Box, Discrete, MultiDiscrete or MultiBinary space.

    Raises:
        ValueError: It is a space of another kind.
    """
    if isinstance(space, FlatSpikes):
        return {"type": "FlatSpikes", "shape": list(space.spike_shape)}
    if isinstance(space, spaces.Box):
        return {
            "type": "Box",
            "shape": list(space.shape),
            "dtype": str(space.dtype),
            "low": _bounds(space.low),
            "high": _bounds(space.high),
        }
    if isinstance(space, spaces.Discrete):
        return {"type": "Discrete", "n": int(space.n), "start": int(space.start)}
    if isinstance(space, spaces.MultiDiscrete):
        return {
            "type": "MultiDiscrete",
            "nvec": space.nvec.tolist(),
            "start": space.start.tolist(),
        }
    if isinstance(space, spaces.MultiBinary):
        return {"type": "MultiBinary", "shape": list(space.shape)}
    raise ValueError(f"{type(space).__name__} spaces can't be saved; expected {SUPPORTED_SPACES}")


def _bounds(values: np.ndarray[Any, Any]) -> list[float | str]:
    # JSON has no infinity; float() of the strings gives it back.
    flat = (float(value) for value in values.ravel())
    return [value if math.isfinite(value) else str(value) for value in flat]
