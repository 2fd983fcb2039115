"""What the policies of SAC, TD3 and TQC share: an actor's latent network and critics."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import Tensor, nn

from snn_gym.policies._common import DenseNetwork, NetworkBuilder, network_inputs
from snn_gym.spiking.network import SpikingNetwork
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
        return network.decide(torch.cat([inputs, actions], dim=-1))
