"""Observations as one array, or of a Dict as one array for each key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np


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
