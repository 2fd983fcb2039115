"""Policies on networks of action values: DQN's, and the base of QR-DQN's."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import Tensor, nn
from typing_extensions import override

from snn_gym.policies.base import LateOptimiser, SpikingPolicy
from snn_gym.policies.networks import BuiltPart, SingleNetworkModule


# ---- values --------------------------------------------------------------------------------------
class ValueNetworkMixin(SingleNetworkModule, BuiltPart, BasePolicy):
    """Network of action values that replaces that of the Stable-Baselines3 class after it."""

    part: str
    """Name that the class of Stable-Baselines3 gives its network."""
    action_space: spaces.Discrete

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        builder = self.builder
        self.normaliser, self.spike_steps = builder.normaliser, builder.spike_steps
        setattr(self, self.part, builder.build(self.spiking, self._output_size()))

    def _output_size(self) -> int:
        return int(self.action_space.n)

    @property
    def network(self) -> Any:
        """The network, spiking or not."""
        return getattr(self, self.part)

    def network_inputs(self, obs: PyTorchObs) -> Tensor:
        """Return the network's inputs for a batch of observations."""
        return self.inputs(self.extract_features(obs, self.features_extractor))

    def forward(self, obs: PyTorchObs) -> Tensor:
        """Return the network's outputs (B, outputs) for a batch of observations, from rest."""
        output: Tensor = self.network(self.network_inputs(obs))[0]
        return output


class ValuePolicyMixin(LateOptimiser, SpikingPolicy):
    """Policy whose online and target network share one normaliser.

    Args:
        *args: As in ``SpikingPolicy``.
        spiking: Whether the networks spike; if not they are multilayer perceptrons of the same
            hidden sizes, the ANN twin.
        **kwargs: As in ``SpikingPolicy``.
    """

    action_spaces = (spaces.Discrete,)
    own_arguments: tuple[str, ...] = ("spiking",)
    rates_actions = True
    network_class: type[ValueNetworkMixin]
    net_args: dict[str, Any]

    def __init__(self, *args: Any, spiking: bool = True, **kwargs: Any) -> None:
        self.spiking = spiking
        super().__init__(*args, **kwargs)

    def make_value_network(self) -> Any:
        """Return a new network; the second one, the target, shares the first one's normaliser."""
        arguments = self._update_features_extractor(self.net_args)
        builder = self._builder(arguments["features_dim"])
        return self.network_class(builder=builder, spiking=self.spiking, **arguments).to(
            self.device
        )

    def behaviour(self, output: Tensor) -> Tensor:
        """Return the output, unchanged: the values (B, A) of the actions."""
        return output

    def _online(self) -> ValueNetworkMixin:
        network = getattr(self, self.network_class.part)
        assert isinstance(network, ValueNetworkMixin)  # as made above
        return network

    @override
    def acting_network(self) -> Any:
        return self._online().network

    @override
    def acting_extractor(self) -> nn.Module:
        return self._online().features_extractor

    @override
    def acting_modules(self) -> dict[str, nn.Module]:
        return {self.network_class.part: self._online()}

    @override
    def network_inputs(self, observation: PyTorchObs) -> Tensor:
        return self._online().network_inputs(observation)


# ---- dqn -----------------------------------------------------------------------------------------
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
    make_q_net = ValuePolicyMixin.make_value_network

    @override
    def acting_head(self) -> nn.Module | None:
        return self.acting_network().head if self.spiking else None
