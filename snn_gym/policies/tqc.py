"""Policy on spiking networks for the TQC of sb3-contrib."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor

from snn_gym.policies._continuous import ActionValueCritic
from snn_gym.policies.sac import SpikingSACPolicy


class QuantileCritic(ActionValueCritic):
    """Critics that each give quantiles of the return of an action.

    Args:
        observation_space: Observation space.
        action_space: Box of actions.
        n_quantiles: Quantiles of each critic.
        **kwargs: As in ``ActionValueCritic``.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Box,
        *,
        n_quantiles: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(observation_space, action_space, outputs=n_quantiles, **kwargs)
        self.n_quantiles = n_quantiles
        self.quantiles_total = n_quantiles * self.n_critics

    def forward(self, obs: Tensor, actions: Tensor) -> Tensor:  # type: ignore[override]
        """Return the quantiles (B, n_critics, n_quantiles) of actions (B, A)."""
        return torch.stack(super().forward(obs, actions), dim=1)


class SpikingTQCPolicy(SpikingSACPolicy):
    """Policy for TQC: SAC's actor, and critics that give quantiles of the return.

    The actor of sb3-contrib's own ``TQCPolicy`` is that of SAC too.

    Args:
        observation_space: Observation space.
        action_space: Box of actions.
        lr_schedule: Learning rate over the remaining progress.
        n_quantiles: Quantiles of each critic.
        **kwargs: As in ``SpikingSACPolicy``.

    Raises:
        ValueError: ``net_arch`` is given, or a space is not supported.
    """

    algorithms = "TQC"
    own_arguments = (*SpikingSACPolicy.own_arguments, "n_quantiles")
    critic: QuantileCritic
    critic_target: QuantileCritic

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Box,
        lr_schedule: Schedule,
        *,
        n_quantiles: int = 25,
        **kwargs: Any,
    ) -> None:
        self.n_quantiles = n_quantiles
        super().__init__(observation_space, action_space, lr_schedule, **kwargs)

    def make_critic(
        self, features_extractor: BaseFeaturesExtractor | None = None
    ) -> QuantileCritic:
        """Return critics behind the actor's normaliser."""
        arguments = self._critic_arguments(features_extractor)
        return QuantileCritic(n_quantiles=self.n_quantiles, **arguments).to(self.device)
