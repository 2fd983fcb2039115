"""The zoo: Stable-Baselines3 models of the agents that agents/ describes, saved as data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snn_gym._base.lazy import lazy_names
from snn_gym.zoo.algorithms import register_learner
from snn_gym.zoo.spec import AgentSpec, agent_ids, load_agent_spec, register_agent

if TYPE_CHECKING:
    from snn_gym.zoo.build import (
        Identity,
        build_policy,
        make_agent,
        policy_arguments,
        remember_identity,
    )
    from snn_gym.zoo.files import AgentManifest, load_agent, read_manifest, save_agent
    from snn_gym.zoo.module_import import from_module, network_from_module
    from snn_gym.zoo.teaching import distil, make_lean


__all__ = [
    "AgentManifest",
    "AgentSpec",
    "Identity",
    "agent_ids",
    "build_policy",
    "distil",
    "from_module",
    "load_agent",
    "load_agent_spec",
    "make_agent",
    "make_lean",
    "network_from_module",
    "policy_arguments",
    "read_manifest",
    "register_agent",
    "register_learner",
    "remember_identity",
    "save_agent",
]

# Listing agents is quick only without torch, so names that need torch are imported on first use.

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "AgentManifest": "files",
        "Identity": "build",
        "build_policy": "build",
        "distil": "teaching",
        "from_module": "module_import",
        "load_agent": "files",
        "make_agent": "build",
        "make_lean": "teaching",
        "network_from_module": "module_import",
        "policy_arguments": "build",
        "read_manifest": "files",
        "remember_identity": "build",
        "save_agent": "files",
    },
)
