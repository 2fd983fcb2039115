"""States that a policy visits while it is trained, for updates that learn from no reward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import DictRolloutBuffer, ReplayBuffer, RolloutBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import Tensor

from snn_gym._base.storage import prefixed, with_prefix
from snn_gym.learners.sequences import SequenceReplayBuffer, SequenceRolloutBuffer
from snn_gym.policies.base import SpikingPolicy, spiking_policy_of
from snn_gym.policies.stateful import SequenceBatch

KEPT = 20_000
"""Latest observations that are kept, or looked at in a replay buffer."""
FEWEST = 256
"""Latest observations of a replay buffer that are drawn from when hardly any is new."""
ASKED = 1024
"""Observations that the teacher is shown at a time."""

Sample = tuple[PyTorchObs | SequenceBatch, Tensor]
"""Observations for a policy's ``watched``, and the teacher's behaviour (B, A)."""


def appended(before: NDArray[Any] | None, rows: NDArray[Any], most: int) -> NDArray[Any]:
    """Return the latest rows, as many as there are now and at least ``most`` if there are so many.

    Args:
        before: (N, ...), None for none.
        rows: (M, ...).
        most: Rows that are kept, all new ones at least.
    """
    # Also without any before it is a copy: a buffer is filled again.
    both = np.concatenate([rows[:0] if before is None else before, rows])
    return both[-max(most, len(rows)) :]


class Replayed:
    """Observations of a replay buffer since it was made, or sequences of all that the buffer has.

    Args:
        teacher: Policy whose behaviour is asked for.
        model: Algorithm with the buffer.
    """

    def __init__(self, teacher: Any, model: OffPolicyAlgorithm) -> None:
        self._teacher, self._model = teacher, model
        # What exploring led to is not what is visited without.
        self._since = model.num_timesteps

    def collect(self) -> None:
        """Take in what was played since the last call; the buffer has it already."""

    def sample(self, batch_size: int, *, newest: bool = False) -> Sample:
        """Draw decisions and ask the teacher about them.

        Args:
            batch_size: Decisions.
            newest: Whether only those of the latest rollout count, where there are rollouts.
        """
        del newest
        buffer = self._model.replay_buffer
        assert isinstance(buffer, ReplayBuffer)  # made with the model
        if isinstance(buffer, SequenceReplayBuffer):
            count = max(1, batch_size // buffer.sequence_length) * buffer.sequence_length
            drawn: Any = buffer.sample(count, self._model._vec_normalize_env).sequences
        else:
            filled = buffer.size()
            new = self._model.num_timesteps - self._since
            recent = min(filled, -(-min(KEPT, max(FEWEST, new)) // buffer.n_envs))
            ages = torch.randint(recent, (batch_size,)).numpy()
            rows = (buffer.pos - 1 - ages) % buffer.buffer_size
            drawn = buffer._get_samples(rows, self._model._vec_normalize_env).observations
        with torch.no_grad():
            return drawn, self._teacher.watched(drawn)[0]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what a resumed training needs; a checkpoint has the buffer."""
        return {"since": np.array(self._since)}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what ``arrays`` returned."""
        self._since = int(arrays["since"])


class Collected:
    """Latest observations of rollouts.

    Args:
        teacher: Policy whose behaviour is asked for.
        buffer: Rollouts.
    """

    def __init__(self, teacher: Any, buffer: RolloutBuffer) -> None:
        self._teacher, self._buffer = teacher, buffer
        self._kept: dict[str, NDArray[Any]] = {}
        self._targets: NDArray[np.float32] | None = None
        self._newest = 0

    def collect(self) -> None:
        """Take in the latest rollout, and ask the teacher about it."""
        parts = {name: x.reshape(-1, *x.shape[2:]) for name, x in self._parts().items()}
        self._newest = len(next(iter(parts.values())))
        targets = self._ask(parts)
        for name, rollout in parts.items():
            self._kept[name] = appended(self._kept.get(name), rollout, KEPT)
        self._targets = appended(self._targets, targets, KEPT)

    def _ask(self, parts: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return the teacher's behaviour (N, A) in observations, a few at a time."""
        found = []
        with torch.no_grad():
            for first in range(0, self._newest, ASKED):
                few = {name: x[first : first + ASKED] for name, x in parts.items()}
                found.append(self._teacher.watched(self._torch_of(few))[0].cpu().numpy())
        return np.concatenate(found)

    def sample(self, batch_size: int, *, newest: bool = False) -> Sample:
        """Draw decisions, as ``Replayed.sample`` does."""
        assert self._targets is not None  # collected before
        count = len(self._targets)
        first = count - self._newest if newest else 0
        rows = torch.randint(first, count, (batch_size,)).numpy()
        drawn = self._torch_of({name: kept[rows] for name, kept in self._kept.items()})
        return drawn, self._buffer.to_torch(self._targets[rows])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the observations by part, and the teacher's behaviour."""
        targets = {} if self._targets is None else {"targets": self._targets}
        return prefixed("kept", self._kept) | targets

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what ``arrays`` returned."""
        self._kept = with_prefix("kept", arrays)
        self._targets = arrays.get("targets")

    def _torch_of(self, parts: Mapping[str, NDArray[Any]]) -> PyTorchObs:
        tensors = {name: self._buffer.to_torch(x) for name, x in parts.items()}
        return tensors if isinstance(self._buffer, DictRolloutBuffer) else tensors[""]

    def _parts(self) -> dict[str, NDArray[Any]]:
        observations: Any = self._buffer.observations
        return observations if isinstance(observations, dict) else {"": observations}


class Followed:
    """Latest rollouts as sequences, along which the teacher carried a state of its own.

    Args:
        teacher: Policy whose behaviour is asked for.
        buffer: Rollouts with states.
    """

    def __init__(self, teacher: Any, buffer: SequenceRolloutBuffer) -> None:
        self._teacher, self._buffer = teacher, buffer
        self._state: Tensor | None = None
        self._kept: dict[str, NDArray[Any]] = {}
        self._newest = 0

    def collect(self) -> None:
        """Let the teacher see the latest rollout, and take that in."""
        buffer = self._buffer
        observations: Any = buffer.observations
        named = observations if isinstance(observations, dict) else {"": observations}
        rollout = prefixed("observations", {name: x.swapaxes(0, 1) for name, x in named.items()})
        rollout["states"] = buffer.states[buffer.burn_in_steps]
        rollout["starts"] = buffer.episode_starts.swapaxes(0, 1).astype(np.bool_)
        batch = self._batch_of(rollout)
        if self._state is None:
            # The policies are one until now, and so are their states; one with other states has
            # taught from the start, where an episode begins.
            states, rest = batch.states, self._teacher.rest_state(1)
            if states.shape[1] != rest.shape[1]:
                states = rest.expand(len(states), -1)
            self._state = self._teacher.acting_state(states)
        with torch.no_grad():
            target, self._state, _ = self._teacher.followed(batch, self._state)
        rollout["targets"] = target.cpu().numpy().swapaxes(0, 1)
        self._newest, length = batch.starts.shape[1], len(batch.starts)
        most = max(self._newest, KEPT // length)
        for name, rows in rollout.items():
            self._kept[name] = appended(self._kept.get(name), rows, most)

    def sample(self, batch_size: int, *, newest: bool = False) -> Sample:
        """Draw whole sequences, of about as many decisions."""
        sequences, length = self._kept["starts"].shape
        among = self._newest if newest else sequences
        count = min(among, max(1, batch_size // length))
        chosen = sequences - 1 - torch.randperm(among)[:count].numpy()
        drawn = {name: x[chosen] for name, x in self._kept.items()}
        targets = self._buffer.to_torch(drawn["targets"].swapaxes(0, 1))
        return self._batch_of(drawn), targets.flatten(0, 1)

    def _batch_of(self, rows: Mapping[str, NDArray[Any]]) -> SequenceBatch:
        """Return sequences whose first axis is which one as those whose first axis is time."""
        parts = {
            name: self._buffer.to_torch(x.swapaxes(0, 1))
            for name, x in with_prefix("observations", rows).items()
        }
        starts = self._buffer.to_torch(rows["starts"].swapaxes(0, 1))
        observations: Any = parts.get("", parts)
        return SequenceBatch(observations, self._buffer.to_torch(rows["states"]), starts)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the sequences; not the teacher's state: episodes start anew after a resume."""
        return dict(self._kept)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what ``arrays`` returned."""
        self._kept = dict(arrays)


Visited = Replayed | Collected | Followed
"""States that a policy visits."""


def make_visited(model: BaseAlgorithm, teacher: Any) -> Visited:
    """Return the states that a model visits, by the buffer that it has.

    Args:
        model: Algorithm that plays.
        teacher: Policy whose behaviour in these states is asked for.

    Raises:
        ValueError: Sequences are replayed from states that the teacher does not have.
    """
    if isinstance(model, OffPolicyAlgorithm):
        if isinstance(model.replay_buffer, SequenceReplayBuffer):
            _check_states(spiking_policy_of(model), teacher)
        return Replayed(teacher, model)
    buffer: RolloutBuffer = model.rollout_buffer  # type: ignore[attr-defined]
    if isinstance(buffer, SequenceRolloutBuffer):
        return Followed(teacher, buffer)
    return Collected(teacher, buffer)


def _check_states(policy: SpikingPolicy, teacher: SpikingPolicy) -> None:
    """Refuse a teacher that can't go on from the states that a policy played with."""
    networks = policy.acting_network(), teacher.acting_network()
    own, given = (
        (type(network), network.state_size, x.network.hidden_sizes)
        for network, x in zip(networks, (policy, teacher), strict=True)
    )
    if own != given:
        raise ValueError(
            f"replayed sequences begin from states of the student's {own[0].__name__} of "
            f"{own[2]}, which the teacher's {given[0].__name__} of {given[2]} does not have; keep "
            "network and sizes, or train with StatefulPPO"
        )
