"""Policies whose networks carry a state between decisions, for StatefulPPO."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import Tensor
from typing_extensions import override

from snn_gym.policies.acting import compiled_network
from snn_gym.policies.actor_critic import ActorCriticNetworks, SpikingActorCriticPolicy
from snn_gym.policies.networks import StatefulNetwork, network_inputs
from snn_gym.policies.units import Memory, Units
from snn_gym.program.compiled import CompiledProgram
from snn_gym.spiking.execution import NetworkRun

# ---- stateful ------------------------------------------------------------------------------------
State = tuple[NDArray[Any], ...]
"""One opaque float32 array (B, S), in the 1-tuple that ``predict`` returns and takes."""


@dataclass(frozen=True)
class SequenceBatch:
    """B sequences of K + L environment steps, as stored by a buffer."""

    observations: PyTorchObs
    """(K + L, B, ...), or a dict of such."""
    states: Tensor
    """(B, S) float32, from before the first step."""
    starts: Tensor
    """(K + L, B), bool: where an episode starts, and the state is at rest."""
    burn_in_steps: int = 0
    """First steps K that only bring the state up to date: no outputs, no gradient."""
    recurrent_gradient: bool = True


def reset_where(starts: Tensor, state: Tensor, rest: Tensor) -> Tensor:
    """Return states (B, S) that are ``rest`` (1, S) where an episode starts (B,)."""
    return torch.where(starts.unsqueeze(1), rest, state)


def flatten_steps(observations: PyTorchObs) -> PyTorchObs:
    """Return observations (L, B, ...) as one batch (L * B, ...)."""
    if isinstance(observations, dict):
        return {key: value.flatten(0, 1) for key, value in observations.items()}
    return observations.flatten(0, 1)


def run_sequence(
    network: StatefulNetwork, inputs: Tensor, state: Tensor, batch: SequenceBatch
) -> Tensor:
    """Run a network over K burn-in steps and L further environment steps.

    The burn-in only updates the state, without gradients.

    Args:
        network: The network.
        inputs: (K + L, B, ...).
        state: (B, S), from before the first step.
        batch: Resets, the number K and ``recurrent_gradient``.

    Returns:
        Outputs (L, B, O) of the further steps.
    """
    first = batch.burn_in_steps
    if first:  # which only brings the state up to date
        with torch.no_grad():
            _, state = network.sequence(inputs[:first], state, batch.starts[:first])
    outputs, _ = network.sequence(
        inputs[first:],
        state,
        batch.starts[first:],
        recurrent_gradient=batch.recurrent_gradient,
    )
    return outputs


class StatefulNetworks(ActorCriticNetworks):
    """Actor and critic, each with its own state, behind one normaliser."""

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


class StatefulActorCriticPolicy(SpikingActorCriticPolicy):
    """Policy for ``StatefulPPO``: networks whose state lasts from one decision to the next.

    It is reset where an episode starts. Networks that do not spike are made of units that carry a
    state too.

    Args:
        *args: As in ``SpikingActorCriticPolicy``.
        gated: Kind of the units of networks that do not spike: ``gru``, ``lstm``, ``rnn`` (Elman's,
            with tanh), ``rnn_relu``, ``leaky`` (leaky integrators with a learned decay) or
            ``rectified_leaky``; or one for each layer, such as ``("leaky", "relu")``, of which at
            least one carries a state. A critic of another number of layers has the first kind.
            Beside a spiking actor, ``tanh`` or ``relu`` makes a critic without memory.
        memory_steps: Longest memory of units before training, in environment steps, at least 2: it
            sets their initial weights, for tasks with long delays; None for the defaults.
        **kwargs: As in ``SpikingActorCriticPolicy``.

    Raises:
        ValueError: ``share_features_extractor`` is False.
    """

    algorithms = ("StatefulPPO",)
    own_arguments = (*SpikingActorCriticPolicy.own_arguments, "gated", "memory_steps")
    networks_class = StatefulNetworks
    mlp_extractor: StatefulNetworks

    def __init__(
        self,
        *args: Any,
        gated: Memory | Sequence[Units] = "gru",
        memory_steps: int | None = None,
        **kwargs: Any,
    ) -> None:
        if not kwargs.get("share_features_extractor", True):
            raise ValueError(
                "StatefulActorCriticPolicy has one features extractor for actor and critic, got "
                "share_features_extractor=False; leave it out"
            )
        self.gated, self.memory_steps = gated, memory_steps
        super().__init__(*args, **kwargs)

    def rest_state(self, batch: int) -> Tensor:
        """Return the states (batch, S) at the start of an episode."""
        return self.mlp_extractor.rest_state(batch)

    def forward(  # type: ignore[override]
        self, obs: PyTorchObs, states: Tensor, starts: Tensor, deterministic: bool = False
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Act in a rollout from states (B, S), at rest where episodes start (B,).

        Observations count for the normaliser. Actions are the best if ``explores_nothing``.

        Returns:
            Actions, values (B, 1), log-probabilities of the actions (B,), and new states (B, S).
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
        """Evaluate actions (L * B, ...) along sequences, after the burn-in, step by step.

        Returns:
            Values (L * B, 1), log-probabilities (L * B,), and entropies (L * B,) or None.
        """
        latent_pi, latent_vf = self._latents(obs)
        distribution = self._get_action_dist_from_latent(latent_pi)
        values = self.value_net(latent_vf)
        return values, distribution.log_prob(actions), distribution.entropy()

    def logits_and_values(self, obs: SequenceBatch) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Return logits (L * B, A) of discrete actions along sequences, and values (L * B, 1)."""
        latent_pi, latent_vf = self._latents(obs)
        return self.action_net(latent_pi), self.value_net(latent_vf)

    def _latents(self, batch: SequenceBatch) -> Iterator[Tensor]:
        """Yield the activity (L * B, N) that the actor's and the critic's head read."""
        with self.mlp_extractor.first_training_data():
            parts = list(self._parts(batch))
        for part in parts:
            yield run_sequence(*part, batch).flatten(0, 1)

    def compiled(self) -> tuple[CompiledProgram, CompiledProgram] | None:
        """Return actor and critic compiled with their present weights.

        None if a part has no form outside of PyTorch, or decides otherwise there.
        """
        networks = self.mlp_extractor
        actor = compiled_network(self, networks.actor, self.action_net)
        critic = compiled_network(self, networks.critic, self.value_net)
        return None if actor is None or critic is None else (actor, critic)

    def carry(self, batch: SequenceBatch) -> Tensor:
        """Return the states (B, S) after all steps of sequences, by the present weights."""
        with torch.no_grad():
            states = [
                network.sequence(inputs, state, batch.starts)[1]
                for network, inputs, state in self._parts(batch)
            ]
        return torch.cat(states, dim=1)

    def _parts(self, batch: SequenceBatch) -> Iterator[tuple[StatefulNetwork, Tensor, Tensor]]:
        """Yield actor and critic, each with its inputs (K + L, B, ...) and states (B, S')."""
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
        """Return values (B, 1) from states (B, S), at rest where episodes start (B,)."""
        networks = self.mlp_extractor
        _, critic_state = networks.split(reset_where(starts, states, self.rest_state(1)))
        latent, _ = self._step(networks.critic, self._features(obs), critic_state)
        values: Tensor = self.value_net(latent)
        return values

    def _features(self, obs: PyTorchObs) -> Tensor:
        features = ActorCriticPolicy.extract_features(self, obs, self.features_extractor)
        assert isinstance(features, Tensor)  # one extractor serves actor and critic
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

    def observed(self, observations: SequenceBatch) -> tuple[Tensor, list[NetworkRun]]:
        """Return behaviour ((K + L) * B, A) and the pass in all steps, burn-in K included."""
        behaviour, _, runs = self.followed(observations, self.acting_state(observations.states))
        return behaviour.flatten(0, 1), runs

    def followed(
        self, batch: SequenceBatch, state: Tensor
    ) -> tuple[Tensor, Tensor, list[NetworkRun]]:
        """Return behaviour (K + L, B, A), states (B, S') and the pass through spiking layers.

        All environment steps count, burn-in K included. ``state`` (B, S') precedes the first.
        """
        inputs = self.network_inputs(flatten_steps(batch.observations))
        inputs = inputs.view(*batch.starts.shape, *inputs.shape[1:])
        runs: list[NetworkRun] = []
        output, after = self.acting_network().sequence(
            inputs, state, batch.starts, optimised=False, observer=runs.append
        )
        behaviour = self.behaviour(output.flatten(0, 1))
        return behaviour.view(*batch.starts.shape, -1), after, runs

    @override
    def _states_before(self, state: Any, episode_start: Any, batch: int) -> NDArray[np.float32]:
        # The decider moves states on in place, and may not change the caller's.
        return self._carried(state, episode_start, batch).numpy().copy()

    def predict_by_torch(
        self, observation: Any, state: Any = None, episode_start: Any = None,
        deterministic: bool = False,
    ) -> Any:  # fmt: skip
        """Choose actions as ``predict`` does, by PyTorch's arithmetic, as learners need it."""
        self._stop_training()
        tensor, vectorised = self.obs_to_tensor(observation)
        with torch.no_grad():
            inputs = self.network_inputs(tensor)
            carried = self._carried(state, episode_start, len(inputs))
            output, carried = self.acting_network()(inputs, carried)
            distribution = self._get_action_dist_from_latent(output)
            actions = distribution.get_actions(deterministic=deterministic).cpu().numpy()
        # As Stable-Baselines3 brings actions within their space.
        space = self.action_space
        actions = actions.reshape((-1, *(space.shape or ())))
        if isinstance(space, spaces.Box) and self.squash_output:
            actions = self.unscale_action(actions)
        elif isinstance(space, spaces.Box):
            actions = np.clip(actions, space.low, space.high)
        return actions if vectorised else actions.squeeze(axis=0), (carried.cpu().numpy(),)

    def _carried(
        self, state: State | None, episode_start: NDArray[Any] | None, batch: int
    ) -> Tensor:
        """Return the acting state (B, S), at rest where episodes start; refuse other shapes."""
        rest: Tensor = self.acting_network().rest_state(1)
        if state is None:
            return rest.expand(batch, -1)
        carried = self._state_tensor(state, batch)
        if episode_start is None:
            return carried
        starts = np.asarray(episode_start)
        if starts.shape != (batch,):
            raise ValueError(
                f"episode_start must have one entry for each of {batch} observations, got shape "
                f"{starts.shape}"
            )
        return reset_where(torch.as_tensor(starts.astype(bool), device=self.device), carried, rest)

    def _state_tensor(self, state: Any, batch: int) -> Tensor:
        parts = tuple(state) if isinstance(state, tuple | list) else (state,)
        shape = (batch, self.acting_network().state_size)
        shapes = [tuple(np.shape(part)) for part in parts]
        if shapes != [shape]:
            raise ValueError(
                f"state must be one array of shape {shape} for this policy and {batch} "
                f"observations, got {shapes}; pass on what predict returned, or None to start"
            )
        return torch.as_tensor(parts[0], dtype=torch.float32, device=self.device)
