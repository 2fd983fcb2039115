"""Actor-critic policy on spiking networks, for the stock PPO and A2C and sb3-contrib's TRPO."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn

from snn_gym.policies._common import SpikingPolicyMixin
from snn_gym.policies._networks import AnyNetwork, DenseNetwork, NetworkBuilder, network_inputs
from snn_gym.spiking.coding.decoders import make_head
from snn_gym.spiking.config import NetworkConfig
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.neurons.norse_cells import CellFactory
from snn_gym.spiking.normaliser import ObservationNormaliser


class ActorCriticNetworks(nn.Module):
    """Actor and critic behind one normaliser; takes the place of Stable-Baselines3's MlpExtractor.

    Args:
        builder: Builds the networks.
        normaliser: Shared by both, or None.
        spiking_actor: Whether the actor spikes; if not it is a multilayer perceptron.
        spiking_critic: The same for the critic.
        outputs: Outputs of the head that reads the actor.
    """

    def __init__(
        self,
        builder: NetworkBuilder,
        normaliser: ObservationNormaliser | None,
        spiking_actor: bool,
        spiking_critic: bool,
        outputs: int,
    ) -> None:
        super().__init__()
        self.spike_steps = builder.spike_steps
        self.normaliser = normaliser
        self.actor = builder.build(spiking_actor, population_outputs=outputs)
        self.critic = builder.build(spiking_critic, population_outputs=1)
        self.latent_dim_pi = self.actor.output_size
        self.latent_dim_vf = self.critic.output_size

    def normalised(self, features: Tensor) -> Tensor:
        """Standardise features (B, F)."""
        return features if self.normaliser is None else self.normaliser(features)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the decoded activity of actor and critic for features (B, F)."""
        inputs = self.normalised(features)
        return self._decide(self.actor, inputs), self._decide(self.critic, inputs)

    def forward_actor(self, features: Tensor) -> Tensor:
        """Return the decoded activity of the actor for features (B, F)."""
        return self._decide(self.actor, self.normalised(features))

    def forward_critic(self, features: Tensor) -> Tensor:
        """Return the decoded activity of the critic for features (B, F)."""
        return self._decide(self.critic, self.normalised(features))

    def _decide(self, network: SpikingNetwork | DenseNetwork, inputs: Tensor) -> Tensor:
        return network.decide(network_inputs(inputs, network, self.spike_steps))


class SpikingActorCriticPolicy(SpikingPolicyMixin, ActorCriticPolicy):
    """Policy for PPO, A2C and TRPO on spiking networks: the actor, and on request the critic.

    The network's state starts from rest at every decision. Observations are standardised inside
    the policy. A two-dimensional MultiBinary((T, N)) observation is a spike train and sets the
    number of time steps; everything else is analogue.

    Args:
        observation_space: Observation space.
        action_space: Action space.
        lr_schedule: Learning rate over the remaining progress.
        network: What the networks are made of; its defaults if None.
        spiking_actor: Whether the actor spikes; if not it is a multilayer perceptron of the same
            hidden sizes (with both flags off this policy is the ANN twin).
        spiking_critic: The same for the critic, which is needed in training only. Off by default:
            with a spiking critic PPO learns CartPole less reliably.
        normalise_observations: Whether Box observations, also those in a Dict, are standardised.
        cell_factory: For research: makes any Norse cell in place of the configured neuron.
        activation_fn: Activation of networks that do not spike.
        **kwargs: As in Stable-Baselines3's ``ActorCriticPolicy``; ``net_arch`` is not among them.

    Raises:
        ValueError: ``net_arch`` is given, or a space is not supported.
    """

    algorithms = "PPO, A2C and TRPO"
    action_spaces = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
    own_arguments: tuple[str, ...] = ("spiking_actor", "spiking_critic", "share_features_extractor")
    mlp_extractor: ActorCriticNetworks  # type: ignore[assignment]

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        *,
        network: NetworkConfig | None = None,
        spiking_actor: bool = True,
        spiking_critic: bool = False,
        normalise_observations: bool = True,
        cell_factory: CellFactory | None = None,
        activation_fn: type[nn.Module] = nn.Tanh,
        **kwargs: Any,
    ) -> None:
        self.network = NetworkConfig() if network is None else network
        self._prepare(kwargs, observation_space, action_space)
        self.spiking_actor = spiking_actor
        self.spiking_critic = spiking_critic
        self.normalise_observations = normalise_observations
        self.cell_factory = cell_factory
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch=[],
            activation_fn=activation_fn,
            **kwargs,
        )

    def _build_mlp_extractor(self) -> None:
        self.mlp_extractor = ActorCriticNetworks(
            self._builder(self.features_dim),
            self._make_normaliser(),
            self.spiking_actor,
            self.spiking_critic,
            spaces.flatdim(self.action_space),
        )

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        if self.network.decoder != "population" or not (self.spiking_actor or self.spiking_critic):
            return
        networks = self.mlp_extractor
        if self.spiking_actor:
            outputs = spaces.flatdim(self.action_space)
            self.action_net = self._population_head(networks.latent_dim_pi, outputs, gain=0.01)
        if self.spiking_critic:
            self.value_net = self._population_head(networks.latent_dim_vf, 1, gain=1.0)  # type: ignore[assignment]
        # The first one holds the parameters of Stable-Baselines3's own heads.
        self.optimizer = self.optimizer_class(
            self.parameters(),
            lr=lr_schedule(1),  # type: ignore[call-arg]
            **self.optimizer_kwargs,
        )

    def _population_head(self, features: int, outputs: int, gain: float) -> nn.Module:
        """Return a head in the place of Stable-Baselines3's, initialised with its gain."""
        head = make_head(self.network, features, outputs)
        if self.ortho_init:
            self.init_weights(head, gain)
        return head

    @property
    def normaliser(self) -> ObservationNormaliser | None:
        """The observation normaliser that actor and critic share, or None."""
        return self.mlp_extractor.normaliser

    def forward(self, obs: Tensor, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Act in a rollout; the observations count as training data for the normaliser.

        Args:
            obs: Batch of observations.
            deterministic: Whether to take the most likely action.

        Returns:
            Actions, values and log-probabilities of the actions.
        """
        if self.normaliser is None:
            return super().forward(obs, deterministic)
        with self.normaliser.accumulating():
            return super().forward(obs, deterministic)

    def _acting_network(self) -> AnyNetwork:
        return self.mlp_extractor.actor

    def _acting_modules(self) -> dict[str, nn.Module]:
        modules: dict[str, nn.Module] = {
            "mlp_extractor.actor": self.mlp_extractor.actor,
            "action_net": self.action_net,
            "pi_features_extractor": self.pi_features_extractor,
        }
        if self.normaliser is not None:
            modules["mlp_extractor.normaliser"] = self.normaliser
        return modules

    def _network_inputs(self, observation: Tensor) -> Tensor:
        features = self.extract_features(observation)
        if isinstance(features, tuple):
            features = features[0]
        networks = self.mlp_extractor
        return network_inputs(networks.normalised(features), networks.actor, networks.spike_steps)

    def _readout_size(self) -> int:
        with torch.no_grad():
            return int(self.action_net(torch.zeros(1, self.mlp_extractor.latent_dim_pi)).shape[1])
