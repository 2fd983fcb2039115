"""Algorithms with the Stable-Baselines3 API that Stable-Baselines3 lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snn_gym._base.lazy import lazy_names

if TYPE_CHECKING:
    from snn_gym.envs.synapses.plasticity import RULES, PlasticityRule, register_rule
    from snn_gym.learners.base import GradientFreeAlgorithm
    from snn_gym.learners.evolution import (
        CMAES,
        AcceptReject,
        EvolutionStrategies,
        RandomSearch,
        WinStay,
    )
    from snn_gym.learners.lean_algorithm import lean
    from snn_gym.learners.local.actor_critic import LocalActorCritic
    from snn_gym.learners.local.online import OnlineActor
    from snn_gym.learners.off_policy import SAC, TD3
    from snn_gym.learners.ppo import PPO
    from snn_gym.learners.settings import LocalRegulation
    from snn_gym.learners.stateful import StatefulPPO
    from snn_gym.learners.synapse_agents import SynapseAgents

__all__ = [
    "CMAES",
    "PPO",
    "RULES",
    "SAC",
    "TD3",
    "AcceptReject",
    "EvolutionStrategies",
    "GradientFreeAlgorithm",
    "LocalActorCritic",
    "LocalRegulation",
    "OnlineActor",
    "PlasticityRule",
    "RandomSearch",
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
        "AcceptReject": "evolution",
        "EvolutionStrategies": "evolution",
        "GradientFreeAlgorithm": "base",
        "LocalActorCritic": "local.actor_critic",
        "LocalRegulation": "settings",
        "OnlineActor": "local.online",
        "PPO": "ppo",
        "RULES": ".envs.synapses.plasticity",
        "PlasticityRule": ".envs.synapses.plasticity",
        "RandomSearch": "evolution",
        "SAC": "off_policy",
        "StatefulPPO": "stateful",
        "SynapseAgents": "synapse_agents",
        "TD3": "off_policy",
        "WinStay": "evolution",
        "lean": "lean_algorithm",
        "register_rule": ".envs.synapses.plasticity",
    },
)
