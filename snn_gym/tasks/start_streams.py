"""Uniform random numbers for each of many environments, from a generator of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium.utils import seeding
from numpy.typing import NDArray

_BLOCK = 32
"""Draws that one call of a generator makes for later."""


class StartStreams:
    """Give each environment the numbers that its own generator would give it one by one.

    ``Generator.random(size=(k, d))`` gives the numbers of k calls with ``size=d``; drawing
    in blocks saves a call of a generator at every start of an episode.
    """

    def __init__(self, num_envs: int, width: int) -> None:
        """Start unseeded.

        Args:
            num_envs: Number of environments.
            width: Uniform numbers for each start of an episode.
        """
        self._generators = [seeding.np_random()[0] for _ in range(num_envs)]
        self._blocks = np.empty((num_envs, _BLOCK, width))
        self._used = np.full(num_envs, _BLOCK)

    def seed(self, seeds: Sequence[int | None], which: NDArray[np.int64]) -> None:
        """Restart streams, each as gymnasium's ``reset(seed=...)`` does.

        Args:
            seeds: A seed for each environment; None goes on with the present stream.
            which: Indices (n,) of the environments to seed.
        """
        for index in which:
            seed = seeds[index]
            if seed is not None:
                self._generators[index], _ = seeding.np_random(seed)
                self._used[index] = _BLOCK

    def take(self, which: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the next numbers of some environments.

        Args:
            which: Indices (n,) of the environments, each at most once.

        Returns:
            Numbers (width, n), uniform in [0, 1).
        """
        for index in which[self._used[which] == _BLOCK]:
            self._generators[index].random(out=self._blocks[index])
            self._used[index] = 0
        numbers: NDArray[np.float64] = self._blocks[which, self._used[which]].T
        self._used[which] += 1
        return numbers
