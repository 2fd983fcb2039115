"""Policy on spiking networks for the stock TD3 and DDPG."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.td3.policies import Actor, TD3Policy
from torch import Tensor, nn

from snn_gym.policies._continuous import ActionValueCritic, ActorAndCriticsMixin
from snn_gym.policies._parts import BuiltPart, FeatureNetwork
from snn_gym.policies.networks import NetworkBuilder


class SpikingTD3Actor(BuiltPart, Actor):
    """Stable-Baselines3's deterministic actor on a spiking network.

    Args:
        *args: As in Stable-Baselines3's TD3 ``Actor``.
        builder: Builds the network.
        spiking: Whether the network spikes.
        **kwargs: As in Stable-Baselines3's TD3 ``Actor``.
    """

    def __init__(self, *args: Any, builder: NetworkBuilder, spiking: bool, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "net_arch": []})
        self.builder, self.spiking = builder, spiking
        network = FeatureNetwork(builder, spiking, get_action_dim(self.action_space))
        self.mu = nn.Sequential(network, nn.Tanh())

    @property
    def feature_network(self) -> FeatureNetwork:
        """The network before the squashing."""
        network = self.mu[0]
        assert isinstance(network, FeatureNetwork)
        return network


class SpikingTD3Policy(ActorAndCriticsMixin, TD3Policy):
    """Policy for TD3 and DDPG with a spiking actor and, on request, spiking critics.

    Its arguments are those of ``ActorCriticFlags`` and of Stable-Baselines3's ``TD3Policy``.
    """

    algorithms = ("TD3", "DDPG")
    actor_class = SpikingTD3Actor
    actor: SpikingTD3Actor
    actor_target: SpikingTD3Actor
    critic: ActionValueCritic
    critic_target: ActionValueCritic

    def behaviour(self, output: Tensor) -> Tensor:
        """Return the action (B, A) of an output (B, A) of the actor, squashed."""
        return torch.tanh(output)

    def _online(self) -> FeatureNetwork:
        return self.actor.feature_network

    def acting_modules(self) -> dict[str, nn.Module]:
        """Return the modules that acting needs, by the prefix of their names in state_dict."""
        return {"actor": self.actor}
