"""Synapses: a network in training as an environment, what each synapse sees, rules that move it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snn_gym._base.lazy import lazy_names

if TYPE_CHECKING:
    from snn_gym.envs.synapses.environments import PlasticityVecEnv, plasticity_parallel_env
    from snn_gym.envs.synapses.plasticity import RULES, PlasticityRule, register_rule

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
        "PlasticityVecEnv": "environments",
        "plasticity_parallel_env": "environments",
        "register_rule": "plasticity",
    },
)
