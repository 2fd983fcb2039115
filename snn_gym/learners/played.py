"""Returns of episodes that are played side by side, without a preference for short ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Played:
    """Returns of the episodes that some environments have played since they were forgotten.

    Of episodes that begin together the short ones end first, and where a return depends on the
    length those that have ended are no fair sample of all. So every environment counts with as
    many, its first ones, and one that was under way when all were forgotten does not.

    Args:
        environments: Number of environments.
    """

    def __init__(self, environments: int) -> None:
        self._returns: list[list[float]] = [[] for _ in range(environments)]
        self._skipped = np.ones(environments, np.bool_)
        self._between = np.zeros(environments, np.bool_)

    def step(self, infos: Sequence[Mapping[str, Any]]) -> None:
        """Take in what a step of all environments said.

        Args:
            infos: Of each environment, with ``episode`` where one ended, as ``Monitor`` adds it.
        """
        for k, info in enumerate(infos):
            ended = "episode" in info
            if ended and not self._skipped[k]:
                self._returns[k].append(float(info["episode"]["r"]))
            self._skipped[k] &= not ended
            self._between[k] = ended

    @property
    def returns(self) -> list[float]:
        """Returns of as many episodes of each environment."""
        count = min(len(x) for x in self._returns)
        return [value for x in self._returns for value in x[:count]]

    def forget(self) -> None:
        """Forget all episodes, and those under way."""
        for x in self._returns:
            x.clear()
        self._skipped = ~self._between

    def forget_old(self, most: int) -> None:
        """Forget the oldest episodes that count, as many of each environment.

        Args:
            most: Episodes that are kept, or one of each environment if that is more.
        """
        kept = max(1, most // len(self._returns))
        old = max(0, min(len(x) for x in self._returns) - kept)
        for x in self._returns:
            del x[:old]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that an interrupted training needs to go on, as arrays by name."""
        return {
            "returns": np.array([value for x in self._returns for value in x], np.float64),
            "counts": np.array([len(x) for x in self._returns]),
            "skipped": self._skipped.copy(),
            "between": self._between.copy(),
        }

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what ``arrays`` returned."""
        parts = np.split(arrays["returns"], np.cumsum(arrays["counts"])[:-1])
        self._returns = [part.tolist() for part in parts]
        self._skipped = np.array(arrays["skipped"])
        self._between = np.array(arrays["between"])
