"""What the networks of DQN and QR-DQN share."""

from __future__ import annotations

import torch
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import Tensor

from snn_gym.policies._common import DenseNetwork, network_inputs
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.normaliser import ObservationNormaliser


class ValueNetworkMixin(BasePolicy):
    """Values of actions from a network that sees observations through the policy's normaliser."""

    normaliser: ObservationNormaliser | None
    spike_steps: int | None

    @property
    def network(self) -> SpikingNetwork | DenseNetwork:
        """The network, spiking or not."""
        raise NotImplementedError

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
