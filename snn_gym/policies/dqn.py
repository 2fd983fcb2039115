"""Q-network policy on a spiking network, for the stock DQN."""

from __future__ import annotations

from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import nn

from snn_gym.policies._values import ValueNetworkMixin, ValuePolicyMixin


class SpikingQNetwork(ValueNetworkMixin, QNetwork):
    """Q-values (B, actions) from a spiking network, one output per action."""

    part = "q_net"


class SpikingDQNPolicy(ValuePolicyMixin, DQNPolicy):
    """Policy for DQN whose Q-network is a spiking network.

    Its arguments are those of ``ValuePolicyMixin`` and of Stable-Baselines3's ``DQNPolicy``.
    """

    algorithms = ("DQN",)
    network_class = SpikingQNetwork
    q_net: SpikingQNetwork
    q_net_target: SpikingQNetwork
    make_q_net = ValuePolicyMixin.make_value_network

    def acting_head(self) -> nn.Module | None:
        """Return the one linear head of the acting network, None for another way to its values."""
        head: nn.Module | None = self.acting_network().head if self.spiking else None
        return head
