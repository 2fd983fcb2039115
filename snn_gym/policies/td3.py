"""Policy on spiking networks for the stock TD3 and DDPG."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.td3.policies import Actor, TD3Policy
from torch import Tensor, nn

from snn_gym.policies._common import NetworkBuilder, SpikingPolicyMixin
from snn_gym.policies._continuous import ActionValueCritic, FeatureNetwork
from snn_gym.spiking.config import NetworkConfig
from snn_gym.spiking.normaliser import ObservationNormaliser
from snn_gym.spiking.norse_cells import CellFactory


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


class SpikingTD3Policy(SpikingPolicyMixin, TD3Policy):
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
    action_spaces = (spaces.Box,)
    own_arguments = ("spiking_actor", "spiking_critic")
    actor: SpikingTD3Actor
    actor_target: SpikingTD3Actor
    critic: ActionValueCritic
    critic_target: ActionValueCritic

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Box,
        lr_schedule: Schedule,
        *,
        network: NetworkConfig | None = None,
        spiking_actor: bool = True,
        spiking_critic: bool = False,
        normalise_observations: bool = True,
        cell_factory: CellFactory | None = None,
        activation_fn: type[nn.Module] = nn.ReLU,
        **kwargs: Any,
    ) -> None:
        self.network = NetworkConfig() if network is None else network
        self._prepare(kwargs, observation_space, action_space)
        self.spiking_actor = spiking_actor
        self.spiking_critic = spiking_critic
        self.normalise_observations = normalise_observations
        self.cell_factory = cell_factory
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch=[],
            activation_fn=activation_fn,
            **kwargs,
        )

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

    def make_critic(
        self, features_extractor: BaseFeaturesExtractor | None = None
    ) -> ActionValueCritic:
        """Return critics behind the actor's normaliser."""
        kwargs = self._update_features_extractor(self.critic_kwargs, features_extractor)
        return ActionValueCritic(
            builder=self._builder(kwargs["features_dim"]),
            spiking=self.spiking_critic,
            normaliser=self.normaliser,
            **kwargs,
        ).to(self.device)

    @property
    def normaliser(self) -> ObservationNormaliser | None:
        """The observation normaliser that actors and critics share, or None."""
        return self.actor.feature_network.normaliser

    def _acting_network(self) -> Any:
        return self.actor.feature_network.network

    def _acting_modules(self) -> dict[str, nn.Module]:
        return {"actor": self.actor}

    def _network_inputs(self, observation: Tensor) -> Tensor:
        actor = self.actor
        features = actor.extract_features(observation, actor.features_extractor)
        return actor.feature_network.inputs(features)
