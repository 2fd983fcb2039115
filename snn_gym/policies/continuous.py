"""Policies for SAC, TD3 and DDPG: an actor and critics behind one normaliser."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.sac.policies import Actor as SACActor
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import Actor as TD3Actor
from stable_baselines3.td3.policies import TD3Policy
from torch import Tensor, nn
from typing_extensions import override

from snn_gym.policies.base import ActorCriticFlags
from snn_gym.policies.networks import (
    BuiltPart,
    FeatureNetwork,
    NetworkBuilder,
    NormalisedModule,
    StatelessNetwork,
    network_inputs,
)
from snn_gym.spiking.decoders import PopulationHead, make_head


# ---- continuous ----------------------------------------------------------------------------------
class ActionValueCritic(NormalisedModule, BuiltPart, ContinuousCritic):
    """Stable-Baselines3's critics of state and action, spiking or not.

    The action joins an observation as further values: beside an analogue one, or at every time
    step of a spike train.
    """

    outputs: int = 1

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        builder, spiking = self.builder, self.spiking
        self.normaliser, self.spike_steps = builder.normaliser, builder.spike_steps
        self.q_networks = []
        actions = get_action_dim(self.action_space)
        for k in range(self.n_critics):
            network = builder.build(spiking, self.outputs, extra_inputs=actions, critic=True)
            self.add_module(f"qf{k}", network)
            self.q_networks.append(network)

    def extract_features(
        self, obs: PyTorchObs, features_extractor: BaseFeaturesExtractor
    ) -> Tensor:
        """Return standardised features (B, F) of a batch of observations."""
        return self.normalised(super().extract_features(obs, features_extractor))

    def forward(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, ...]:
        """Return each critic's value (B, 1) of actions (B, A); trains no shared extractor."""
        # A features extractor that is the actor's too learns from the actor's loss alone.
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.share_features_extractor):
            features = self.extract_features(obs, self.features_extractor)
        return tuple(self._value(network, features, actions) for network in self.q_networks)

    def q1_forward(self, obs: Tensor, actions: Tensor) -> Tensor:
        """Return the first critic's value (B, 1) of actions (B, A); trains no extractor."""
        with torch.no_grad():
            features = self.extract_features(obs, self.features_extractor)
        return self._value(self.q_networks[0], features, actions)

    def _value(self, network: nn.Module, features: Tensor, actions: Tensor) -> Tensor:
        inputs = network_inputs(features, network, self.spike_steps)
        if inputs.dim() == 3:
            # (B, A) -> (B, T, A)
            actions = actions.unsqueeze(1).expand(-1, inputs.shape[1], -1)
        # Replayed actions are data, and the critic's own loss follows. Actions with a gradient are
        # the actor's, whose loss runs through a critic that it does not optimise.
        optimised = not actions.requires_grad
        values: Tensor = network(torch.cat([inputs, actions], dim=-1), optimised=optimised)[0]
        return values


class ActorAndCriticsMixin(ActorCriticFlags):
    """Policy of an actor and of critics that share one normaliser."""

    action_spaces = (spaces.Box,)
    critic_key = "qf"
    actor_class: type[Any]
    critic_class: type[ActionValueCritic] = ActionValueCritic
    actor: Any
    actor_kwargs: dict[str, Any]
    critic_kwargs: dict[str, Any]

    def make_actor(self, features_extractor: BaseFeaturesExtractor | None = None) -> Any:
        """Return a new actor; a second one, the target, shares the first one's normaliser."""
        return self._make_part(
            self.actor_class, self.spiking_actor, self.actor_kwargs, features_extractor
        )

    def make_critic(self, features_extractor: BaseFeaturesExtractor | None = None) -> Any:
        """Return new critics; they and the target critics share the actor's normaliser."""
        return self._make_part(
            self.critic_class, self.spiking_critic, self.critic_kwargs, features_extractor
        )

    def _make_part(
        self,
        kind: type[Any],
        spiking: bool,
        arguments: dict[str, Any],
        features_extractor: BaseFeaturesExtractor | None,
    ) -> Any:
        arguments = self._update_features_extractor(arguments, features_extractor)
        builder = self._builder(arguments["features_dim"])
        return kind(builder=builder, spiking=spiking, **arguments).to(self.device)

    @abstractmethod
    def _online(self) -> FeatureNetwork:
        """Return the actor's ``FeatureNetwork``: the normaliser, and the network after it."""

    @override
    def acting_network(self) -> StatelessNetwork:
        return self._online().network

    @override
    def acting_extractor(self) -> nn.Module:
        extractor: nn.Module = self.actor.features_extractor
        return extractor

    @override
    def network_inputs(self, observation: PyTorchObs) -> Tensor:
        features = self.actor.extract_features(observation, self.actor.features_extractor)
        return self._online().inputs(features)


