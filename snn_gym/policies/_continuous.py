"""What the policies of SAC, TD3 and TQC share: an actor's latent network and critics."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn

from snn_gym.policies._common import SpikingPolicyMixin
from snn_gym.policies._networks import DenseNetwork, NetworkBuilder, network_inputs
from snn_gym.spiking.config import NetworkConfig
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.neurons.norse_cells import CellFactory
from snn_gym.spiking.normaliser import ObservationNormaliser


class FeatureNetwork(nn.Module):
    """A normaliser and the network that reads what it lets through.

    Args:
        builder: Builds the network.
        spiking: Whether the network spikes.
        normaliser: Shared with the critics, or None.
        output_size: Outputs of the network's own head; None for none.
        population_outputs: Without a head, the outputs that will read the network.
    """

    def __init__(
        self,
        builder: NetworkBuilder,
        spiking: bool,
        normaliser: ObservationNormaliser | None,
        output_size: int | None = None,
        population_outputs: int | None = None,
    ) -> None:
        super().__init__()
        self.network = builder.build(spiking, output_size, population_outputs=population_outputs)
        self.normaliser = normaliser
        self.spike_steps = builder.spike_steps

    @property
    def output_size(self) -> int:
        """Values that the network returns."""
        return self.network.output_size

    def inputs(self, features: Tensor) -> Tensor:
        """Return what the network sees of features (B, F)."""
        if self.normaliser is not None:
            features = self.normaliser(features)
        return network_inputs(features, self.network, self.spike_steps)

    def forward(self, features: Tensor) -> Tensor:
        """Return the network's output (B, output_size) for features (B, F).

        The batches that updates differentiate are the training data of the normaliser.
        """
        if self.normaliser is not None and self.training and torch.is_grad_enabled():
            with self.normaliser.accumulating():
                return self.network.decide(self.inputs(features))
        return self.network.decide(self.inputs(features))


class ActionValueCritic(ContinuousCritic):
    """Stable-Baselines3's critics of state and action, spiking or not.

    Observations pass the actor's normaliser. The action joins them as further values: beside an
    analogue observation, or at every time step of a spike train.

    Args:
        observation_space: Observation space.
        action_space: Box of actions.
        builder: Builds the networks.
        spiking: Whether the critics spike.
        normaliser: The actor's, or None.
        outputs: Values that each critic gives for an action.
        **kwargs: As in Stable-Baselines3's ``ContinuousCritic``.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Box,
        *,
        builder: NetworkBuilder,
        spiking: bool,
        normaliser: ObservationNormaliser | None,
        outputs: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(observation_space, action_space, **kwargs)
        self.normaliser = normaliser
        self.spike_steps = builder.spike_steps
        # In the place of the multilayer perceptrons that Stable-Baselines3 has just made.
        self.q_networks = []
        for k in range(self.n_critics):
            network = builder.build(spiking, outputs, extra_inputs=get_action_dim(action_space))
            self.add_module(f"qf{k}", network)
            self.q_networks.append(network)

    def extract_features(
        self, obs: PyTorchObs, features_extractor: BaseFeaturesExtractor
    ) -> Tensor:
        """Return standardised features (B, F) of a batch of observations."""
        features = super().extract_features(obs, features_extractor)
        return features if self.normaliser is None else self.normaliser(features)

    def forward(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, ...]:
        """Return the value (B, 1) of actions (B, A) by each critic."""
        # A features extractor that is the actor's too learns from the actor's loss alone.
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.share_features_extractor):
            features = self.extract_features(obs, self.features_extractor)
        return tuple(self._value(network, features, actions) for network in self._critics)

    def q1_forward(self, obs: Tensor, actions: Tensor) -> Tensor:
        """Return the value (B, 1) of actions (B, A) by the first critic."""
        with torch.no_grad():
            features = self.extract_features(obs, self.features_extractor)
        return self._value(self._critics[0], features, actions)

    @property
    def _critics(self) -> list[SpikingNetwork | DenseNetwork]:
        return self.q_networks  # type: ignore[return-value]

    def _value(
        self, network: SpikingNetwork | DenseNetwork, features: Tensor, actions: Tensor
    ) -> Tensor:
        inputs = network_inputs(features, network, self.spike_steps)
        if inputs.dim() == 3:
            # (B, A) -> (B, T, A)
            actions = actions.unsqueeze(1).expand(-1, inputs.shape[1], -1)
        # Replayed actions are data, and the critic's own loss follows. Actions with a gradient are
        # the actor's, whose loss runs through a critic that it does not optimise.
        optimised = not actions.requires_grad
        return network.decide(torch.cat([inputs, actions], dim=-1), optimised=optimised)


class ActorAndCriticsMixin(SpikingPolicyMixin):
    """Policy of an actor and of critics that share one normaliser.

    Args:
        observation_space: Observation space.
        action_space: Box of actions.
        lr_schedule: Learning rate over the remaining progress.
        network: What the networks are made of; its defaults if None.
        spiking_actor: Whether the actor spikes; if not it is a multilayer perceptron.
        spiking_critic: The same for the critics, which are needed in training only.
        normalise_observations: Whether Box observations, also those in a Dict, are standardised.
        cell_factory: For research: makes any Norse cell in place of the configured neuron.
        activation_fn: Activation of networks that do not spike.
        **kwargs: As in the class of Stable-Baselines3 that follows.
    """

    action_spaces = (spaces.Box,)
    own_arguments: tuple[str, ...] = ("spiking_actor", "spiking_critic")
    actor: Any
    critic_kwargs: dict[str, Any]

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

    def _critic_arguments(self, features_extractor: BaseFeaturesExtractor | None) -> dict[str, Any]:
        """Return the arguments of critics behind the actor's normaliser."""
        kwargs = self._update_features_extractor(self.critic_kwargs, features_extractor)
        return {
            **kwargs,
            "builder": self._builder(kwargs["features_dim"]),
            "spiking": self.spiking_critic,
            "normaliser": self.normaliser,
        }

    def make_critic(
        self, features_extractor: BaseFeaturesExtractor | None = None
    ) -> ActionValueCritic:
        """Return critics behind the actor's normaliser."""
        return ActionValueCritic(**self._critic_arguments(features_extractor)).to(self.device)

    @property
    def normaliser(self) -> ObservationNormaliser | None:
        """The observation normaliser that actor and critics share, or None."""
        return self._actor_network().normaliser

    @abstractmethod
    def _actor_network(self) -> FeatureNetwork:
        """Return the actor's network behind the normaliser."""

    def _acting_network(self) -> SpikingNetwork | DenseNetwork:
        return self._actor_network().network

    def _network_inputs(self, observation: Tensor) -> Tensor:
        features = self.actor.extract_features(observation, self.actor.features_extractor)
        return self._actor_network().inputs(features)
