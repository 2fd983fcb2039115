"""Actor-critic policy whose networks carry their state, for ``snn_gym.learners.StatefulPPO``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn

from snn_gym.policies.actor_critic import ActorCriticNetworks, SpikingActorCriticPolicy
from snn_gym.policies.networks import StatefulNetwork, network_inputs
from snn_gym.policies.stateful import (
    SequenceBatch,
    StatefulPolicy,
    flatten_steps,
    reset_where,
    run_sequence,
)


# ---- feedback ------------------------------------------------------------------------------------
class BroadcastLinear(nn.Linear):
    """A linear layer whose gradient goes down by fixed random weights, not by its own.

    Feedback alignment (Lillicrap et al. 2016, https://doi.org/10.1038/ncomms13276), with which
    e-prop is called random (Bellec et al. 2020, https://doi.org/10.1038/s41467-020-17236-y). What
    it computes, and the gradients of its own weights, are those of ``nn.Linear``. The feedback
    weights are normal, with a variance of one over the inputs.

    Args:
        inputs: Inputs.
        outputs: Outputs.
    """

    feedback: Tensor
    """(outputs, inputs), fixed."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.register_buffer("feedback", torch.randn(outputs, inputs) / math.sqrt(inputs))

    def forward(self, features: Tensor) -> Tensor:
        """Return the outputs (..., outputs) for features (..., inputs)."""
        output = super().forward(features.detach())
        if not features.requires_grad:
            return output
        carried = nn.functional.linear(features, self.feedback)
        return output + (carried - carried.detach())


def broadcast_head(head: nn.Module) -> BroadcastLinear:
    """Return a readout with the parameters of a linear one, and random feedback.

    Args:
        head: The linear readout; an optimiser of its parameters goes on with them.

    Raises:
        ValueError: It is another kind of readout.
    """
    if not isinstance(head, nn.Linear):
        raise ValueError(
            f"feedback='random' needs a linear readout, got {type(head).__name__}; use another "
            "decoder than 'population', or feedback='symmetric'"
        )
    made = BroadcastLinear(head.in_features, head.out_features)
    made.weight, made.bias = head.weight, head.bias
    return made


# ---- policy --------------------------------------------------------------------------------------
class StatefulNetworks(ActorCriticNetworks):
    """Actor and critic, each with a state of its own, behind one normaliser."""

    actor: StatefulNetwork
    critic: StatefulNetwork

    def split(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Return the actor's and the critic's part of states (B, S)."""
        sizes = [self.actor.state_size, self.critic.state_size]
        actor, critic = torch.split(states, sizes, dim=1)
        return actor, critic

    def rest_state(self, batch: int) -> Tensor:
        """Return the states (batch, S) at the start of an episode."""
        return torch.cat([self.actor.rest_state(batch), self.critic.rest_state(batch)], dim=1)


class StatefulActorCriticPolicy(StatefulPolicy, SpikingActorCriticPolicy):
    """Policy for ``StatefulPPO``: networks whose state lasts from one decision to the next.

    It is reset where an episode starts. Networks that do not spike are made of gated units, which
    carry a state too.

    Args:
        *args: As in ``StatefulPolicy`` and ``SpikingActorCriticPolicy``.
        random_feedback: Whether the readouts' errors reach spiking neurons by fixed random weights
            and not by the readouts' own.
        **kwargs: As there.

    Raises:
        ValueError: Actor and critic shall have features extractors of their own, or feedback is
            random to a readout of populations.
    """

    algorithms = ("StatefulPPO",)
    own_arguments = (*SpikingActorCriticPolicy.own_arguments, "gated", "random_feedback")
    networks_class = StatefulNetworks
    mlp_extractor: StatefulNetworks

    def __init__(self, *args: Any, random_feedback: bool = False, **kwargs: Any) -> None:
        if not kwargs.get("share_features_extractor", True):
            raise ValueError(
                "StatefulActorCriticPolicy has one features extractor for actor and critic, got "
                "share_features_extractor=False; leave it out"
            )
        self.random_feedback = random_feedback
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        if self.random_feedback and self.spiking_actor:
            self.action_net = broadcast_head(self.action_net)
        if self.random_feedback and self.spiking_critic:
            self.value_net = broadcast_head(self.value_net)

    def rest_state(self, batch: int) -> Tensor:
        """Return the states (batch, S) of actor and critic at the start of an episode."""
        return self.mlp_extractor.rest_state(batch)

    def forward(  # type: ignore[override]
        self, obs: PyTorchObs, states: Tensor, starts: Tensor, deterministic: bool = False
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Act in a rollout; the observations count as training data for the normaliser.

        Args:
            obs: Batch of B observations.
            states: States (B, S) of actor and critic.
            starts: (B,), bool: where an episode starts.
            deterministic: Whether to take the most likely action.

        Returns:
            Actions, values (B, 1), log-probabilities of the actions (B,), and states (B, S).
        """
        networks = self.mlp_extractor
        with networks.training_data():
            features = self._features(obs)
        actor_state, critic_state = networks.split(reset_where(starts, states, self.rest_state(1)))
        latent_pi, actor_state = self._step(networks.actor, features, actor_state)
        latent_vf, critic_state = self._step(networks.critic, features, critic_state)
        distribution = self._get_action_dist_from_latent(latent_pi)
        best = deterministic or self.explores_nothing
        actions = distribution.get_actions(deterministic=best)
        log_prob = distribution.log_prob(actions)
        actions = actions.reshape((-1, *(self.action_space.shape or ())))
        carried = torch.cat([actor_state, critic_state], dim=1)
        return actions, self.value_net(latent_vf), log_prob, carried

    def evaluate_actions(  # type: ignore[override]
        self, obs: SequenceBatch, actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Evaluate actions along sequences under the present weights.

        Args:
            obs: B sequences.
            actions: (L * B, ...), the steps after the burn-in, environment step by environment
                step.

        Returns:
            Values (L * B, 1), log-probabilities (L * B,), and entropies (L * B,) or None.
        """
        with self.mlp_extractor.first_training_data():
            parts = list(self._parts(obs))
        latents = [
            run_sequence(network, inputs, state, obs).flatten(0, 1)
            for network, inputs, state in parts
        ]
        distribution = self._get_action_dist_from_latent(latents[0])
        values = self.value_net(latents[1])
        return values, distribution.log_prob(actions), distribution.entropy()

    def carry(self, batch: SequenceBatch) -> Tensor:
        """Return the states (B, S) after sequences, under the present weights and statistics."""
        with torch.no_grad():
            states = [
                network.sequence(inputs, state, batch.starts)[1]
                for network, inputs, state in self._parts(batch)
            ]
        return torch.cat(states, dim=1)

    def _parts(self, batch: SequenceBatch) -> Iterator[tuple[StatefulNetwork, Tensor, Tensor]]:
        """Give actor and critic, each with what it sees (K + L, B, ...) and its states (B, S')."""
        networks = self.mlp_extractor
        features = self._features(flatten_steps(batch.observations))
        for network, state in zip(
            (networks.actor, networks.critic), networks.split(batch.states), strict=True
        ):
            inputs = network_inputs(features, network, networks.spike_steps)
            yield network, inputs.view(*batch.starts.shape, *inputs.shape[1:]), state

    def predict_values(  # type: ignore[override]
        self, obs: PyTorchObs, states: Tensor, starts: Tensor
    ) -> Tensor:
        """Return values (B, 1).

        Args:
            obs: Batch of B observations.
            states: States (B, S) of actor and critic.
            starts: (B,), bool: where an episode starts.
        """
        networks = self.mlp_extractor
        _, critic_state = networks.split(reset_where(starts, states, self.rest_state(1)))
        latent, _ = self._step(networks.critic, self._features(obs), critic_state)
        values: Tensor = self.value_net(latent)
        return values

    def _features(self, obs: PyTorchObs) -> Tensor:
        features = ActorCriticPolicy.extract_features(self, obs, self.features_extractor)
        assert isinstance(features, Tensor)  # of the one extractor that is named
        return self.mlp_extractor.normalised(features)

    def _step(
        self, network: StatefulNetwork, features: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        inputs = network_inputs(features, network, self.mlp_extractor.spike_steps)
        output, carried = network(inputs, state)
        return output, carried

    def acting_state(self, states: Tensor) -> Tensor:
        """Return the actor's part (B, S') of states (B, S)."""
        return self.mlp_extractor.split(states)[0]

    def _choose(self, output: Tensor, deterministic: bool) -> Tensor:
        distribution = self._get_action_dist_from_latent(output)
        return distribution.get_actions(deterministic=deterministic)

    def acting_network(self) -> StatefulNetwork:
        """Return the network that chooses actions."""
        return self.mlp_extractor.actor
