"""What the networks of DQN and QR-DQN share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn

from snn_gym.policies._common import SpikingPolicyMixin
from snn_gym.policies._networks import AnyNetwork, DenseNetwork, network_inputs
from snn_gym.spiking.config import NetworkConfig
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.neurons.norse_cells import CellFactory
from snn_gym.spiking.normaliser import ObservationNormaliser


class ValueNetworkMixin(BasePolicy):
    """Values of actions from a network that sees observations through the policy's normaliser."""

    normaliser: ObservationNormaliser | None
    spike_steps: int | None

    @property
    @abstractmethod
    def network(self) -> SpikingNetwork | DenseNetwork:
        """The network, spiking or not."""

    def network_inputs(self, obs: PyTorchObs) -> Tensor:
        """Return what the network sees of a batch of observations."""
        features = self.extract_features(obs, self.features_extractor)
        if self.normaliser is not None:
            features = self.normaliser(features)
        return network_inputs(features, self.network, self.spike_steps)

    def network_outputs(self, obs: PyTorchObs) -> Tensor:
        """Return the network's output for a batch of observations.

        The batches that updates differentiate are the training data of the normaliser.
        """
        if self.normaliser is not None and self.training and torch.is_grad_enabled():
            with self.normaliser.accumulating():
                return self.network.decide(self.network_inputs(obs))
        return self.network.decide(self.network_inputs(obs))


class ValuePolicyMixin(SpikingPolicyMixin):
    """Policy whose online and target network share one normaliser.

    Args:
        observation_space: Observation space.
        action_space: Discrete action space.
        lr_schedule: Learning rate over the remaining progress.
        network: What the network is made of; its defaults if None.
        spiking: Whether the network spikes; if not it is a multilayer perceptron.
        normalise_observations: Whether Box observations, also those in a Dict, are standardised.
        cell_factory: For research: makes any Norse cell in place of the configured neuron.
        activation_fn: Activation of a network that does not spike.
        **kwargs: As in the class of Stable-Baselines3 that follows.
    """

    action_spaces = (spaces.Discrete,)
    own_arguments: tuple[str, ...] = ("spiking",)

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
        *,
        network: NetworkConfig | None = None,
        spiking: bool = True,
        normalise_observations: bool = True,
        cell_factory: CellFactory | None = None,
        activation_fn: type[nn.Module] = nn.ReLU,
        **kwargs: Any,
    ) -> None:
        self.network = NetworkConfig() if network is None else network
        self._prepare(kwargs, observation_space, action_space)
        self.spiking = spiking
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

    @property
    def normaliser(self) -> ObservationNormaliser | None:
        """The observation normaliser that online and target network share, or None."""
        return self._online().normaliser

    @abstractmethod
    def _online(self) -> ValueNetworkMixin:
        """Return the network that is updated and chooses actions."""

    def _acting_network(self) -> AnyNetwork:
        return self._online().network

    def _network_inputs(self, observation: Tensor) -> Tensor:
        return self._online().network_inputs(observation)
