"""Algorithms with the Stable-Baselines3 API that Stable-Baselines3 lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snn_gym._lazy import lazy_names

if TYPE_CHECKING:
    from snn_gym.learners.base import GradientFreeAlgorithm
    from snn_gym.learners.evolution import CMAES, EvolutionStrategies
    from snn_gym.learners.lean_algorithm import lean
    from snn_gym.learners.local_actor_critic import LocalActorCritic
    from snn_gym.learners.local_online import OnlineActor
    from snn_gym.learners.nulls import AcceptReject, RandomSearch, WinStay
    from snn_gym.learners.ppo import PPO
    from snn_gym.learners.settings import LocalRegulation
    from snn_gym.learners.stateful_dqn import StatefulDQN
    from snn_gym.learners.stateful_ppo import StatefulPPO
    from snn_gym.learners.synapse_agents import SynapseAgents
    from snn_gym.synapses.plasticity import RULES, PlasticityRule, register_rule

__all__ = [
    "CMAES",
    "PPO",
    "RULES",
    "AcceptReject",
    "EvolutionStrategies",
    "GradientFreeAlgorithm",
    "LocalActorCritic",
    "LocalRegulation",
    "OnlineActor",
    "PlasticityRule",
    "RandomSearch",
    "StatefulDQN",
    "StatefulPPO",
    "SynapseAgents",
    "WinStay",
    "lean",
    "register_rule",
]

# The zoo reads the learners' settings where no torch may be loaded.

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "CMAES": "evolution",
        "AcceptReject": "nulls",
        "EvolutionStrategies": "evolution",
        "GradientFreeAlgorithm": "base",
        "LocalActorCritic": "local_actor_critic",
        "LocalRegulation": "settings",
        "OnlineActor": "local_online",
        "PPO": "ppo",
        "RULES": ".synapses.plasticity",
        "PlasticityRule": ".synapses.plasticity",
        "RandomSearch": "nulls",
        "StatefulDQN": "stateful_dqn",
        "StatefulPPO": "stateful_ppo",
        "SynapseAgents": "synapse_agents",
        "WinStay": "nulls",
        "lean": "lean_algorithm",
        "register_rule": ".synapses.plasticity",
    },
)
