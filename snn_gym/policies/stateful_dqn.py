"""Q-network policy whose network carries its state, for ``snn_gym.learners.StatefulDQN``."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.dqn.policies import QNetwork
from torch import Tensor

from snn_gym.policies._gated import Gated
from snn_gym.policies._networks import NetworkBuilder
from snn_gym.policies._stateful import (
    SequenceBatch,
    StatefulNetwork,
    StatefulPolicyMixin,
    flatten_steps,
    run_sequence,
)
from snn_gym.policies._values import ValueNetworkMixin
from snn_gym.policies.dqn import SpikingDQNPolicy
from snn_gym.spiking.normaliser import ObservationNormaliser


class StatefulQNetwork(ValueNetworkMixin, QNetwork):
    """Q-values from a network that carries its state, one output per action."""

    q_net: StatefulNetwork  # type: ignore[assignment]

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Discrete,
        features_extractor: BaseFeaturesExtractor,
        features_dim: int,
        *,
        builder: NetworkBuilder,
        spiking: bool,
        gated: Gated,
        normaliser: ObservationNormaliser | None,
        normalize_images: bool = True,
    ) -> None:
        super().__init__(
            observation_space,
            action_space,
            features_extractor,
            features_dim,
            net_arch=[],
            normalize_images=normalize_images,
        )
        self.q_net = builder.build_stateful(spiking, gated, int(action_space.n))
        self.normaliser = normaliser
        self.spike_steps = builder.spike_steps

    @property
    def network(self) -> StatefulNetwork:  # type: ignore[override]
        """The network, spiking or made of gated units."""
        return self.q_net

    def forward(  # type: ignore[override]
        self, obs: PyTorchObs, states: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the Q-values (B, actions) of one environment step and the states (B, S) after it.

        Args:
            obs: Batch of B observations.
            states: (B, S) float32, from before the step; at rest where an episode starts.
        """
        values, carried = self.q_net(self.network_inputs(obs), states)
        return values, carried

    def sequence(self, batch: SequenceBatch) -> Tensor:
        """Return the Q-values (L, B, actions) along sequences, after their burn-in.

        The batches that updates differentiate are the training data of the normaliser.

        Args:
            batch: B sequences of K + L environment steps.
        """
        obs = flatten_steps(batch.observations)
        if self.normaliser is not None and self.training and torch.is_grad_enabled():
            with self.normaliser.accumulating():
                inputs = self.network_inputs(obs)
        else:
            inputs = self.network_inputs(obs)
        # ((K + L) * B, ...) -> (K + L, B, ...)
        inputs = inputs.view(*batch.starts.shape, *inputs.shape[1:])
        return run_sequence(self.q_net, inputs, batch.states, batch)


class StatefulDQNPolicy(StatefulPolicyMixin, SpikingDQNPolicy):
    """Policy for ``StatefulDQN``: a Q-network whose state lasts from one decision to the next.

    It is reset where an episode starts. Everything else is as in ``SpikingDQNPolicy``, except that
    a network that does not spike is made of gated units, which carry a state too.

    Args:
        observation_space: Observation space.
        action_space: Discrete action space.
        lr_schedule: Learning rate over the remaining progress.
        gated: Kind of the units of a network that does not spike, ``gru`` or ``lstm``.
        **kwargs: As in ``SpikingDQNPolicy``.

    Raises:
        ValueError: An argument is unknown, or a space is not supported.
    """

    algorithms = "StatefulDQN"
    own_arguments = (*SpikingDQNPolicy.own_arguments, "gated")
    q_net: StatefulQNetwork  # type: ignore[assignment]
    q_net_target: StatefulQNetwork  # type: ignore[assignment]

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
        *,
        gated: Gated = "gru",
        **kwargs: Any,
    ) -> None:
        self.gated: Gated = gated
        super().__init__(observation_space, action_space, lr_schedule, **kwargs)

    def make_q_net(self) -> StatefulQNetwork:  # type: ignore[override]
        """Return a Q-network; the second one, the target, shares the first one's normaliser."""
        extractor = self.make_features_extractor()
        first: StatefulQNetwork | None = getattr(self, "q_net", None)
        normaliser = self._make_normaliser() if first is None else first.normaliser
        return StatefulQNetwork(
            self.observation_space,
            self.action_space,  # type: ignore[arg-type]
            extractor,
            extractor.features_dim,
            builder=self._builder(extractor.features_dim),
            spiking=self.spiking,
            gated=self.gated,
            normaliser=normaliser,
            normalize_images=self.normalize_images,
        ).to(self.device)

    def rest_state(self, batch: int) -> Tensor:
        """Return the states (batch, S) at the start of an episode."""
        return self.q_net.q_net.rest_state(batch)

    def _choose(self, output: Tensor, deterministic: bool) -> Tensor:
        del deterministic  # exploration is the algorithm's
        return output.argmax(dim=1)
