"""The log of training episodes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.storage import write_text_atomic

HEADER = "timestep,return,length"
_DTYPES: dict[str, type] = {"timestep": np.int64, "return": np.float64, "length": np.int64}


class EpisodeLog:
    """Every finished training episode: when it ended, its return and its length."""

    def __init__(self) -> None:
        """Start an empty log."""
        self._rows: list[tuple[int, float, int]] = []

    def __len__(self) -> int:
        """Return the number of episodes."""
        return len(self._rows)

    def add(self, timestep: int, episode_return: float, length: int) -> None:
        """Add an episode.

        Args:
            timestep: Environment steps of the whole training when it ended.
            episode_return: Sum of its rewards.
            length: Environment steps in it.
        """
        self._rows.append((timestep, float(episode_return), int(length)))

    def to_arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the columns as arrays of shape (episodes,), by name."""
        columns = zip(*self._rows, strict=True) if self._rows else ((), (), ())
        return {
            name: np.array(column, dtype=_DTYPES[name])
            for name, column in zip(_DTYPES, columns, strict=True)
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> EpisodeLog:
        """Build a log from its columns.

        Args:
            arrays: Columns of shape (episodes,), as ``to_arrays`` gives them.
        """
        log = cls()
        columns = [arrays[name].tolist() for name in _DTYPES]
        log._rows = list(zip(*columns, strict=True))
        return log

    def write(self, path: Path) -> None:
        """Write the log as a CSV file, atomically.

        Args:
            path: File to create or replace.
        """
        # repr of a float is the shortest text that reads back as the same number
        lines = [f"{timestep},{value!r},{length}" for timestep, value, length in self._rows]
        write_text_atomic(path, "\n".join([HEADER, *lines]) + "\n")


def read_episodes(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read the log of training episodes.

    Args:
        path: The file episodes.csv of a run.

    Returns:
        Environment steps at each episode's end, and returns, each (episodes,).

    Raises:
        ValueError: The file is not such a log.
    """
    try:
        _, *lines = path.read_text().splitlines()
        rows = np.array([line.split(",")[:2] for line in lines], dtype=np.float64).reshape(-1, 2)
    except ValueError as error:
        raise ValueError(f"{path} is no log of episodes: {error}") from error
    return rows[:, 0], rows[:, 1]
