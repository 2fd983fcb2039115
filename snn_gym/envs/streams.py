"""Random numbers for each of many environments, from a generator of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from gymnasium.utils import seeding
from numpy.typing import NDArray

from snn_gym.envs.batch import Rows

_START_ROWS = 32
_BLOCK_BYTES = 1 << 15
_WORD_BYTES = 8
# Apart from the generator that draws the starts of episodes from the same seed.
_SPAWN_KEY = (1,)

GeneratorT = TypeVar("GeneratorT")


class _BlockStreams(ABC, Generic[GeneratorT]):
    """Give each environment the rows that its own generator would give it one by one.

    Many rows are drawn at once, which changes nothing but the speed.
    """

    def __init__(self, blocks: NDArray[Any], width: int) -> None:
        """Start unseeded.

        Args:
            blocks: Memory (B, rows, padded width) of rows drawn for later.
            width: Entries of a row that are given.
        """
        self._blocks = blocks
        self._width = width
        self._generators = [self._generator(None) for _ in blocks]
        self._used = np.full(len(blocks), blocks.shape[1])

    def seed(self, seeds: Sequence[int | None] | None, rows: Rows) -> None:
        """Restart streams.

        Args:
            seeds: A seed for each of all B environments; None, also for one of them, goes on with
                the present stream.
            rows: The environments to seed.
        """
        if seeds is None:
            return
        for index in self._indices(rows):
            seed = seeds[index]
            if seed is not None:
                self._generators[index] = self._generator(seed)
                self._used[index] = self._blocks.shape[1]

    def take(self, rows: Rows) -> NDArray[Any]:
        """Return the next row (n, width) of some environments, each at most once; a copy."""
        which = self._indices(rows)
        used = self._used[which]
        spent = which[used == self._blocks.shape[1]]
        if len(spent):
            for index in spent:
                self._draw(self._generators[index], self._blocks[index])
            self._used[spent] = 0
            used = self._used[which]
        self._used[which] += 1
        taken: NDArray[Any] = self._blocks[which, used]
        # A cut in the same index would be slower where there is nothing to cut.
        return taken if taken.shape[1] == self._width else taken[:, : self._width].copy()

    def put_back(self, which: NDArray[np.int64]) -> None:
        """Have the next ``take`` give some environments (n,) the rows that the latest one gave."""
        self._used[which] -= 1

    def _indices(self, rows: Rows) -> NDArray[np.int64]:
        return np.arange(len(self._used)) if isinstance(rows, slice) else rows

    @abstractmethod
    def _generator(self, seed: int | None) -> GeneratorT:
        """Return the generator of a seed; of None, one that nobody else has."""

    @abstractmethod
    def _draw(self, generator: GeneratorT, block: NDArray[Any]) -> None:
        """Fill a block (rows, padded width) with the generator's next rows."""


class StartStreams(_BlockStreams[np.random.Generator]):
    """Uniform numbers in [0, 1), float64, as ``np_random`` of gymnasium's environments draws them.

    ``Generator.random(size=(k, d))`` gives the numbers of k calls with ``size=d``.
    """

    def __init__(self, num_envs: int, width: int) -> None:
        """Start unseeded.

        Args:
            num_envs: Number B of environments.
            width: Numbers for each start of an episode.
        """
        super().__init__(np.empty((num_envs, _START_ROWS, width)), width)

    def _generator(self, seed: int | None) -> np.random.Generator:
        return seeding.np_random(seed)[0]

    def _draw(self, generator: np.random.Generator, block: NDArray[Any]) -> None:
        generator.random(out=block)


class NoiseStreams(_BlockStreams[np.random.SFC64]):
    """Bytes, uniform in [0, 255]: the words of ``SFC64(SeedSequence(seed, spawn_key=(1,)))``.

    A row begins with a new word.
    """

    def __init__(self, num_envs: int, width: int) -> None:
        """Start unseeded.

        Args:
            num_envs: Number B of environments.
            width: Bytes in a row.
        """
        padded = -(-width // _WORD_BYTES) * _WORD_BYTES
        rows = min(64, max(4, _BLOCK_BYTES // padded))
        super().__init__(np.empty((num_envs, rows, padded), np.uint8), width)

    def _generator(self, seed: int | None) -> np.random.SFC64:
        if seed is None:
            return np.random.SFC64()
        return np.random.SFC64(np.random.SeedSequence(seed, spawn_key=_SPAWN_KEY))

    def _draw(self, generator: np.random.SFC64, block: NDArray[Any]) -> None:
        words = generator.random_raw(block.size // _WORD_BYTES)
        # (rows * words,) uint64 -> (rows, padded) uint8
        block[:] = words.view(np.uint8).reshape(block.shape)


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