# ---- sac -----------------------------------------------------------------------------------------
class SpikingSACActor(BuiltPart, SACActor):
    """Stable-Baselines3's squashed Gaussian actor on a spiking network."""

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Box,
        *,
        builder: NetworkBuilder,
        spiking: bool,
        features_dim: int,
        **kwargs: Any,
    ) -> None:
        outputs = get_action_dim(action_space)
        latent = FeatureNetwork(builder, spiking, population_outputs=outputs)
        # Without layers of its own Stable-Baselines3's actor puts mean and deviation right on
        # the features that it is given: here the network's output.
        arguments = {**kwargs, "features_dim": latent.network.output_size}
        super().__init__(
            observation_space, action_space, builder=builder, spiking=spiking, **arguments
        )
        self.features_dim = features_dim
        self.latent_pi: FeatureNetwork = latent  # type: ignore[assignment]
        if spiking and builder.config.decoder == "population":
            config = builder.config
            head = make_head(config.decoder_parameters, latent.network.output_size, outputs)
            if isinstance(self.mu, nn.Sequential):
                self.mu[0] = head  # gSDE clips the mean behind the head
            else:
                self.mu = head


class SpikingSACPolicy(ActorAndCriticsMixin, SACPolicy):
    """Policy for SAC with a spiking actor and, on request, spiking critics.

    Its arguments are those of ``ActorCriticFlags`` and of Stable-Baselines3's ``SACPolicy``.
    """

    algorithms: tuple[str, ...] = ("SAC",)
    own_arguments = (*ActorAndCriticsMixin.own_arguments, "share_features_extractor")
    actor_class = SpikingSACActor
    actor: SpikingSACActor
    critic: ActionValueCritic

    def behaviour(self, output: Tensor) -> Tensor:
        """Return the mean action (B, A), squashed to [-1, 1], of the network's outputs (B, O)."""
        return torch.tanh(self.actor.mu(output))

    def _online(self) -> FeatureNetwork:
        return self.actor.latent_pi

    @override
    def acting_modules(self) -> dict[str, nn.Module]:
        actor = self.actor
        return {
            "actor.features_extractor": actor.features_extractor,
            "actor.latent_pi": actor.latent_pi,
            "actor.mu": actor.mu,
        }

    @override
    def readout(self) -> nn.Linear | PopulationHead:
        head = self.actor.mu
        if isinstance(head, nn.Sequential):  # gSDE clips the mean behind the head
            head = head[0]
        assert isinstance(head, nn.Linear | PopulationHead)  # as the actor made it
        return head


# ---- td3 -----------------------------------------------------------------------------------------
class SpikingTD3Actor(BuiltPart, TD3Actor):
    """Stable-Baselines3's deterministic actor on a spiking network."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        network = FeatureNetwork(self.builder, self.spiking, get_action_dim(self.action_space))
        self.mu = nn.Sequential(network, nn.Tanh())


class SpikingTD3Policy(ActorAndCriticsMixin, TD3Policy):
    """Policy for TD3 and DDPG with a spiking actor and, on request, spiking critics.

    Its other arguments are those of ``ActorCriticFlags`` and of Stable-Baselines3's ``TD3Policy``.

    Args:
        *args: As in ``ActorCriticFlags``.
        proxy_hidden_sizes: Hidden sizes of an ANN that ``snn_gym.learners.TD3`` fits to the actor
            and that takes the place of the target actor (Proxy Target, Wei et al. 2025,
            https://arxiv.org/abs/2505.24161). None for a target actor of the actor's own kind.
        **kwargs: As in ``ActorCriticFlags``.
    """

    algorithms = ("TD3", "DDPG")
    own_arguments = (*ActorAndCriticsMixin.own_arguments, "proxy_hidden_sizes")
    actor_class = SpikingTD3Actor
    actor: SpikingTD3Actor
    critic: ActionValueCritic

    def __init__(
        self, *args: Any, proxy_hidden_sizes: Sequence[int] | None = None, **kwargs: Any
    ) -> None:
        self.proxy_hidden_sizes = None if proxy_hidden_sizes is None else tuple(proxy_hidden_sizes)
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        if self.proxy_hidden_sizes is not None:
            self.actor_target = self._make_proxy(self.proxy_hidden_sizes, lr_schedule)

    def _make_proxy(self, sizes: tuple[int, ...], lr_schedule: Schedule) -> SpikingTD3Actor:
        """Return an actor of rectified units with an optimiser, behind the policy's normaliser."""
        arguments = self._update_features_extractor(self.actor_kwargs, None)
        builder = self._builder(arguments["features_dim"])
        builder = replace(
            builder, config=replace(builder.config, hidden_sizes=sizes), activation=nn.ReLU
        )
        proxy = self.actor_class(builder=builder, spiking=False, **arguments).to(self.device)
        kind: Any = self.optimizer_class
        proxy.optimizer = kind(proxy.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)
        proxy.set_training_mode(False)
        return proxy

    def behaviour(self, output: Tensor) -> Tensor:
        """Return the action (B, A), squashed to [-1, 1], of the network's outputs (B, A)."""
        return torch.tanh(output)

    def _online(self) -> FeatureNetwork:
        network = self.actor.mu[0]
        assert isinstance(network, FeatureNetwork)  # as the actor made it
        return network

    @override
    def acting_modules(self) -> dict[str, nn.Module]:
        return {"actor": self.actor}
