"""Random numbers for each environment of a batch, from its own generator."""

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
# The generator of start states uses the same seed without a spawn key.
_SPAWN_KEY = (1,)

GeneratorT = TypeVar("GeneratorT")


class _BlockStreams(ABC, Generic[GeneratorT]):
    """Rows of random numbers, drawn in blocks from one generator per environment.

    ``blocks`` (B, rows, padded width) stores the rows drawn ahead, ``width`` entries of each are
    used. Drawing ahead changes the speed, not the numbers.
    """

    def __init__(self, blocks: NDArray[Any], width: int) -> None:
        self._blocks = blocks
        self._width = width
        self._generators = [self._generator(None) for _ in blocks]
        self._used = np.full(len(blocks), blocks.shape[1])

    def seed(self, seeds: Sequence[int | None] | None, rows: Rows) -> None:
        """Restart the streams of ``rows`` with ``seeds`` (B,); None continues a stream, or all."""
        if seeds is None:
            return
        for index in self._indices(rows):
            seed = seeds[index]
            if seed is not None:
                self._generators[index] = self._generator(seed)
                self._used[index] = self._blocks.shape[1]

    def take(self, rows: Rows) -> NDArray[Any]:
        """Return the next random numbers (n, width) of environments ``rows``, which must differ."""
        indices = self._indices(rows)
        used = self._used[indices]
        spent = indices[used == self._blocks.shape[1]]
        if len(spent):
            for index in spent:
                self._draw(self._generators[index], self._blocks[index])
            self._used[spent] = 0
            used = self._used[indices]
        self._used[indices] += 1
        drawn: NDArray[Any] = self._blocks[indices, used]
        # Slicing in the same index would be slower where the width needs no cut.
        return drawn if drawn.shape[1] == self._width else drawn[:, : self._width].copy()

    def put_back(self, indices: NDArray[np.int64]) -> None:
        """Undo the latest ``take`` of some environments (n,): the next one repeats its numbers."""
        self._used[indices] -= 1

    def _indices(self, rows: Rows) -> NDArray[np.int64]:
        return np.arange(len(self._used)) if isinstance(rows, slice) else rows

    @abstractmethod
    def _generator(self, seed: int | None) -> GeneratorT:
        """Return the generator of a seed; of None, an unseeded one."""

    @abstractmethod
    def _draw(self, generator: GeneratorT, block: NDArray[Any]) -> None:
        """Fill a block (rows, padded width) with the next rows."""


class StartStreams(_BlockStreams[np.random.Generator]):
    """Uniform numbers in [0, 1), float64, drawn as gymnasium's ``np_random`` does."""

    def __init__(self, num_envs: int, width: int) -> None:
        super().__init__(np.empty((num_envs, _START_ROWS, width)), width)

    def _generator(self, seed: int | None) -> np.random.Generator:
        return seeding.np_random(seed)[0]

    def _draw(self, generator: np.random.Generator, block: NDArray[Any]) -> None:
        # random(out=(k, d)) gives the numbers of k calls with size=d.
        generator.random(out=block)


class NoiseStreams(_BlockStreams[np.random.SFC64]):
    """Bytes, uniform in [0, 255]: the words of ``SFC64(SeedSequence(seed, spawn_key=(1,)))``.

    Each row begins with a new 64-bit word.
    """

    def __init__(self, num_envs: int, width: int) -> None:
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
    """Return t, 0 to 255: a random byte is below t with the probability, rounded to 1/256.

    Other probabilities raise ValueError.
    """
    threshold = round(probability * 256)
    if not 0 <= threshold <= 255:
        raise ValueError(
            f"the probability of a spike in a time step must be in [0, 255/256], got {probability}"
        )
    return threshold
