"""The agent and the environment that a model was made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import gymnasium as gym
from stable_baselines3.common.base_class import BaseAlgorithm

from snn_gym.zoo.plain_data import as_plain_data
from snn_gym.zoo.recipe import Parent, Recipe
from snn_gym.zoo.seeding import Seeding


@dataclass(frozen=True)
class Identity:
    """Agent and environment of a model."""

    agent: str | None
    """Name in the zoo; None for a model made by hand."""
    environment: str
    """Gymnasium id of the environment."""
    environment_kwargs: dict[str, Any] = field(default_factory=dict)
    """Arguments of ``gym.make``."""
    seeding: Seeding = "consecutive"
    """How the environments' random streams follow from the seed."""
    parent_sha256: str | None = None
    """SHA-256 of the weights of the agent that this one was made lean from; None for none."""
    fresh: bool = False
    """Whether the model had fresh weights when it was made."""
    recipe: Recipe | None = None
    """What trains the weights again that it was made with; None where that is not known."""
    parent: Parent | None = None
    """What ``make_lean`` has made the model from; None of any other and of a loaded one."""


# Beside the models and not on them: a Stable-Baselines3 object gets no attribute of ours.
_IDENTITIES: WeakKeyDictionary[BaseAlgorithm, Identity] = WeakKeyDictionary()


def remember_identity(model: BaseAlgorithm, identity: Identity) -> None:
    """Keep the identity of a model for as long as the model lives.

    Args:
        model: Model that was just built.
        identity: Its agent and environment.
    """
    _IDENTITIES[model] = identity


def identify(model: BaseAlgorithm) -> Identity:
    """Return a model's identity, read from its environment if it was made by hand.

    Args:
        model: Model with an environment.

    Raises:
        ValueError: Its environment has no gymnasium id, or was made with arguments that are no
            plain data.
    """
    if model in _IDENTITIES:
        return _IDENTITIES[model]
    env = model.get_env()
    spec = env.get_attr("spec")[0] if env is not None else None
    if spec is None:
        raise ValueError(
            "the model's environment has no gymnasium id, so it could not be made again; "
            "register it with gymnasium.register and make it with gymnasium.make"
        )
    registered = gym.registry[spec.id].kwargs if spec.id in gym.registry else {}
    kwargs = {
        key: value
        for key, value in spec.kwargs.items()
        if key != "render_mode" and (key not in registered or registered[key] != value)
    }
    plain = as_plain_data(kwargs, f"arguments of environment {spec.id!r}")
    return Identity(agent=None, environment=spec.id, environment_kwargs=plain)
