"""Synapses: a network in training as an environment, what each synapse sees, rules that move it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snn_gym._base.lazy import lazy_names

if TYPE_CHECKING:
    from snn_gym.envs.synapses.environments import PlasticityVecEnv
    from snn_gym.envs.synapses.plasticity import RULES, PlasticityRule, register_rule

__all__ = [
    "RULES",
    "PlasticityRule",
    "PlasticityVecEnv",
    "register_rule",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "RULES": "plasticity",
        "PlasticityRule": "plasticity",
        "PlasticityVecEnv": "environments",
        "register_rule": "plasticity",
    },
)
