"""Policies of one spiking network, for learners without gradients and ``LocalActorCritic``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn
from typing_extensions import override

from snn_gym.policies.base import SpikingPolicy
from snn_gym.policies.networks import network_config
from snn_gym.spiking.assembly import configured_neuron
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.network_config import NetworkConfig
from snn_gym.spiking.spiking_layer import SynapticLinear


# ---- controller ----------------------------------------------------------------------------------
class SpikingControllerPolicy(SpikingPolicy, BasePolicy):
    """Policy for learners that move weights without gradients; it acts deterministically.

    The network's state starts from rest at every decision. A Discrete action is the largest
    output; the values of a bounded Box are ``tanh`` of the outputs, scaled to its limits.

    Box observations are scaled by fixed limits to [-1, 1] and clipped there: a normaliser that
    followed the data would change the actions of the same weights. The learner sets the limits
    (``set_observation_limits``); they are saved with the weights.

    Args:
        observation_space: Observation space; values, flags or one-hots.
        action_space: Discrete, or a bounded Box.
        lr_schedule: Not used, for nothing is trained by gradients; policies are built with one.
        network: As in ``SpikingPolicy``.
        net_arch: As in ``SpikingPolicy``.
        normalise_observations: Whether Box observations are scaled.
        **kwargs: As in Stable-Baselines3's ``BasePolicy``; any other is refused by name.

    Raises:
        ValueError: A space or an argument is not supported; the message names a substitute.
    """

    algorithms = ("learners without gradients",)
    action_spaces = (spaces.Discrete, spaces.Box)
    features_extractor: BaseFeaturesExtractor

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule | None = None,
        *,
        network: NetworkConfig | Mapping[str, Any] | None = None,
        net_arch: Any = None,
        normalise_observations: bool = True,
        **kwargs: Any,
    ) -> None:
        del lr_schedule
        self.network = network_config(network)
        if net_arch is not None:
            self._take_net_arch(net_arch, self.network if network is None else network)
        self.normalise_observations = normalise_observations
        self.rates_actions = isinstance(action_space, spaces.Discrete)
        self._configure(observation_space, action_space, kwargs)
        BasePolicy.__init__(self, observation_space, action_space, squash_output=True, **kwargs)
        self.features_extractor = self.make_features_extractor()
        builder = self._builder(self.features_extractor.features_dim)
        self._check_spaces(builder.spike_steps)
        self.scaler = builder.normaliser
        if self.scaler is not None:
            # The normaliser's class, with limits in place of statistics.
            self.scaler.clip = 1.0  # observations are scaled to [-1, 1]
        self.controller: SpikingNetwork = builder.build(True, spaces.flatdim(action_space))
        self.requires_grad_(False)  # learners move the weights themselves

    def _check_spaces(self, spike_steps: int | None) -> None:
        """Refuse actions that tanh can't be scaled to, and observations that can't be scaled."""
        actions, observations = self.action_space, self.observation_space
        if self.network.convolutions:
            raise ValueError(
                "SpikingControllerPolicy moves each weight alone, and convolutions share theirs; "
                "leave convolutions out, or use PPO with SpikingActorCriticPolicy"
            )
        if isinstance(actions, spaces.Box) and not actions.is_bounded():
            raise ValueError(
                f"SpikingControllerPolicy needs a bounded action space, got {actions}; give it "
                "limits with gymnasium.wrappers.RescaleAction"
            )
        if next(self.features_extractor.parameters(), None) is not None:
            raise ValueError(
                f"{type(self.features_extractor).__name__} has weights of its own, which a learner "
                f"without gradients leaves random, got {observations}; use PPO with "
                "SpikingActorCriticPolicy"
            )
        if spike_steps is not None:
            raise ValueError(
                "SpikingControllerPolicy takes analogue observations and got the spike train "
                f"{observations}; use the task's own id without snn/, or PPO with "
                "SpikingActorCriticPolicy"
            )

    def _get_constructor_parameters(self) -> dict[str, Any]:
        names = ("observation_space", "action_space", "network", "normalise_observations")
        return {name: getattr(self, name) for name in names}

    def set_observation_limits(self, low: ArrayLike, high: ArrayLike) -> None:
        """Scale observations so that ``low`` becomes -1 and ``high`` 1.

        Args:
            low: Lower limits (D,) of the Box values, in the environment's units.
            high: Upper limits (D,), above ``low``, which is not checked.

        Raises:
            ValueError: There is nothing to scale, or not one limit for each value.
        """
        if self.scaler is None:
            raise ValueError(
                f"observations {self.observation_space} are not scaled; leave the limits out"
            )
        lower, upper = (torch.as_tensor(x, dtype=torch.float32) for x in (low, high))
        if lower.shape != self.scaler.mean.shape or upper.shape != lower.shape:
            raise ValueError(
                f"observation limits must have shape {tuple(self.scaler.mean.shape)}, got "
                f"{tuple(lower.shape)} and {tuple(upper.shape)}"
            )
        self.scaler.mean.copy_((lower + upper) / 2.0)
        self.scaler.std.copy_((upper - lower) / 2.0)

    def forward(self, obs: PyTorchObs) -> Tensor:
        """Return the network's outputs (B, outputs), before ``tanh``, for B observations."""
        output: Tensor = self.controller(self.network_inputs(obs))[0]
        return output

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        del deterministic  # there is nothing random
        outputs = self.forward(observation)
        if isinstance(self.action_space, spaces.Discrete):
            return outputs.argmax(dim=1)
        return torch.tanh(outputs)  # which predict scales to the space

    def behaviour(self, output: Tensor) -> Tensor:
        """Return the values (B, A) of discrete actions, or the action (B, A), squashed."""
        return output if isinstance(self.action_space, spaces.Discrete) else torch.tanh(output)

    @override
    def acting_network(self) -> SpikingNetwork:
        return self.controller

    @override
    def acting_extractor(self) -> nn.Module:
        return self.features_extractor

    @override
    def acting_modules(self) -> dict[str, nn.Module]:
        modules: dict[str, nn.Module] = {"controller": self.controller}
        if self.scaler is not None:
            modules["scaler"] = self.scaler
        return modules

    @override
    def network_inputs(self, observation: PyTorchObs) -> Tensor:
        features = self.extract_features(observation, self.features_extractor)
        return features if self.scaler is None else self.scaler(features)


