"""Hyper-parameters of the algorithms, typed; names are those of the algorithms' arguments."""

from __future__ import annotations

from typing import Any

from snn_gym.config import from_mapping
from snn_gym.learners.settings import (
    AcceptRejectSettings,
    CMAESSettings,
    EvolutionStrategiesSettings,
    LearnerSettings,
    RandomSearchSettings,
    SynapseAgentsSettings,
    WinStaySettings,
)
from snn_gym.zoo.settings.off_policy import (
    DDPGSettings,
    DQNSettings,
    QRDQNSettings,
    SACSettings,
    StatefulDQNSettings,
    TD3Settings,
    TQCSettings,
)
from snn_gym.zoo.settings.on_policy import (
    A2CSettings,
    PPOSettings,
    StatefulPPOSettings,
    TRPOSettings,
)

Settings = (
    PPOSettings
    | A2CSettings
    | TRPOSettings
    | DQNSettings
    | QRDQNSettings
    | DDPGSettings
    | LearnerSettings
)

SETTINGS: dict[str, type[Settings]] = {
    "PPO": PPOSettings,
    "A2C": A2CSettings,
    "TRPO": TRPOSettings,
    "DQN": DQNSettings,
    "QRDQN": QRDQNSettings,
    "DDPG": DDPGSettings,
    "TD3": TD3Settings,
    "SAC": SACSettings,
    "TQC": TQCSettings,
    "RandomSearch": RandomSearchSettings,
    "AcceptReject": AcceptRejectSettings,
    "WinStay": WinStaySettings,
    "EvolutionStrategies": EvolutionStrategiesSettings,
    "CMAES": CMAESSettings,
    "SynapseAgents": SynapseAgentsSettings,
    "StatefulPPO": StatefulPPOSettings,
    "StatefulDQN": StatefulDQNSettings,
}
"""Type of the hyper-parameters of each algorithm."""

SCHEDULES = ("learning_rate", "clip_range")
"""Hyper-parameters that may be schedules."""


def make_settings(algorithm: str, values: dict[str, Any], where: str) -> Settings:
    """Build the hyper-parameters of an algorithm, strictly.

    Args:
        algorithm: A key of ``SETTINGS``.
        values: Hyper-parameters by name; what is left out keeps its default.
        where: Place to name in errors.

    Raises:
        ValueError: A name is unknown, or a value has a wrong type or range.
    """
    return from_mapping(SETTINGS[algorithm], values, where)
