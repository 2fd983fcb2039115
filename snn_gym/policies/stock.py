"""Stable-Baselines3's own MLP policies, whose weights are named and whose costs are counted.

Nothing of Stable-Baselines3 is replaced: trained with the same seed, they have the weights of
``"MlpPolicy"``, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy, BaseModel
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.dqn.policies import DQNPolicy
from stable_baselines3.sac.policies import SACPolicy
from torch import Tensor, nn
from typing_extensions import override

from snn_gym.policies.base import ProgramPolicy
from snn_gym.policies.behaviour import scaled_actions
from snn_gym.policies.networks import DenseNetwork, network_config
from snn_gym.spiking.network_config import NetworkConfig


class StockPolicyMixin(ProgramPolicy):
    """An MLP policy of Stable-Baselines3 whose acting weights and costs are known.

    Args:
        observation_space: Observation space.
        action_space: Action space.
        lr_schedule: Learning rate over the remaining progress.
        network: Hidden sizes, which are Stable-Baselines3's ``net_arch``; also as a mapping.
        **kwargs: As in Stable-Baselines3's policy.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        *,
        network: NetworkConfig | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.network = network_config(network)
        sizes = list(self.network.hidden_sizes)
        super().__init__(observation_space, action_space, lr_schedule, net_arch=sizes, **kwargs)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        data = super()._get_constructor_parameters()
        del data["net_arch"]
        return {**data, "network": self.network}

    def acting_network(self) -> DenseNetwork:
        """Return the acting network as a ``DenseNetwork`` that shares its weights."""
        # The modules stand in their order from features to actions.
        parts = self.acting_modules().values()
        linears = [x for part in parts for x in part.modules() if isinstance(x, nn.Linear)]
        *sizes, outputs = (linear.out_features for linear in linears)
        activation: type[nn.Module] = self.activation_fn  # type: ignore[assignment]
        network = DenseNetwork(linears[0].in_features, tuple(sizes), outputs, activation)
        own = (module for module in network if isinstance(module, nn.Linear))
        for module, linear in zip(own, linears, strict=True):  # shared, not copied
            module.weight, module.bias = linear.weight, linear.bias
        return network

    def behaviour(self, output: Tensor) -> Tensor:
        """Return log-odds, values, or the Box's ``scaled_actions``, (B, A), from the output."""
        space = self.action_space
        return scaled_actions(output, space) if isinstance(space, spaces.Box) else output

    @override
    def acting_extractor(self) -> FlattenExtractor:
        return FlattenExtractor(self.observation_space)

    @override
    def network_inputs(self, observation: PyTorchObs) -> Tensor:
        # The base class's method: an actor-critic's own returns features of both.
        return BaseModel.extract_features(self, observation, self.acting_extractor())


class StockActorCriticPolicy(StockPolicyMixin, ActorCriticPolicy):
    """Stable-Baselines3's ``MlpPolicy`` of PPO."""

    @override
    def acting_modules(self) -> dict[str, nn.Module]:
        return {
            "mlp_extractor.policy_net": self.mlp_extractor.policy_net,
            "action_net": self.action_net,
        }


class StockDQNPolicy(StockPolicyMixin, DQNPolicy):
    """Stable-Baselines3's ``MlpPolicy`` of DQN."""

    rates_actions = True

    @override
    def acting_modules(self) -> dict[str, nn.Module]:
        return {"q_net.q_net": self.q_net.q_net}


class StockSACPolicy(StockPolicyMixin, SACPolicy):
    """Stable-Baselines3's ``MlpPolicy`` of SAC."""

    def behaviour(self, output: Tensor) -> Tensor:
        """Return the mean action (B, A), squashed to [-1, 1], of the output (B, A)."""
        return torch.tanh(output)

    @override
    def acting_modules(self) -> dict[str, nn.Module]:
        return {"actor.latent_pi": self.actor.latent_pi, "actor.mu": self.actor.mu}
