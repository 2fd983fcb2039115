"""Policy on spiking networks for the stock TD3 and DDPG."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.td3.policies import Actor, TD3Policy
from torch import nn

from snn_gym.policies._continuous import ActionValueCritic, ActorAndCriticsMixin, FeatureNetwork
from snn_gym.policies._networks import NetworkBuilder
from snn_gym.spiking.normaliser import ObservationNormaliser


class SpikingTD3Actor(Actor):
    """Stable-Baselines3's deterministic actor on a spiking network.

    Args:
        observation_space: Observation space.
        action_space: Box of actions.
        builder: Builds the network.
        spiking: Whether the network spikes.
        normaliser: Shared with the critics, or None.
        **kwargs: As in Stable-Baselines3's TD3 ``Actor``.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Box,
        *,
        builder: NetworkBuilder,
        spiking: bool,
        normaliser: ObservationNormaliser | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(observation_space, action_space, **kwargs)
        network = FeatureNetwork(builder, spiking, normaliser, get_action_dim(action_space))
        self.mu = nn.Sequential(network, nn.Tanh())

    @property
    def feature_network(self) -> FeatureNetwork:
        """The network before the squashing."""
        network = self.mu[0]
        assert isinstance(network, FeatureNetwork)
        return network


class SpikingTD3Policy(ActorAndCriticsMixin, TD3Policy):
    """Policy for TD3 and DDPG with a spiking actor and, on request, spiking critics.

    The network's state starts from rest at every decision. Observations are standardised inside
    the policy by one normaliser that actors and critics share.

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
        **kwargs: As in Stable-Baselines3's ``TD3Policy``; ``net_arch`` is not among them.

    Raises:
        ValueError: ``net_arch`` is given, or a space is not supported.
    """

    algorithms = "TD3 and DDPG"
    actor: SpikingTD3Actor
    actor_target: SpikingTD3Actor
    critic: ActionValueCritic
    critic_target: ActionValueCritic

    def make_actor(
        self, features_extractor: BaseFeaturesExtractor | None = None
    ) -> SpikingTD3Actor:
        """Return an actor; the second one, the target, shares the first one's normaliser."""
        kwargs = self._update_features_extractor(self.actor_kwargs, features_extractor)
        first: SpikingTD3Actor | None = getattr(self, "actor", None)
        normaliser = self._make_normaliser() if first is None else first.feature_network.normaliser
        return SpikingTD3Actor(
            builder=self._builder(kwargs["features_dim"]),
            spiking=self.spiking_actor,
            normaliser=normaliser,
            **kwargs,
        ).to(self.device)

    def _actor_network(self) -> FeatureNetwork:
        return self.actor.feature_network

    def _acting_modules(self) -> dict[str, nn.Module]:
        return {"actor": self.actor}
