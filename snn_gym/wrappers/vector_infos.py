"""Infos of gymnasium's vector environments, taken apart."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np


def final_observation(final: Any, index: int) -> Any:
    """Return a copy of the last observation of an episode.

    Args:
        final: ``infos["final_obs"]``: an array of B observations or, for a Dict space, a
            dict of such arrays.
        index: The environment.
    """
    if isinstance(final, Mapping):
        return {key: _own(values[index]) for key, values in final.items()}
    return _own(final[index])


def split_infos(infos: Mapping[str, Any], num_envs: int) -> list[dict[str, Any]]:
    """Return each environment's info from the batched one.

    Args:
        infos: Batched infos. ``_key`` (B,), bool, says where ``key`` holds a value; without
            it, everywhere. Dicts are batched in the same way.
        num_envs: Number B of environments.

    Returns:
        B dicts, independent of the batched one; numpy's numbers become Python's.
    """
    split: list[dict[str, Any]] = [{} for _ in range(num_envs)]
    for key, values in infos.items():
        if key.startswith("_") and key[1:] in infos:
            continue
        mask = infos.get(f"_{key}")
        where = range(num_envs) if mask is None else np.flatnonzero(mask).tolist()
        parts = split_infos(values, num_envs) if isinstance(values, Mapping) else values
        for index in where:
            split[index][key] = _plain(parts[index])
    return split


def _plain(value: Any) -> Any:
    """Return a value of its own: Python's number for numpy's, a copy of anything else."""
    return value.item() if isinstance(value, np.generic) else _own(value)


def _own(value: Any) -> Any:
    """Return a copy that shares nothing; of plain arrays by their own, much faster, method."""
    plain = isinstance(value, np.ndarray) and value.dtype.kind != "O"
    return value.copy() if plain else copy.deepcopy(value)
