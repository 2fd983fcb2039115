"""Algorithms and policies by name; each library is imported when an algorithm of it is used."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from snn_gym import policies
from snn_gym.zoo.spec import POLICIES, AlgorithmName

_CONTRIB = ("QRDQN", "TQC", "TRPO")
_OURS = ("SpikingControllerPolicy", "StatefulActorCriticPolicy", "StatefulDQNPolicy")


def algorithm_class(name: str) -> type[BaseAlgorithm]:
    """Return the class of an algorithm.

    Args:
        name: A key of ``POLICIES``.

    Raises:
        ImportError: The algorithm is sb3-contrib's, which is not installed.
    """
    library = _library(name)
    try:
        module = importlib.import_module(library)
    except ModuleNotFoundError as error:
        if error.name != library:
            raise
        raise ImportError(
            f'{name} is in sb3-contrib, which is not installed: pip install "snn-gym[contrib]"'
        ) from error
    found: type[BaseAlgorithm] = getattr(module, name)
    return found


def policy_class(name: str) -> type[BasePolicy]:
    """Return the policy class of that name.

    Args:
        name: A value of ``POLICIES``.

    Raises:
        ImportError: The policy needs sb3-contrib, which is not installed.
    """
    found: type[BasePolicy] = getattr(policies, name)
    return found


def algorithm_name(model: BaseAlgorithm) -> AlgorithmName:
    """Return the name of a model's algorithm.

    Args:
        model: Any model.

    Raises:
        ValueError: It is no stock algorithm or learner of ours with one of our policies.
    """
    for name, policy in POLICIES.items():
        # Equal types, for a subclass may behave in a way that its hyper-parameters do not say.
        library: Any = sys.modules.get(_library(name))
        if library is None or type(model) is not getattr(library, name):
            continue
        if type(model.policy) is policy_class(policy):
            return name
    supported = ", ".join(f"{name} with {policy}" for name, policy in POLICIES.items())
    raise ValueError(
        f"{type(model).__name__} with {type(model.policy).__name__} can't be saved as data; "
        f"supported: {supported}"
    )


def _library(name: str) -> str:
    if POLICIES.get(name) in _OURS:  # type: ignore[call-overload]
        return "snn_gym.learners"
    return "sb3_contrib" if name in _CONTRIB else "stable_baselines3"