# ---- local actor critic --------------------------------------------------------------------------
class LocalActorCriticPolicy(SpikingControllerPolicy):
    """Policy for ``LocalActorCritic``: actor, critic and weights of feedback.

    It acts as ``SpikingControllerPolicy`` does, and unless it is asked to be deterministic draws:
    a Discrete action from the softmax of the outputs, the values of a Box as ``tanh`` of Gaussians
    around them. The critic, which reads the last layer's decoded activity too, is needed for
    learning only, and so are the weights of random feedback, which never change.

    Biases of the first layer start uniform over [0, I] and its weights normal with standard
    deviation ``input_spread`` times I, where I is the rheobase; further layers start as in
    ``SpikingNetwork``, and the readouts at 0.

    Args:
        *args: As in ``SpikingControllerPolicy``.
        input_spread: Standard deviation of the first layer's weights, in rheobases.
        start_std: Standard deviation of a Box's actions at the start, before ``tanh``.
        **kwargs: As in ``SpikingControllerPolicy``.

    Raises:
        ValueError: A space or an argument is not supported; the message names a substitute.
    """

    algorithms = ("LocalActorCritic",)
    feedback: Tensor
    """(1 + outputs, all hidden neurons), weights of random feedback; row 0 is the value's."""

    def __init__(
        self, *args: Any, input_spread: float = 1.5, start_std: float = 0.5, **kwargs: Any
    ) -> None:
        if not (input_spread > 0 and start_std > 0):
            raise ValueError(
                f"input_spread and start_std must be above 0, got {input_spread} and {start_std}"
            )
        self.input_spread, self.start_std = input_spread, start_std
        super().__init__(*args, **kwargs)
        self.rates_actions = False  # actions are drawn by log-odds
        config, outputs = self.network, self.controller.output_size
        self.critic = nn.Linear(config.hidden_sizes[-1], 1)
        deviations = outputs if isinstance(self.action_space, spaces.Box) else 0
        self.log_std = nn.Parameter(torch.full((deviations,), math.log(start_std)))
        self.register_buffer("feedback", torch.randn(1 + outputs, sum(config.hidden_sizes)))
        # Neurons fire from the start: biases reach up to the rheobase.
        (first, *_), *readouts = self.learned_parts()
        rheobase = configured_neuron(config).rheobase(config.time_steps)
        nn.init.normal_(first.weight, std=input_spread * rheobase)
        nn.init.uniform_(first.bias, 0.0, rheobase)
        for readout in readouts:
            nn.init.zeros_(readout.weight)
            nn.init.zeros_(readout.bias)
        self.requires_grad_(False)

    @property
    def head(self) -> nn.Linear:
        """The actor's linear readout; ``ValueError`` if the decoder has none."""
        head = self.controller.head
        if not isinstance(head, nn.Linear):
            raise ValueError(
                f"LocalActorCriticPolicy needs a linear readout, got decoder "
                f"{self.network.decoder!r}; use decoder='mean_rate' or 'last_voltage'"
            )
        return head

    def _get_constructor_parameters(self) -> dict[str, Any]:
        own = {"input_spread": self.input_spread, "start_std": self.start_std}
        return {**super()._get_constructor_parameters(), **own}

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        if deterministic:
            return super()._predict(observation, deterministic)
        outputs = self.forward(observation)
        if isinstance(self.action_space, spaces.Discrete):
            return torch.multinomial(torch.softmax(outputs, 1), 1).squeeze(1)
        return torch.tanh(torch.normal(outputs, self.log_std.exp().expand_as(outputs)))

    def seen(self, observations: Any) -> NDArray[np.float32]:
        """Return B observations as numbers (B, D), float32: a Box's not scaled, a Dict's scaled."""
        if isinstance(self.observation_space, spaces.Box):
            return np.ascontiguousarray(observations, np.float32).reshape(len(observations), -1)
        tensor, _ = self.obs_to_tensor(observations)
        return self.network_inputs(tensor).numpy()

    def learned_parts(self) -> tuple[list[nn.Linear], nn.Linear, nn.Linear]:
        """Return the synapses of the hidden layers, in order, and actor's and critic's readout."""
        hidden = [x for x in self.controller.modules() if isinstance(x, SynapticLinear)]
        return list(hidden), self.head, self.critic
