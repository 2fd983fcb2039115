"""Algorithms with the Stable-Baselines3 API that Stable-Baselines3 lacks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snn_gym.learners.base import GradientFreeAlgorithm, LearnerArguments
    from snn_gym.learners.evolution import CMAES, EvolutionStrategies
    from snn_gym.learners.nulls import AcceptReject, RandomSearch, WinStay
    from snn_gym.learners.stateful_dqn import StatefulDQN
    from snn_gym.learners.stateful_ppo import StatefulPPO
    from snn_gym.learners.synapse_agents import SynapseAgents

__all__ = [
    "CMAES",
    "AcceptReject",
    "EvolutionStrategies",
    "GradientFreeAlgorithm",
    "LearnerArguments",
    "RandomSearch",
    "StatefulDQN",
    "StatefulPPO",
    "SynapseAgents",
    "WinStay",
]

# The zoo reads the learners' settings where no torch may be loaded.
_LAZY = {
    "CMAES": "snn_gym.learners.evolution",
    "AcceptReject": "snn_gym.learners.nulls",
    "EvolutionStrategies": "snn_gym.learners.evolution",
    "GradientFreeAlgorithm": "snn_gym.learners.base",
    "LearnerArguments": "snn_gym.learners.base",
    "RandomSearch": "snn_gym.learners.nulls",
    "StatefulDQN": "snn_gym.learners.stateful_dqn",
    "StatefulPPO": "snn_gym.learners.stateful_ppo",
    "SynapseAgents": "snn_gym.learners.synapse_agents",
    "WinStay": "snn_gym.learners.nulls",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value
