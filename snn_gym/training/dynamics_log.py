"""The files of a dynamics log: its rows, and the observations they are measured on."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.arrays import prefixed, with_prefix
from snn_gym.storage import load_tensors, read_regular_file, save_tensors, write_text_atomic

HEADER = ("timestep", "part", "measure", "value")
_MAX_CSV_BYTES = 1 << 30
_MAX_PROBE_BYTES = 1 << 32

Observation = NDArray[Any] | dict[str, NDArray[Any]]
Row = tuple[int, str, str, float]

_TIMESTEPS = "timesteps"
_PLAIN = "observation"
_BY_KEY = "observation"
_WEIGHTS = "weights"


def by_key(observations: Any) -> dict[str, NDArray[Any]]:
    """Return the arrays of a Dict's observations by key, others as that of the key ""."""
    return observations if isinstance(observations, dict) else {"": observations}


def read_rows(path: Path) -> list[Row]:
    """Read the rows of a log.

    Args:
        path: File that ``write_rows`` wrote.

    Returns:
        Environment steps, layer or connection, measure and value of each row.

    Raises:
        ValueError: The file is not such a log.
    """
    data = read_regular_file(path, max_bytes=_MAX_CSV_BYTES)
    try:
        header, *lines = list(csv.reader(data.decode().splitlines())) or [[]]
        if tuple(header) != HEADER:
            raise ValueError(f"its columns are {', '.join(header)}"[:80])
        return [(int(step), part, name, float(value)) for step, part, name, value in lines]
    except (ValueError, csv.Error) as error:
        raise ValueError(
            f"{path} is no log of dynamics: expected the columns {', '.join(HEADER)}: {error}"
        ) from error


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write a log as a CSV file, atomically.

    Args:
        path: File to create or replace.
        rows: Environment steps, layer or connection, measure and value of each row.
    """
    # repr of a float is the shortest text that reads back as the same number
    lines = [f"{step},{part},{name},{value!r}" for step, part, name, value in rows]
    write_text_atomic(path, "\n".join([",".join(HEADER), *lines]) + "\n")


class Probe:
    """The observations that a log's measures are taken on, collected once, at the start.

    Args:
        size: Observations wanted.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.first_weights: dict[str, NDArray[Any]] = {}
        """Weights by connection at the first row."""
        self._timesteps: list[int] = []
        self._observations: list[dict[str, NDArray[Any]]] = []

    def __len__(self) -> int:
        """Return the number of observations."""
        return len(self._timesteps)

    @property
    def missing(self) -> int:
        """Observations that are still wanted."""
        return self.size - len(self)

    def add(self, timestep: int, observations: Observation) -> int:
        """Add a step's observations, as far as they are wanted.

        Args:
            timestep: Environment steps of the whole training.
            observations: (n_envs, ...), or a Dict's arrays by key.

        Returns:
            Observations that are still wanted.
        """
        named = by_key(observations)
        count = min(len(next(iter(named.values()))), self.missing)
        for k in range(count):
            self._timesteps.append(timestep)
            self._observations.append({key: np.array(x[k]) for key, x in named.items()})
        return self.missing

    def batch(self) -> Observation:
        """Return the observations, stacked: (size, ...), or a Dict's arrays by key."""
        keys = self._observations[0].keys() if self._observations else ()
        stacked = {key: np.stack([x[key] for x in self._observations]) for key in keys}
        return stacked.get("", stacked)

    def rewind(self, timestep: int) -> None:
        """Forget what was collected after an environment step."""
        kept = sum(step <= timestep for step in self._timesteps)
        del self._timesteps[kept:], self._observations[kept:]

    def write(self, path: Path) -> None:
        """Write the probe as a safetensors file, atomically.

        Args:
            path: File to create or replace.
        """
        batch = self.batch()
        named = prefixed(_BY_KEY, batch) if isinstance(batch, dict) else {_PLAIN: batch}
        weights = prefixed(_WEIGHTS, self.first_weights)
        save_tensors(path, {_TIMESTEPS: np.array(self._timesteps), **named, **weights})

    def read(self, path: Path) -> None:
        """Take the observations and weights of a file that ``write`` wrote.

        Args:
            path: The file.

        Raises:
            ValueError: The file is no such file.
        """
        tensors, _ = load_tensors(path, max_bytes=_MAX_PROBE_BYTES)
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        named = with_prefix(_BY_KEY, arrays) or {"": arrays.get(_PLAIN, np.empty(0))}
        try:
            self._timesteps = arrays[_TIMESTEPS].tolist()
            self._observations = [
                {key: x[k] for key, x in named.items()} for k in range(len(self._timesteps))
            ]
        except (KeyError, IndexError) as error:
            raise ValueError(f"{path} holds no observations of a log of dynamics") from error
        self.first_weights = with_prefix(_WEIGHTS, arrays)
