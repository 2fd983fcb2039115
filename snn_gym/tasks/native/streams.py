"""Random bytes for each of many environments, from a generator of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Rows = slice | NDArray[np.int64]
"""Environments of a batch: all of them (``slice(None)``), or indices (n,)."""

EVERY: Rows = slice(None)
"""All environments of a batch."""

_BLOCK_BYTES = 1 << 15
_WORD_BYTES = 8
# Apart from the generator that draws the starts of episodes from the same seed.
_SPAWN_KEY = (1,)


class NoiseStreams:
    """Give each environment the bytes that its own generator would give it one by one.

    The bytes are those of ``SFC64(SeedSequence(seed, spawn_key=(1,)))``, word after word, and an
    environment takes them in rows of a fixed width. They are drawn for many rows at once, which
    changes nothing but the speed.
    """

    def __init__(self, num_envs: int, width: int) -> None:
        """Start unseeded.

        Args:
            num_envs: Number B of environments.
            width: Bytes in a row.
        """
        self._width = width
        self._words = -(-width // _WORD_BYTES)
        padded = self._words * _WORD_BYTES
        self._rows = min(64, max(4, _BLOCK_BYTES // padded))
        self._generators = [np.random.SFC64() for _ in range(num_envs)]
        self._blocks = np.empty((num_envs, self._rows, padded), np.uint8)
        self._used = np.full(num_envs, self._rows)

    def seed(self, seeds: Sequence[int | None], which: NDArray[np.int64]) -> None:
        """Restart streams.

        Args:
            seeds: A seed for each environment; None goes on with the present stream.
            which: Indices (n,) of the environments to seed.
        """
        for index in which:
            seed = seeds[index]
            if seed is not None:
                sequence = np.random.SeedSequence(seed, spawn_key=_SPAWN_KEY)
                self._generators[index] = np.random.SFC64(sequence)
                self._used[index] = self._rows

    def take(self, rows: Rows) -> NDArray[np.uint8]:
        """Return the next row of some environments.

        Args:
            rows: The environments, each at most once.

        Returns:
            Bytes (n, width), uniform in [0, 255], uint8.
        """
        which = np.arange(len(self._used)) if isinstance(rows, slice) else rows
        used = self._used[which]
        spent = which[used == self._rows]
        if len(spent):
            for index in spent:
                words = self._generators[index].random_raw(self._rows * self._words)
                # (rows * words,) uint64 -> (rows, padded) uint8
                self._blocks[index] = words.view(np.uint8).reshape(self._rows, -1)
            self._used[spent] = 0
            used = self._used[which]
        taken: NDArray[np.uint8] = self._blocks[which, used, : self._width]
        self._used[which] += 1
        return taken


def byte_rate(probability: float) -> int:
    """Return the threshold that a random byte is below with a probability.

    Args:
        probability: In [0, 255/256]; rounded to the nearest multiple of 1/256.

    Raises:
        ValueError: The probability is out of range.
    """
    threshold = round(probability * 256)
    if not 0 <= threshold <= 255:
        raise ValueError(
            f"the probability of a spike in a time step must be in [0, 255/256], got {probability}"
        )
    return threshold
