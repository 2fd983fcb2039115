"""Quantile-network policy on a spiking network, for the QR-DQN of sb3-contrib."""

from __future__ import annotations

from sb3_contrib.qrdqn.policies import QRDQNPolicy, QuantileNetwork
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import Tensor

from snn_gym.policies._values import ValueNetworkMixin, ValuePolicyMixin


class SpikingQuantileNetwork(ValueNetworkMixin, QuantileNetwork):
    """Quantiles of the return from a spiking network, ``n_quantiles`` outputs per action."""

    part = "quantile_net"

    def _output_size(self) -> int:
        return super()._output_size() * self.n_quantiles

    def forward(self, obs: PyTorchObs) -> Tensor:
        """Return the quantiles (B, n_quantiles, actions)."""
        return super().forward(obs).view(-1, self.n_quantiles, int(self.action_space.n))


class SpikingQRDQNPolicy(ValuePolicyMixin, QRDQNPolicy):
    """Policy for QR-DQN whose quantile network is a spiking network.

    Its arguments are those of ``ValuePolicyMixin`` and of sb3-contrib's ``QRDQNPolicy``.
    """

    algorithms = ("QRDQN",)
    network_class = SpikingQuantileNetwork
    quantile_net: SpikingQuantileNetwork
    quantile_net_target: SpikingQuantileNetwork
    make_quantile_net = ValuePolicyMixin.make_value_network

    def behaviour(self, output: Tensor) -> Tensor:
        """Return the mean over quantiles (B, A) for an output (B, n_quantiles * A)."""
        return output.view(len(output), self.n_quantiles, -1).mean(1)
