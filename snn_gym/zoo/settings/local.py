"""Hyper-parameters of the algorithms that learn by local rules."""

from __future__ import annotations

from dataclasses import dataclass

from snn_gym.learners.settings import LocalRuleSettings
from snn_gym.zoo.schedules import Schedule
from snn_gym.zoo.settings.shared import AlgorithmSettings


@dataclass(frozen=True)
class LocalActorCriticSettings(LocalRuleSettings, AlgorithmSettings):
    """Hyper-parameters of ``snn_gym.learners.LocalActorCritic``."""

    learning_rate: Schedule = 0.002
    """Step size of the readouts; a number or a schedule such as ``lin_0.002``."""
