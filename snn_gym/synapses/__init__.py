"""Synapses: a network in training as an environment, what each synapse sees, rules that move it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snn_gym._lazy import lazy_names

if TYPE_CHECKING:
    from snn_gym.synapses.multiagent import plasticity_parallel_env
    from snn_gym.synapses.plasticity import RULES, PlasticityRule, register_rule
    from snn_gym.synapses.vec_env import PlasticityVecEnv

__all__ = [
    "RULES",
    "PlasticityRule",
    "PlasticityVecEnv",
    "plasticity_parallel_env",
    "register_rule",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "RULES": "plasticity",
        "PlasticityRule": "plasticity",
        "PlasticityVecEnv": "vec_env",
        "plasticity_parallel_env": "multiagent",
        "register_rule": "plasticity",
    },
)
