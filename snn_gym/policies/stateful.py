"""``StatefulPolicy``: one flat state that is carried between decisions.

A state is opaque: one float32 array (B, S), in the 1-tuple that Stable-Baselines3's ``predict``
returns and takes. It holds whatever the network's layers carry, of whatever sizes.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import Tensor

from snn_gym.policies.acting import as_taken, rows_of
from snn_gym.policies.base import SpikingPolicy
from snn_gym.policies.networks import StatefulNetwork
from snn_gym.program.network import Gates
from snn_gym.spiking.sequence import NetworkRun, spikes_of

State = tuple[NDArray[Any], ...]


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
    truncate_every: int | None = None
    """Environment steps after which no gradient passes back; None: passes through all L."""
    recurrent_gradient: bool = True
    """Whether gradients pass back through recurrent spikes."""


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
    """Return a network's outputs (L, B, O) after the burn-in of a batch.

    Args:
        network: The network.
        inputs: What it sees (K + L, B, ...).
        state: Its own part (B, S') of the stored states.
        batch: The sequences.
    """
    burnt = batch.burn_in_steps
    if burnt:
        with torch.no_grad():
            _, state = network.sequence(inputs[:burnt], state, batch.starts[:burnt])
    outputs, _ = network.sequence(
        inputs[burnt:],
        state,
        batch.starts[burnt:],
        truncate_every=batch.truncate_every,
        recurrent_gradient=batch.recurrent_gradient,
    )
    return outputs


class StatefulPolicy(SpikingPolicy):
    """``predict`` and ``record`` with a state, as Stable-Baselines3 defines them.

    Args:
        *args: As in ``SpikingPolicy``.
        gated: Kind of the units of networks that do not spike, ``gru`` or ``lstm``.
        **kwargs: As in ``SpikingPolicy``.
    """

    def __init__(self, *args: Any, gated: Gates = "gru", **kwargs: Any) -> None:
        self.gated = gated
        super().__init__(*args, **kwargs)

    @abstractmethod
    def _choose(self, output: Tensor, deterministic: bool) -> Tensor:
        """Return actions (B, ...) from the acting network's output (B, O)."""

    @abstractmethod
    def rest_state(self, batch: int) -> Tensor:
        """Return the states (batch, S) at the start of an episode."""

    @abstractmethod
    def acting_state(self, states: Tensor) -> Tensor:
        """Return the acting network's part (B, S') of the policy's states (B, S)."""

    def watched(self, observations: SequenceBatch) -> tuple[Tensor, list[Tensor]]:
        """Decide along whole sequences; gradients can be taken of all that is returned.

        Args:
            observations: B sequences of L environment steps; those of a burn-in count too.

        Returns:
            Behaviour (L * B, A), and the spikes (L * T, B, N) of every spiking layer.
        """
        behaviour, _, spikes = self.followed(observations, self.acting_state(observations.states))
        return behaviour.flatten(0, 1), spikes

    def followed(self, batch: SequenceBatch, state: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Decide along whole sequences from states of the acting network alone.

        Args:
            batch: B sequences of L environment steps, whose stored states are not used.
            state: (B, S').

        Returns:
            Behaviour (L, B, A), the state (B, S') after the sequences, and the spikes.
        """
        inputs = self.network_inputs(flatten_steps(batch.observations))
        inputs = inputs.view(*batch.starts.shape, *inputs.shape[1:])
        runs: list[NetworkRun] = []
        output, after = self.acting_network().sequence(
            inputs, state, batch.starts, optimised=False, observer=runs.append
        )
        behaviour = self.behaviour(output.flatten(0, 1))
        return behaviour.view(*batch.starts.shape, -1), after, spikes_of(runs)

    def predict(
        self,
        observation: NDArray[Any] | dict[str, NDArray[Any]],
        state: State | None = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], State | None]:
        """Choose actions and carry the state on, as Stable-Baselines3 defines it.

        Args:
            observation: One observation or a batch of B.
            state: What the call before returned; None starts every episode from rest.
            episode_start: (B,), bool: where an episode starts, so that its state is at rest
                whatever ``state`` says. None: nowhere.
            deterministic: Whether to take the best action instead of sampling.

        Returns:
            Actions and the state for the next call.

        Raises:
            ValueError: State or ``episode_start`` do not fit the batch or the network.
        """
        self._stop_training()
        rows = rows_of(observation, self.observation_space) if deterministic else None
        decider = None if rows is None else self._decider()
        if rows is not None and decider is not None:
            states = self._carried(state, episode_start, len(rows)).numpy().copy()
            actions = decider.actions(rows, states)
            if actions is not None:
                seen: Any = observation
                taken = as_taken(actions, seen, self.observation_space, self.action_space)
                return taken, (states,)
        chosen: tuple[NDArray[Any], State | None] = self.predict_by_torch(
            observation, state, episode_start, deterministic
        )
        return chosen

    def predict_by_torch(
        self, observation: Any, state: Any = None, episode_start: Any = None,
        deterministic: bool = False,
    ) -> Any:  # fmt: skip
        """Choose actions as ``predict`` does, by PyTorch's arithmetic, as learners need it.

        Args:
            observation: As in ``predict``.
            state: As there.
            episode_start: As there.
            deterministic: As there.
        """
        self._stop_training()
        tensor, vectorised = self.obs_to_tensor(observation)
        with torch.no_grad():
            inputs = self.network_inputs(tensor)
            carried = self._carried(state, episode_start, len(inputs))
            output, carried = self.acting_network()(inputs, carried)
            chosen = self._choose(output, deterministic)
        actions = self._as_taken(chosen.cpu().numpy())
        return actions if vectorised else actions.squeeze(axis=0), (carried.cpu().numpy(),)

    def _as_taken(self, actions: NDArray[Any]) -> NDArray[Any]:
        """Return actions (B, ...) within the action space, as Stable-Baselines3 does."""
        space = self.action_space
        actions = actions.reshape((-1, *(space.shape or ())))
        if not isinstance(space, spaces.Box):
            return actions
        if self.squash_output:
            unscaled: NDArray[Any] = self.unscale_action(actions)
            return unscaled
        clipped: NDArray[Any] = np.clip(actions, space.low, space.high)
        return clipped

    def _carried(
        self, state: State | None, episode_start: NDArray[Any] | None, batch: int
    ) -> Tensor:
        """Return the state (B, S) that a decision starts from, checked."""
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
        found = [tuple(np.shape(part)) for part in parts]
        if found != [shape]:
            raise ValueError(
                f"state must be one array of shape {shape} for this policy and {batch} "
                f"observations, got {found}; pass on what predict returned, or None to start"
            )
        return torch.as_tensor(parts[0], dtype=torch.float32, device=self.device)
