"""Agents as their files under agents/ describe them; nothing here imports torch."""

from __future__ import annotations

import difflib
import functools
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from snn_gym.config import Config, from_mapping
from snn_gym.content import content_path
from snn_gym.zoo.settings import Settings, make_settings

AlgorithmName = Literal[
    "PPO",
    "A2C",
    "TRPO",
    "DQN",
    "QRDQN",
    "DDPG",
    "TD3",
    "SAC",
    "TQC",
    "RandomSearch",
    "AcceptReject",
    "WinStay",
    "EvolutionStrategies",
    "CMAES",
    "SynapseAgents",
    "StatefulPPO",
    "StatefulDQN",
]
"""Algorithms of Stable-Baselines3, sb3-contrib and ``snn_gym.learners`` that the zoo knows."""
PolicyName = Literal[
    "SpikingActorCriticPolicy",
    "SpikingDQNPolicy",
    "SpikingQRDQNPolicy",
    "SpikingTD3Policy",
    "SpikingSACPolicy",
    "SpikingTQCPolicy",
    "SpikingControllerPolicy",
    "StatefulActorCriticPolicy",
    "StatefulDQNPolicy",
]
"""Policy classes in ``snn_gym.policies``."""

POLICIES: dict[AlgorithmName, PolicyName] = {
    "PPO": "SpikingActorCriticPolicy",
    "A2C": "SpikingActorCriticPolicy",
    "TRPO": "SpikingActorCriticPolicy",
    "DQN": "SpikingDQNPolicy",
    "QRDQN": "SpikingQRDQNPolicy",
    "DDPG": "SpikingTD3Policy",
    "TD3": "SpikingTD3Policy",
    "SAC": "SpikingSACPolicy",
    "TQC": "SpikingTQCPolicy",
    "RandomSearch": "SpikingControllerPolicy",
    "AcceptReject": "SpikingControllerPolicy",
    "WinStay": "SpikingControllerPolicy",
    "EvolutionStrategies": "SpikingControllerPolicy",
    "CMAES": "SpikingControllerPolicy",
    "SynapseAgents": "SpikingControllerPolicy",
    "StatefulPPO": "StatefulActorCriticPolicy",
    "StatefulDQN": "StatefulDQNPolicy",
}
"""Name of the policy class, in ``snn_gym.policies``, that fits each algorithm."""

# Keys of an [environments.ID] table that are no hyper-parameters.
_INHERIT = "same_as"
_NETWORK = "network"


@dataclass(frozen=True)
class AgentSpec(Config):
    """An agent: an algorithm, a policy, a network and hyper-parameters by environment."""

    name: str
    """Name of the agent and of its folder."""
    description: str
    """One sentence for lists."""
    algorithm: AlgorithmName
    """Algorithm of Stable-Baselines3, sb3-contrib or ``snn_gym.learners``."""
    policy: PolicyName
    """Policy class in ``snn_gym.policies``."""
    budget_class: Literal["gradient", "local", "evolutionary"]
    """Which of the environment's budgets binds it."""
    environments: dict[str, dict[str, Any]]
    """Hyper-parameters by environment id; may hold ``network`` and ``same_as``."""
    twin: str | None = None
    """Agent to compare with: the ANN twin of a spiking agent, and the other way round; None for a
    learner without gradients, which is compared with the others of its kind."""
    network: dict[str, Any] = field(default_factory=dict)
    """Settings of ``snn_gym.spiking.NetworkConfig``."""
    policy_kwargs: dict[str, Any] = field(default_factory=dict)
    """Further arguments of the policy."""

    def __post_init__(self) -> None:
        """Check that the parts fit together and that every environment's settings are valid."""
        super().__post_init__()
        if self.policy != POLICIES[self.algorithm]:
            raise ValueError(
                f"{self.algorithm} needs the policy {POLICIES[self.algorithm]}, got {self.policy}"
            )
        for env_id in self.environments:
            self.settings(env_id)

    def settings(self, env_id: str, overrides: dict[str, Any] | None = None) -> Settings:
        """Return the hyper-parameters for an environment.

        Args:
            env_id: One of the agent's environments.
            overrides: Values that replace those of the file.

        Raises:
            ValueError: The agent has no hyper-parameters for it, or one is unknown or invalid.
        """
        table = self._table(env_id)
        values = {key: table[key] for key in table if key != _NETWORK} | (overrides or {})
        return make_settings(self.algorithm, values, f"agent {self.name!r} on {env_id}")

    def network_settings(self, env_id: str) -> dict[str, Any]:
        """Return the network's settings for an environment.

        Args:
            env_id: One of the agent's environments.

        Raises:
            ValueError: The agent has no hyper-parameters for it.
        """
        return {**self.network, **self._table(env_id).get(_NETWORK, {})}

    def _table(self, env_id: str) -> dict[str, Any]:
        """Return an environment's table, merged over the one that it is the same as."""
        if env_id not in self.environments:
            known = ", ".join(self.environments)
            raise ValueError(
                f"agent {self.name!r} has no hyper-parameters for environment {env_id!r}; "
                f"it has them for: {known}"
            )
        table = dict(self.environments[env_id])
        parent = table.pop(_INHERIT, None)
        if parent is None:
            return table
        if parent not in self.environments or _INHERIT in self.environments[parent]:
            raise ValueError(
                f"{env_id}: {_INHERIT} is {parent!r}; expected one of the agent's environments "
                f"that has no {_INHERIT} of its own"
            )
        network = {
            **self.environments[parent].get(_NETWORK, {}),
            **table.get(_NETWORK, {}),
        }
        return {**self.environments[parent], **table, _NETWORK: network}


def agent_ids() -> tuple[str, ...]:
    """Return the names of the zoo's agents, sorted."""
    return tuple(sorted(path.parent.name for path in content_path("agents").glob("*/agent.toml")))


def load_agent_spec(name: str) -> AgentSpec:
    """Load the description of an agent.

    Args:
        name: One of ``agent_ids()``.

    Raises:
        ValueError: The name is unknown, or the file does not fit the schema.
    """
    known = agent_ids()
    # Asked of the list and not of the disk: a name such as "../x" reaches no file.
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ";"
        raise ValueError(f"agent {name!r} is unknown{hint} known agents: {', '.join(known)}")
    return _read_spec(content_path("agents") / name / "agent.toml")


@functools.cache
def _read_spec(path: Path) -> AgentSpec:
    where = f"agents/{path.parent.name}/agent.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{where}: not valid TOML: {error}") from error
    spec = from_mapping(AgentSpec, table, where)
    if spec.name != path.parent.name:
        raise ValueError(f"{where}: name is {spec.name!r}, expected {path.parent.name!r}")
    return spec
