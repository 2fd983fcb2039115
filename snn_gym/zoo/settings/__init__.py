"""Hyper-parameters of the algorithms, typed; names are those of the algorithms' arguments."""

from __future__ import annotations

from snn_gym.zoo.settings.local import LocalActorCriticSettings
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
from snn_gym.zoo.settings.shared import AlgorithmSettings, OffPolicySettings, OnPolicySettings

__all__ = [
    "SCHEDULES",
    "A2CSettings",
    "AlgorithmSettings",
    "DDPGSettings",
    "DQNSettings",
    "LocalActorCriticSettings",
    "OffPolicySettings",
    "OnPolicySettings",
    "PPOSettings",
    "QRDQNSettings",
    "SACSettings",
    "StatefulDQNSettings",
    "StatefulPPOSettings",
    "TD3Settings",
    "TQCSettings",
    "TRPOSettings",
]

SCHEDULES = ("learning_rate", "clip_range")
"""Hyper-parameters that may be schedules."""
