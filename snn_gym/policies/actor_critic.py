"""Actor-critic policy on spiking networks, for the stock PPO and A2C and sb3-contrib's TRPO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn
from typing_extensions import override

from snn_gym.policies.base import ActorCriticFlags, LateOptimiser
from snn_gym.policies.behaviour import scaled_actions
from snn_gym.policies.networks import (
    NetworkBuilder,
    NormalisedModule,
    StatelessNetwork,
    network_inputs,
)
from snn_gym.policies.units import ACTIVATIONS, BITS, quantise
from snn_gym.program.layers import Activation
from snn_gym.spiking.decoders import PopulationHead, make_head


class ActorCriticNetworks(NormalisedModule):
    """Actor and critic behind one normaliser, in place of Stable-Baselines3's MlpExtractor."""

    actor: Any
    critic: Any

    def __init__(
        self,
        builder: NetworkBuilder,
        spiking_actor: bool,
        spiking_critic: bool,
        outputs: int,
        actor_activation: Activation | None = None,
    ) -> None:
        super().__init__()
        self.normaliser, self.spike_steps = builder.normaliser, builder.spike_steps
        actor = (
            builder
            if actor_activation is None
            else replace(builder, activation=ACTIVATIONS[actor_activation])
        )
        self.actor = actor.build(spiking_actor, population_outputs=outputs)
        self.critic = builder.build(spiking_critic, population_outputs=1, critic=True)
        self.latent_dim_pi = self.actor.output_size
        self.latent_dim_vf = self.critic.output_size

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the activity (B, N) that the actor's and the critic's head read, from (B, F)."""
        inputs = self.normalised(features)
        return self._decide(self.actor, inputs), self._decide(self.critic, inputs)

    def forward_actor(self, features: Tensor) -> Tensor:
        """Return the activity (B, N) that the actor's head reads, for features (B, F)."""
        return self._decide(self.actor, self.normalised(features))

    def forward_critic(self, features: Tensor) -> Tensor:
        """Return the activity (B, N) that the critic's head reads, for features (B, F)."""
        return self._decide(self.critic, self.normalised(features))

    def _decide(self, network: StatelessNetwork, inputs: Tensor) -> Tensor:
        output: Tensor = network(network_inputs(inputs, network, self.spike_steps))[0]
        return output


