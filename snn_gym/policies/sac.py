"""Policy on spiking networks for the stock SAC."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.sac.policies import Actor, SACPolicy
from torch import nn

from snn_gym.policies._continuous import ActionValueCritic, ActorAndCriticsMixin, FeatureNetwork
from snn_gym.policies._networks import NetworkBuilder
from snn_gym.spiking.coding.decoders import make_head
from snn_gym.spiking.normaliser import ObservationNormaliser


class SpikingSACActor(Actor):
    """Stable-Baselines3's squashed Gaussian actor on a spiking network.

    Args:
        observation_space: Observation space.
        action_space: Box of actions.
        builder: Builds the network.
        spiking: Whether the network spikes.
        normaliser: Shared with the critics, or None.
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
        normaliser: ObservationNormaliser | None,
        features_dim: int,
        **kwargs: Any,
    ) -> None:
        outputs = get_action_dim(action_space)
        latent = FeatureNetwork(builder, spiking, normaliser, population_outputs=outputs)
        # Without layers of its own Stable-Baselines3's actor puts mean and deviation right on
        # what it takes for the features: here the network's output.
        super().__init__(observation_space, action_space, features_dim=latent.output_size, **kwargs)
        self.features_dim = features_dim
        self.latent_pi: FeatureNetwork = latent  # type: ignore[assignment]
        if spiking and builder.config.decoder == "population":
            head = make_head(builder.config, latent.output_size, outputs)
            if isinstance(self.mu, nn.Sequential):
                self.mu[0] = head  # gSDE clips the mean behind the head
            else:
                self.mu = head


class SpikingSACPolicy(ActorAndCriticsMixin, SACPolicy):
    """Policy for SAC with a spiking actor and, on request, spiking critics.

    The network's state starts from rest at every decision. Observations are standardised inside
    the policy by one normaliser that actor and critics share.

    Args:
        observation_space: Observation space.
        action_space: Box of actions.
        lr_schedule: Learning rate over the remaining progress.
        network: What the networks are made of; its defaults if None.
        spiking_actor: Whether the actor spikes; if not it is a multilayer perceptron of the same
            hidden sizes (with both flags off this policy is the ANN twin).
        spiking_critic: The same for the critics, which are needed in training only.
        normalise_observations: Whether Box observations, also those in a Dict, are standardised.
        cell_factory: For research: makes any Norse cell in place of the configured neuron.
        activation_fn: Activation of networks that do not spike.
        **kwargs: As in Stable-Baselines3's ``SACPolicy``; ``net_arch`` is not among them.

    Raises:
        ValueError: ``net_arch`` is given, or a space is not supported.
    """

    algorithms = "SAC"
    own_arguments = (*ActorAndCriticsMixin.own_arguments, "share_features_extractor")
    actor: SpikingSACActor
    critic: ActionValueCritic
    critic_target: ActionValueCritic

    def make_actor(
        self, features_extractor: BaseFeaturesExtractor | None = None
    ) -> SpikingSACActor:
        """Return an actor."""
        kwargs = self._update_features_extractor(self.actor_kwargs, features_extractor)
        return SpikingSACActor(
            builder=self._builder(kwargs["features_dim"]),
            spiking=self.spiking_actor,
            normaliser=self._make_normaliser(),
            **kwargs,
        ).to(self.device)

    def _actor_network(self) -> FeatureNetwork:
        return self.actor.latent_pi

    def _acting_modules(self) -> dict[str, nn.Module]:
        actor = self.actor
        return {
            "actor.features_extractor": actor.features_extractor,
            "actor.latent_pi": actor.latent_pi,
            "actor.mu": actor.mu,
        }

    def _readout_size(self) -> int:
        return get_action_dim(self.action_space)
