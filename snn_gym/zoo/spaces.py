"""Spaces as plain JSON, to check that a saved agent meets the spaces it was trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from snn_gym.spaces import FlatSpikes

SUPPORTED_SPACES = "Box, Discrete, MultiDiscrete or MultiBinary"
# More limits than this, if all are equal, are described by one number: a manifest has room
# for no list as long as an image.
_MOST_LIMITS = 1024


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


def describes(description: Mapping[str, Any], space: spaces.Space[Any]) -> bool:
    """Tell whether a description is that of a space, also one of an earlier version.

    Args:
        description: From ``describe_space``; versions before 1.1 listed all limits of images.
        space: A space as ``describe_space`` takes it.
    """
    limits = {key: description[key] for key in ("low", "high") if key in description}
    short = {key: _shortened(x) for key, x in limits.items() if isinstance(x, list)}
    return {**description, **short} == describe_space(space)


def _bounds(values: np.ndarray[Any, Any]) -> list[Any] | float | str:
    # JSON has no infinity; float() of the strings gives it back.
    flat = (float(value) for value in values.ravel())
    return _shortened([value if math.isfinite(value) else str(value) for value in flat])


def _shortened(limits: list[Any]) -> list[Any] | float | str:
    """Return one number for many equal ones."""
    if len(limits) <= _MOST_LIMITS or limits.count(limits[0]) < len(limits):
        return limits
    one: float | str = limits[0]
    return one