class SpikingActorCriticPolicy(LateOptimiser, ActorCriticFlags, ActorCriticPolicy):
    """Policy for PPO, A2C and TRPO on spiking networks: the actor, and on request the critic.

    Args:
        *args: As in ``ActorCriticFlags`` and Stable-Baselines3's ``ActorCriticPolicy``.
        actor_activation: Activation of an actor that does not spike, ``tanh``, ``relu`` or
            ``threshold``, beside a critic of ``activation_fn``, as for actors that shall be
            converted; None for ``activation_fn``.
        bits: Bits, 2 to 8, of the weights and hidden units of an actor that does not spike, which
            learns with them (quantisation-aware training); its inputs and biases are floats. None
            for floats alone.
        **kwargs: As in the same two classes.

    Raises:
        ValueError: The activation or the number of bits is unknown, or the actor spikes or carries
            a state.
    """

    algorithms: tuple[str, ...] = ("PPO", "A2C", "TRPO")
    action_spaces = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
    own_arguments: tuple[str, ...] = (
        *ActorCriticFlags.own_arguments,
        "share_features_extractor",
        "actor_activation",
        "bits",
    )
    critic_key = "vf"
    activation_fn = nn.Tanh
    adam_defaults: ClassVar[Mapping[str, Any]] = {"eps": 1e-5}
    networks_class: type[ActorCriticNetworks] = ActorCriticNetworks
    mlp_extractor: ActorCriticNetworks  # type: ignore[assignment]

    def __init__(
        self,
        *args: Any,
        actor_activation: Activation | None = None,
        bits: int | None = None,
        **kwargs: Any,
    ) -> None:
        if actor_activation not in (None, *ACTIVATIONS):
            raise ValueError(
                f"actor_activation must be one of {', '.join(ACTIVATIONS)} or None, got "
                f"{actor_activation!r}"
            )
        if bits not in (None, *BITS):
            raise ValueError(f"bits must be {BITS[0]} to {BITS[-1]}, or None, got {bits!r}")
        for name, given in (("actor_activation", actor_activation), ("bits", bits)):
            if given is not None and (kwargs.get("spiking_actor", True) or self.carries_state):
                raise ValueError(
                    f"{name}={given!r} is for an actor that neither spikes nor carries a state; "
                    "leave it out, or pass spiking_actor=False to PPO, A2C or TRPO"
                )
        self.actor_activation, self.bits = actor_activation, bits
        super().__init__(*args, **kwargs)

    def _build_mlp_extractor(self) -> None:
        self.mlp_extractor = self.networks_class(
            self._builder(self.features_dim),
            self.spiking_actor,
            self.spiking_critic,
            spaces.flatdim(self.action_space),
            self.actor_activation,
        )

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        # After the initial weights, which stay the parameters that the optimiser holds.
        if self.bits is not None:
            self.mlp_extractor.actor.quantise(self.bits)
            quantise(self.action_net, self.bits)
        if self.network.decoder != "population" or not (self.spiking_actor or self.spiking_critic):
            return
        networks = self.mlp_extractor
        if self.spiking_actor:
            outputs = spaces.flatdim(self.action_space)
            self.action_net = self._population_head(networks.latent_dim_pi, outputs, gain=0.01)
        if self.spiking_critic:
            self.value_net = self._population_head(networks.latent_dim_vf, 1, gain=1.0)  # type: ignore[assignment]
        # The optimiser so far holds the parameters of Stable-Baselines3's own heads.
        self.optimizer = self._optimiser(
            self.optimizer_class, self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs
        )

    def _population_head(self, features: int, outputs: int, gain: float) -> nn.Module:
        """Return a head in the place of Stable-Baselines3's; ``gain`` counts if ``ortho_init``."""
        head = make_head(self.network.decoder_parameters, features, outputs)
        if self.ortho_init:
            self.init_weights(head, gain)
        return head

    def forward(self, obs: Tensor, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Act in a rollout, whose observations are training data for the normaliser.

        Actions are the best ones if ``deterministic`` or ``explores_nothing``, else drawn.

        Returns:
            Actions, values (B, 1) and log-probabilities (B,) of the actions.
        """
        with self.mlp_extractor.training_data():
            return super().forward(obs, deterministic or self.explores_nothing)

    def evaluate_actions(
        self, obs: PyTorchObs, actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return values (B, 1), log-probabilities (B,) of actions, and entropies (B,) or None.

        If no rollout came before, as in imitation, observations set the normaliser's statistics.
        """
        with self.mlp_extractor.first_training_data():
            return super().evaluate_actions(obs, actions)

    def logits(self, obs: Tensor) -> Tensor:
        """Return the logits (B, A) of discrete actions for a batch of observations."""
        logits: Tensor = self.action_net(self.mlp_extractor.actor(self.network_inputs(obs))[0])
        return logits

    def logits_and_values(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits (B, A) of discrete actions, and values (B, 1)."""
        features = self.extract_features(obs)
        if isinstance(features, Tensor):
            latent_pi, latent_vf = self.mlp_extractor(features)
        else:
            latent_pi = self.mlp_extractor.forward_actor(features[0])
            latent_vf = self.mlp_extractor.forward_critic(features[1])
        return self.action_net(latent_pi), self.value_net(latent_vf)

    def behaviour(self, output: Tensor) -> Tensor:
        """Return log-odds, or the Box's mean ``scaled_actions``, (B, A) for outputs (B, O)."""
        actions: Tensor = self.action_net(output)
        if isinstance(self.action_space, spaces.Box):
            return scaled_actions(actions, self.action_space)
        return actions

    @override
    def acting_network(self) -> Any:
        return self.mlp_extractor.actor

    @override
    def acting_head(self) -> nn.Module | None:
        return self.action_net

    @override
    def acting_modules(self) -> dict[str, nn.Module]:
        modules: dict[str, nn.Module] = {
            "mlp_extractor.actor": self.mlp_extractor.actor,
            "action_net": self.action_net,
            "pi_features_extractor": self.pi_features_extractor,
        }
        if self.normaliser is not None:
            modules["mlp_extractor.normaliser"] = self.normaliser
        return modules

    @override
    def network_inputs(self, observation: PyTorchObs) -> Tensor:
        features = self.extract_features(observation)
        if isinstance(features, tuple):
            features = features[0]
        networks = self.mlp_extractor
        return network_inputs(networks.normalised(features), networks.actor, networks.spike_steps)

    @override
    def readout(self) -> nn.Linear | PopulationHead:
        head = self.action_net
        assert isinstance(head, nn.Linear | PopulationHead)  # as made by _build
        return head

    @override
    def acting_extractor(self) -> nn.Module:
        return self.pi_features_extractor
