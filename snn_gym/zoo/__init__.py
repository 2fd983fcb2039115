"""The zoo: an agent's folder under agents/ to a Stable-Baselines3 model, and its saved form."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from snn_gym.zoo.spec import AgentSpec, agent_ids, load_agent_spec

if TYPE_CHECKING:
    from snn_gym.zoo.build import build_policy, make_agent, policy_arguments
    from snn_gym.zoo.files import AgentManifest, load_agent, read_manifest, save_agent

__all__ = [
    "AgentManifest",
    "AgentSpec",
    "agent_ids",
    "build_policy",
    "load_agent",
    "load_agent_spec",
    "make_agent",
    "policy_arguments",
    "read_manifest",
    "save_agent",
]

# Listing agents is quick only without torch, so what needs torch is imported on first use.
_LAZY = {
    "AgentManifest": "snn_gym.zoo.files",
    "build_policy": "snn_gym.zoo.build",
    "load_agent": "snn_gym.zoo.files",
    "make_agent": "snn_gym.zoo.build",
    "policy_arguments": "snn_gym.zoo.build",
    "read_manifest": "snn_gym.zoo.files",
    "save_agent": "snn_gym.zoo.files",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value
