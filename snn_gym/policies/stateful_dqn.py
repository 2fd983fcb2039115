"""Q-network policy whose network carries its state, for ``snn_gym.learners.StatefulDQN``."""

from __future__ import annotations

from stable_baselines3.common.type_aliases import PyTorchObs
from torch import Tensor

from snn_gym.policies.dqn import SpikingDQNPolicy, SpikingQNetwork
from snn_gym.policies.networks import StatefulNetwork
from snn_gym.policies.stateful import (
    SequenceBatch,
    StatefulPolicy,
    flatten_steps,
    run_sequence,
)


class StatefulQNetwork(SpikingQNetwork):
    """Q-values from a network that carries its state, one output per action."""

    q_net: StatefulNetwork  # type: ignore[assignment]

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
        inputs = self.network_inputs(flatten_steps(batch.observations))
        # ((K + L) * B, ...) -> (K + L, B, ...)
        inputs = inputs.view(*batch.starts.shape, *inputs.shape[1:])
        return run_sequence(self.q_net, inputs, batch.states, batch)


class StatefulDQNPolicy(StatefulPolicy, SpikingDQNPolicy):
    """Policy for ``StatefulDQN``: a Q-network whose state lasts from one decision to the next.

    It is reset where an episode starts. A network that does not spike is made of gated units, which
    carry a state too.

    Its arguments are those of ``StatefulPolicy`` and ``SpikingDQNPolicy``.
    """

    algorithms = ("StatefulDQN",)
    own_arguments = (*SpikingDQNPolicy.own_arguments, "gated")
    network_class = StatefulQNetwork
    q_net: StatefulQNetwork
    q_net_target: StatefulQNetwork

    def rest_state(self, batch: int) -> Tensor:
        """Return the states (batch, S) at the start of an episode."""
        return self.q_net.q_net.rest_state(batch)

    def acting_state(self, states: Tensor) -> Tensor:
        """Return states (B, S), all of which are the network's."""
        return states

    def _choose(self, output: Tensor, deterministic: bool) -> Tensor:
        del deterministic  # exploration is the algorithm's
        return output.argmax(dim=1)
