"""Policy on spiking networks for the stock SAC."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.sac.policies import Actor, SACPolicy
from torch import Tensor, nn

from snn_gym.policies._continuous import ActionValueCritic, ActorAndCriticsMixin
from snn_gym.policies._parts import BuiltPart, FeatureNetwork
from snn_gym.policies.networks import NetworkBuilder
from snn_gym.spiking.coding.decoders import PopulationHead, make_head


class SpikingSACActor(BuiltPart, Actor):
    """Stable-Baselines3's squashed Gaussian actor on a spiking network.

    Args:
        observation_space: Observation space.
        action_space: Box of actions.
        builder: Builds the network.
        spiking: Whether the network spikes.
        features_dim: Features of an observation.
        **kwargs: As in Stable-Baselines3's SAC ``Actor``.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Box,
        *,
        builder: NetworkBuilder,
        spiking: bool,
        features_dim: int,
        **kwargs: Any,
    ) -> None:
        outputs = get_action_dim(action_space)
        latent = FeatureNetwork(builder, spiking, population_outputs=outputs)
        # Without layers of its own Stable-Baselines3's actor puts mean and deviation right on
        # what it takes for the features: here the network's output.
        arguments = {**kwargs, "net_arch": [], "features_dim": latent.output_size}
        super().__init__(observation_space, action_space, **arguments)
        self.builder, self.spiking = builder, spiking
        self.features_dim = features_dim
        self.latent_pi: FeatureNetwork = latent  # type: ignore[assignment]
        if spiking and builder.config.decoder == "population":
            head = make_head(builder.config.decoder_parameters, latent.output_size, outputs)
            if isinstance(self.mu, nn.Sequential):
                self.mu[0] = head  # gSDE clips the mean behind the head
            else:
                self.mu = head


class SpikingSACPolicy(ActorAndCriticsMixin, SACPolicy):
    """Policy for SAC with a spiking actor and, on request, spiking critics.

    Its arguments are those of ``ActorCriticFlags`` and of Stable-Baselines3's ``SACPolicy``.
    """

    algorithms: tuple[str, ...] = ("SAC",)
    own_arguments = (*ActorAndCriticsMixin.own_arguments, "share_features_extractor")
    actor_class = SpikingSACActor
    actor: SpikingSACActor
    critic: ActionValueCritic
    critic_target: ActionValueCritic

    def behaviour(self, output: Tensor) -> Tensor:
        """Return the mean action (B, A) of an output (B, O) of the actor, squashed."""
        return torch.tanh(self.actor.mu(output))

    def _online(self) -> FeatureNetwork:
        return self.actor.latent_pi

    def acting_modules(self) -> dict[str, nn.Module]:
        """Return the modules that acting needs, by the prefix of their names in state_dict."""
        actor = self.actor
        return {
            "actor.features_extractor": actor.features_extractor,
            "actor.latent_pi": actor.latent_pi,
            "actor.mu": actor.mu,
        }

    def readout(self) -> nn.Linear | PopulationHead:
        """Return the head after the acting network."""
        head = self.actor.mu
        if isinstance(head, nn.Sequential):  # gSDE clips the mean behind the head
            head = head[0]
        assert isinstance(head, nn.Linear | PopulationHead)  # as the actor made it
        return head
