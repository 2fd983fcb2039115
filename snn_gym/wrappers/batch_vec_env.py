"""``BatchVecEnv``: a Stable-Baselines3 ``VecEnv`` whose environments are stepped as one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

import gymnasium as gym
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

Indices = int | Iterable[int] | None
"""Environments as Stable-Baselines3 names them: one, some, or None for all."""


class BatchVecEnv(VecEnv):
    """Environments that have attributes in common, and no attributes or methods of their own."""

    @abstractmethod
    def _common_attributes(self) -> dict[str, Any]:
        """Return what can be read of every environment."""

    @abstractmethod
    def _no_single_environments(self, name: str) -> AttributeError:
        """Return the error that says why there is no attribute or method of this name."""

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """Return what the environments have in common, once for each of some of them.

        Raises:
            AttributeError: They have nothing of that name in common.
        """
        common = self._common_attributes()
        if attr_name not in common:
            raise self._no_single_environments(attr_name)
        return [common[attr_name]] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        """Refuse: a batch has no single environments.

        Raises:
            AttributeError: Always.
        """
        del value, indices
        raise self._no_single_environments(attr_name)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Indices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Refuse: a batch has no single environments.

        Raises:
            AttributeError: Always.
        """
        del method_args, indices, method_kwargs
        raise self._no_single_environments(method_name)

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: Indices = None
    ) -> list[bool]:
        """Tell whether environments are wrapped; ``Monitor`` counts, as its records are here."""
        return [wrapper_class is Monitor] * len(list(self._get_indices(indices)))
