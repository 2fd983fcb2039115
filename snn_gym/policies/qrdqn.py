"""Quantile-network policy on a spiking network, for the QR-DQN of sb3-contrib."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces
from sb3_contrib.qrdqn.policies import QRDQNPolicy, QuantileNetwork
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import Tensor, nn

from snn_gym.policies._networks import DenseNetwork, NetworkBuilder
from snn_gym.policies._values import ValueNetworkMixin, ValuePolicyMixin
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.normaliser import ObservationNormaliser


class SpikingQuantileNetwork(ValueNetworkMixin, QuantileNetwork):
    """Quantiles of the return from a spiking network, ``n_quantiles`` outputs per action."""

    quantile_net: SpikingNetwork | DenseNetwork  # type: ignore[assignment]

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Discrete,
        features_extractor: BaseFeaturesExtractor,
        features_dim: int,
        n_quantiles: int,
        *,
        builder: NetworkBuilder,
        spiking: bool,
        normaliser: ObservationNormaliser | None,
        normalize_images: bool = True,
    ) -> None:
        super().__init__(
            observation_space,
            action_space,
            features_extractor,
            features_dim,
            n_quantiles,
            net_arch=[],
            normalize_images=normalize_images,
        )
        self.quantile_net = builder.build(spiking, int(action_space.n) * n_quantiles)
        self.normaliser = normaliser
        self.spike_steps = builder.spike_steps

    @property
    def network(self) -> SpikingNetwork | DenseNetwork:
        """The network, spiking or not."""
        return self.quantile_net

    def forward(self, obs: PyTorchObs) -> Tensor:
        """Return the quantiles (B, n_quantiles, actions)."""
        return self.network_outputs(obs).view(-1, self.n_quantiles, int(self.action_space.n))


class SpikingQRDQNPolicy(ValuePolicyMixin, QRDQNPolicy):
    """Policy for QR-DQN whose quantile network is a spiking network.

    The network's state starts from rest at every decision. Observations are standardised inside
    the policy by one normaliser that online and target network share.

    Args:
        observation_space: Observation space.
        action_space: Discrete action space.
        lr_schedule: Learning rate over the remaining progress.
        network: What the network is made of; its defaults if None.
        spiking: Whether the quantile network spikes; if not it is a multilayer perceptron of the
            same hidden sizes, the ANN twin.
        normalise_observations: Whether Box observations, also those in a Dict, are standardised.
        cell_factory: For research: makes any Norse cell in place of the configured neuron.
        activation_fn: Activation of a network that does not spike.
        **kwargs: As in sb3-contrib's ``QRDQNPolicy``; ``net_arch`` is not among them.

    Raises:
        ValueError: ``net_arch`` is given, or a space is not supported.
    """

    algorithms = "QRDQN"
    quantile_net: SpikingQuantileNetwork
    quantile_net_target: SpikingQuantileNetwork

    def make_quantile_net(self) -> SpikingQuantileNetwork:
        """Return a quantile network; the target shares the online network's normaliser."""
        extractor = self.make_features_extractor()
        first: SpikingQuantileNetwork | None = getattr(self, "quantile_net", None)
        normaliser = self._make_normaliser() if first is None else first.normaliser
        return SpikingQuantileNetwork(
            self.observation_space,
            self.action_space,  # type: ignore[arg-type]
            extractor,
            extractor.features_dim,
            self.n_quantiles,
            builder=self._builder(extractor.features_dim),
            spiking=self.spiking,
            normaliser=normaliser,
            normalize_images=self.normalize_images,
        ).to(self.device)

    def _online(self) -> ValueNetworkMixin:
        return self.quantile_net

    def _acting_modules(self) -> dict[str, nn.Module]:
        return {"quantile_net": self.quantile_net}
