"""Policies for QR-DQN and TQC of sb3-contrib."""

from __future__ import annotations

from typing import Any

import torch
from sb3_contrib.qrdqn.policies import QRDQNPolicy, QuantileNetwork
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import Tensor

from snn_gym.policies.continuous import ActionValueCritic, SpikingSACPolicy
from snn_gym.policies.values import ValueNetworkMixin, ValuePolicyMixin


# ---- qrdqn ---------------------------------------------------------------------------------------
class SpikingQuantileNetwork(ValueNetworkMixin, QuantileNetwork):
    """Quantiles of the return from a spiking network, ``n_quantiles`` outputs per action."""

    part = "quantile_net"

    def _output_size(self) -> int:
        return super()._output_size() * self.n_quantiles

    def forward(self, obs: PyTorchObs) -> Tensor:
        """Return the quantiles (B, n_quantiles, actions) of the return, from a state at rest."""
        return super().forward(obs).view(-1, self.n_quantiles, int(self.action_space.n))


class SpikingQRDQNPolicy(ValuePolicyMixin, QRDQNPolicy):
    """Policy for QR-DQN whose quantile network is a spiking network.

    Its arguments are those of ``ValuePolicyMixin`` and of sb3-contrib's ``QRDQNPolicy``.
    """

    algorithms = ("QRDQN",)
    network_class = SpikingQuantileNetwork
    make_quantile_net = ValuePolicyMixin.make_value_network

    def behaviour(self, output: Tensor) -> Tensor:
        """Return the mean over quantiles (B, A) for an output (B, n_quantiles * A)."""
        return output.view(len(output), self.n_quantiles, -1).mean(1)


# ---- tqc -----------------------------------------------------------------------------------------
class QuantileCritic(ActionValueCritic):
    """Critics that each give ``n_quantiles`` quantiles of the return of an action."""

    def __init__(self, *args: Any, n_quantiles: int, **kwargs: Any) -> None:
        self.outputs = self.n_quantiles = n_quantiles
        super().__init__(*args, **kwargs)
        self.quantiles_total = n_quantiles * self.n_critics

    def forward(self, obs: Tensor, actions: Tensor) -> Tensor:  # type: ignore[override]
        """Return the quantiles (B, n_critics, n_quantiles) of the return of actions (B, A)."""
        return torch.stack(super().forward(obs, actions), dim=1)


class SpikingTQCPolicy(SpikingSACPolicy):
    """Policy for TQC: SAC's actor, and critics that give quantiles of the return.

    The actor of sb3-contrib's own ``TQCPolicy`` is that of SAC too.

    Args:
        *args: As in ``SpikingSACPolicy``.
        n_quantiles: Quantiles of each critic.
        **kwargs: As in ``SpikingSACPolicy``.
    """

    algorithms = ("TQC",)
    own_arguments = (*SpikingSACPolicy.own_arguments, "n_quantiles")
    critic_class = QuantileCritic

    def __init__(self, *args: Any, n_quantiles: int = 25, **kwargs: Any) -> None:
        self.n_quantiles = n_quantiles
        super().__init__(*args, **kwargs)

    def make_critic(self, features_extractor: BaseFeaturesExtractor | None = None) -> Any:
        """Return new critics of ``n_quantiles`` each, which share the actor's normaliser."""
        self.critic_kwargs["n_quantiles"] = self.n_quantiles
        return super().make_critic(features_extractor)
