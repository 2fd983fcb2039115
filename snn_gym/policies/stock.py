"""Stable-Baselines3's own MLP policies, whose weights are named and whose costs are counted.

Nothing of Stable-Baselines3 is replaced: trained with the same seed, they have the weights of
``"MlpPolicy"``, bit for bit.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy, BaseModel, BasePolicy
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.dqn.policies import DQNPolicy
from stable_baselines3.sac.policies import SACPolicy
from torch import Tensor, nn
from typing_extensions import override

from snn_gym.policies.acting import read_program
from snn_gym.policies.base import check_acting_tensors
from snn_gym.policies.networks import DenseNetwork, network_config
from snn_gym.program.network import Program
from snn_gym.spiking.config import NetworkConfig
from snn_gym.spiking.recording import Recording


class StockPolicyMixin(BasePolicy):
    """An MLP policy of Stable-Baselines3 that names its weights and counts its costs.

    Args:
        observation_space: Observation space.
        action_space: Action space.
        lr_schedule: Learning rate over the remaining progress.
        network: Hidden sizes, which are Stable-Baselines3's ``net_arch``; also as a mapping.
        **kwargs: As in Stable-Baselines3's policy.
    """

    network: NetworkConfig
    critic_key: ClassVar[None] = None
    normaliser: ClassVar[None] = None
    """Observations are not standardised, or by VecNormalize."""
    carries_state: ClassVar[bool] = False

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

    @abstractmethod
    def acting_modules(self) -> dict[str, nn.Module]:
        """Return the modules from features to actions, in their order, by names in state_dict."""

    def acting_network(self) -> DenseNetwork:
        """Return the acting network as a ``DenseNetwork`` with the same weights."""
        parts = self.acting_modules().values()
        linears = [x for part in parts for x in part.modules() if isinstance(x, nn.Linear)]
        *sizes, outputs = (linear.out_features for linear in linears)
        activation: type[nn.Module] = self.activation_fn  # type: ignore[assignment]
        network = DenseNetwork(linears[0].in_features, tuple(sizes), outputs, activation)
        own = (module for module in network if isinstance(module, nn.Linear))
        for module, linear in zip(own, linears, strict=True):
            module.weight, module.bias = linear.weight, linear.bias
        return network

    def readout(self) -> None:
        """Return the head after the acting network, which has it itself."""

    def program(self) -> Program:
        """Return the acting network as one value, with copies of its numbers."""
        return read_program(self)

    def record(self, obs: np.ndarray[Any, Any], state: Any = None) -> Recording:
        """Record the costs of decisions on observations; nothing spikes."""
        tensor, _ = self.obs_to_tensor(obs)
        with torch.no_grad():
            # The base class's: an actor-critic's own returns features of both.
            flatten = FlattenExtractor(self.observation_space)
            features = BaseModel.extract_features(self, tensor, flatten)
            recording: Recording = self.acting_network().record(features, state)
        return recording

    def reseed_noise(self, seed: int) -> None:
        """Do nothing: acting draws no noise."""

    def acting_state_dict(self) -> dict[str, Tensor]:
        """Return copies of the tensors that acting needs, by name."""
        prefixes = tuple(f"{name}." for name in self.acting_modules())
        return {
            name: tensor.detach().clone()
            for name, tensor in sorted(self.state_dict().items())
            if name.startswith(prefixes)
        }

    def load_acting_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Load tensors as ``acting_state_dict`` gives them; all else stays as it is."""
        check_acting_tensors(tensors, self.acting_state_dict())
        self.load_state_dict({**self.state_dict(), **tensors})


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

    @override
    def acting_modules(self) -> dict[str, nn.Module]:
        return {"q_net.q_net": self.q_net.q_net}


class StockSACPolicy(StockPolicyMixin, SACPolicy):
    """Stable-Baselines3's ``MlpPolicy`` of SAC."""

    @override
    def acting_modules(self) -> dict[str, nn.Module]:
        return {"actor.latent_pi": self.actor.latent_pi, "actor.mu": self.actor.mu}
